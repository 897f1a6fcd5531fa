"""A verdict on pruning: loss against examples kept, the frontier, and local exponents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.plot.canvas import BLUE, PURPLE, VERMILLION
from isoloss.plot.gallery.style import SMALL, decades, finish, label_right, panels
from isoloss.prune.pilots import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isoloss.prune.verdict_result import FrontierFinding, Verdict

COLOURS = {NONE: "0.3", "hard": VERMILLION, "easy": BLUE}
FRONTIER = PURPLE


def verdict_series(verdict: Verdict) -> dict[str, Any]:
    """Numbers of the picture of a verdict.

    Parameters
    ----------
    verdict
        Of `isoloss.prune.judge_pilots`; a refused one has pilots, and no lines.

    Returns
    -------
    dict
        ``lines``: no pruning, then each policy at its best share: ``policy``, ``keep``, ``label``,
        arrays ``D`` (examples kept), ``loss``, ``low``, ``high``. ``points``: means of pilots by
        policy and share: ``policy``, ``keep``, ``label``, ``D``, ``loss``, ``error`` (of one
        standard error), ``runs``, and ``shown``: whether of the share of a line. ``targets``:
        ``policy``, ``D``, ``loss``, ``low``, ``high``. ``largest``: pilot, in examples kept.
        ``frontier``: None, or ``D``, ``loss``, ``policy``, ``keep``, ``unpruned`` (loss),
        ``exponent`` and ``exponent_unpruned``: local slopes ``-d log loss / d log D``.

    Examples
    --------
    >>> from isoloss.prune import judge_pilots
    >>> table = {"policy": ["random", "hard"], "keep": [1, 0.5], "D": [10, 10], "loss": [0.3, 0.4]}
    >>> found = verdict_series(judge_pilots(table, pool=100))
    >>> found["lines"], [p["label"] for p in found["points"]], found["largest"]
    ([], ['no pruning', 'hard 50 %'], 10.0)
    """
    best = {p.policy: p.keep.value for p in verdict.policies}
    chosen = {NONE: 1.0, **best}
    lines = [
        {
            "policy": c.policy, "keep": c.keep, "label": label_of(c.policy, c.keep),
            "D": c.D, "loss": c.loss, "low": c.low, "high": c.high,
        }
        for c in verdict.curves
        if math.isclose(c.keep, chosen.get(c.policy, math.nan))
    ]  # fmt: skip
    points = _points(verdict, chosen)
    return {
        "lines": lines,
        "points": points,
        "targets": _targets(verdict),
        "largest": max((float(p["D"].max()) for p in points), default=math.nan),
        "frontier": None if verdict.frontier is None else _frontier(verdict, verdict.frontier),
    }


def label_of(policy: str, keep: float) -> str:
    """Name a policy and the share that it keeps."""
    return "no pruning" if policy == NONE else f"{policy} {100 * keep:.3g} %"


def _points(verdict: Verdict, chosen: dict[str, float]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, float], list[Any]] = {}
    for point in verdict.points:
        groups.setdefault((str(point["policy"]), float(point["keep"])), []).append(point)
    found = []
    for (policy, keep), cells in sorted(groups.items(), key=lambda g: (g[0][0] != NONE, *g[0])):
        loss = np.array([c["loss"] for c in cells])
        found.append(
            {
                "policy": policy, "keep": keep, "label": label_of(policy, keep),
                "D": np.array([c["D"] for c in cells]), "loss": loss,
                "error": loss * np.array([c["relative_error"] for c in cells]),
                "runs": np.array([c["runs"] for c in cells]),
                "shown": not verdict.policies
                or math.isclose(keep, chosen.get(policy, math.nan), rel_tol=1e-6),
            }
        )  # fmt: skip
    return found


def _targets(verdict: Verdict) -> list[dict[str, Any]]:
    found = []
    if verdict.loss_none is not None:
        found.append((NONE, verdict.question.D_none, verdict.loss_none))
    found += [(p.policy, p.D, p.loss) for p in verdict.policies]
    return [
        {
            "policy": policy, "D": D, "loss": e.value, "low": e.interval.low,
            "high": e.interval.high,
        }
        for policy, D, e in found
        if math.isfinite(D)
    ]  # fmt: skip


def _frontier(verdict: Verdict, front: FrontierFinding) -> dict[str, Any]:
    plain = next((c for c in verdict.curves if c.policy == NONE), None)
    unpruned = np.full(front.D.shape, np.nan)
    if plain is not None and len(plain.D) > 3:
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(np.log(plain.D), np.log(plain.loss))
        unpruned = np.exp(spline(np.log(front.D)))
    return {
        "D": front.D, "loss": front.loss, "policy": front.policy, "keep": front.keep,
        "unpruned": unpruned, "exponent": _slope(front.D, front.loss),
        "exponent_unpruned": _slope(front.D, unpruned),
    }  # fmt: skip


def _slope(D: Array, loss: Array) -> Array:
    return np.asarray(-np.gradient(np.log(loss), np.log(D), edge_order=2))


def draw_verdict(verdict: Verdict, *, axes: Sequence[Axes] | None = None) -> Axes:
    """Draw what pilots say: loss against examples kept, and the frontier beside no pruning.

    Lines are no pruning and each policy at its best share, with their bands; dots pilots with one
    standard error, those of other shares faint; rings the target with its interval. The second
    panel holds the frontier, the third its local exponent, where pilots have enough sizes.

    Parameters
    ----------
    verdict
        Of `isoloss.prune.judge_pilots`; of a refused one the pilots are drawn.
    axes
        One to three to draw on; new ones of a column's width each by default.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    InputError
        If there are no axes or more than three.
    MissingExtra
        Without matplotlib.
    """
    series = verdict_series(verdict)
    if axes is None:
        axes = panels(1 if series["frontier"] is None else 3)
    if not 1 <= len(axes) <= 3:
        raise InputError(f"axes: {len(axes)} were given; give one to three")
    _draw_curves(axes[0], verdict, series)
    if series["frontier"] is not None:
        for ax, draw in zip(axes[1:], (_draw_frontier, _draw_exponents), strict=False):
            draw(ax, series["frontier"], verdict.outcome)
    return axes[0]


def draw_verdicts(verdicts: Sequence[Verdict]) -> Axes:
    """Draw several verdicts, a row each, as `draw_verdict` draws one.

    Returns
    -------
    matplotlib.axes.Axes
        The first panel.

    Raises
    ------
    InputError
        If there are no verdicts.
    MissingExtra
        Without matplotlib.
    """
    if not verdicts:
        raise InputError("verdicts: there are none; give one or more")
    if len(verdicts) == 1:
        return draw_verdict(verdicts[0])
    wide = 1 if all(v.frontier is None for v in verdicts) else 3
    first = panels(wide)[0]
    figure = first.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches()
    figure.clear()
    figure.set_size_inches(width, height * len(verdicts))
    grid = figure.subplots(len(verdicts), wide, squeeze=False)
    for row, verdict in zip(grid, verdicts, strict=True):
        draw_verdict(verdict, axes=list(row))
        for ax in row[1:] if verdict.frontier is None else ():
            ax.set_axis_off()
    return grid[0, 0]  # type: ignore[no-any-return]


def title_of(verdict: Verdict) -> str:
    """Answer, score and data in a line."""
    from isoloss.plot.access import text

    answer = {"none": "do not prune", "no verdict": "no verdict"}.get(
        verdict.answer, f"prune: keep the {verdict.answer}est"
    )
    parts = [answer, *(text(v) for v in (verdict.metric, verdict.data) if v)]
    line = ", ".join(parts)
    # Far longer names would push the picture aside.
    return line if len(line) <= 60 else line[:59] + "…"


def _draw_curves(ax: Axes, verdict: Verdict, series: dict[str, Any]) -> None:
    for line in series["lines"]:
        colour = COLOURS.get(line["policy"], FRONTIER)
        good = np.isfinite(line["low"]) & np.isfinite(line["high"])
        ax.fill_between(
            line["D"], line["low"], line["high"], where=good.tolist(), color=colour, alpha=0.18,
            linewidth=0,
        )  # fmt: skip
        ax.plot(line["D"], line["loss"], color=colour, linewidth=1.3)
    for group in series["points"]:
        colour = COLOURS.get(group["policy"], FRONTIER)
        ax.errorbar(
            group["D"], group["loss"], yerr=np.nan_to_num(group["error"]), fmt="o", color=colour,
            markersize=3 if group["shown"] else 2, elinewidth=0.8, zorder=3,
            alpha=1.0 if group["shown"] else 0.35, linestyle="",
        )  # fmt: skip
    for target in series["targets"]:
        colour = COLOURS.get(target["policy"], FRONTIER)
        if math.isfinite(target["low"]) and math.isfinite(target["high"]):
            ax.plot([target["D"]] * 2, [target["low"], target["high"]], color=colour, linewidth=2.2)
        ax.plot(
            [target["D"]], [target["loss"]], "o", color=colour, markerfacecolor="white",
            markersize=6, zorder=4,
        )  # fmt: skip
    for D in sorted({t["D"] for t in series["targets"]}):
        ax.axvline(D, color="0.75", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    ends = _ends(series)
    if ends is not None:
        decades(ax, x=ends[0], y=ends[1])
    if series["lines"]:
        label_right(
            ax,
            [
                (float(line["loss"][-1]), line["label"], COLOURS.get(line["policy"], FRONTIER))
                for line in series["lines"]
                if math.isfinite(line["loss"][-1])
            ],
        )
    else:
        label_right(
            ax,
            [
                (float(g["loss"][np.argmax(g["D"])]), g["label"],
                 COLOURS.get(g["policy"], FRONTIER))
                for g in series["points"]
            ],
        )  # fmt: skip
    finish(ax, "", "examples kept", f"test {verdict.outcome}")
    ax.set_title(title_of(verdict), fontsize=8, loc="left", parse_math=False)
    if series["targets"] and ends is not None:
        ax.text(
            max(t["D"] for t in series["targets"]), 1.0, "target ", fontsize=SMALL, color="0.4",
            ha="right", va="top", transform=ax.get_xaxis_transform(), zorder=1,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _ends(series: dict[str, Any]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Find the ranges of both axes: those of lines, points and targets, bands not followed far."""
    drawn = [*series["lines"], *series["points"]]
    if not drawn:
        return None
    x = np.concatenate([d["D"] for d in drawn] + [[t["D"] for t in series["targets"]]])
    y = np.concatenate([d["loss"] for d in drawn] + [[t["loss"] for t in series["targets"]]])
    bands = [line[k] for line in series["lines"] for k in ("low", "high")]
    middle = y[np.isfinite(y) & (y > 0)]
    if not middle.size:
        return None
    far = np.concatenate([middle, *bands])
    far = far[(far > middle.min() / 4) & (far < middle.max() * 4)]
    return (x.min() / 1.2, x.max() * 1.2), (far.min() / 1.08, far.max() * 1.08)


def _draw_frontier(ax: Axes, front: dict[str, Any], outcome: str) -> None:
    ax.plot(front["D"], front["unpruned"], color=COLOURS[NONE], linewidth=1.3)
    ax.plot(front["D"], front["loss"], color=FRONTIER, linewidth=1.6)
    y = np.concatenate([front["unpruned"], front["loss"]])
    y = y[np.isfinite(y)]
    decades(ax, x=(front["D"][0] / 1.05, front["D"][-1] * 1.05), y=(y.min() / 1.08, y.max() * 1.08))
    _name_ends(ax, front, "unpruned", "loss")
    finish(ax, "Best of all shares", "examples kept", f"test {outcome}")


def _draw_exponents(ax: Axes, front: dict[str, Any], outcome: str) -> None:
    ax.plot(front["D"], front["exponent_unpruned"], color=COLOURS[NONE], linewidth=1.3)
    ax.plot(front["D"], front["exponent"], color=FRONTIER, linewidth=1.6)
    decades(ax, x=(front["D"][0] / 1.05, front["D"][-1] * 1.05))
    _name_ends(ax, front, "exponent_unpruned", "exponent")
    slope = r"$-\mathrm{d}\,\log\,$" + outcome + r"$\,/\,\mathrm{d}\,\log D$"
    finish(ax, "Local exponent", "examples kept", slope)


def _name_ends(ax: Axes, front: dict[str, Any], plain: str, best: str) -> None:
    last = label_of(front["policy"][-1], float(front["keep"][-1]))
    names = [(best, f"frontier\n({last})", FRONTIER), (plain, "no pruning", COLOURS[NONE])]
    ends = [(float(front[key][-1]), words, colour) for key, words, colour in names]
    label_right(ax, [end for end in ends if math.isfinite(end[0])], gap=0.13)


__all__ = ["draw_verdict", "draw_verdicts", "verdict_series"]
