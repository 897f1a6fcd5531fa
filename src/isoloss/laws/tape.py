"""Run formulas on arrays: a list of numpy operations shared by a value and its derivatives.

Each sub-expression is computed once and at the smallest shape it needs: those of the data alone
once a data set, those of the parameters alone once a parameter vector, and only the rest once a
(parameter vector, run) pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.laws.expression import Node, topological

_UNARY: dict[str, np.ufunc] = {
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "tanh": np.tanh,
}
_BINARY: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def saturate(kappa: Any, alpha: Any) -> Any:
    r"""Solve :math:`u / (1-u)^\alpha = e^\kappa` for u in (0, 1) by Newton's method.

    Needed by M4, whose loss is defined implicitly.
    """
    return _logistic(_log_odds(kappa, alpha))


def unsaturated(kappa: Any, alpha: Any) -> Any:
    """1 minus `saturate`, without the cancellation near 1."""
    return _logistic(-_log_odds(kappa, alpha))


def _logistic(s: Any) -> Any:
    return 1 / (1 + np.exp(-s))


def _log_odds(kappa: Any, alpha: Any) -> Any:
    """``s = log(u / (1 - u))`` of `saturate`, real or complex.

    The equation ``-log(1 + e^-s) + alpha log(1 + e^s) = kappa`` is increasing in s, and concave
    for alpha below 1 and convex above. From the start, on the side where Newton's tangent does
    not overshoot, the steps approach the solution from that side only.
    """
    k, a = np.broadcast_arrays(np.real(kappa), np.real(alpha))
    s = np.where(k < 0, k, k / np.maximum(a, 1e-300))
    for _ in range(60):
        value = -np.logaddexp(0, -s) + a * np.logaddexp(0, s) - k
        step = value / (_logistic(-s) + a * _logistic(s))
        s = s - step
        if np.max(np.abs(step), initial=0.0) < 1e-15 * (1 + np.max(np.abs(s), initial=0.0)):
            break
    if np.iscomplexobj(kappa) or np.iscomplexobj(alpha):
        # Newton again in complex arithmetic carries complex steps through.
        z = s + 0j
        for _ in range(2):
            value = -_softplus(-z) + alpha * _softplus(z) - kappa
            z = s + 1j * np.imag(z - value / (_logistic(-s) + a * _logistic(s)))
        return z
    return s


def _softplus(z: Any) -> Any:
    right = np.real(z) > 0
    return np.where(right, z, 0) + np.log1p(np.exp(np.where(right, -z, z)))


def _operate(node: Node, args: list[Any], out: Any = None) -> Any:
    op = node.op
    if op in _BINARY:
        return _BINARY[op](args[0], args[1], out=out)
    if op in _UNARY:
        return _UNARY[op](args[0], out=out)
    if op == "pow":
        c = args[1]
        if c == -1.0:
            return np.reciprocal(args[0], out=out)
        if c == 2.0:
            return np.square(args[0], out=out)
        if c == 0.5:
            return np.sqrt(args[0], out=out)
        return np.power(args[0], c, out=out)
    if op == "less":
        result = np.less(np.real(args[0]), np.real(args[1])).astype(np.float64)
    elif op == "saturate":
        result = saturate(*args)
    else:
        result = unsaturated(*args)
    if out is None:
        return result
    out[...] = result
    return out


def evaluate(roots: Sequence[Node], leaves: Mapping[str, Any]) -> list[Any]:
    """Evaluate formulas with any broadcastable real or complex leaves: plain and unhurried."""
    values: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for node in topological(roots):
            if node.op == "const":
                values[node] = node.value
            elif node.op in ("axis", "parameter"):
                values[node] = leaves[str(node.value)]
            else:
                values[node] = _operate(node, [values[a] for a in node.args])
    return [values[r] for r in roots]


class Tape:
    """A compiled set of formulas over named axes and an ordered list of parameters."""

    def __init__(self, roots: Sequence[Node], parameters: Sequence[str]) -> None:
        self.roots = list(roots)
        self.parameters = list(parameters)
        order = topological(self.roots)
        kind: dict[Node, int] = {}  # 0 constant, 1 data, 2 parameters, 3 both
        for n in order:
            if n.op == "const":
                kind[n] = 0
            elif n.op == "axis":
                kind[n] = 1
            elif n.op == "parameter":
                kind[n] = 2
            else:
                kind[n] = 0
                for a in n.args:
                    kind[n] |= kind[a]
        self.kind = kind
        self._data = [n for n in order if kind[n] in (0, 1)]
        self._theta = [n for n in order if kind[n] == 2]
        self._both = [n for n in order if kind[n] == 3]
        last_use = {a: i for i, n in enumerate(self._both) for a in n.args}
        roots_set = set(self.roots)
        free: list[int] = []
        self._register: dict[Node, int] = {}
        self.n_registers = 0
        for i, n in enumerate(self._both):
            if n not in roots_set:
                if free:
                    self._register[n] = free.pop()
                else:
                    self._register[n] = self.n_registers
                    self.n_registers += 1
            for a in set(n.args):
                if a in self._register and last_use[a] == i:
                    free.append(self._register[a])

    def bind(self, x: Mapping[str, npt.NDArray[np.float64]]) -> BoundTape:
        """Compute everything that depends on the data alone."""
        return BoundTape(self, x)


class BoundTape:
    """A tape with its data; call it with parameters and row slice to fill output arrays."""

    def __init__(self, tape: Tape, x: Mapping[str, npt.NDArray[np.float64]]) -> None:
        self.tape = tape
        values: dict[Node, Any] = {}
        with np.errstate(all="ignore"):
            for n in tape._data:
                if n.op == "const":
                    values[n] = n.value
                elif n.op == "axis":
                    values[n] = x[str(n.value)]
                else:
                    values[n] = _operate(n, [values[a] for a in n.args])
        self.data = values
        self._buffers = np.empty((0, 0, 0))

    def run(
        self,
        theta: npt.NDArray[np.float64],
        rows: slice,
        n_rows: int,
        outs: Sequence[npt.NDArray[np.float64]],
    ) -> None:
        """Write each root, broadcast to (batch, rows), into ``outs``.

        Parameters
        ----------
        theta
            Shape (batch, p), columns in the order of ``tape.parameters``.
        rows, n_rows
            Which rows of the data, and how many they are.
        outs
            One array of shape (batch, n_rows) a root; may be strided views.
        """
        tape = self.tape
        batch = theta.shape[0]
        need = (tape.n_registers, batch, n_rows)
        if any(have < want for have, want in zip(self._buffers.shape, need, strict=True)):
            self._buffers = np.empty(need)
        values: dict[Node, Any] = {}
        column = {name: theta[:, i : i + 1] for i, name in enumerate(tape.parameters)}
        data = self.data

        def value(n: Node) -> Any:
            k = tape.kind[n]
            if k >= 2:
                return values[n]
            v = data[n]
            return v[rows] if k == 1 else v

        for n in tape._theta:
            if n.op == "parameter":
                values[n] = column[str(n.value)]
            else:
                values[n] = _operate(n, [value(a) for a in n.args])
        direct: dict[Node, npt.NDArray[np.float64]] = {}
        for root, out in zip(tape.roots, outs, strict=True):
            if tape.kind[root] == 3 and root not in direct:
                direct[root] = out
        for n in tape._both:
            target = direct.get(n)
            if target is None:
                target = self._buffers[tape._register[n], :batch, :n_rows]
            values[n] = _operate(n, [value(a) for a in n.args], out=target)
        for root, out in zip(tape.roots, outs, strict=True):
            if direct.get(root) is not out:
                out[...] = value(root)
