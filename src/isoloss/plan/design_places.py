"""Where runs of a design lie: the cost of a table, and ladders written in a line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plan.cost import Coefficient, Cost, SixND
from isoloss.runs import Runs

MOST_RUNS = 10_000
"""A longer ladder is a slip of the pen."""
_KEYS = ("N", "D", "C", "ratio")


def cost_of_runs(runs: Runs) -> Cost:
    """6 N D, or the runs' own factor of N D where their compute is counted otherwise."""
    if not all(a in runs for a in ("N", "D", "C")):
        return SixND()
    factor = float(np.median(runs["C"] / (runs["N"] * runs["D"])))
    return SixND() if abs(factor - 6) < 0.06 else Coefficient(factor)


def read_ladder(text: str | Mapping[str, object], cost: Cost | None = None) -> dict[str, Array]:
    """Make the places of a ladder.

    Parameters
    ----------
    text
        Two of N, D, C and ratio (D/N), each a value, or ``LOW:HIGH:COUNT`` spread evenly in the
        logarithm, separated by commas: all pairs are made. Or one axis alone. Or a mapping of
        columns, taken as it is.
    cost
        C(N, D); 6 N D by default.

    Raises
    ------
    InputError
        With the part that cannot be read.

    Examples
    --------
    >>> places = read_ladder("N=1e7:1e9:3,ratio=20")
    >>> places["D"].tolist()
    [200000000.0, 2000000000.0, 20000000000.0]
    """
    if not isinstance(text, str):
        return _columns(text)
    given: dict[str, Array] = {}
    for part in text.split(","):
        key, sign, value = (s.strip() for s in part.partition("="))
        if not sign or not key:
            raise InputError(f"design: {part.strip()!r}: write AXIS=LOW:HIGH:COUNT or AXIS=VALUE")
        if key in given:
            raise InputError(f"design: {key} is given twice")
        given[key] = _spread(key, value)
    joint = [k for k in given if k in _KEYS]
    if len(given) == 1 and joint != ["ratio"]:
        return given
    if len(joint) != 2 or len(given) != 2:
        raise InputError(
            f"design = {text!r}: give two of {', '.join(_KEYS)}, or one axis alone, for example "
            "N=1e7:1e9:5,ratio=20 or D=1e8:1e11:8"
        )
    first, second = joint
    if len(given[first]) * len(given[second]) > MOST_RUNS:
        raise InputError(f"design = {text!r}: more than {MOST_RUNS} runs; give fewer")
    u, v = (a.ravel() for a in np.meshgrid(given[first], given[second], indexing="ij"))
    return _places({first: u, second: v}, cost if cost is not None else SixND())


def _places(x: dict[str, Array], cost: Cost) -> dict[str, Array]:
    if "ratio" in x:
        ratio = x["ratio"]
        if "N" in x:
            return {"N": x["N"], "D": ratio * x["N"]}
        if "D" in x:
            return {"N": x["D"] / ratio, "D": x["D"]}
        return _by_ratio(x["C"], ratio, cost)
    if "C" not in x:
        return {"N": x["N"], "D": x["D"]}
    if "N" in x:
        return {"N": x["N"], "D": np.asarray(cost.tokens(x["N"], x["C"]))}
    return {"N": np.asarray(cost.size(x["D"], x["C"])), "D": x["D"]}


def _by_ratio(C: Array, ratio: Array, cost: Cost) -> dict[str, Array]:
    """Sizes at which a budget pays for D = ratio N, by halving in log N."""
    low, high = np.full(len(C), -50.0), np.full(len(C), 150.0)
    for _ in range(100):
        middle = 0.5 * (low + high)
        N = np.exp(middle)
        above = np.log(cost(N, ratio * N)) > np.log(C)
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    N = np.exp(0.5 * (low + high))
    return {"N": N, "D": ratio * N}


def _spread(key: str, value: str) -> Array:
    parts = value.split(":")
    try:
        ends = [float(p) for p in parts[:2]]
        count = int(parts[2]) if len(parts) == 3 else 1
    except ValueError:
        ends, count = [], 0
    good = len(parts) in (1, 3) and all(np.isfinite(e) and e > 0 for e in ends) and count >= 1
    if not good or (len(parts) == 3 and count == 1 and ends[0] != ends[1]):
        raise InputError(
            f"design: {key} = {value!r}: write a positive value or LOW:HIGH:COUNT with a count of "
            "two or more"
        )
    if count > MOST_RUNS:
        raise InputError(f"design: {key} = {value!r}: more than {MOST_RUNS} runs; give fewer")
    return np.geomspace(ends[0], ends[-1], count)


def _columns(given: Mapping[str, object]) -> dict[str, Array]:
    from isoloss._core.arrays import as_vector

    columns = {str(a): as_vector(f"design {a}", v, positive=True) for a, v in given.items()}
    if not columns or len({len(v) for v in columns.values()}) > 1:
        raise InputError("design: columns must have one length, at least one run long")
    return columns
