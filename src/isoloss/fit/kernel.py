"""A law bound to data: objective, gradient and curvatures for many parameter vectors at once.

Works in coordinates where the problem is well scaled: axes and loss divided by their geometric
means, and the logarithm of parameters that are positions along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.objective import Objective
from isoloss.laws.calculus import derivative, linear_parameters
from isoloss.laws.expression import ZERO, Node, exp, log, parameter, substitute
from isoloss.laws.law import Law
from isoloss.laws.tape import Tape

ROWS = 4096
"""Rows handled at once; a million runs need no more memory than this many."""
CELLS = 8192
"""(parameter vector, run) pairs handled at once: what stays in the processor's cache."""
LOG_GUARD = math.log(1e7)
"""Scaled positive parameters stay within this factor of one; reaching it is reported."""


@lru_cache(maxsize=128)
def _compile(
    root: Node, names: tuple[str, ...], logs: tuple[bool, ...], log_loss: bool
) -> tuple[Tape, Tape, Tape, list[tuple[int, int]]]:
    """Build tapes of (value), (value, gradient) and (value, gradient, Hessian)."""
    inner = {
        parameter(n): exp(parameter(n)) for n, is_log in zip(names, logs, strict=True) if is_log
    }
    value = substitute(root, inner)
    if log_loss:
        value = log(value)
    gradient = [derivative(value, parameter(n)) for n in names]
    pairs, second = [], []
    for i in range(len(names)):
        memo: dict[Node, Node] = {}
        for j in range(i, len(names)):
            node = derivative(gradient[j], parameter(names[i]), memo)
            if node is not ZERO:
                pairs.append((i, j))
                second.append(node)
    first = Tape([value, *gradient], names)
    return Tape([value], names), first, Tape([value, *gradient, *second], names), pairs


@lru_cache(maxsize=128)
def _amplitudes(root: Node, names: tuple[str, ...]) -> tuple[int, ...]:
    found = linear_parameters(root, [parameter(n) for n in names])
    return tuple(names.index(str(a.value)) for a in found)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What `Kernel.terms` returns for a batch of B vectors of p parameters.

    Attributes
    ----------
    value
        Objective, (B,).
    gradient
        (B, p).
    major
        Gauss-Newton matrix with majorising weights, (B, p, p): positive semi-definite.
    hessian
        Exact second derivatives of the (generalised) objective, (B, p, p).
    """

    value: Array
    gradient: Array
    major: Array
    hessian: Array


class Kernel:
    """One law, one data set, one objective; see the module's docstring.

    Parameters
    ----------
    law
        What is fitted.
    x, loss
        Axis columns and losses of the runs, (n,), positive.
    objective
        What is minimised, in the user's units.
    scales
        Units of the axes and the loss; see `Law.scales`.
    smooth
        Threshold, relative to the loss, of the Huber objective that stands in for least
        absolute deviations.
    """

    def __init__(
        self,
        law: Law,
        x: Mapping[str, Array],
        loss: Array,
        objective: Objective,
        *,
        scales: Mapping[str, float] | None = None,
        smooth: float = 1e-5,
    ) -> None:
        self.law, self.goal = law, objective
        self.scales = dict(scales) if scales is not None else law.scales(x, loss)
        self.root = law.scaled_expression(self.scales)
        self.x_user, self.loss_user = x, loss
        self.x = {a: np.asarray(x[a]) / self.scales[a] for a in law.axes}
        scaled = np.asarray(loss) / self.scales["L"]
        # In linear space the residual stays in scaled losses, so that the engine's tolerances
        # do not depend on the unit of the loss; results are reported in the user's unit.
        self.y: Array = np.log(scaled) if objective.log else scaled
        self.typical = 1.0 if objective.log else float(np.sqrt(np.mean(scaled**2)))
        # A threshold in losses is in the user's unit.
        delta = objective.delta / (1.0 if objective.log else self.scales["L"])
        self.objective = replace(objective, delta=delta or smooth * self.typical)
        self.n = len(scaled)
        self.p = len(law.names)
        self.amplitudes = _amplitudes(self.root, law.names)
        self.logs = np.array([self._is_log(i) for i in range(self.p)])
        self.lower, self.upper = self._box()
        value, first, full, self.pairs = _compile(
            self.root, law.names, tuple(bool(v) for v in self.logs), objective.log
        )
        self._value, self._first, self._full = (t.bind(self.x) for t in (value, first, full))

    def _is_log(self, i: int) -> bool:
        """Whether a parameter is fitted in its logarithm.

        Amplitudes are not: towards zero the logarithm is an endless flat valley, while a bound
        at zero is reached, and left again, in one step. Dimensionless exponents need no
        logarithm either. Positions along an axis do.
        """
        par = self.law.parameters[i]
        if par.lower < 0 or i in self.amplitudes:
            return False
        return bool(par.unit) or not self.law.scaled_axes

    def _box(self) -> tuple[Array, Array]:
        """Bounds in internal coordinates; user bounds are moved to scaled units."""
        bounds = np.array([[p.lower, p.upper] for p in self.law.parameters]).T
        one = np.ones(self.p)
        unit = self.law.rescale(one, self.scales)
        plain = not self.law.scaled_axes
        lower, upper = np.empty(self.p), np.empty(self.p)
        for i, p in enumerate(self.law.parameters):
            lo, hi = bounds[:, i]
            # A unit that depends on other parameters cannot bound a scaled parameter by a
            # constant; `Law.bound` gives up scaling for such bounds.
            if p.unit and not plain:
                lo, hi = lo / unit[i], hi / unit[i]
            if self.logs[i]:
                guard = 230.0 if plain else LOG_GUARD
                lower[i] = max(math.log(lo) if lo > 0 else -math.inf, -guard)
                upper[i] = min(math.log(hi) if hi < math.inf else math.inf, guard)
            else:
                lower[i], upper[i] = max(lo, -1e300), min(hi, 1e300)
        return lower, upper

    def scaled(self, q: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn internal coordinates, real or complex, into parameters in scaled units."""
        return np.where(self.logs, np.exp(np.where(self.logs, q, 0.0)), q)

    def natural(self, q: Array) -> Array:
        """Turn internal coordinates into parameters in the user's units, (..., p)."""
        return self.law.rescale(self.scaled(q), self.scales)

    def internal(self, theta: Array) -> Array:
        """Turn parameters in the user's units into internal coordinates, clipped to the box."""
        inverse = {a: 1 / s for a, s in self.scales.items()}
        scaled = self.law.rescale(np.asarray(theta, dtype=np.float64), inverse)
        with np.errstate(divide="ignore"):
            q = np.where(self.logs, np.log(np.maximum(scaled, 1e-300)), scaled)
        return np.clip(q, self.lower, self.upper)

    def predict(self, q: Array, rows: slice | None = None) -> Array:
        """Predictions (log or scaled loss) of shape (B, n)."""
        rows = slice(0, self.n) if rows is None else rows
        out = np.empty((len(q), rows.stop - rows.start))
        with np.errstate(all="ignore"):
            self._value.run(q, rows, rows.stop - rows.start, [out])
        return out

    def jacobian(self, q: Array, rows: slice | npt.NDArray[np.int64]) -> Array:
        """Differentiate the predictions by internal coordinates, (B, p, n).

        Uses the tape of the second-order engine, so that a check of it is a check of that.
        """
        n = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        jac = np.empty((len(q), self.p, n))
        unused = np.empty((1 + len(self.pairs), len(q), n))
        with np.errstate(all="ignore"):
            self._full.run(
                q, rows, n, [unused[0], *(jac[:, i] for i in range(self.p)), *unused[1:]]
            )
        return jac

    def floor(self, weights: Array) -> Array:
        """Objective of relative residuals of 1e-8: below it, differences are rounding.

        Measured losses never come near it; losses computed from a formula do.
        """
        return np.asarray(0.5e-16 * self.typical**2 * np.sum(weights, axis=-1))

    def terms(
        self, q: Array, weights: Array, y: Array | None = None, *, second: bool = True
    ) -> Terms:
        """Objective, gradient and both curvatures.

        Parameters
        ----------
        q
            Internal coordinates, (B, p).
        weights
            (1, n) or (B, n), non-negative.
        y
            Measurements in the kernel's space, (1, n) or (B, n); the data by default.
        second
            Without second derivatives the majorising matrix stands in for the Hessian.
        """
        y = self.y[None] if y is None else y
        pairs = self.pairs if second else []
        size, p, m = len(q), self.p, len(pairs)
        value = np.zeros(size)
        gradient = np.zeros((size, p))
        major = np.zeros((size, p, p))
        hessian = np.zeros((size, p, p)) if second else major
        first = np.array([i for i, _ in pairs], dtype=int)
        other = np.array([j for _, j in pairs], dtype=int)
        off = first != other
        tape = self._full if second else self._first
        with np.errstate(all="ignore"):
            for batch, rows in self._blocks(size):
                b, n = batch.stop - batch.start, rows.stop - rows.start
                out = np.empty((b, n))
                jac = np.empty((b, p, n))
                hess = np.empty((b, m, n))
                tape.run(
                    q[batch],
                    rows,
                    n,
                    [out, *(jac[:, i] for i in range(p)), *(hess[:, i] for i in range(m))],
                )
                out -= _part(y, batch, rows)
                rho, psi, curve, omega = self.objective.terms(out)
                w = _part(weights, batch, rows)
                value[batch] += np.sum(rho * w, axis=-1)
                psi = psi * w
                gradient[batch] += (jac @ psi[:, :, None])[:, :, 0]
                turned = jac.transpose(0, 2, 1)
                major[batch] += (jac * (omega * w)[:, None]) @ turned
                if not second:
                    continue
                part = (jac * (curve * w)[:, None]) @ turned
                bend = (hess @ psi[:, :, None])[:, :, 0]
                part[:, first, other] += bend
                part[:, other[off], first[off]] += bend[:, off]
                hessian[batch] += part
        value = np.where(np.isfinite(value), value, np.inf)
        return Terms(value, gradient, major, hessian)

    def _blocks(self, size: int) -> list[tuple[slice, slice]]:
        width = min(self.n, ROWS)
        height = max(1, CELLS // max(width, 1))
        return [
            (slice(b, min(b + height, size)), slice(r, min(r + width, self.n)))
            for b in range(0, size, height)
            for r in range(0, self.n, width)
        ]


def _part(a: Array, batch: slice, rows: slice) -> Array:
    return a[:, rows] if len(a) == 1 else a[batch, rows]
