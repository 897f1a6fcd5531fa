"""Loss of a sweep's runs against compute and data, a line a shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.errors import InputError
from isoloss.plot.gallery.style import decades, finish, label_right, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {"C": "flops", "D": "D", "N": "N"}
_NAMES = {
    "C": "training compute $C$ (FLOPs)",
    "D": "training examples, or bytes, $D$",
    "N": "parameters $N$",
}
_MOST = 12
"""Labels beside lines that can still be read."""


def sweep_series(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Numbers of the panels: for ``C`` and ``D``, or ``N`` where all D are equal, lines by shape.

    Parameters
    ----------
    rows
        Of a ledger; those without a loss are left out.

    Returns
    -------
    dict
        Axis to lines, the smallest first: ``label``, ``N``, ``x``, ``loss`` (geometric mean over
        seeds), ``low``, ``high`` (least and largest), ``runs``. Runs of one width and one place on
        the axis count as seeds.

    Examples
    --------
    >>> row = {"status": "done", "loss": 2.0, "flops": 1e9, "D": 100, "N": 10,
    ...        "spec": {"model": {"kind": "mlp", "width": 4}, "seed": 0}}
    >>> line = sweep_series([row, row | {"loss": 8.0}])["C"][0]
    >>> line["label"], line["loss"].tolist(), line["runs"].tolist()
    ('width 4', [4.0], [2])
    """
    good = [row for row in rows if _usable(row)]
    axes = ["C", "D" if len({row["D"] for row in good}) > 1 else "N"]
    return {axis: _lines(good, axis) for axis in axes}


def _usable(row: Mapping[str, Any]) -> bool:
    values = [row.get(k) for k in ("loss", "flops", "D", "N")]
    return row.get("status", "done") == "done" and all(
        isinstance(v, (int, float)) and math.isfinite(v) and v > 0 for v in values
    )


def _shape(row: Mapping[str, Any], axis: str) -> str:
    model = (row.get("spec") or {}).get("model", {})
    if axis == "N":
        return f"{model.get('kind', '')} depth {model['depth']}" if "depth" in model else ""
    if "width" in model:
        return f"width {model['width']}"
    return str(model.get("kernel") or model.get("kind") or "")


def _lines(rows: Sequence[Mapping[str, Any]], axis: str) -> list[dict[str, Any]]:
    groups: dict[str, dict[float, list[float]]] = {}
    sizes: dict[str, list[float]] = {}
    for row in rows:
        label = _shape(row, axis)
        groups.setdefault(label, {}).setdefault(float(row[_AXES[axis]]), []).append(row["loss"])
        sizes.setdefault(label, []).append(float(row["N"]))
    lines = []
    for label, points in groups.items():
        x = np.array(sorted(points))
        losses = [np.array(points[v]) for v in sorted(points)]
        lines.append(
            {
                "label": label,
                "N": float(np.mean(sizes[label])),
                "x": x,
                "loss": np.array([np.exp(np.log(v).mean()) for v in losses]),
                "low": np.array([v.min() for v in losses]),
                "high": np.array([v.max() for v in losses]),
                "runs": np.array([v.size for v in losses]),
            }
        )
    return sorted(lines, key=lambda line: (line["N"], line["label"]))


def draw_sweep(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Axes:
    """Draw mean losses with their range over seeds, a line a width.

    Returns
    -------
    matplotlib.axes.Axes
        The first of two panels.

    Raises
    ------
    InputError
        When no run has a loss.
    MissingExtra
        Without matplotlib.
    """
    series = sweep_series(rows)
    if not series["C"]:
        raise InputError("no run of the ledger has a loss yet; train some, then draw")
    axes = panels(2)
    for ax, (axis, lines) in zip(axes, series.items(), strict=True):
        _draw(ax, axis, lines, title)
        title = ""
    return axes[0]


def _draw(ax: Axes, axis: str, lines: Sequence[Mapping[str, Any]], title: str) -> None:
    from matplotlib import colormaps

    shades = colormaps["viridis"](np.linspace(0, 0.88, len(lines)))
    for line, colour in zip(lines, shades, strict=True):
        ax.fill_between(line["x"], line["low"], line["high"], color=colour, alpha=0.2, linewidth=0)
        ax.plot(line["x"], line["loss"], "o-", color=colour, markersize=2.6, linewidth=1)
    x = np.concatenate([line["x"] for line in lines])
    low = min(float(line["low"].min()) for line in lines)
    high = max(float(line["high"].max()) for line in lines)
    decades(ax, x=(x.min() / 1.3, x.max() * 1.3), y=(low / 1.05, high * 1.05))
    finish(ax, title, _NAMES[axis], "test loss" if axis == "C" else "")
    if axis != "C" and len(lines) > 1:
        labels = [
            (float(line["loss"][-1]), line["label"], colour)
            for line, colour in zip(lines, shades, strict=True)
        ]
        if len(labels) > _MOST:
            labels = [labels[i] for i in np.linspace(0, len(labels) - 1, _MOST).round().astype(int)]
        ax.margins(0.02)
        label_right(ax, labels, gap=0.07)
