"""Level lines of a gridded function by marching squares."""

from __future__ import annotations

import numpy as np

from isoloss._core.arrays import Array

_Edge = tuple[int, int, int]  # row, column, and 0 along the columns or 1 along the rows


def level_lines(x: Array, y: Array, z: Array, level: float) -> list[Array]:
    """Trace the curves where ``z`` crosses ``level``, each as one polyline.

    Cells with a missing corner are skipped; a saddle is split by the mean of its corners.

    Parameters
    ----------
    x, y
        Increasing coordinates, shapes (n,) and (m,), in the scale that is drawn (log10 for log
        axes), so that linear interpolation is straight on the page.
    z
        Values, shape (n, m).
    level
        The value to trace, in the units of ``z``.

    Returns
    -------
    list of array
        Polylines of shape (k, 2), k >= 2, open or closed (first point repeated).

    Examples
    --------
    >>> import numpy as np
    >>> axis = np.arange(3.0)
    >>> [line.tolist() for line in level_lines(axis, axis, axis[:, None] + 0 * axis, 0.5)]
    [[[0.5, 0.0], [0.5, 1.0], [0.5, 2.0]]]
    """
    links: dict[_Edge, list[_Edge]] = {}
    for i, j in np.argwhere(_crossed_cells(z, level)).tolist():
        for a, b in _segments(z, i, j, level):
            links.setdefault(a, []).append(b)
            links.setdefault(b, []).append(a)
    return [
        np.array([_place(x, y, z, edge, level) for edge in chain], dtype=np.float64)
        for chain in _chains(links)
    ]


def _crossed_cells(z: Array, level: float) -> np.ndarray:
    corners = np.stack([z[:-1, :-1], z[1:, :-1], z[1:, 1:], z[:-1, 1:]])
    above = (corners > level).sum(axis=0)
    crossed: np.ndarray = np.isfinite(corners).all(axis=0) & (above > 0) & (above < 4)
    return crossed


def _segments(z: Array, i: int, j: int, level: float) -> list[tuple[_Edge, _Edge]]:
    """Edges of one cell joined two by two; going round, each edge joins corner k to k + 1."""
    corners = [z[i, j], z[i + 1, j], z[i + 1, j + 1], z[i, j + 1]]
    edges: list[_Edge] = [(i, j, 1), (i + 1, j, 0), (i, j + 1, 1), (i, j, 0)]
    above = [bool(c > level) for c in corners]
    cut = [edges[k] for k in range(4) if above[k] != above[(k + 1) % 4]]
    if len(cut) == 2:
        return [(cut[0], cut[1])]
    centre = bool(np.mean(corners) > level)
    if above[0] == centre:
        return [(cut[0], cut[1]), (cut[2], cut[3])]
    return [(cut[3], cut[0]), (cut[1], cut[2])]


def _place(x: Array, y: Array, z: Array, edge: _Edge, level: float) -> tuple[float, float]:
    i, j, along_rows = edge
    k, m = (i + 1, j) if along_rows else (i, j + 1)
    share = (level - z[i, j]) / (z[k, m] - z[i, j])
    return float(x[i] + share * (x[k] - x[i])), float(y[j] + share * (y[m] - y[j]))


def _chains(links: dict[_Edge, list[_Edge]]) -> list[list[_Edge]]:
    """Join segments into polylines: open ones from their ends first, then the closed ones."""
    seen: set[_Edge] = set()
    chains: list[list[_Edge]] = []
    starts = [e for e, near in links.items() if len(near) == 1] + list(links)
    for start in starts:
        if start in seen:
            continue
        chain = [start]
        seen.add(start)
        while True:
            onward = [e for e in links[chain[-1]] if e not in seen]
            if not onward:
                break
            chain.append(onward[0])
            seen.add(onward[0])
        if len(chain) > 2 and chain[0] in links[chain[-1]]:
            chain.append(chain[0])
        if len(chain) > 1:
            chains.append(chain)
    return chains
