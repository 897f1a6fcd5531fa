"""Sentences and figures of a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss._core.interval import Interval
from isoloss.plan.recipes.answer import Answer
from isoloss.plan.recipes.inputs import Place
from isoloss.plan.recipes.parts import BETTER, UNKNOWN, ScaleComparison
from isoloss.runs import Runs


def ends(i: Interval) -> str:
    """Write an interval."""
    return f"[{i.low:.3g}, {i.high:.3g}]"


def names_in_common(tied: tuple[str, ...]) -> str:
    """Write what is in common."""
    return ", ".join(tied) or "nothing"


def sentence(
    s: ScaleComparison, names: tuple[str, str], resource: str, *, missed: bool = False
) -> str:
    """Write the verdict at one scale; ``missed`` where the laws miss the runs."""
    i = s.multiplier_interval
    at = f"at {resource} = {s.C:.3g}"
    held = f"{ends(i)} ({100 * i.level:.4g} %)"
    what = "compute" if resource == "C" else resource
    if missed:
        return f"verdict: none {at}, as the laws miss the runs"
    if s.verdict == UNKNOWN:
        return (
            f"verdict: cannot tell {at}: the multiplier may be anything in {held}; "
            "no recipe is named better"
        )
    if s.verdict == BETTER:
        return f"verdict: {names[1]} is better {at}: {s.multiplier:.3g} times less {what} {held}"
    if s.multiplier == 0:
        return f"verdict: {names[1]} is worse {at}: no {what} reaches the loss of {names[0]}"
    return (
        f"verdict: {names[1]} is worse {at}: {1 / s.multiplier:.3g} times more {what}; "
        f"multiplier in {held}"
    )


def figures(path: Answer, pair: tuple[Runs, Runs], place: Place) -> dict[str, Any]:
    """Curves with their bands, and runs, for drawing."""
    out: dict[str, Any] = {"C": path.C.tolist(), "largest": place.largest}
    for stem in ("baseline", "recipe", "multiplier"):
        band = getattr(path, stem)
        with np.errstate(over="ignore"):
            out[stem] = np.exp(band.best).tolist()
            out[f"{stem}_low"] = np.exp(band.low).tolist()
            out[f"{stem}_high"] = np.exp(band.high).tolist()
    for stem, table, scale in zip(("baseline", "recipe"), pair, place.scale, strict=True):
        out[f"{stem}_runs"] = {"C": scale.tolist(), "loss": table["loss"].tolist()}
    return out
