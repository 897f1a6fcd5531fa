"""Scores of examples: their distribution, with examples from the easiest to the hardest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError, MissingExtra
from isoloss.plot.canvas import BLUE, VERMILLION
from isoloss.plot.examples import shown_text, take_images
from isoloss.plot.gallery.style import SMALL, finish, panel
from isoloss.prune.scores_result import Scores, refuse_nan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from isoloss.prune.select_result import Selection

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_BINS = 60
_MOST = 1e300
"""Scores beyond it cannot be placed on an axis, and count as infinite."""
_DROPPED = "0.72"


def score_series(
    scores: Scores, *, selection: Selection | None = None, kept: Any = None,
    quantiles: Sequence[float] = QUANTILES, each: int = 8,
) -> dict[str, Any]:  # fmt: skip
    """Numbers of the picture of scores.

    Parameters
    ----------
    scores
        Of this room; high is hard.
    selection
        What was kept of them, with the cut where there is one.
    kept
        Or whether each was kept, (n,).
    quantiles
        Where examples are taken; 0 is the easiest, 1 the hardest.
    each
        Examples at each quantile, those next to it in order; ties in the order of rows.

    Returns
    -------
    dict
        ``metric``, ``n``, ``edges``, ``counts`` (of finite scores), ``kept`` (counts, or None),
        ``infinite`` (how many), ``cut`` (score or None), and ``examples``, a list: ``quantile``,
        ``score``, ``rows``, ``scores`` and ``kept`` (or None) of those.

    Raises
    ------
    InputError
        If a score is NaN, or a quantile, count or mask breaks a rule.

    Examples
    --------
    >>> made = Scores(metric="mine", definition="a number", source="me", values=[3.0, 1.0, 2.0])
    >>> found = score_series(made, kept=[True, False, False], quantiles=[0, 1], each=1)
    >>> [e["rows"].tolist() for e in found["examples"]], int(found["kept"].sum())
    ([[1], [0]], 1)
    """
    values = np.asarray(scores.values, dtype=np.float64)
    assert scores.ids is not None
    refuse_nan(scores.values, scores.ids)
    n = values.size
    mask = _mask(selection, kept, n)
    if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= 100:
        raise InputError(f"each = {each!r}: must be a whole number from 1 to 100")
    places = [float(q) for q in quantiles]
    for q in places:
        if not 0 <= q <= 1:
            raise InputError(f"quantiles: {q!r} must lie from 0, the easiest, to 1, the hardest")
    order = np.argsort(values, kind="stable")
    inside = np.abs(values) < _MOST
    finite = values[inside]
    edges = _edges(finite)
    cut = None if selection is None else selection.cut
    return {
        "metric": scores.metric, "n": n, "edges": edges,
        "counts": np.histogram(finite, edges)[0],
        "kept": None if mask is None else np.histogram(values[inside & mask], edges)[0],
        "infinite": int(n - finite.size),
        "cut": cut if cut is not None and math.isfinite(cut) else None,
        "examples": [_at(q, order, values, mask, each) for q in places],
    }  # fmt: skip


def _mask(selection: Selection | None, kept: Any, n: int) -> npt.NDArray[np.bool_] | None:
    if selection is not None and kept is not None:
        raise InputError("selection, kept: give one of them")
    if selection is not None:
        mask = selection.mask
    elif kept is None:
        return None
    else:
        mask = np.asarray(kept)
    if mask.shape != (n,) or mask.dtype != bool:
        raise InputError(f"kept: {mask.dtype} of shape {mask.shape}; give True or False for each "
                         f"of {n} scores")  # fmt: skip
    return mask


def _edges(finite: Array) -> Array:
    if not finite.size:
        return np.array([0.0, 1.0])
    low, high = float(finite.min()), float(finite.max())
    if not high > low:
        wide = abs(low) * 0.05 or 0.5
        return np.array([low - wide, low + wide])
    return np.linspace(low, high, _BINS + 1)


def _at(
    q: float, order: npt.NDArray[np.int64], values: Array, mask: Any, each: int
) -> dict[str, Any]:
    n = order.size
    middle = round(q * (n - 1))
    first = min(max(middle - each // 2, 0), max(n - each, 0))
    rows = order[first : first + each]
    return {
        "quantile": q, "score": float(values[order[middle]]), "rows": rows,
        "scores": values[rows], "kept": None if mask is None else mask[rows],
    }  # fmt: skip


def draw_scores(
    scores: Scores, *, selection: Selection | None = None, kept: Any = None, examples: Any = None,
    quantiles: Sequence[float] = QUANTILES, each: int = 8, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the distribution of scores, and examples at its quantiles.

    Parameters
    ----------
    scores, selection, kept, quantiles, each
        As for `score_series`; what is kept is dark, what is dropped grey.
    examples
        One for each score: images as `isoloss.plot.examples.take_images` takes them, a list of
        texts, or a mapping of rows to texts. Without them the distribution alone is drawn.
    ax
        To draw the distribution on; examples need a figure of their own.

    Returns
    -------
    matplotlib.axes.Axes
        That of the distribution.

    Raises
    ------
    InputError
        As `score_series`; or if examples are of another number or form.
    MissingExtra
        Without matplotlib.
    """
    series = score_series(scores, selection=selection, kept=kept, quantiles=quantiles, each=each)
    if examples is None:
        ax = panel(ax)
    else:
        if ax is not None:
            raise InputError("ax, examples: examples need a figure of their own; leave ax out")
        ax = _with_examples(scores, series, examples)
    _draw_counts(ax, series)
    return ax


def _draw_counts(ax: Axes, series: Mapping[str, Any]) -> None:
    edges, counts, kept = series["edges"], series["counts"], series["kept"]
    wide = np.diff(edges)
    ax.bar(edges[:-1], counts, wide, align="edge", color=BLUE if kept is None else _DROPPED)
    if kept is not None:
        ax.bar(edges[:-1], kept, wide, align="edge", color=BLUE)
        share = f"{int(kept.sum())} of {series['n']} kept"
        ax.text(1.0, 1.0, share, color=BLUE, fontsize=SMALL, ha="right", va="top",
                transform=ax.transAxes)  # fmt: skip
    if series["cut"] is not None:
        ax.axvline(series["cut"], color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)))
        ax.text(
            series["cut"], 1.0, f" cut {series['cut']:.4g}", color=VERMILLION, fontsize=SMALL,
            va="bottom", ha="center", transform=ax.get_xaxis_transform(),
        )  # fmt: skip
    ax.set_ylim(0, 1.05 * max(int(counts.max()), 1))
    marks = [e for e in series["examples"] if abs(e["score"]) < _MOST]
    if marks:
        places = [e["score"] for e in marks]
        ax.plot(places, np.zeros(len(places)), "^", color="black", markersize=4, clip_on=False,
                zorder=4)  # fmt: skip
    lost = f", {series['infinite']} infinite not shown" if series["infinite"] else ""
    finish(ax, "", "", "examples")
    ax.set_xlabel(f"{_name(series['metric'])}; high is hard{lost}", fontsize=8, parse_math=False)


def _name(metric: str) -> str:
    return shown_text(metric, 40)


def _with_examples(scores: Scores, series: Mapping[str, Any], examples: Any) -> Axes:
    """Make a figure with a row of examples for each quantile below the distribution."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot") from error
    texts = _texts(examples, series)
    groups = series["examples"]
    each = max((e["rows"].size for e in groups), default=1)
    row = 0.145 * each + 0.45 if texts is not None else min(6.2 / each, 1.1) + 0.32
    figure: Figure = Figure(figsize=(7.0, 2.0 + row * len(groups)), layout="constrained")
    grid = figure.add_gridspec(1 + len(groups), 1, height_ratios=[2.0, *[row] * len(groups)])
    if texts is None:
        images = take_images(examples, np.concatenate([e["rows"] for e in groups]))
    start = 0
    for i, group in enumerate(groups):
        ax = figure.add_subplot(grid[1 + i])
        ax.set_axis_off()
        ax.set_title(_heading(group), fontsize=SMALL, loc="left", pad=2)
        if texts is not None:
            _write_texts(ax, group, texts, scores, each)
        else:
            stop = start + group["rows"].size
            _show_images(ax, group, images[start:stop], scores, each)
            start = stop
    return figure.add_subplot(grid[0])


def _texts(examples: Any, series: Mapping[str, Any]) -> Any:
    """Return what gives the text of a row, or None where examples are images."""
    n = series["n"]
    if isinstance(examples, Mapping):
        return examples
    if isinstance(examples, (str, bytes)) or not hasattr(examples, "__len__"):
        raise InputError("examples: give an array of images, or a list of texts")
    if len(examples) != n:
        raise InputError(f"examples: {len(examples)} for {n} scores; one for each, in their order")
    if isinstance(examples, np.ndarray) and examples.dtype.kind not in "SU":
        return None
    first = examples[0]
    return examples if isinstance(first, (str, bytes)) else None


def _heading(group: Mapping[str, Any]) -> str:
    words = {0.0: "easiest", 0.5: "middle", 1.0: "hardest"}
    name = words.get(group["quantile"], f"{100 * group['quantile']:.3g} % of scores are lower")
    return f"{name}: score {group['score']:.4g}"


def _show_images(
    ax: Axes, group: Mapping[str, Any], images: Array, scores: Scores, each: int
) -> None:
    """Draw a row of images as one, which keeps the file small."""
    height, width = images.shape[1:3]
    gap = max(1, width // 12)
    step = width + gap
    sheet = np.ones((height, each * step - gap, *images.shape[3:]))
    for k, image in enumerate(images):
        sheet[:, k * step : k * step + width] = image
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    ax.set_anchor("W")
    for k, row in enumerate(group["rows"].tolist()):
        label = "" if scores.labels is None else shown_text(_plain(scores.labels[row]), 12)
        kept = None if group["kept"] is None else bool(group["kept"][k])
        if kept is not None:
            label += (" " if label else "") + ("kept" if kept else "dropped")
        ax.text(k * step + width / 2, height + gap / 2, label, fontsize=5.5, ha="center", va="top",
                color=_ink(kept), parse_math=False)  # fmt: skip


def _write_texts(ax: Axes, group: Mapping[str, Any], texts: Any, scores: Scores, each: int) -> None:
    for k, row in enumerate(group["rows"].tolist()):
        kept = None if group["kept"] is None else bool(group["kept"][k])
        label = "" if scores.labels is None else shown_text(_plain(scores.labels[row]), 12)
        try:
            said = shown_text(_plain(texts[row]), 110 if label else 124)
        except KeyError:
            raise InputError(f"examples: row {row} has no text") from None
        ax.text(0.0, 1 - (k + 0.5) / each, f"{label:<13.12}{said}" if label else said, fontsize=6,
                family="DejaVu Sans Mono", color=_ink(kept), va="center", parse_math=False,
                transform=ax.transAxes)  # fmt: skip


def _ink(kept: bool | None) -> str:
    return "black" if kept is None else BLUE if kept else "0.45"


def _plain(value: Any) -> str:
    return value.decode("utf8", errors="replace") if isinstance(value, bytes) else str(value)


def chosen_rows(series: Mapping[str, Any]) -> list[int]:
    """Rows of all examples of a series, rising, each once."""
    return sorted({int(r) for e in series["examples"] for r in e["rows"]})


__all__ = ["chosen_rows", "draw_scores", "score_series"]
