"""Scores of a whole training: forgetting events, areas under the margin, votes of many models."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.prune.scores_checks import Of, as_yes_no
from isoloss.prune.scores_result import Scores

NeverLearned = Literal["presentations", "inf", "zero"]
_NEVER = {
    "presentations": "the number of its presentations where it was never learned",
    "inf": "infinite where it was never learned",
    "zero": "0 where it was never learned, as where it was never forgotten",
}


def score_forgetting(
    correct: Any, *, presented: Any = None, never_learned: NeverLearned = "presentations"
) -> Scores:
    """Score by forgetting events: times that an example was right and, when next seen, wrong.

    An example that was never right was never forgotten either, and a plain count takes it for the
    easiest. It has a column of its own here, and by default a score above all counts.

    Parameters
    ----------
    correct
        Whether the example was classified right, in the order of training, (times, n).
    presented
        Whether it was looked at then, (times, n); by default always. Only these times count.
    never_learned
        Score of examples that were never right: ``"presentations"``, how often they were seen, as
        in the first code; ``"inf"``; or ``"zero"``, as some libraries do, which prunes them as
        easy.

    Raises
    ------
    InputError
        If an example was never presented, shapes differ, or numbers are not 0 and 1.

    References
    ----------
    arXiv:1812.05159 and its code.

    Examples
    --------
    >>> seen = [[1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 1]]
    >>> found = score_forgetting(seen)
    >>> found.values.tolist(), found.columns["never_learned"].tolist()
    ([2.0, 4.0, 0.0], [False, True, False])
    """
    if never_learned not in _NEVER:
        raise InputError(f"never_learned = {never_learned!r}: write one of {', '.join(_NEVER)}")
    table = as_yes_no("correct", correct)
    times, n = table.shape
    shown = None if presented is None else as_yes_no("presented", presented, n)
    if shown is not None and shown.shape != table.shape:
        raise InputError(f"presented: shape {shown.shape} for {table.shape} of correct")
    events, seen = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    learned, before = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for time in range(times):
        now = np.asarray(table[time], dtype=bool)
        there = np.ones(n, dtype=bool) if shown is None else np.asarray(shown[time], dtype=bool)
        events += there & before & ~now
        learned |= there & now
        seen += there
        before = np.where(there, now, before)
    return forgetting_scores(events, seen, learned, never_learned)


def forgetting_scores(
    events: npt.NDArray[Any], seen: npt.NDArray[Any], learned: npt.NDArray[Any],
    never_learned: NeverLearned,
) -> Scores:  # fmt: skip
    """Make scores of counts that are there already."""
    missing = np.flatnonzero(seen == 0)
    if missing.size:
        raise InputError(
            f"presented: example {missing[0]} and {missing.size - 1} others were never looked at; "
            "leave them out"
        )
    values = events.astype(np.float64)
    if never_learned != "zero":
        values[~learned] = np.inf if never_learned == "inf" else seen[~learned]
    return Scores(
        metric="forgetting", source="arXiv:1812.05159",
        definition=f"times right and next wrong; {_NEVER[never_learned]}", values=values,
        columns={"events": events, "presentations": seen, "never_learned": ~learned},
    )  # fmt: skip


def score_aum(margins: Any, *, of: Of, reduce: Literal["mean", "sum"] = "mean") -> Scores:
    """Score by minus the area under the margin, over the times of a training.

    Parameters
    ----------
    margins
        What `margin` gives at each time, (times, n); low is hard there and high here.
    of
        What the margins are of, to be recorded: ``"logits"`` is the area under the margin of
        its paper, ``"probabilities"`` the accumulated margin of coverage-centric selection.
    reduce
        ``"mean"`` or ``"sum"`` over times; they rank alike.

    Raises
    ------
    InputError
        If margins are not finite or ``of`` is neither.

    References
    ----------
    arXiv:2001.10528; arXiv:2210.15809 for probabilities.

    Examples
    --------
    >>> score_aum([[1.0, -2.0], [3.0, -1.0]], of="logits").values.tolist()
    [-2.0, 1.5]
    """
    if of not in ("logits", "probabilities"):
        raise InputError(f"of = {of!r}: write 'logits' or 'probabilities'")
    if reduce not in ("mean", "sum"):
        raise InputError(f"reduce = {reduce!r}: write 'mean' or 'sum'")
    table = np.asarray(margins)
    if table.ndim != 2 or table.size == 0 or table.dtype.kind not in "biuf":
        raise InputError(f"margins: shape {table.shape} of {table.dtype}; give (times, examples)")
    total = np.zeros(table.shape[1])
    for row in table:
        total += row
    bad = np.flatnonzero(~np.isfinite(total))
    if bad.size:
        raise InputError(f"margins of example {bad[0]}: are not finite; leave it out")
    times = table.shape[0]
    return Scores(
        metric="aum", source="arXiv:2001.10528" if of == "logits" else "arXiv:2210.15809",
        definition=f"minus the {reduce} over {times} times of the margin of {of}",
        values=-total / (times if reduce == "mean" else 1),
    )  # fmt: skip


def score_misclassified(predictions: Any, labels: Any) -> Scores:
    """Score by how many models of an ensemble are wrong; a whole number, with many ties.

    Parameters
    ----------
    predictions
        Classes that models predict, (models, n).
    labels
        Classes, (n,).

    References
    ----------
    arXiv:2206.14486, where it is called DDD.

    Examples
    --------
    >>> score_misclassified([[0, 1], [0, 0]], [0, 1]).values.tolist()
    [0.0, 1.0]
    """
    table, y = _predictions(predictions), np.asarray(labels)
    if y.shape != (table.shape[1],):
        raise InputError(f"labels: shape {y.shape} for {table.shape[1]} examples")
    wrong = np.zeros(y.size, dtype=np.int64)
    for row in table:
        wrong += row != y
    return Scores(
        metric="misclassified", definition=f"models of {len(table)} that misclassify the example",
        source="arXiv:2206.14486", values=wrong, labels=y,
    )  # fmt: skip


def score_disagreement(
    predictions: Any, *, measure: Literal["entropy", "minority"] = "entropy"
) -> Scores:
    """Score by how much models of an ensemble disagree; no label is needed.

    Parameters
    ----------
    predictions
        Classes that models predict, whole numbers from 0, (models, n).
    measure
        ``"entropy"`` of the votes in nats, or ``"minority"``, the share that is not of the
        largest class.

    Examples
    --------
    >>> score_disagreement([[0, 1], [0, 0]]).values.round(6).tolist()
    [0.0, 0.693147]
    """
    table = _predictions(predictions)
    classes = int(table.max()) + 1
    if table.min() < 0 or classes > 1 << 20:
        raise InputError("predictions: must be whole numbers from 0, at most a million classes")
    ordered = np.sort(table, axis=0)
    models, n = table.shape
    entropy, largest, run = np.zeros(n), np.zeros(n), np.ones(n)
    for i in range(1, models + 1):
        ends = np.ones(n, dtype=bool) if i == models else ordered[i] != ordered[i - 1]
        share = run / models
        entropy -= np.where(ends, share * np.log(share), 0.0)
        largest = np.where(ends, np.maximum(largest, run), largest)
        run = np.where(ends, 1.0, run + 1.0)
    return _votes(entropy, 1 - largest / models, measure, f"{models} models")


def score_votes(counts: Any, *, measure: Literal["entropy", "minority"] = "entropy") -> Scores:
    """Score by how much votes disagree, of people or of models.

    Parameters
    ----------
    counts
        Votes for each class, (n, classes).
    measure
        As `score_disagreement`.

    Raises
    ------
    InputError
        If an example has no vote, or counts are below zero.

    Examples
    --------
    >>> score_votes([[3, 1], [4, 0]], measure="minority").values.tolist()
    [0.25, 0.0]
    """
    table = np.asarray(counts)
    if table.ndim != 2 or table.size == 0 or table.dtype.kind not in "biuf":
        raise InputError(f"counts: shape {table.shape} of {table.dtype}; give (n, classes)")
    votes = table.astype(np.float64)
    total = votes.sum(axis=1, keepdims=True)
    bad = ~((votes >= 0).all(axis=1) & (total[:, 0] > 0) & np.isfinite(total[:, 0]))
    if bad.any():
        raise InputError(
            f"counts[{np.flatnonzero(bad)[0]}]: must be zero or more, with a vote at least"
        )
    share = votes / total
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    return _votes(np.maximum(entropy, 0.0), 1 - share.max(axis=1), measure, "the votes")


def _votes(entropy: Array, minority: Array, measure: str, of: str) -> Scores:
    if measure not in ("entropy", "minority"):
        raise InputError(f"measure = {measure!r}: write 'entropy' or 'minority'")
    name = "entropy in nats" if measure == "entropy" else "share outside the largest class"
    return Scores(
        metric="disagreement", definition=f"{name} of {of}", source="arXiv:2206.14486",
        values=np.abs(entropy) if measure == "entropy" else minority,
    )  # fmt: skip


def _predictions(predictions: Any) -> npt.NDArray[Any]:
    table = np.asarray(predictions)
    if table.ndim != 2 or table.size == 0 or table.dtype.kind not in "biu":
        raise InputError(
            f"predictions: shape {table.shape} of {table.dtype}; give classes, (models, examples)"
        )
    return table
