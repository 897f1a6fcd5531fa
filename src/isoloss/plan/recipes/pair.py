"""One recipe against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import FitError
from isoloss.fit.objective import Objective
from isoloss.laws import Law
from isoloss.plan.reason import Reason, overall
from isoloss.plan.recipes.answer import Answer, read
from isoloss.plan.recipes.comparison import Comparison
from isoloss.plan.recipes.crossover import find_crossover, unknown
from isoloss.plan.recipes.curves import Curves
from isoloss.plan.recipes.evidence import evidence, next_run, paired_runs
from isoloss.plan.recipes.fits import RecipeFit, cell_ids
from isoloss.plan.recipes.inputs import Place
from isoloss.plan.recipes.looks import Looks
from isoloss.plan.recipes.misfit import laws_miss
from isoloss.plan.recipes.parts import UNKNOWN, LawMultiplier, ScaleComparison, TieMultiplier
from isoloss.plan.recipes.sets import TieSet, answer_of, fit_sets, ties_asked
from isoloss.plan.recipes.ties import floors_differ, tie_decides
from isoloss.plan.recipes.words import figures, sentence
from isoloss.runs import Runs

_GRID = 61
_FARTHEST = 1e3
"""Times the largest common scale: how far a crossing is looked for."""
_FAR = 100.0
_LOST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How to compare, the same for all recipes of one call."""

    at: Array
    tie: Sequence[str] | str
    objective: str | Objective
    resample: str
    draws: int
    level: float
    looks: Looks
    seed: int


def compare_pair(
    pair: tuple[Runs, Runs],
    names: tuple[str, str],
    laws: Sequence[Law],
    place: Place,
    policy: Policy,
) -> Comparison:
    """Compare one recipe with the baseline; see `compare_recipes`."""
    alpha = policy.looks.alpha(1 - policy.level)
    sets, doubts = fit_sets(
        pair, laws, ties_asked(policy.tie, laws), place,
        alpha=alpha, objective=policy.objective, draws=policy.draws, resample=policy.resample,
        seed=policy.seed,
    )  # fmt: skip
    C = np.unique(policy.at)
    primary = int(np.searchsorted(C, policy.at[0]))
    sets, each = _followed(sets, place, C)
    mixtures = [both for _, both in each]
    answer = answer_of(sets, mixtures)
    scales = tuple(_scale(answer, j, place.largest, sets, each) for j in range(len(C)))
    heavy = max((s for s in sets if s.tie.used), key=lambda s: s.share).heavy
    missed = _missed(sets, pair, heavy, place, float(C[primary]))
    if missed:
        scales = tuple(map(_without_verdict, scales))
    main = scales[primary]
    cells = cell_ids(pair, laws[0].axes)
    paired = paired_runs(pair, cells, heavy, 1 - alpha)
    reasons = _once(
        [*place.reasons, *doubts, *heavy.reasons, *_lost(sets, mixtures),
         *evidence(paired), *missed, *floors_differ(sets, pair), *_about(main, place.resource)]
    )  # fmt: skip
    grid = np.geomspace(place.smallest, _FARTHEST * place.largest, _GRID)
    drawn, along = _followed([s for s in sets if s.tie.used], place, grid)
    path = answer_of(drawn, [both for _, both in along])
    crossover = find_crossover(path, 1 - alpha, place.resource, names)
    believed = _believed(sets)
    return Comparison(
        baseline=names[0],
        recipe=names[1],
        resource=place.resource,
        path=place.text,
        ties=tuple(s.tie.names for s in sets if s.tie.used),
        laws=tuple(believed),
        weights=np.array(list(believed.values())),
        scales=scales,
        primary=primary,
        crossover=unknown(crossover) if missed else crossover,
        paired=paired,
        level=policy.level,
        looks=policy.looks,
        look_level=1 - alpha,
        next_run=next_run(pair, names, laws[0].axes, place.scale, cells, heavy, main),
        curves=figures(path, pair, place),
        status=overall(reasons, answered=True),
        reasons=reasons,
        sentence=sentence(main, names, place.resource, missed=bool(missed)),
    )


def _followed(
    sets: Sequence[TieSet], place: Place, C: Array
) -> tuple[list[TieSet], list[tuple[list[Curves], Curves]]]:
    """Curves of each set; sets without any are dropped while one that is used remains."""
    kept, each = [], []
    last: FitError | None = None
    for s in sets:
        try:
            each.append(s.curves(place, C))
            kept.append(s)
        except FitError as error:
            last = error
    if not any(s.tie.used for s in kept):
        assert last is not None
        raise last
    return kept, each


def _missed(
    sets: Sequence[TieSet], pair: tuple[Runs, Runs], heavy: RecipeFit, place: Place, C: float
) -> list[Reason]:
    """Whether the runs near the scale asked about, or near the largest, contradict the laws."""
    near = min(max(C, place.smallest), place.largest)
    used = [s for s in sets if s.tie.used]
    there = answer_of(used, [s.curves(place, np.array([near]))[1] for s in used])
    losses = np.array([there.baseline.best[0], there.recipe.best[0]])
    found = laws_miss(pair, heavy, place, near, losses, there.gap)
    return [] if found is None else [found]


def _without_verdict(s: ScaleComparison) -> ScaleComparison:
    ties = tuple(replace(t, p_value=1.0, verdict=UNKNOWN) for t in s.by_tie)
    return replace(s, p_value=1.0, verdict=UNKNOWN, by_tie=ties)


def _scale(
    answer: Answer,
    j: int,
    largest: float,
    sets: Sequence[TieSet],
    each: Sequence[tuple[list[Curves], Curves]],
) -> ScaleComparison:
    reader = next(s.reader for s in sets if s.tie.used)
    losses = np.exp([answer.baseline.best[j], answer.recipe.best[j]])
    factor = answer.multiplier
    with np.errstate(over="ignore"):
        multiplier, low, high = np.exp([factor.best[j], factor.low[j], factor.high[j]])
    return ScaleComparison(
        C=float(answer.C[j]),
        reach=float(answer.C[j] / largest),
        loss_baseline=float(losses[0]),
        loss_recipe=float(losses[1]),
        gap=float(answer.gap.best[j]),
        gap_interval=reader.interval(answer.gap.low[j], answer.gap.high[j]),
        multiplier=float(multiplier),
        multiplier_interval=reader.interval(low, high),
        p_value=float(answer.p[j]),
        verdict=answer.verdict(j, reader.alpha),
        by_tie=tuple(_by_tie(s, both, j) for s, (_, both) in zip(sets, each, strict=True)),
        by_law=tuple(
            _by_law(s, f, float(w), c, j)
            for s, (curves, _) in zip(sets, each, strict=True)
            for f, w, c in zip(s.fits, s.weights, curves, strict=True)
            if len(c.draws[2])
        ),
    )


def _by_law(s: TieSet, fitted: RecipeFit, weight: float, curves: Curves, j: int) -> LawMultiplier:
    with np.errstate(over="ignore"):
        low, high = np.exp(s.reader.ends(curves.draws[2][:, [j]]))
        multiplier = float(np.exp(curves.best[2][j]))
    return LawMultiplier(
        law=fitted.recipe.base.name,
        tied=s.tie.names,
        weight=weight * s.share if s.tie.used else 0.0,
        multiplier=multiplier,
        interval=s.reader.interval(low[0], high[0]),
    )


def _by_tie(s: TieSet, both: Curves, j: int) -> TieMultiplier:
    one = read(
        replace(
            both,
            C=both.C[[j]],
            best=(both.best[0][[j]], both.best[1][[j]], both.best[2][[j]]),
            draws=(both.draws[0][:, [j]], both.draws[1][:, [j]], both.draws[2][:, [j]]),
        ),
        s.reader,
    )
    m = one.multiplier
    with np.errstate(over="ignore"):
        multiplier, low, high = np.exp([m.best[0], m.low[0], m.high[0]])
    return TieMultiplier(
        tied=s.tie.names,
        used=s.tie.used,
        multiplier=float(multiplier),
        interval=s.reader.interval(low, high),
        p_value=float(one.p[0]),
        verdict=one.verdict(0, s.reader.alpha),
    )


def _believed(sets: Sequence[TieSet]) -> dict[str, float]:
    """Weight of each law over the sets that are used."""
    found: dict[str, float] = {}
    used = [s for s in sets if s.tie.used]
    total = sum(s.share for s in used)
    for s in used:
        share = s.share / total if total > 0 else 1 / len(used)
        for f, w in zip(s.fits, s.weights, strict=True):
            name = f.recipe.base.name
            found[name] = found.get(name, 0.0) + float(w) * share
    return found


def _about(main: ScaleComparison, resource: str) -> list[Reason]:
    """Doubts about the scale that the verdict is about."""
    found = [r for r in [tie_decides(main, resource)] if r is not None]
    if main.reach > _FAR:
        found.append(
            Reason(
                code="FAR_BEYOND",
                message=f"the verdict is about {main.reach:.3g} times the largest common scale: "
                "it rests on the laws alone",
            )
        )
    return found


def _lost(sets: Sequence[TieSet], mixtures: Sequence[Curves]) -> list[Reason]:
    lost = max(c.lost for s, c in zip(sets, mixtures, strict=True) if s.tie.used)
    if lost <= _LOST:
        return []
    return [
        Reason(
            code="DRAWS_LOST",
            message=f"{100 * lost:.0f} % of the draws have no best split at some scale; "
            "intervals are too narrow: compare along a ratio, or add runs",
        )
    ]


def _once(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Keep the first reason of each code."""
    found: dict[str, Reason] = {}
    for r in reasons:
        found.setdefault(r.code, r)
    return tuple(found.values())
