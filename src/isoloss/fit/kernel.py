"""A law bound to data: objective, gradient and curvatures for many parameter vectors at once.

Works in coordinates where the problem is well scaled: axes and loss divided by their geometric
means, and the logarithm of parameters that are positions along an axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.objective import Objective, Objectives
from isoloss.fit.program import amplitudes, compile_law
from isoloss.laws.law import Law

ROWS = 4096
"""Rows handled at once; a million runs need no more memory than this many."""
CELLS = 8192
"""(parameter vector, run) pairs handled at once: what stays in the processor's cache."""
LOG_GUARD = math.log(1e7)
"""Scaled positive parameters stay within this factor of one; reaching it is reported."""


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

    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """All four, in order."""
        return self.value, self.gradient, self.major, self.hessian


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
        self._scratch = [np.empty(0), np.empty(0)]
        self.p = len(law.names)
        self.amplitudes = amplitudes(self.root, law.names)
        self.logs = np.array([self._is_log(i) for i in range(self.p)])
        self.any_logs = bool(self.logs.any())
        self.lower, self.upper = self._box()
        program = compile_law(
            self.root, law.names, tuple(self.logs.tolist()), objective.log, self.amplitudes
        )
        self.pairs, self._spread, self._outer = program.pairs, program.spread, program.outer
        self._value, self._basis = program.value.bind(self.x), program.basis.bind(self.x)
        self._first, self._full = program.first.bind(self.x), program.full.bind(self.x)
        self._shapes = None if program.shapes is None else program.shapes.bind(self.x)
        self.owners = list(program.owners)

    def _is_log(self, i: int) -> bool:
        """Whether a parameter is fitted in its logarithm.

        Amplitudes are not: towards zero the logarithm is an endless flat valley, while a bound
        at zero is reached, and left again, in one step. Dimensionless exponents need no
        logarithm either. Positions along an axis do, and so do widths and the like, which have a
        bound above zero.
        """
        par = self.law.parameters[i]
        if par.lower < 0 or i in self.amplitudes:
            return False
        return bool(par.unit) or par.lower > 0 or not self.law.scaled_axes

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

    def clip(self, q: Array) -> Array:
        """Move internal coordinates into the box."""
        return np.asarray(np.minimum(np.maximum(q, self.lower), self.upper))

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

    def predict(self, q: Array, rows: slice | npt.NDArray[np.int64] | None = None) -> Array:
        """Predictions (log or scaled loss) of shape (B, n)."""
        rows = slice(0, self.n) if rows is None else rows
        n = _count(rows)
        out = np.empty((len(q), n))
        with np.errstate(all="ignore"):
            self._value.run(q, rows, n, [out])
            return np.log(out, out=out) if self._outer else out

    def jacobian(self, q: Array, rows: slice | npt.NDArray[np.int64]) -> Array:
        """Differentiate the predictions by internal coordinates, (B, p, n).

        Uses the tape of the second-order engine.
        """
        n = _count(rows)
        with np.errstate(all="ignore"):
            _, slopes, inverse = self._outputs(q, rows, n, second=True)
            jac = slopes[:, : self.p]
            return jac.copy() if inverse is None else jac * inverse[:, None]

    def basis(self, q: Array, rows: slice | npt.NDArray[np.int64], n: int) -> tuple[Array, Array]:
        """Scaled losses are amplitudes times the first (B, m, n), plus the second (B, n)."""
        columns, rest = np.empty((len(q), len(self.amplitudes), n)), np.empty((len(q), n))
        with np.errstate(all="ignore"):
            self._basis.run(q, rows, n, [*columns.transpose(1, 0, 2), rest])
        return columns, rest

    def shapes(self, q: Array, rows: slice | npt.NDArray[np.int64], n: int) -> Array | None:
        """By parameter, what its amplitude multiplies in a first derivative, (B, p, n), or None.

        See `isoloss.fit.program.Program`.
        """
        if self._shapes is None:
            return None
        out = np.empty((len(q), self.p, n))
        self._shapes.run(q, rows, n, list(out.transpose(1, 0, 2)))
        return out

    def residuals(
        self, q: Array, rows: slice | npt.NDArray[np.int64], n: int, y: Array
    ) -> tuple[Array, Array]:
        """Predictions on n rows less ``y``, (B, n), and their first derivatives, (B, p, n)."""
        out, jac, inverse = self._outputs(q, rows, n, second=False)
        out -= y
        if inverse is not None:
            jac *= inverse[:, None]
        return out, jac

    def _outputs(
        self,
        q: Array,
        rows: slice | npt.NDArray[np.int64],
        n: int,
        *,
        second: bool,
        scratch: bool = False,
    ) -> tuple[Array, Array, Array | None]:
        """Predictions; first and second derivatives as the tape has them; ``1 / f``.

        Where the tape holds the loss f and not its logarithm, the derivatives are those of f.
        With ``scratch`` they lie in memory that the next call uses again.
        """
        b, k = len(q), self.p + (len(self.pairs) if second else 0)
        out = np.empty((b, n))
        slopes = self._space(0, b, k, n) if scratch else np.empty((b, k, n))
        tape = self._full if second else self._first
        tape.run(q, rows, n, [out, *slopes.transpose(1, 0, 2)])
        if not self._outer:
            return out, slopes, None
        inverse = np.reciprocal(out)
        return np.log(out, out=out), slopes, inverse

    def _space(self, which: int, *shape: int) -> Array:
        """Scratch memory that is kept: to ask the system for it anew costs more than to fill it."""
        size = math.prod(shape)
        if len(self._scratch[which]) < size:
            self._scratch[which] = np.empty(size)
        return self._scratch[which][:size].reshape(shape)

    def floor(self, weights: Array) -> Array:
        """Objective of relative residuals of 1e-8: below it, differences are rounding.

        Measured losses never come near it; losses computed from a formula do.
        """
        return np.asarray(0.5e-16 * self.typical**2 * np.sum(weights, axis=-1))

    def terms(
        self,
        q: Array,
        weights: Array,
        y: Array | None = None,
        *,
        second: bool = True,
        goal: Objective | Objectives | None = None,
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
            Without second derivatives the Hessian is that of the law's linearisation.
        goal
            The kernel's objective by default.
        """
        y = self.y[None] if y is None else y
        goal = self.objective if goal is None else goal
        blocks = self._blocks(len(q))
        with np.errstate(all="ignore"):
            if len(blocks) == 1:
                return self._block(q, weights, y, blocks[0][1], goal, second=second)
            parts = [
                self._block(
                    q[b],
                    _part(weights, b, r),
                    _part(y, b, r),
                    r,
                    goal.part(b) if isinstance(goal, Objectives) else goal,
                    second=second,
                )
                for b, r in blocks
            ]
        size, p = len(q), self.p
        value, gradient = np.zeros(size), np.zeros((size, p))
        major, hessian = np.zeros((size, p, p)), np.zeros((size, p, p))
        for (batch, _), part in zip(blocks, parts, strict=True):
            value[batch] += part.value
            gradient[batch] += part.gradient
            major[batch] += part.major
            hessian[batch] += part.hessian
        return Terms(value, gradient, major, hessian)

    def terms_of_runs(self, q: Array, rows: npt.NDArray[np.int64], y: Array) -> Terms:
        """`terms` of single runs of weight one at one vector, (p,), by the engine's own way.

        The entries of the batch are the rows; ``y`` are measurements of theirs, (len(rows),).
        """
        each = np.repeat(q[None], len(rows), axis=0)
        with np.errstate(all="ignore"):
            return self._block(each, np.eye(len(rows)), y[None], rows, self.objective, second=True)

    def _block(
        self,
        q: Array,
        w: Array,
        y: Array,
        rows: slice | npt.NDArray[np.int64],
        goal: Objective | Objectives,
        *,
        second: bool,
    ) -> Terms:
        """Terms of some vectors and some runs, whose weights and measurements are given."""
        n, p = w.shape[-1], self.p
        out, slopes, inverse = self._outputs(q, rows, n, second=second, scratch=True)
        out -= y
        rho, psi, curve, omega = goal.terms(out)
        value = np.add.reduce(rho * w, axis=-1)
        if not math.isfinite(np.add.reduce(value)):
            value[~np.isfinite(value)] = np.inf
        psi = psi * w
        omega, curve = omega * w, curve * w
        if inverse is not None:
            # Of log f the derivatives are f'/f, and f''/f - (f'/f)(f'/f), of which the last
            # joins the products of first derivatives.
            if second:
                curve -= psi
            psi *= inverse
            inverse *= inverse
            omega *= inverse
            curve *= inverse
        first = (slopes @ psi[:, :, None])[:, :, 0]
        jac = slopes[:, :p]
        turned = jac.transpose(0, 2, 1)
        weighted = self._space(1, *jac.shape)
        major = np.multiply(jac, omega[:, None], out=weighted) @ turned
        hessian = np.multiply(jac, curve[:, None], out=weighted) @ turned
        if second:
            hessian += (first[:, p:] @ self._spread).reshape(hessian.shape)
        return Terms(value, first[:, :p].copy(), major, hessian)

    def _blocks(self, size: int) -> list[tuple[slice, slice]]:
        width = min(self.n, ROWS)
        height = max(1, CELLS // max(width, 1))
        return [
            (slice(b, min(b + height, size)), slice(r, min(r + width, self.n)))
            for b in range(0, size, height)
            for r in range(0, self.n, width)
        ]


def _count(rows: slice | npt.NDArray[np.int64]) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _part(a: Array, batch: slice, rows: slice) -> Array:
    return a[:, rows] if len(a) == 1 else a[batch, rows]
