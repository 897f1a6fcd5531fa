"""Small data and settings with which pilots train in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoloss.study.pilot_scores import Scoring
from isoloss.study.pilots import Network
from isoloss.sweep import DataSpec, Mlp

SCORING = Scoring(
    networks=2, epochs=3, early=1, subsets=24, share=0.5, subset_epochs=1, width=8, subset_width=4,
    batch=16, k=6,
)  # fmt: skip
NETWORK = Network(model=Mlp(width=8), epochs=3.0, batch=16)


def blobs(folder: Path, n: int = 400, *, classes: int = 3, dim: int = 6, seed: int = 0) -> DataSpec:
    """Classes around centres, written as arrays."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((classes, dim))
    held = {}
    for part, count in (("train", n), ("valid", 60), ("test", 150)):
        y = rng.integers(classes, size=count)
        x = centres[y] + rng.standard_normal((count, dim))
        held[f"{part}_x"], held[f"{part}_y"] = x.astype(np.float32), y
    path = folder / "blobs.npz"
    np.savez(path, **held)
    return DataSpec(name="arrays", path=str(path))
