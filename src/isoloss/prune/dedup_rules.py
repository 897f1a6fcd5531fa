"""Which rows of a cluster are near-duplicates of earlier ones: three rules, panel by panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.on_device import DevicePanels
from isoloss.prune.pieces import Floats

RULES = ("paper", "code", "greedy")
PANEL = 512
MOST_PAIRS = 50_000_000
"""Near pairs held where all are, some 50 bytes each while they are sorted."""

_PAIRS = 4096
_BEFORE = np.tri(PANEL, dtype=bool)
"""Pairs of a panel with itself that are no pairs, or the same pair twice."""

Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


def duplicates(x: Any, eps: float, rule: str, device: str | None = None) -> tuple[Bools, Whole]:
    """Tell which rows to remove, and for each the row that it duplicates.

    Parameters
    ----------
    x
        Rows of length one, (n, dim), float32, those to prefer first; an array or a file.
    eps
        Rows are near where 1 - cosine is below it, strictly.
    rule
        ``paper``: of each group linked by near pairs the first row stays. ``code``: a row goes if
        any earlier row is near, removed or not. ``greedy``: a row goes if an earlier row that
        stayed is near.
    device
        Where torch takes the products; numpy takes them without it.

    Returns
    -------
    removed, partner
        (n,) each; the partner of a row that stays is -1. It is the row that stayed of its group,
        the earlier row that is nearest by float32 products, or the nearest earlier row that stayed.
    """
    panels = open_panels(x, device)
    return {"paper": _groups, "code": _earlier, "greedy": _greedy}[rule](panels, eps)


def near_pairs(x: Any, eps: float, device: str | None = None) -> tuple[Whole, Whole]:
    """All near pairs of rows of length one, the earlier row of each and the later.

    Raises
    ------
    InputError
        If there are more than memory is set aside for.
    """
    panels = open_panels(x, device)
    count = 0
    earlier, later = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for low, high in _panels(panels):
        columns = panels.take(low, high)
        for first, last in _panels(panels, high):
            rows = panels.take(first, last)
            hit, near, _ = _near(panels, rows, columns, eps, first == low)
            one, other = np.nonzero(near)
            count += one.size
            refuse_many(count)
            earlier.append(one + first)
            later.append(hit[other] + low)
    return np.concatenate(earlier), np.concatenate(later)


def refuse_many(count: int) -> None:
    """Refuse more near pairs than memory is set aside for."""
    if count > MOST_PAIRS:
        raise InputError(
            f"eps: more than {MOST_PAIRS:.3g} near pairs, and with two neighbours all are held; "
            "take a smaller eps, or look within clusters first and remove what that finds"
        )


def open_panels(x: Any, device: str | None) -> Any:
    """Rows by panels, here or on a device."""
    return Panels(x) if device is None else DevicePanels(x, device)


class Panels:
    """Rows of a cluster, an array or a file, read and compared panel by panel."""

    def __init__(self, x: Any) -> None:
        self.x, self.size = x, PANEL

    def __len__(self) -> int:
        return len(self.x)

    def take(self, low: int, high: int, stay: Any = None) -> Floats:
        """Rows of a panel, or those of them that stay."""
        rows = np.asarray(self.x[low:high])
        return rows if stay is None else rows[stay]

    def hits(self, a: Floats, b: Floats, same: bool, floor: float) -> tuple[Whole, Floats]:
        """Rows of b with a cosine above the floor to some row of a, and all their cosines."""
        cosine = a @ b.T
        if same:
            np.copyto(cosine, -np.inf, where=_BEFORE[: len(a), : len(a)])
        # Few rows have a duplicate, and all but them are left after one look.
        hit = np.flatnonzero(cosine.max(axis=0) > floor)
        return hit, cosine[:, hit]

    def host(self, rows: Floats, some: Whole) -> Floats:
        """Give some of the rows of a panel."""
        return rows[some]


def _panels(panels: Any, n: int | None = None) -> list[tuple[int, int]]:
    n = len(panels) if n is None else n
    return [(low, min(n, low + panels.size)) for low in range(0, n, panels.size)]


def _near(panels: Any, a: Any, b: Any, eps: float, same: bool) -> tuple[Whole, Bools, Floats]:
    """Rows of b that are near one of a, which pairs are, exactly, and their cosines in float32.

    Of equal panels the upper triangle. Products of float32 cannot tell an exact copy from a
    distance of 1e-7. Pairs as close to the limit as their rounding are computed again, from
    differences in float64.
    """
    slack = 2.0**-23 * (8.0 + a.shape[1] ** 0.5)
    hit, cosine = panels.hits(a, b, same, 1.0 - eps - slack)
    near = cosine > 1.0 - eps
    for rows, columns in _doubtful(cosine, eps, slack):
        pairs = panels.host(a, rows), panels.host(b, hit[columns])
        near[rows, columns] = _distance(*pairs) < eps
    return hit, near, cosine


def _doubtful(cosine: Floats, eps: float, slack: float) -> Iterator[tuple[Whole, Whole]]:
    limit = 1.0 - eps
    rows, columns = np.nonzero((cosine > limit - slack) & (cosine <= limit + slack))
    for low in range(0, len(rows), _PAIRS):
        yield rows[low : low + _PAIRS], columns[low : low + _PAIRS]


def _distance(a: Floats, b: Floats) -> Any:
    """1 - cosine of pairs of rows, in float64."""
    u, v = a.astype(np.float64), b.astype(np.float64)
    u /= np.linalg.norm(u, axis=1)[:, None]
    v /= np.linalg.norm(v, axis=1)[:, None]
    return np.square(u - v).sum(axis=1) / 2


def _earlier(panels: Any, eps: float) -> tuple[Bools, Whole]:
    n = len(panels)
    removed, partner = np.zeros(n, dtype=bool), np.full(n, -1)
    for low, high in _panels(panels):
        columns = panels.take(low, high)
        best = np.full(high - low, -np.inf, dtype=np.float32)
        for first, last in _panels(panels, high):
            found = _near(panels, panels.take(first, last), columns, eps, first == low)
            _closer(found, np.arange(first, last), best, partner[low:high])
        removed[low:high] = partner[low:high] >= 0
    return removed, partner


def _closer(
    found: tuple[Whole, Bools, Floats], numbers: Whole, best: Floats, partner: Whole
) -> None:
    """Take rows of this panel as partners where they are nearer than those before."""
    hit, near, cosine = found
    if hit.size:
        cosine[~near] = -np.inf
        row = cosine.argmax(axis=0)
        value = cosine[row, np.arange(hit.size)]
        better = value > best[hit]
        best[hit[better]] = value[better]
        partner[hit[better]] = numbers[row[better]]


def _greedy(panels: Any, eps: float) -> tuple[Bools, Whole]:
    n = len(panels)
    kept, partner = np.ones(n, dtype=bool), np.full(n, -1)
    for low, high in _panels(panels):
        columns = panels.take(low, high)
        best = np.full(high - low, -np.inf, dtype=np.float32)
        for first, last in _panels(panels, low):
            stay = np.flatnonzero(kept[first:last])
            if stay.size:
                rows = panels.take(first, last, None if stay.size == last - first else stay)
                found = _near(panels, rows, columns, eps, False)
                _closer(found, stay + first, best, partner[low:high])
        kept[low:high] = partner[low:high] < 0
        hit, near, cosine = _near(panels, columns, columns, eps, True)
        for i in np.flatnonzero(near.any(axis=1)):
            if kept[low + i]:
                gone, value = hit[near[i]], cosine[i, near[i]]
                kept[low + gone] = False
                closer = value > best[gone]
                best[gone[closer]] = value[closer]
                partner[low + gone[closer]] = low + i
    return ~kept, partner


def _groups(panels: Any, eps: float) -> tuple[Bools, Whole]:
    n = len(panels)
    root = np.arange(n)

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = int(root[i])
        return i

    for low, high in _panels(panels):
        columns = panels.take(low, high)
        for first, last in _panels(panels, high):
            rows = panels.take(first, last)
            hit, near, _ = _near(panels, rows, columns, eps, first == low)
            ones, others = np.nonzero(near)
            others = hit[others]
            # Many pairs link the same two groups; each link is followed once.
            for link in np.unique(root[ones + first] * n + root[others + low]).tolist():
                one, two = find(link // n), find(link % n)
                # The first row of a group stands for it.
                root[max(one, two)] = min(one, two)
    first_of = np.array([find(i) for i in range(n)], dtype=np.int64)
    removed = first_of != np.arange(n)
    return removed, np.where(removed, first_of, -1)
