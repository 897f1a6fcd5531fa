"""Whether two recipes have one floor, and what rests on it."""

from __future__ import annotations

from collections.abc import Sequence

from isoloss.plan.reason import Reason
from isoloss.plan.recipes.fits import RecipeFit
from isoloss.plan.recipes.law import SIDES
from isoloss.plan.recipes.parts import UNKNOWN, ScaleComparison, TieMultiplier
from isoloss.plan.recipes.sets import FLOOR, TieSet
from isoloss.runs import Runs

_LEVEL = 0.01
"""Chance that runs of one floor are said to have two."""


def floors_differ(sets: Sequence[TieSet], pair: tuple[Runs, Runs]) -> list[Reason]:
    """Say so where the runs contradict one floor, or are too few to ask.

    One floor stays in the answer all the same: a law that misses the runs a little contradicts it
    as well. That floors are equal no run can show.
    """
    tied = next((s for s in sets if FLOOR in s.tie.names), None)
    free = next((s for s in sets if FLOOR not in s.tie.names), None)
    if tied is not None and free is None:
        return [
            Reason(
                code="ONE_FLOOR_ASSUMED",
                message="the runs are too few for a floor E of each recipe: all that is said "
                "beyond them rests on one floor for both; add runs",
            )
        ]
    if tied is None or free is None:
        return []
    name = tied.heavy.recipe.base.name
    same = [f for f in free.fits if f.recipe.base.name == name]
    floors = _differing(pair, tied.heavy, same[0]) if same else None
    if floors is None:
        return []
    return [
        Reason(
            code="FLOORS_DIFFER",
            message=f"with a floor E for each recipe ({floors[0]:.4g}, {floors[1]:.4g}) the runs "
            "fit better than chance allows (1 %): data or evaluation may differ, so that losses "
            "are not comparable; where floors do differ, take --tie none (in Python tie=[])",
            severity="info" if free.tie.used else "doubt",
        )
    ]


def _differing(
    pair: tuple[Runs, Runs], tied: RecipeFit, free: RecipeFit
) -> tuple[float, float] | None:
    """Floors, where one for each recipe fits much better: an F test of the objectives."""
    names = free.recipe.law.names
    places = [names.index(n) for n in (f"{FLOOR}_{s}" for s in SIDES) if n in names]
    freedom = sum(len(t) for t in pair) - free.theta.size
    if len(places) < 2 or freedom < 1 or free.value <= 0:
        return None
    from scipy.special import fdtrc

    gain = max(tied.value / free.value - 1, 0.0) * freedom
    if fdtrc(1.0, freedom, gain) > _LEVEL:
        return None
    return float(free.theta[places[0]]), float(free.theta[places[1]])


def tie_decides(main: ScaleComparison, resource: str) -> Reason | None:
    """Say so where one floor and two lead to different verdicts."""
    tied = next((t for t in main.by_tie if FLOOR in t.tied), None)
    free = next((t for t in main.by_tie if FLOOR not in t.tied), None)
    if tied is None or free is None or tied.verdict == free.verdict:
        return None
    if not (tied.used or main.verdict == UNKNOWN):
        return None
    return Reason(
        code="TIE_DECIDES",
        message=f"at {resource} = {main.C:.3g} the verdict rests on whether both recipes have one "
        f"floor E: with one {_told(tied)}, with a floor each {_told(free)}",
        severity="info" if free.used else "doubt",
    )


def _told(t: TieMultiplier) -> str:
    return f"{t.verdict}, x{t.multiplier:.3g} [{t.interval.low:.3g}, {t.interval.high:.3g}]"
