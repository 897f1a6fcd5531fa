"""Whether one recipe is better than another, by how much compute, and from which scale on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_seed, as_vector
from isoloss.errors import FitError, InputError
from isoloss.fit.objective import Objective
from isoloss.fit.prepare import choose_law
from isoloss.laws import Law
from isoloss.plan.recipes.comparisons import Comparisons
from isoloss.plan.recipes.inputs import as_laws, check_pair, default_scales, make_place, names_of
from isoloss.plan.recipes.looks import Looks, false_discovery
from isoloss.plan.recipes.pair import Policy, compare_pair
from isoloss.runs.rows import short


def compare_recipes(
    tables: Mapping[str, Any],
    *,
    baseline: str | None = None,
    at: Sequence[float] = (),
    laws: Sequence[str | Law] | None = None,
    tie: Sequence[str] | str = "auto",
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
        Parameters in common, as a list. ``"auto"``: recipes have one floor E or a floor each,
        nobody knows which, and intervals hold what follows from both. ``["E"]`` takes one floor
        for granted: far narrower beyond the runs, and wrong there if floors differ.
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
    if isinstance(tie, str) and tie != "auto":
        raise InputError(f"tie = {tie!r}: give 'auto', or a list of parameters such as ['E']")
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
    policy = Policy(
        at=asked, tie=tie, objective=objective, resample=resample, draws=draws, level=level,
        looks=look, seed=rng,
    )  # fmt: skip
    rows = []
    for pair, name, forms, place in work:
        try:
            rows.append(compare_pair(pair, (first, name), forms, place, policy))
        except FitError as error:
            told = f"{short(name)} against {short(first)}: {error}"
            raise FitError(error.code, told) from None
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
