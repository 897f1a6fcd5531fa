"""What a formula says about its parameters: their units, where they lie, what makes waves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.laws.expression import Node, leaves, parameter, topological
from isoloss.laws.law import Law


def exponents(law: Law) -> Array:
    r"""Units of the parameters as powers of those of the axes and the response, (p, axes + 1).

    Every sum asks that its terms have one unit, every function that its argument has none, and
    the whole that it has that of the response: linear equations in the exponents, solved by
    least squares, so that a formula with bare constants in it gets the nearest answer.

    Examples
    --------
    >>> from isoloss.laws import law_from_expression
    >>> exponents(law_from_expression("a*(1 - exp(-b*x))")).round(6).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    units = [*law.axes, "the response"]
    p, m = len(law.names), len(units)
    index = {parameter(n): i for i, n in enumerate(law.names)}
    # The unit of a node: which multiples of the parameters' units, times known powers.
    coefficient: dict[Node, Array] = {}
    known: dict[Node, Array] = {}
    left: list[Array] = []
    right: list[Array] = []

    def ask(a: Node, b: Node | None) -> None:
        left.append(coefficient[a] - (coefficient[b] if b else 0.0))
        right.append((known[b] if b else 0.0) - known[a])

    for n in topological([law.expression]):
        coefficient[n], known[n] = np.zeros(p), np.zeros(m)
        if n in index:
            coefficient[n][index[n]] = 1.0
        elif n.op == "axis":
            known[n][units.index(str(n.value))] = 1.0
        elif n.op in ("add", "min", "max"):
            ask(*n.args)
            same = n.args[1] if n.args[0].op == "const" else n.args[0]
            coefficient[n], known[n] = coefficient[same], known[same]
        elif n.op == "mul":
            coefficient[n] = coefficient[n.args[0]] + coefficient[n.args[1]]
            known[n] = known[n.args[0]] + known[n.args[1]]
        elif n.op == "pow":
            c = float(n.args[1].value or 0.0)
            coefficient[n], known[n] = c * coefficient[n.args[0]], c * known[n.args[0]]
        elif n.op != "log":
            # The argument of a logarithm may have a unit: x**c is exp(c log x).
            for a in n.args:
                ask(a, None)
    root = law.expression
    left.append(coefficient[root])
    right.append(np.eye(m)[-1] - known[root])
    answer = np.linalg.lstsq(np.array(left), np.array(right), rcond=1e-9)[0]
    return np.asarray(answer + 0.0)


def sizes(law: Law, spans: Mapping[str, float], response: float) -> Array:
    """Size of each parameter, (p,), given those of the axes and the response.

    Examples
    --------
    >>> from isoloss.laws import law_from_expression
    >>> sizes(law_from_expression("a*(1 - exp(-b*x))"), {"x": 50.0}, 3.0).round(6).tolist()
    [3.0, 0.02]
    """
    logs = np.log([*(spans[a] for a in law.axes), response])
    return np.asarray(np.exp(np.clip(exponents(law) @ logs, -600, 600)))


def locations(law: Law, x: Mapping[str, Array]) -> dict[int, tuple[float, float]]:
    """Parameters that are subtracted from an axis, and where they would lie inside the data."""
    found: dict[int, tuple[float, float]] = {}
    for n in topological([law.expression]):
        if n.op != "add" or not any(a.op == "axis" for a in n.args):
            continue
        ruler, other = n.args if n.args[0].op == "axis" else n.args[::-1]
        sign = -1.0
        if other.op == "mul" and other.args[0].value == -1.0:
            other, sign = other.args[1], 1.0
        if other.op == "parameter" and str(other.value) in law.names:
            ends = sign * np.array([np.min(x[str(ruler.value)]), np.max(x[str(ruler.value)])])
            found[law.names.index(str(other.value))] = (float(min(ends)), float(max(ends)))
    return found


def waves(law: Law) -> list[int]:
    """Parameters that set a frequency: with an axis inside a sine, cosine or tangent."""
    found: set[int] = set()
    for n in topological([law.expression]):
        if n.op in ("sin", "cos", "tan"):
            inner = leaves(n)
            if any(leaf.op == "axis" for leaf in inner):
                names = {str(leaf.value) for leaf in inner if leaf.op == "parameter"}
                found |= {law.names.index(name) for name in names}
    return sorted(found)


def span(values: npt.NDArray[np.float64]) -> float:
    """Size of a column: how far it reaches, or its value where that does not vary."""
    reach = float(np.ptp(values))
    return reach or float(np.max(np.abs(values))) or 1.0
