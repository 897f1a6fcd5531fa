"""One sealed forecast, and truths of the law that its runs follow."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.runs import Runs
from isoloss.study.sealed import SealedForecast, seal
from isoloss.study.sealed.file import content_hash

N = np.repeat([1e7, 2e7, 4e7, 8e7, 1.6e8], 4)
D = np.tile([2e8, 8e8, 3e9, 1e10], 5)
TARGETS = ({"N": 6e8, "D": 2e10}, {"N": 1e9, "D": 4e10})
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def loss_at(N: Any, D: Any) -> Any:
    return 1.8 + 480 * N**-0.35 + 2100 * D**-0.37


@lru_cache(maxsize=1)
def table() -> Runs:
    chance = np.random.default_rng(1).standard_normal(len(N))
    return Runs(columns={"N": N, "D": D, "loss": loss_at(N, D) * np.exp(0.003 * chance)})


@lru_cache(maxsize=1)
def forecast() -> SealedForecast:
    return seal(
        table(), TARGETS, laws=["chinchilla", "additive"], draws=200, note="<b>n</b>", now=NOW
    )


def truth(which: int = 0, factor: float = 1.0) -> dict[str, float]:
    at = TARGETS[which]
    return {**at, "loss": float(loss_at(at["N"], at["D"])) * factor}


def answers() -> dict[str, Any]:
    """The content of the file, to be changed."""
    return copy.deepcopy(dict(forecast().answers))


def forged(folder: Path, content: dict[str, Any], name: str = "forged.json") -> Path:
    """A file with the right hash of whatever it says, as anybody can make one."""
    return plain_file(folder, content | {"sha256": content_hash(content)}, name)


def plain_file(folder: Path, content: Any, name: str = "changed.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), "utf8")
    return path
