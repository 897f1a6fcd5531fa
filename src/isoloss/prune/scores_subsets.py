"""Scores of many trainings on random subsets: memorization and influence."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.prune.scores_checks import BLOCK, as_yes_no, parts
from isoloss.prune.scores_result import Scores


def score_memorization(masks: Any, correct: Any) -> Scores:
    """Score by memorization: how much more often an example is right when it was trained on.

    ``P[right | i in S] - P[right | i not in S]`` over random subsets S, one training a subset.

    Parameters
    ----------
    masks
        Whether the example was in the subset of the run, (runs, n).
    correct
        Whether the run classifies it right, (runs, n).

    Returns
    -------
    Scores
        With columns ``inside`` and ``outside`` (how many runs), ``right_inside`` and
        ``right_outside`` (shares), and ``se``, the standard error of the difference. Its
        variances take one success and one failure more than were seen, so that a share of 0 or
        1 of a few runs is not taken for certain.

    Raises
    ------
    InputError
        If shapes differ, or an example is in all subsets or in none.

    References
    ----------
    arXiv:2008.03703, definition and estimator.

    Examples
    --------
    >>> masks = [[1, 1], [1, 0], [0, 1], [0, 0]]
    >>> found = score_memorization(masks, [[1, 1], [1, 1], [0, 1], [0, 1]])
    >>> found.values.tolist(), found.columns["inside"].tolist()
    ([1.0, 0.0], [2, 2])
    """
    m = as_yes_no("masks", masks)
    runs, n = m.shape
    c = as_yes_no("correct", correct, n)
    if c.shape != m.shape:
        raise InputError(f"correct: {c.shape[0]} runs where masks have {runs}")
    inside, both, right = (np.zeros(n, dtype=np.int64) for _ in range(3))
    for rows in parts(runs, n):
        part, good = np.asarray(m[rows], dtype=bool), np.asarray(c[rows], dtype=bool)
        inside += part.sum(axis=0)
        both += (part & good).sum(axis=0)
        right += good.sum(axis=0)
    outside = _outside(inside, runs)
    p, q = both / inside, (right - both) / outside
    return Scores(
        metric="memorization", source="arXiv:2008.03703",
        definition=f"share of {runs} runs that are right with the example, less that without",
        values=p - q,
        columns={
            "se": _error(both, inside, right - both, outside), "inside": inside,
            "outside": outside, "right_inside": p, "right_outside": q,
        },
    )  # fmt: skip


def score_influence(
    masks: Any, test_correct: Any, *, reduce: Literal["max", "sum-abs"] = "max"
) -> Scores:
    """Score by influence on test examples: how much more often they are right with an example.

    ``P[x'_j right | i in S] - P[x'_j right | i not in S]``, reduced over j. Test examples are taken
    in blocks, so that the matrix of all pairs is never held.

    Parameters
    ----------
    masks
        Whether the example was in the subset of the run, (runs, n).
    test_correct
        Whether the run classifies the test example right, (runs, tests).
    reduce
        ``"max"`` over tests, or ``"sum-abs"``. Both grow by chance alone with few runs: compare
        with ``se``, which is of the pair at the maximum.

    Raises
    ------
    InputError
        As `score_memorization`.

    References
    ----------
    arXiv:2008.03703; arXiv:2206.14486 for the two reductions.

    Examples
    --------
    >>> masks = [[1, 1], [1, 0], [0, 1], [0, 0]]
    >>> found = score_influence(masks, [[1, 1], [1, 0], [0, 1], [0, 0]])
    >>> found.values.tolist(), found.columns["test"].tolist()
    ([1.0, 1.0], [0, 1])
    """
    if reduce not in ("max", "sum-abs"):
        raise InputError(f"reduce = {reduce!r}: write 'max' or 'sum-abs'")
    m = np.asarray(as_yes_no("masks", masks), dtype=np.float32)
    runs, n = m.shape
    c = as_yes_no("test_correct", test_correct)
    if c.shape[0] != runs:
        raise InputError(f"test_correct: {c.shape[0]} runs where masks have {runs}")
    inside = m.sum(axis=0, dtype=np.float64).astype(np.int64)
    outside = _outside(inside, runs)
    best, total = np.full(n, -np.inf), np.zeros(n)
    where, at = np.zeros(n, dtype=np.int64), np.zeros((n, 2), dtype=np.int64)
    step = max(1, BLOCK // n)
    for start in range(0, c.shape[1], step):
        part = np.asarray(c[:, start : start + step], dtype=np.float32)
        # Counts are exact in float32 up to 2^24 runs.
        both = (m.T @ part).astype(np.float64)
        without = part.sum(axis=0, dtype=np.float64) - both
        pairs = both / inside[:, None] - without / outside[:, None]
        total += np.abs(pairs).sum(axis=1)
        place = pairs.argmax(axis=1)
        each = np.arange(n)
        better = pairs[each, place] > best
        best[better] = pairs[each, place][better]
        where[better] = start + place[better]
        at[better] = np.stack([both[each, place], without[each, place]], axis=1)[better]
    return Scores(
        metric=f"influence-{reduce}", source="arXiv:2008.03703, arXiv:2206.14486",
        definition=f"{'largest' if reduce == 'max' else 'sum of absolute'} gains of "
        f"{c.shape[1]} test examples, over {runs} runs",
        values=best if reduce == "max" else total,
        columns={
            "test": where, "se": _error(at[:, 0], inside, at[:, 1], outside), "inside": inside,
            "outside": outside,
        },
    )  # fmt: skip


def _outside(inside: npt.NDArray[np.int64], runs: int) -> npt.NDArray[np.int64]:
    bad = np.flatnonzero((inside == 0) | (inside == runs))
    if bad.size:
        raise InputError(
            f"masks: example {bad[0]} is in {inside[bad[0]]} of {runs} subsets, and so are "
            f"{bad.size - 1} others in all or none; draw more subsets, or leave them out"
        )
    return runs - inside


def _error(hit: Any, of: Any, hit_without: Any, of_without: Any) -> Array:
    p, q = (hit + 1) / (of + 2), (hit_without + 1) / (of_without + 2)
    return np.asarray(np.sqrt(p * (1 - p) / of + q * (1 - q) / of_without))
