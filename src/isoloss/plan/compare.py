"""Is one recipe better than another, by how much compute, and from which scale on?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_level, as_seed, as_vector
from isoloss.errors import FitError, InputError
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import choose_law
from isoloss.fit.weighting import akaike
from isoloss.laws import Law
from isoloss.plan.comparison import (
    BETTER,
    UNKNOWN,
    WORSE,
    Comparison,
    Comparisons,
    LawMultiplier,
    ScaleComparison,
)
from isoloss.plan.looks import Looks, false_discovery
from isoloss.plan.normal_scores import Scores, p_value, t_score
from isoloss.plan.reason import Reason, overall
from isoloss.plan.recipe_evidence import evidence, next_run, paired_runs, untied
from isoloss.plan.recipe_fit import RecipeFit, cell_ids, check_design, fit_recipes
from isoloss.plan.recipe_inputs import (
    Place,
    as_laws,
    check_pair,
    default_scales,
    make_place,
    names_of,
)
from isoloss.plan.recipe_scales import Reader, find_crossover, law_curves, mixed
from isoloss.runs import Runs

_GRID = 61
_FARTHEST = 1e3
"""Times the largest common scale: how far a crossing is looked for."""
_FAR = 100.0
_LOST = 0.02


def compare_recipes(
    tables: Mapping[str, Any],
    *,
    baseline: str | None = None,
    at: Sequence[float] = (),
    laws: Sequence[str | Law] | None = None,
    tie: Sequence[str] = ("E",),
    axis: str | None = None,
    ratio: float | None = None,
    size: float | None = None,
    objective: str | Objective = "auto",
    resample: str = "auto",
    draws: int = 1000,
    level: float = 0.9,
    looks: str | Looks = "1/1",
    rng: int = 0,
) -> Comparisons:
    r"""Compare recipes with a baseline, each in a fit of its own of both.

    At compute C the baseline reaches a loss, for which the recipe needs C/m: m is the compute
    multiplier. Both recipes are fitted at once, with the parameters ``tie`` in common, and
    resampled by cells: runs of equal size and data move together in both, so that noise which
    they share leaves the difference. See the page on comparing.

    Parameters
    ----------
    tables
        Name of a recipe to its `Runs`, or anything `read_runs` takes; two or more.
    baseline
        Name of the one that the others are compared with; the first by default.
    at
        Scales; the verdict is about the first. By default the largest compute that both have
        runs at, which the verdict is about, ten and a hundred times that, and the middle.
    laws
        The set; by default ``chinchilla`` and ``coupled`` where there are N and D, else
        ``power_floor``.
    tie
        Parameters in common. E by default: it belongs to the data and the evaluation, and with
        one of its own for each recipe, far multipliers rest on a difference of floors that no
        run shows.
    axis
        Compare along one resource alone.
    ratio, size
        Compare along D = ratio N, or along D at this N, in place of the best split.
    objective
        ``"auto"``: Huber's, with a threshold as wide as the noise; else as in `isoloss.fit`.
    resample
        ``"cluster"`` (cells drawn with replacement), ``"wild"`` (one random factor a cell), or
        ``"auto"``: ``wild`` where there are fewer than three cells a parameter.
    draws, level, rng
        As in `isoloss.fit`.
    looks
        ``"k/K"``: look k of K at growing data; ``"k"`` where nobody knows K. See `Looks`.

    Returns
    -------
    Comparisons

    Raises
    ------
    InputError
        Fewer than two tables, conventions that differ, no common scale, equal runs.
    FitError
        Too few configurations, or no curve to follow.

    References
    ----------
    Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57:289; Fieller 1954, J. R. Stat. Soc. B
    16:175.

    Examples
    --------
    >>> N, D = np.repeat([1e7, 3e7, 1e8, 3e8], 4), np.tile([3e8, 1e9, 3e9, 1e10], 4)
    >>> noise = np.exp(1e-3 * np.random.default_rng(0).standard_normal((2, 16)))
    >>> old = {"N": N, "D": D, "loss": (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * noise[0]}
    >>> new = {"N": N, "D": D, "loss": (1.8 + 440 * N**-0.35 + 1900 * D**-0.37) * noise[1]}
    >>> found = compare_recipes({"old": old, "new": new}, draws=200)
    >>> found.rows[0].main.verdict
    'better'
    """
    as_level(level)
    as_seed(rng)
    look = looks if isinstance(looks, Looks) else Looks.parse(looks)
    if not (isinstance(draws, int) and draws >= 100):
        raise InputError(f"draws = {draws!r}: a comparison is made of draws; give 100 or more")
    given, first = names_of(tables, baseline)
    asked = as_vector("at", list(at), positive=True) if len(at) else None
    form = choose_law(given[first], None, axis=axis)[0] if laws is None else None
    work = []
    for name, table in given.items():
        if name == first:
            continue
        pair = (given[first], table)
        check_pair(pair, (first, name))
        forms = as_laws(pair, laws, form, axis)
        work.append((pair, name, forms, make_place(pair, forms, ratio=ratio, size=size)))
    if asked is None:
        # All recipes are judged at one scale, or their p-values would not belong together.
        asked = default_scales([place for *_, place in work])
    rows = [
        _compare(
            pair, (first, name), forms, place,
            at=asked, tie=tuple(tie), objective=objective, resample=resample, draws=draws,
            level=level, look=look, seed=rng,
        )
        for pair, name, forms, place in work
    ]  # fmt: skip
    # An error that a look may not make is as rare as one that all looks may: p grows by as much.
    alpha = 1 - level
    p = np.array([min(1.0, r.main.p_value * alpha / look.alpha(alpha)) for r in rows])
    adjusted = false_discovery(p)
    order = sorted(range(len(rows)), key=lambda i: -rows[i].main.multiplier_interval.low)
    return Comparisons(
        baseline=first,
        rows=tuple(rows[i] for i in order),
        adjusted=adjusted[order],
        rate=alpha,
    )


def _compare(
    pair: tuple[Runs, Runs],
    names: tuple[str, str],
    forms: Sequence[Law],
    place: Place,
    *,
    at: Array,
    tie: tuple[str, ...],
    objective: str | Objective,
    resample: str,
    draws: int,
    level: float,
    look: Looks,
    seed: int,
) -> Comparison:
    reasons = list(place.reasons)
    fits, kept = [], []
    last: FitError | None = None
    for form in forms:
        try:
            found = check_design(pair, form, tie)
            fits.append(
                fit_recipes(
                    pair, form, tie=tie, objective=objective, draws=draws, resample=resample,
                    seed=seed,
                )
            )  # fmt: skip
        except FitError as error:
            last = error
            continue
        kept.append(form)
        reasons += [r for r in found if r.code not in {x.code for x in reasons}]
    if not fits:
        assert last is not None
        raise last
    order = np.argsort(np.concatenate(place.scale), kind="stable")
    weights = _weights(fits, order)
    heavy = fits[int(np.argmax(weights))]
    reasons += [r for r in heavy.reasons if r.code not in {x.code for x in reasons}]
    cells = cell_ids(pair, forms[0].axes)
    freedom, z = _freedom(cells, pair, heavy, 1 - (alpha := look.alpha(1 - level)))
    reader = Reader(z=z, level=1 - alpha, method=f"{heavy.method}, t({freedom:.3g})")
    C = np.unique(at)
    primary = int(np.flatnonzero(C == at[0])[0])
    each = [law_curves(f, place.paths(form), C) for f, form in zip(fits, kept, strict=True)]
    if not np.isfinite(each[int(np.argmax(weights))].best[0]).all():
        raise FitError(
            "NO_CURVE",
            f"{kept[int(np.argmax(weights))].name}: an amplitude is zero, so there is no best "
            "split to follow; compare along one resource (axis=), or along a ratio (ratio=)",
        )
    both = mixed(each, weights)
    if both.lost > _LOST:
        reasons.append(
            Reason(
                code="DRAWS_LOST",
                message=f"{100 * both.lost:.0f} % of the draws have no best split at some scale; "
                "intervals are too narrow: compare along a ratio, or add runs",
            )
        )
    spread = [
        [
            LawMultiplier(
                law=form.name, weight=float(w), multiplier=float(np.exp(c.best[2][j])),
                interval=reader.factor(c.draws[2][:, j]),
            )
            for form, w, c in zip(kept, weights, each, strict=True)
        ]
        for j in range(len(C))
    ]  # fmt: skip
    free = untied(pair, heavy, draws=draws, resample=resample, seed=seed)
    if free is not None:
        form = free.recipe.base
        alone = law_curves(free, place.paths(form), C)
        for j, row in enumerate(spread):
            if len(alone.draws[2]) > draws // 2:
                row.append(
                    LawMultiplier(
                        law=f"{form.name}, E free", weight=0.0,
                        multiplier=float(np.exp(alone.best[2][j])),
                        interval=reader.factor(alone.draws[2][:, j]),
                    )
                )  # fmt: skip
    # Beyond this factor the score is Student's.
    shrink = z / t_score(alpha, freedom)
    scales = tuple(
        _scale(C, both, j, place.largest, reader, shrink, freedom, tuple(spread[j]))
        for j in range(len(C))
    )
    grid = np.geomspace(place.smallest, _FARTHEST * place.largest, _GRID)
    path_curves = [
        law_curves(f, place.paths(form), grid) for f, form in zip(fits, kept, strict=True)
    ]
    path = mixed(path_curves, weights)
    crossover = find_crossover(path, reader, place.resource, names)
    paired = paired_runs(pair, cells, heavy, 1 - alpha)
    reasons += evidence(pair, heavy, paired, free)
    main = scales[primary]
    if (changed := _tie_decides(main)) is not None:
        reasons.append(changed)
    if main.reach > _FAR:
        reasons.append(
            Reason(
                code="FAR_BEYOND",
                message=f"the verdict is about {main.reach:.3g} times the largest common scale: "
                "it rests on the laws alone",
            )
        )
    return Comparison(
        baseline=names[0],
        recipe=names[1],
        resource=place.resource,
        path=place.text,
        tied=heavy.recipe.tied,
        laws=tuple(f.name for f in kept),
        weights=weights,
        scales=scales,
        primary=primary,
        crossover=crossover,
        paired=paired,
        level=level,
        looks=look,
        look_level=1 - alpha,
        next_run=next_run(pair, names, forms[0].axes, place.scale, cells, heavy, main),
        curves=_drawing(path, reader, pair, place),
        status=overall(tuple(reasons), answered=True),
        reasons=tuple(reasons),
        sentence=_sentence(main, names, place.resource),
    )


def _weights(fits: Sequence[RecipeFit], order: npt.NDArray[np.int64]) -> Array:
    """Akaike weights of the laws; those below a hundredth get none."""
    residuals = np.array([f.residuals[order] for f in fits])
    squares = all(math.isinf(f.objective.delta) for f in fits)
    found = akaike(
        residuals,
        np.ones_like(residuals),
        [f.theta.size for f in fits],
        squares=squares,
    )
    found = np.where(found < 0.01, 0.0, found)
    return np.asarray(found / found.sum())


def _freedom(
    cells: npt.NDArray[np.int64], pair: tuple[Runs, Runs], heavy: RecipeFit, level: float
) -> tuple[float, float]:
    """Degrees of freedom, and half-width of an interval in normal scores of the draws.

    Of n cells, each recipe in each cell takes its share of the parameters; draws of cells know
    nothing of that, so their width is multiplied by the root of n over what is left, and the
    normal gives way to Student's distribution.
    """
    count = len(np.unique(cells))
    side = np.repeat([0, 1], [len(t) for t in pair])
    taken = len(np.unique(cells * 2 + side))
    freedom = max(count - heavy.theta.size * count / taken, 1.0)
    return freedom, t_score(1 - level, freedom) * math.sqrt(count / freedom)


def _scale(
    C: Array,
    both: Any,
    j: int,
    largest: float,
    reader: Reader,
    shrink: float,
    freedom: float,
    spread: tuple[LawMultiplier, ...],
) -> ScaleComparison:
    losses = np.exp([both.best[0][j], both.best[1][j]])
    gaps = np.exp(both.draws[0][:, j]) - np.exp(both.draws[1][:, j])
    p = p_value(Scores(gaps).score(0.0) / shrink, freedom)
    gap = float(losses[0] - losses[1])
    with np.errstate(over="ignore"):
        multiplier = float(np.exp(both.best[2][j]))
    return ScaleComparison(
        C=float(C[j]),
        reach=float(C[j] / largest),
        loss_baseline=float(losses[0]),
        loss_recipe=float(losses[1]),
        gap=gap,
        gap_interval=reader.interval(gaps),
        multiplier=multiplier,
        multiplier_interval=reader.factor(both.draws[2][:, j]),
        p_value=p,
        verdict=UNKNOWN if p > 1 - reader.level else BETTER if gap > 0 else WORSE,
        by_law=spread,
    )


def _tie_decides(main: ScaleComparison) -> Reason | None:
    """Whether the verdict needs the floor in common."""
    free = [b for b in main.by_law if b.law.endswith(", E free")]
    if main.verdict == UNKNOWN or not free:
        return None
    i = free[0].interval
    if i.low > 1 if main.verdict == BETTER else i.high < 1:
        return None
    return Reason(
        code="TIE_DECIDES",
        message="the verdict rests on both recipes having one floor E; with a floor each the "
        f"multiplier may be anything in [{i.low:.3g}, {i.high:.3g}]",
    )


def _sentence(s: ScaleComparison, names: tuple[str, str], resource: str) -> str:
    i = s.multiplier_interval
    at = f"at {resource} = {s.C:.3g}"
    held = f"[{i.low:.3g}, {i.high:.3g}] ({100 * i.level:.4g} %)"
    what = "compute" if resource == "C" else resource
    if s.verdict == UNKNOWN:
        return (
            f"verdict: cannot tell {at}: the multiplier may be anything in {held}, 1 among it; "
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


def _drawing(path: Any, reader: Reader, pair: tuple[Runs, Runs], place: Place) -> dict[str, Any]:
    out: dict[str, Any] = {"C": path.C.tolist(), "largest": place.largest}
    for i, stem in enumerate(("baseline", "recipe", "multiplier")):
        ends = [reader.factor(d) for d in path.draws[i].T]
        with np.errstate(over="ignore"):
            out[stem] = np.exp(path.best[i]).tolist()
        out[f"{stem}_low"] = [e.low for e in ends]
        out[f"{stem}_high"] = [e.high for e in ends]
    for stem, table, scale in zip(("baseline", "recipe"), pair, place.scale, strict=True):
        out[f"{stem}_runs"] = {"C": scale.tolist(), "loss": table["loss"].tolist()}
    return out
