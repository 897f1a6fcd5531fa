"""All scores of a recorded training, in one pass over its times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.prune.dynamics import ledger_lines, piece_files
from isoloss.prune.scores_checks import as_whole
from isoloss.prune.scores_ids import Ids
from isoloss.prune.scores_result import Scores
from isoloss.prune.scores_training import NeverLearned, forgetting_scores
from isoloss.spectra.npy import read_npy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dynamics:
    """Scores of one training, all over the same examples.

    Attributes
    ----------
    scores
        By name: ``forgetting``; where outputs were recorded ``el2n`` (early times),
        ``accumulated-margin`` (of probabilities), ``confidence`` and ``variability``; where
        logits were, ``aum``.
    epochs
        Times recorded, rising.
    notes
        What was left out or counted twice, in sentences.
    """

    scores: Mapping[str, Scores]
    epochs: tuple[int, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Dynamics({', '.join(self.scores)}; {len(self.epochs)} times)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "scores": {k: v.to_dict() for k, v in self.scores.items()},
            "epochs": list(self.epochs), "notes": list(self.notes),
        }  # fmt: skip


def read_dynamics(
    folder: Any, *, early: int = 10, never_learned: NeverLearned = "presentations"
) -> Dynamics:
    """Make all scores of what a `Recorder` wrote, in one pass, in memory for the examples alone.

    Pieces that are damaged or not finished are left out, and a note says so.

    Parameters
    ----------
    folder
        That of the recorder.
    early
        How many of the first times EL2N is a mean over.
    never_learned
        As in `score_forgetting`.

    Raises
    ------
    InputError
        If nothing was recorded, or an example has two labels.

    References
    ----------
    arXiv:2107.07075, arXiv:1812.05159, arXiv:2001.10528, arXiv:2210.15809; arXiv:2009.10795 for
    confidence and variability.
    """
    early = as_whole("early", early, 1)
    pieces, notes = _pieces(Path(folder))
    if not pieces:
        raise InputError(f"{folder}: holds no record; see Recorder")
    ids, epochs = pieces[0][0][:0], np.empty(0, dtype=np.int32)
    for found, when, _ in pieces:
        if (found.dtype.kind == "S") != (ids.dtype.kind == "S"):
            raise InputError("ids: some records have numbers and some texts")
        ids = np.union1d(ids, np.asarray(found))
        epochs = np.union1d(epochs, when[:, 0])
    state = _State(ids)
    for number, epoch in enumerate(epochs):
        state.add(*_gather(pieces, int(epoch), ids), early=number < early)
    if state.repeated:
        notes.append(f"{state.repeated} records were repeated at their time; the last ones count")
    return Dynamics(
        scores=state.scores(min(early, epochs.size), never_learned),
        epochs=tuple(int(e) for e in epochs), notes=tuple(notes),
    )  # fmt: skip


class _State:
    """Sums over times, one number an example each."""

    def __init__(self, ids: Ids) -> None:
        n = ids.size
        self.ids, self.repeated = ids, 0
        self.labels = np.full(n, -1, dtype=np.int32)
        self.events, self.seen, self.seen_early = (np.zeros(n, dtype=np.int64) for _ in range(3))
        self.before, self.learned = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.el2n, self.p, self.p2, self.margin, self.logit = (np.zeros(n) for _ in range(5))

    def add(
        self, place: npt.NDArray[Any], labels: Any, values: Any, repeated: int, *, early: bool
    ) -> None:
        self.repeated += repeated
        known = self.labels[place]
        if ((known >= 0) & (known != labels)).any():
            i = place[np.flatnonzero((known >= 0) & (known != labels))[0]]
            raise InputError(f"labels: example {self.ids[i]!r} was recorded with two labels")
        self.labels[place] = labels
        now = values[:, 0] > 0.5
        self.events[place] += self.before[place] & ~now
        self.before[place] = now
        self.learned[place] |= now
        self.seen[place] += 1
        wide = values.astype(np.float64)
        self.p[place] += wide[:, 1]
        self.p2[place] += wide[:, 1] ** 2
        self.margin[place] += wide[:, 3]
        self.logit[place] += wide[:, 4]
        if early:
            self.seen_early[place] += 1
            self.el2n[place] += wide[:, 2]

    def scores(self, early: int, never_learned: NeverLearned) -> dict[str, Scores]:
        def make(name: str, definition: str, source: str, values: Any) -> None:
            if np.isfinite(values).all():
                found[name] = Scores(
                    metric=name, definition=definition, source=source, values=values,
                    ids=self.ids, labels=self.labels, columns={"presentations": self.seen},
                )  # fmt: skip

        counts = forgetting_scores(self.events, self.seen, self.learned, never_learned)
        found = {"forgetting": counts.with_ids(self.ids, self.labels)}
        mean = self.p / self.seen
        spread = np.sqrt(np.maximum(self.p2 / self.seen - mean**2, 0.0))
        if (self.seen_early > 0).all():
            make("el2n", f"mean over the first {early} times of |softmax - onehot(label)|_2",
                 "arXiv:2107.07075", self.el2n / self.seen_early)  # fmt: skip
        make("aum", "minus the mean over times of the margin of logits", "arXiv:2001.10528",
             -self.logit / self.seen)  # fmt: skip
        make("accumulated-margin", "minus the mean over times of the margin of probabilities",
             "arXiv:2210.15809", -self.margin / self.seen)  # fmt: skip
        make("confidence", "minus the mean over times of the label's probability",
             "arXiv:2009.10795", -mean)  # fmt: skip
        make("variability", "standard deviation over times of the label's probability",
             "arXiv:2009.10795", spread)  # fmt: skip
        return found


_Piece = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def _gather(pieces: list[_Piece], epoch: int, ids: Ids) -> tuple[Any, Any, Any, int]:
    """Places, labels and values of one time; of a place that is there twice the last."""
    found = []
    for names, when, values in pieces:
        rows = np.flatnonzero(when[:, 0] == epoch)
        if rows.size:
            found.append((np.searchsorted(ids, names[rows]), when[rows, 1], values[rows]))
    place, labels, values = (np.concatenate(part) for part in zip(*found, strict=True))
    _, last = np.unique(place[::-1], return_index=True)
    last = place.size - 1 - last
    return place[last], labels[last], values[last], place.size - last.size


def _pieces(folder: Path) -> tuple[list[_Piece], list[str]]:
    pieces, notes = [], []
    for ledger in sorted(folder.glob("ledger-*.jsonl")):
        writer = ledger.name.removeprefix("ledger-").removesuffix(".jsonl")
        for line in ledger_lines(ledger):
            files = piece_files(folder, writer, line["piece"])
            digest = hashlib.sha256()
            try:
                for path in files:
                    digest.update(path.read_bytes())
                if digest.hexdigest() != line["digest"]:
                    raise InputError("other bytes than were written")
                ids, when, values = (read_npy(path) for path in files)
            except (OSError, InputError) as error:
                notes.append(f"{files[0].name} and its like are left out: {error}")
                continue
            pieces.append((ids, when, values))
    return pieces, notes
