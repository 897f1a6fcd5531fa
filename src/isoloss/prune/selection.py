"""Selection: a pure function of scores, budget, policy, floors and seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import as_seed
from isoloss.errors import InputError
from isoloss.prune.scores_ids import Ids, Rows, as_ids, hash_ids
from isoloss.prune.scores_order import canonical_order
from isoloss.prune.scores_result import Scores, as_score_values, refuse_nan, seal
from isoloss.prune.select_allocate import allocate_clusters, spread
from isoloss.prune.select_groups import (
    GUARD,
    Floor,
    Groups,
    as_floor,
    group_rows,
    tally,
    wanted_of,
)
from isoloss.prune.select_policy import (
    ByCluster,
    Easy,
    Hard,
    Middle,
    Policy,
    Random,
    Stratified,
    as_policy,
)
from isoloss.prune.select_rank import Bools, Key, count_codes, first, first_of_groups, middle, ranks
from isoloss.prune.select_result import (
    ALLOCATION,
    BUDGET,
    CLASS_FLOOR,
    CLUSTER_FLOOR,
    EXCLUDED,
    RANK,
    STRATUM,
    SUSPECT,
    Selection,
)

_PART = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """All that decides, rows in the order of ids; another budget takes it as it is."""

    values: npt.NDArray[Any]
    ids: Ids
    row: Rows
    policy: Policy
    classes: Groups | None
    clusters: Groups | None
    class_floor: Floor
    cluster_floor: Floor
    suspicion: npt.NDArray[Any]
    noise_guard: float
    excluded: Bools | None
    neighbour: Ids | None
    seed: int
    metric: str


def select(
    scores: Any, budget: float, *, ids: Any = None, policy: Any = "hard", labels: Any = None,
    class_floor: Floor = 0.0, clusters: Any = None, cluster_floor: Floor = 0.0,
    noise_guard: float = 0.0, suspicion: Any = None, exclude: Any = None, neighbour: Any = None,
    seed: int = 0,
) -> Selection:  # fmt: skip
    """Keep exactly the budget, and say of every example why it was kept or dropped.

    Excluded rows and suspects go first; then every class and every cluster takes its floor, the
    best of it by the policy; the policy fills up the rest from all that is left. The same ids are
    kept whatever the order of rows, on every platform: ties are broken by a hash of id and seed.
    Nothing is changed in place.

    Time is linear in rows but for the sort of ids, and of scores under the middle policy and
    strata of equal mass; ids that span no more than four times their number are put in order
    without a sort. Memory beside the input, with float32 scores and whole-number ids, is some 40
    bytes a row, with classes and a floor too, and 50 to 60 with a sort of scores or strata.

    Parameters
    ----------
    scores
        `Scores`, or numbers, (n,); high is hard. float32 is not widened.
    budget
        How many to keep, a whole number, or the share of all rows, above 0 and at most 1 as a
        float (rounded to the nearest whole number, halves up).
    ids
        Ids of the rows, where scores are plain numbers; row numbers without.
    policy
        ``"hard"``, ``"easy"``, ``"random"``, ``"middle"``, ``"stratified"``, or an object of
        those or `ByCluster`.
    labels
        Class of each row, for floors.
    class_floor
        Share of an equal division among classes that each class keeps at least: 0.5 is half of
        budget / classes, or all of a class that has fewer. Or numbers by class, which must exist.
    clusters, cluster_floor
        The same of clusters. Class floors are taken first, and count.
    noise_guard
        Share of the rows, with the highest suspicion of a wrong label, that is never kept.
    suspicion
        What to suspect by, high is suspect, (n,); the score itself without.
    exclude
        Rows that are out already, such as duplicates, (n,).
    neighbour
        Id of the example that each row duplicates or stands beside, (n,), carried along.
    seed
        Of chance and of ties.

    Raises
    ------
    InputError
        If a score is NaN, an id repeats, the budget is not in reach, floors do not fit it, or a
        class with a floor has no row.

    Examples
    --------
    >>> found = select([0.9, 0.1, 0.5, 0.7], 2, ids=["a", "b", "c", "d"])
    >>> found.kept, found.reasons
    (['a', 'd'], {'rank': 2, 'budget': 2})
    >>> found.at(3).kept
    ['a', 'c', 'd']
    """
    metric = scores.metric if isinstance(scores, Scores) else "score"
    if isinstance(scores, Scores):
        if ids is not None:
            raise InputError("ids: the scores have ids already; use scores.with_ids")
        values, known = scores.values, scores.ids
        labels = scores.labels if labels is None else labels
    else:
        values, known = as_score_values(scores), None
    n = values.size
    assigned = as_ids(ids, n) if known is None else known
    refuse_nan(values, assigned)
    row, rising = canonical_order(assigned)

    def ordered(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array if row is None else array[row]

    suspect = values if suspicion is None else as_score_values(suspicion)
    if suspect.size != n:
        raise InputError(f"suspicion: {suspect.size} numbers for {n} rows")
    refuse_nan(suspect, assigned)
    out = None if exclude is None else seal(np.asarray(exclude))
    if out is not None and (out.shape != (n,) or out.dtype.kind != "b"):
        raise InputError(f"exclude: shape {out.shape} of {out.dtype}; give True or False a row")
    number = isinstance(noise_guard, int | float | np.floating)
    if not number or not 0 <= noise_guard < 1:
        raise InputError(f"noise_guard = {noise_guard!r}: must be at least 0 and below 1")
    chosen = as_policy(policy)
    if isinstance(chosen, ByCluster) and clusters is None:
        raise InputError("clusters: the policy needs the cluster of each row")
    problem = _Problem(
        values=ordered(values), ids=rising, row=np.arange(n) if row is None else row,
        policy=chosen,
        classes=group_rows("labels", labels, n, row, as_floor(class_floor), "class_floor"),
        clusters=group_rows("clusters", clusters, n, row, as_floor(cluster_floor), "cluster_floor"),
        class_floor=class_floor, cluster_floor=cluster_floor,
        suspicion=ordered(suspect) if suspicion is not None else np.empty(0),
        noise_guard=float(noise_guard), excluded=None if out is None else ordered(out),
        neighbour=None if neighbour is None else ordered(seal(as_ids(neighbour, n))),
        seed=as_seed(seed), metric=metric,
    )  # fmt: skip
    return _select(problem, budget)


def as_budget(budget: Any, n: int) -> int:
    """Read a budget: a whole number of rows, or a share as a float."""
    number = isinstance(budget, int | float | np.integer | np.floating)
    if isinstance(budget, bool) or not number or not np.isfinite(budget):
        raise InputError(f"budget = {budget!r}: must be a whole number, or a share as a float")
    if isinstance(budget, float | np.floating):
        if not 0 < budget <= 1:
            raise InputError(
                f"budget = {budget!r}: a share must be above 0 and at most 1; write a whole "
                "number for a number of rows"
            )
        count = int(np.floor(float(budget) * n + 0.5 + GUARD))
    else:
        count = int(budget)
    if not 1 <= count <= n:
        raise InputError(f"budget = {budget!r}: is {count} of {n} rows; keep from 1 to {n}")
    return count


def _select(problem: _Problem, budget: Any) -> Selection:
    n = problem.values.size
    count = as_budget(budget, n)
    reason = np.full(n, BUDGET, dtype=np.uint8)
    if problem.excluded is not None:
        reason[problem.excluded] = EXCLUDED
    _drop_suspects(problem, reason)
    left = int(np.count_nonzero(reason == BUDGET))
    if count > left:
        raise InputError(
            f"budget = {budget!r}: asks for {count}, and {left} of {n} rows are left after "
            "exclusions and the noise guard; keep fewer, or lower noise_guard"
        )
    rows = None if left == n else np.flatnonzero(reason == BUDGET)
    ids, values = _of(rows, problem.ids), _of(rows, problem.values)
    inner = np.full(left, BUDGET, dtype=np.uint8)
    alone = isinstance(problem.policy, Middle) and not (
        (problem.classes and problem.class_floor) or (problem.clusters and problem.cluster_floor)
    )
    if alone:
        inner[middle(values, ids, problem.seed, count)] = RANK
    else:
        _by_key(problem, values, ids, rows, inner, count)
    if rows is None:
        reason = inner
    else:
        reason[rows] = inner
    cut = None
    if isinstance(problem.policy, Hard | Easy) and (inner == RANK).any():
        ranked = values[inner == RANK]
        cut = float(ranked.min() if isinstance(problem.policy, Hard) else ranked.max())
    return Selection(
        ids=problem.ids, score=problem.values, reason=reason, row=problem.row,
        neighbour=problem.neighbour, policy=problem.policy.name, metric=problem.metric,
        seed=problem.seed, cut=cut, classes=tally(problem.classes, reason),
        clusters=tally(problem.clusters, reason),
        again=partial(_select, problem),
    )  # fmt: skip


def _by_key(
    problem: _Problem, values: npt.NDArray[Any], ids: Ids, rows: Rows | None,
    inner: npt.NDArray[np.uint8], count: int,
) -> None:  # fmt: skip
    """Keep what floors ask for, then by the policy."""
    key = _key(problem, values, ids)
    for name, groups, floor, code in (
        ("class_floor", problem.classes, problem.class_floor, CLASS_FLOOR),
        ("cluster_floor", problem.clusters, problem.cluster_floor, CLUSTER_FLOOR),
    ):
        if groups is not None:
            codes = _of(rows, groups.codes)
            more = _take_floor(problem, name, groups, codes, floor, count, key, ids, inner)
            if more is not None:
                inner[more] = code
    _fill(problem, key, values, ids, rows, inner, count)


def _of(rows: Rows | None, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return column if rows is None else column[rows]


def _drop_suspects(problem: _Problem, reason: npt.NDArray[np.uint8]) -> None:
    if not problem.noise_guard:
        return
    there = reason == BUDGET
    count = int(np.floor(problem.noise_guard * np.count_nonzero(there) + GUARD))
    if count:
        key = problem.suspicion if problem.suspicion.size else problem.values
        reason[first(key, problem.ids, problem.seed, count, among=there)] = SUSPECT


def _key(problem: _Problem, values: npt.NDArray[Any], ids: Ids) -> Key:
    """Give what the policy prefers, largest first."""
    if isinstance(problem.policy, Easy):
        return np.asarray(-values)
    if isinstance(problem.policy, Random | Stratified):
        return hash_ids(ids, problem.seed)
    if isinstance(problem.policy, Middle):
        rank = ranks(values, ids, problem.seed)
        return np.asarray(-np.abs(2 * rank - (rank.size - 1)))
    return values


def _take_floor(
    problem: _Problem, name: str, groups: Groups, codes: npt.NDArray[Any], floor: Floor,
    count: int, key: Key, ids: Ids, inner: npt.NDArray[np.uint8],
) -> Bools | None:  # fmt: skip
    """Mark the rows that bring each group up to its floor."""
    available = count_codes(codes, len(groups.names))
    wanted = wanted_of(name, groups, floor, count, available)
    taken = inner != BUDGET
    have = count_codes(codes, len(groups.names), taken)
    short = np.maximum(wanted - have, 0)
    need = int(short.sum()) + int(taken.sum())
    if need > count:
        raise InputError(
            f"{name}: floors need {need} rows of a budget of {count}; lower them, or keep more"
        )
    if not short.any():
        return None
    return first_of_groups(key, ids, problem.seed, codes, short, among=_free(taken))


def _free(taken: Bools) -> Bools | None:
    """Mark the rows that are not taken; None where none is."""
    return ~taken if taken.any() else None


def _fill(
    problem: _Problem, key: Key, values: npt.NDArray[Any], ids: Ids, rows: Rows | None,
    inner: npt.NDArray[np.uint8], count: int,
) -> None:  # fmt: skip
    """Keep by the policy, up to the budget, what the floors have not."""
    policy = problem.policy
    taken = inner != BUDGET
    if isinstance(policy, Stratified | ByCluster):
        if isinstance(policy, Stratified):
            codes, size = _strata(policy, values, ids, problem.seed), policy.strata
        else:
            assert problem.clusters is not None
            codes, size = _of(rows, problem.clusters.codes), len(problem.clusters.names)
        held = count_codes(codes, size, taken)
        budgets = _budgets(problem, count_codes(codes, size), held, count) - held
        more = first_of_groups(key, ids, problem.seed, codes, budgets, among=_free(taken))
        inner[more] = STRATUM if isinstance(policy, Stratified) else ALLOCATION
    elif not taken.any():
        inner[first(key, ids, problem.seed, count)] = RANK
    else:
        left = count - int(np.count_nonzero(taken))
        inner[first(key, ids, problem.seed, left, among=~taken)] = RANK
        ranked = inner == RANK
        if ranked.any():
            # What is above the cut needed no floor.
            inner[taken & (key > key[ranked].min())] = RANK


def _budgets(
    problem: _Problem, sizes: npt.NDArray[np.int64], held: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    policy = problem.policy
    if isinstance(policy, ByCluster):
        assert problem.clusters is not None
        full = np.flatnonzero(sizes)
        complexity = np.asarray(policy.of(problem.clusters.names))[full]
        asked = allocate_clusters(
            complexity, sizes[full], count, temperature=policy.temperature, floor=policy.floor
        )
        counts = np.zeros_like(sizes)
        lower = np.maximum(held[full], np.minimum(policy.floor, sizes[full] - 1))
        counts[full] = (
            asked.counts if (asked.counts >= held[full]).all()
            else spread(asked.share * count, lower, sizes[full], count)[0]
        )  # fmt: skip
        return counts
    # What is over goes to the largest strata, as when they are filled from the smallest up.
    prefer = np.empty(sizes.size, dtype=np.int64)
    prefer[np.argsort(sizes, kind="stable")[::-1]] = np.arange(sizes.size)
    return spread(np.zeros(sizes.size), held, sizes, count, prefer=prefer)[0]


def _strata(policy: Stratified, values: npt.NDArray[Any], ids: Ids, seed: int) -> npt.NDArray[Any]:
    kind = np.uint16 if policy.strata <= 1 << 16 else np.int64
    if policy.of == "mass":
        return (ranks(values, ids, seed) * policy.strata // values.size).astype(kind)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError(
            "scores: are infinite; strata of equal width need finite scores, take "
            "Stratified(of='mass')"
        )
    found = np.zeros(values.size, dtype=kind)
    if low == high:
        return found
    for start in range(0, values.size, _PART):
        # Halves, so that a range of more than the largest float does not overflow.
        part = values[start : start + _PART].astype(np.float64) / 2 - low / 2
        place = part / (high / 2 - low / 2) * policy.strata
        found[start : start + _PART] = np.minimum(place.astype(np.int64), policy.strata - 1)
    return found
