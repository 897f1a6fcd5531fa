"""Shared by all tests: measured rows that live beside the repository, when they do."""

from __future__ import annotations

import csv
import os
import tomllib
from pathlib import Path
from typing import Any

# Threads of BLAS wait for each other by spinning: sixty times as long on a busy machine.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import pytest

from isoloss.runs import Runs

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Reference numbers with their sources."""
    return tomllib.loads((GOLDEN / "chinchilla.toml").read_text("utf8"))


@pytest.fixture(scope="session")
def relatives() -> dict[str, Any]:
    """Reference numbers of laws beside the joint ones, with their sources."""
    return tomllib.loads((GOLDEN / "relatives.toml").read_text("utf8"))


@pytest.fixture(scope="session")
def epoch_rows() -> Runs:
    """All 245 rows read off the published figure: N, C, loss, and D = C / (6 N)."""
    path = SHARED / "epoch-chinchilla" / "svg_extracted_data.csv"
    if not path.exists():
        pytest.skip("the shared data folder is not beside the repository")
    with path.open(newline="", encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    n, c, loss = (
        np.array([float(row[k]) for row in rows]) for k in ("Model Size", "Training FLOP", "loss")
    )
    return Runs(columns={"N": n, "D": c / (6 * n), "C": c, "loss": loss})


@pytest.fixture(scope="session")
def epoch_240(epoch_rows: Runs) -> Runs:
    """The rows without the five highest losses, as the authors use them."""
    return epoch_rows.select(np.sort(np.argsort(epoch_rows["loss"])[:-5]))
