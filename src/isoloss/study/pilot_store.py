"""Scores and selections of pilots on disk: made once, whole or not at all, found again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.serial import to_json, write_atomic
from isoloss.errors import InputError
from isoloss.prune import read_scores, select, write_scores, write_selection
from isoloss.spectra.npy import read_npy
from isoloss.study.pilot_scores import Scored, Scoring, score_pool
from isoloss.study.pilot_text import TextScoring, score_text
from isoloss.sweep.data.pieces import pieces
from isoloss.sweep.data.table import Data, subset_order

Rows = npt.NDArray[np.int64]


class Store:
    """A folder of what pilots need, by a key of the data and of how scores are made.

    Another data set or other settings get files of their own: nothing is mixed, and nothing that is
    there is made again.
    """

    def __init__(
        self, folder: Path, data: Data, scoring: Scoring | TextScoring, device: str = "cpu",
        piece: int = 0,
    ) -> None:  # fmt: skip
        self.folder, self.data, self.scoring, self.device = folder, data, scoring, device
        self.piece, self.units = piece, pieces(data, piece) if piece else data.examples
        self.of_data = data.digest[:8] + f"-piece{piece}" * bool(piece)
        made_of = [data.digest, scoring.to_dict(), *[piece] * bool(piece)]
        text = json.dumps(made_of, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:12]

    def pool(self, size: int, seed: int) -> Rows:
        """Rows of a pool, rising: smaller pools of a seed lie in its larger ones."""
        return np.sort(subset_order(self.units, seed)[:size])

    def lacking(self, size: int, seed: int, metrics: Sequence[str]) -> list[str]:
        """Metrics that the pool has no scores of yet."""
        place = self._place(size, seed)
        return [name for name in metrics if not (place / name).is_dir()]

    def make(
        self, size: int, seed: int, metrics: Sequence[str], on_step: Callable[[str], None] | None
    ) -> None:
        """Score a pool and write the scores."""
        place = self._place(size, seed)
        place.mkdir(parents=True, exist_ok=True)
        write_atomic(place.parent / "scoring.json", to_json(self.scoring.to_dict()))
        made = self._scored(self.pool(size, seed), metrics, seed, on_step)
        for torn in place.glob(".*.tmp"):
            shutil.rmtree(torn, ignore_errors=True)
        for name, scored in made.items():
            new = place / f".{name}-{os.getpid()}.tmp"
            write_scores(scored.scores, new)
            cost = {"flops": scored.flops, "cpu_seconds": round(scored.cpu_seconds, 3)}
            write_atomic(new / "cost.json", to_json(cost))
            if scored.clusters is not None and scored.complexity is not None:
                _save(new / "clusters.npy", scored.clusters)
                _save(new / "complexity.npy", scored.complexity)
            # A folder has its name only when all of it is there.
            new.rename(place / name)

    def _scored(
        self, rows: Rows, metrics: Sequence[str], seed: int, on_step: Callable[[str], None] | None
    ) -> dict[str, Scored]:
        if isinstance(self.scoring, TextScoring):
            return score_text(
                self.data, self.piece, rows, metrics, scoring=self.scoring, seed=seed,
                device=self.device, on_step=on_step,
            )  # fmt: skip
        return score_pool(
            self.data, rows, metrics, scoring=self.scoring, seed=seed, device=self.device,
            on_step=on_step,
        )  # fmt: skip

    def read(self, size: int, seed: int, metric: str) -> Scored:
        """Read what `make` wrote."""
        place = self._place(size, seed) / metric
        try:
            cost = json.loads((place / "cost.json").read_text("utf8"))
            flops, seconds = float(cost["flops"]), float(cost["cpu_seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"{place}/cost.json: is damaged; delete {place} to score again"
            ) from None
        scores = read_scores(place)
        if scores.ids is None or not np.array_equal(scores.ids, self.pool(size, seed)):
            raise InputError(f"{place}: scores of other examples; delete it to score again")
        clustered = (place / "clusters.npy").is_file()
        return Scored(
            scores=scores, flops=flops, cpu_seconds=seconds,
            clusters=np.array(read_npy(place / "clusters.npy")) if clustered else None,
            complexity=np.array(read_npy(place / "complexity.npy")) if clustered else None,
        )  # fmt: skip

    def selection(
        self, size: int, seed: int, keep: float, *, metric: str = "", policy: str = "random",
        class_floor: float = 0.0, noise_guard: float = 0.0,
    ) -> tuple[Path, int]:  # fmt: skip
        """Write a selection, unless it is there; its file, and how many it keeps."""
        count = max(1, int(np.floor(keep * size + 0.5)))
        key = self.key if metric else self.of_data
        name = f"{key}-pool{size}-seed{seed}-{metric or 'none'}-{policy}-keep{keep:g}"
        name += f"-floor{class_floor:g}" * bool(class_floor) + f"-guard{noise_guard:g}" * bool(
            noise_guard
        )
        path = self.folder / "selections" / f"{name}.npy"
        if path.is_file() and path.with_name(path.name + ".json").is_file():
            return path, count
        pool = self.pool(size, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        if metric:
            scored = self.read(size, seed, metric)
            found = select(
                scored.scores, count, policy=scored.policy(policy), class_floor=class_floor,
                noise_guard=noise_guard, clusters=scored.clusters, seed=seed,
            )  # fmt: skip
        else:
            found = select(np.zeros(size), count, ids=pool, policy="random", seed=seed)
        # Readers hold this number against the training part, whose rows the ids are.
        about = {"rows": self.units, "pool": size, "arguments": {
            "metric": metric, "keep": keep, "class_floor": class_floor, "noise_guard": noise_guard,
        }}  # fmt: skip
        write_selection(found, path, overwrite=True, about=about)
        return path, count

    def _place(self, size: int, seed: int) -> Path:
        return self.folder / "scores" / self.key / f"pool{size}-seed{seed}"


def _save(path: Path, values: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    write_atomic(path, buffer.getvalue())
