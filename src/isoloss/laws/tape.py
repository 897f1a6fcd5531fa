"""Run formulas on arrays: a list of numpy operations shared by a value and its derivatives.

Each sub-expression is computed once and at the smallest shape it needs: those of the data alone
once a data set, those of the parameters alone once a parameter vector, and only the rest once a
(parameter vector, run) pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.laws import flow, flow_unique, linear, margin, margin_pruned
from isoloss.laws.expression import Node, topological
from isoloss.laws.ridge import ORDERS, best_kappa, rank

_UNARY: dict[str, np.ufunc] = {
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "expm1": np.expm1,
    "log1p": np.log1p,
}
_BINARY: dict[str, np.ufunc] = {
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def logistic(s: Any) -> Any:
    """``1 / (1 + e^-s)``; of ``-s``, it is 1 minus that of ``s`` without the cancellation."""
    if np.iscomplexobj(s):
        # A complex exponential that overflows is not a number.
        right = np.real(s) > 0
        tail = np.exp(np.where(right, -s, s))
        return np.where(right, 1.0, tail) / (1 + tail)
    return 1 / (1 + np.exp(-s))


def log_logistic(s: Any) -> Any:
    """Logarithm of `logistic`, also where that underflows."""
    if np.iscomplexobj(s):
        return -_softplus(-s)
    return np.minimum(s, 0) - np.log1p(np.exp(-np.abs(s)))


def log_odds(kappa: Any, alpha: Any) -> Any:
    r"""Solve :math:`u / (1-u)^\alpha = e^\kappa` for ``s = log(u / (1 - u))``, real or complex.

    Needed by M4, whose loss is defined implicitly. The equation
    ``-log(1 + e^-s) + alpha log(1 + e^s) = kappa`` is increasing in s. With
    ``(s + (s^2 + (2 log 2)^2)^(1/2)) / 2`` for ``log(1 + e^s)`` it is quadratic; from that
    solution two or three of Halley's steps are enough unless alpha is tiny.
    """
    k, a = np.atleast_1d(np.real(kappa)), np.atleast_1d(np.real(alpha))
    bend = a - 1
    s = k * (1 + a) - bend * np.sqrt(k * k + (4 * math.log(2) ** 2) * a)
    s = s / (2 * np.maximum(a, 1e-8))
    for _ in range(40):
        tail = np.abs(s)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        tail += 1
        # log u = -log(1 + e^-s) and log(1 - u) = -log(1 + e^s), each without cancellation.
        left = np.minimum(s, 0)
        value = np.log(tail)
        value *= bend
        value += left
        value -= k
        right = np.maximum(s, 0)
        right *= a
        value += right
        # With f the equation, h = f / f' and Halley's step is h / (1 - h f'' / (2 f')).
        share = np.exp(left, out=left)
        share /= tail
        fall = bend * share
        slope = fall + 1
        value /= slope
        fall *= np.subtract(1, share, out=share)
        fall /= slope
        fall *= value
        fall *= 0.5
        value /= np.subtract(1, fall, out=fall)
        s = np.subtract(s, value, out=s)
        # Convergence is cubic: what is left after a step this small is rounding.
        if not np.fmax.reduce(np.abs(value, out=value), axis=None, initial=0.0) > 1e-5:
            break
    if np.iscomplexobj(kappa) or np.iscomplexobj(alpha):
        # Newton again in complex arithmetic carries complex steps through.
        z = s + 0j
        for _ in range(2):
            value = -_softplus(-z) + alpha * _softplus(z) - kappa
            z = s + 1j * np.imag(z - value / (logistic(-s) + a * logistic(s)))
        s = z
    return s.reshape(np.broadcast_shapes(np.shape(kappa), np.shape(alpha)))


def _softplus(z: Any) -> Any:
    right = np.real(z) > 0
    return np.where(right, z, 0) + np.log1p(np.exp(np.where(right, -z, z)))


def _filled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that returns a new array the ``out`` of a ufunc."""

    def wrapper(*args: Any, out: Any = None) -> Any:
        result = function(*args)
        if out is None:
            return result
        out[...] = result
        return out

    return wrapper


def _less(a: Any, b: Any) -> Any:
    return np.less(np.real(a), np.real(b)).astype(np.float64)


def _erf(a: Any, out: Any = None) -> Any:
    from scipy.special import erf

    return erf(a, out=out) if out is not None else erf(a)


_SPECIAL = {
    "erf": _erf,
    "less": _filled(_less),
    "logistic": _filled(logistic),
    "log_logistic": _filled(log_logistic),
    "log_odds": _filled(log_odds),
    "best_kappa": _filled(best_kappa),
} | {f"rank{m}": _filled(partial(rank, order=m)) for m in range(ORDERS)}
_HELD: tuple[tuple[Callable[..., Any], Mapping[str, tuple[int, ...]]], ...] = (
    (flow.flow, flow.OPERATIONS),
    (flow_unique.overfit, flow_unique.OPERATIONS),
    (margin.margin, margin.OPERATIONS),
    *margin_pruned.TABLES,
    *linear.TABLES,
)
for _table, _operations in _HELD:
    _SPECIAL |= {name: _filled(partial(_table, orders=o)) for name, o in _operations.items()}
_POWERS: dict[float, np.ufunc] = {-1.0: np.reciprocal, 2.0: np.square, 0.5: np.sqrt}


def _function(node: Node) -> tuple[Callable[..., Any], tuple[Node, ...]]:
    """Return what to call for an operation, and with which of its arguments."""
    op = node.op
    if op == "pow" and node.args[1].value in _POWERS:
        return _POWERS[float(node.args[1].value or 0.0)], node.args[:1]
    if op == "pow":
        return np.power, node.args
    if op == "stationary":
        # The rest of its arguments is for its derivatives.
        return np.positive, node.args[:1]
    if op == "mul" and node.args[0].value == -1.0:
        return np.negative, node.args[1:]
    return (_BINARY.get(op) or _UNARY.get(op) or _SPECIAL[op]), node.args


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
                function, args = _function(node)
                values[node] = function(*[values[a] for a in args])
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
        slot = {n: i for i, n in enumerate(order)}
        self.slots = len(order)
        self.data = [(n, slot[n]) for n in order if kind[n] in (0, 1)]
        self.sliced = [slot[n] for n in order if kind[n] == 1]
        index = {name: i for i, name in enumerate(parameters)}
        self.columns = [(slot[n], index[str(n.value)]) for n in order if n.op == "parameter"]
        self.of_parameters = [
            _instruction(n, slot) for n in order if kind[n] == 2 and n.op != "parameter"
        ]
        both = _differences([n for n in order if kind[n] == 3], order, set(self.roots))
        position: dict[Node, int] = {}
        for i, root in enumerate(self.roots):
            if kind[root] == 3:
                position.setdefault(root, i)
        register, self.n_registers = _registers(both, set(position))
        self.of_both = [
            (
                function,
                slot[n],
                tuple(slot[a] for a in args),
                register.get(n, -1),
                position.get(n, -1),
            )
            for n, (function, args) in both.items()
        ]
        # Roots that are copied: not computed in place, or the same formula twice.
        self.copied = [(i, slot[r]) for i, r in enumerate(self.roots) if position.get(r) != i]

    def bind(self, x: Mapping[str, npt.NDArray[np.float64]]) -> BoundTape:
        """Compute everything that depends on the data alone."""
        return BoundTape(self, x)


_Instruction = tuple[Callable[..., Any], int, tuple[int, ...]]


def _instruction(node: Node, slot: Mapping[Node, int]) -> _Instruction:
    function, args = _function(node)
    return function, slot[node], tuple(slot[a] for a in args)


_Call = tuple[Callable[..., Any], tuple[Node, ...]]


def _differences(
    nodes: Sequence[Node], order: Sequence[Node], kept: set[Node]
) -> dict[Node, _Call]:
    """Give what to call for each node; a sum with a negative of no other use is a difference."""
    uses: dict[Node, int] = {}
    for n in order:
        for a in n.args:
            uses[a] = uses.get(a, 0) + 1
    calls = {n: _function(n) for n in nodes}
    for n in nodes:
        if n.op != "add":
            continue
        for x, y in (n.args, n.args[::-1]):
            if y in calls and calls[y][0] is np.negative and uses[y] == 1 and y not in kept:
                calls[n] = np.subtract, (x, *calls.pop(y)[1])
                break
    return calls


def _registers(calls: Mapping[Node, _Call], outputs: set[Node]) -> tuple[dict[Node, int], int]:
    """Assign scratch arrays to intermediate results, reusing each after its last use."""
    last_use = {a: i for i, (_, args) in enumerate(calls.values()) for a in args}
    free: list[int] = []
    register: dict[Node, int] = {}
    count = 0
    for i, (n, (_, args)) in enumerate(calls.items()):
        if n not in outputs:
            if free:
                register[n] = free.pop()
            else:
                register[n] = count
                count += 1
        for a in set(args):
            if a in register and last_use[a] == i:
                free.append(register[a])
    return register, count


class BoundTape:
    """A tape with its data; call it with parameters and row slice to fill output arrays."""

    def __init__(self, tape: Tape, x: Mapping[str, npt.NDArray[np.float64]]) -> None:
        self.tape = tape
        values: dict[Node, Any] = {}
        self._template: list[Any] = [None] * tape.slots
        with np.errstate(all="ignore"):
            for n, slot in tape.data:
                if n.op == "const":
                    values[n] = n.value
                elif n.op == "axis":
                    values[n] = x[str(n.value)]
                else:
                    function, args = _function(n)
                    values[n] = function(*[values[a] for a in args])
                self._template[slot] = values[n]
        self._n = len(self._template[tape.sliced[0]]) if tape.sliced else -1
        self._buffers = np.empty((0, 0, 0))

    def run(
        self,
        theta: npt.NDArray[np.float64],
        rows: slice | npt.NDArray[np.int64],
        n_rows: int,
        outs: Sequence[npt.NDArray[np.float64]],
    ) -> None:
        """Write each root, broadcast to (batch, rows), into ``outs``.

        Parameters
        ----------
        theta
            Shape (batch, p), columns in the order of ``tape.parameters``.
        rows, n_rows
            Which rows of the data (a slice or indices), and how many they are.
        outs
            One array of shape (batch, n_rows) a root; may be strided views.
        """
        tape, batch = self.tape, len(theta)
        need = (tape.n_registers, batch, n_rows)
        if any(have < want for have, want in zip(self._buffers.shape, need, strict=True)):
            self._buffers = np.empty(need)
        scratch = [buffer[:batch, :n_rows] for buffer in self._buffers[: tape.n_registers]]
        values = self._template.copy()
        if not (isinstance(rows, slice) and rows.start == 0 and n_rows == self._n):
            for i in tape.sliced:
                values[i] = values[i][rows]
        for i, column in tape.columns:
            values[i] = theta[:, column : column + 1]
        for function, i, args in tape.of_parameters:
            values[i] = function(*[values[a] for a in args])
        for function, i, args, register, position in tape.of_both:
            target = scratch[register] if position < 0 else outs[position]
            values[i] = function(*[values[a] for a in args], out=target)
        for position, i in tape.copied:
            outs[position][...] = values[i]
