"""Text that tells apart runs which the numbers cannot: several experiments in one table."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.runs.notes import Note, configuration_ids
from isoloss.runs.rows import group_rows, short
from isoloss.runs.where import Condition

Marks = npt.NDArray[np.uint64]
_EXAMPLE_LIMIT = 80
_SHOWN = 8
_LEAST_ROWS = 8
"""An experiment of fewer rows is no example of what to select."""
_MOST_CHOSEN = 6
"""Columns in one suggestion; each costs a pass over all columns, which may be thousands."""


def mixture_note(
    columns: Mapping[str, Array],
    marks: Mapping[str, Marks],
    words: Mapping[str, Mapping[int, str]],
    resources: Sequence[str],
    settings: Iterable[str] = (),
) -> Note | None:
    """Warn of a table that may hold several experiments, with the condition that picks one.

    Parameters
    ----------
    columns
        The numbers of the kept rows.
    marks
        Column of text -> one mark a kept row; equal marks are equal texts.
    words
        Column of text -> mark -> text, as far as known.
    resources
        Axes among the columns that a law is of.
    settings
        Columns that were chosen before the run, whatever they are called.
    """
    labels = {name: column for name in sorted(marks) if repeats(column := marks[name])}
    if not labels:
        return None
    ids = configuration_ids(columns, settings).astype(np.uint64)
    split = {n: c for n, c in labels.items() if _count([ids, c]) > _count([ids])}
    what = "runs of one configuration differ in text that was left out"
    if not split:
        if len(resources) != 1:
            return None
        values = columns[resources[0]]
        split = {n: c for n, c in labels.items() if _overlap(values, c)}
        what = f"runs over one range of {resources[0]} differ in text that was left out"
    if not split:
        return None
    shown = ", ".join(
        f"{short(name)} with {len(np.unique(c))} values" for name, c in list(split.items())[:_SHOWN]
    )
    more = f" and {len(split) - _SHOWN} more" if len(split) > _SHOWN else ""
    return Note(
        "MIXED_TEXT",
        "warning",
        f"{what} ({shown}{more}); if it tells experiments apart, one law would take them for "
        f"noise: select one, {_example(split, labels, words)}",
    )


def repeats(mark: Marks) -> bool:
    """Whether values repeat, and so may name a data set or a recipe; others only name a run."""
    return 1 < len(np.unique(mark)) <= mark.size // 2


def _count(columns: Sequence[Marks]) -> int:
    """Count distinct rows."""
    return int(_ids(columns).max()) + 1


def _ids(columns: Sequence[Marks]) -> npt.NDArray[np.int64]:
    # Only equality counts, so each mark may stand as the rank of its value, exact as a float.
    return group_rows([np.unique(c, return_inverse=True)[1].astype(np.float64) for c in columns])


def _overlap(values: Array, mark: Marks) -> bool:
    """Whether runs of different text interleave along the resource."""
    _, group = np.unique(mark, return_inverse=True)
    low, high = np.full(group.max() + 1, np.inf), np.full(group.max() + 1, -np.inf)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    order = np.argsort(low, kind="stable")
    return bool((low[order][1:] < np.maximum.accumulate(high[order])[:-1]).any())


def _example(
    split: Mapping[str, Marks], labels: Mapping[str, Marks], words: Mapping[str, Mapping[int, str]]
) -> str:
    """Condition for the experiment with the most rows, in the shell and in Python."""
    chosen = _telling(split, labels)
    groups = _ids([labels[name] for name in chosen])
    counts = np.bincount(groups)
    found = []
    for group in np.flatnonzero(counts == counts.max()):
        row = int(np.flatnonzero(groups == group)[0])
        texts = [words.get(name, {}).get(int(labels[name][row])) for name in chosen]
        known = [t for t in texts if t is not None and len(t) <= _EXAMPLE_LIMIT]
        if len(known) == len(chosen):
            found.append(known)
    if not found:
        name = chosen[0]
        return f"--where {shlex.quote(f'{name}=VALUE')} (in Python: where={{{name!r}: 'VALUE'}})"
    pairs = dict(zip(chosen, min(found), strict=True))
    text = ",".join(str(Condition(name, "=", (value,))) for name, value in pairs.items())
    return (
        f"such as --where {shlex.quote(text)} (in Python: where={pairs!r}), which keeps "
        f"{counts.max():,} of {len(groups):,} rows"
    )


def _telling(split: Mapping[str, Marks], labels: Mapping[str, Marks]) -> list[str]:
    """Few columns that name one experiment: together they tell apart all that the labels do.

    Columns are added while the largest group stays large enough to fit a law to.
    """
    coarse = {n: c for n, c in labels.items() if len(np.unique(c)) * _LEAST_ROWS <= c.size}
    usable = coarse or dict(split)
    whole = _count(list(usable.values()))
    chosen: list[str] = []
    groups, count = np.zeros_like(next(iter(usable.values()))), 1
    while count < whole and len(chosen) < _MOST_CHOSEN:
        counts = {n: _count([groups, c]) for n, c in usable.items() if n not in chosen}
        # Of those that tell more apart, what the warning is about goes first.
        best = max(counts, key=lambda n: (counts[n] > count, n in split, counts[n]))
        finer = _ids([groups, labels[best]])
        if chosen and np.bincount(finer).max() < _LEAST_ROWS:
            break
        chosen.append(best)
        groups, count = finer.astype(np.uint64), counts[best]
    for name in list(chosen):
        if _is_redundant(name, chosen, labels):
            chosen.remove(name)
    return chosen


def _is_redundant(name: str, chosen: Sequence[str], labels: Mapping[str, Marks]) -> bool:
    rest = [labels[n] for n in chosen if n != name]
    return bool(rest) and _count(rest) == _count([labels[n] for n in chosen])
