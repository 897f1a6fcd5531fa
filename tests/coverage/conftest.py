"""A tiny real study, made once, and a fake procedure whose coverage is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoloss.coverage import Coverage, coverage
from isoloss.coverage.cells import Cell
from isoloss.coverage.procedures import PARTS, PROCEDURES, QUANTITIES, Repeat, Settings

CELLS = ("chinchilla/isoflop-20/normal", "coupled-1.15/isoflop-20/outliers")
TINY: dict[str, Any] = {"only": CELLS, "repeats": 2, "draws": 12}


@pytest.fixture(scope="session")
def tiny_options() -> dict[str, Any]:
    return dict(TINY)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coverage")
    coverage(out=folder, **TINY).write(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Coverage:
    from isoloss.coverage import read_coverage

    return read_coverage(tiny_folder / "coverage.json")


def fake_repeat(cell: Cell, index: int, settings: Settings, *, half: float = 1.6448536) -> Repeat:
    """Normal errors of known size and intervals of ``half`` standard deviations to either side.

    The coverage of mean and N_opt is that of a normal distribution; the oracle's intervals are
    half as wide, and of the same coverage.
    """
    words = [settings.seed, index, *cell.name.encode()]
    z = np.random.default_rng(words).standard_normal()
    values = np.full((len(cell.targets), len(PROCEDURES), len(QUANTITIES), 3), np.nan)
    for t, target in enumerate(cell.targets):
        for p, procedure in enumerate(PROCEDURES):
            size = 0.01 if procedure == "oracle" else 0.02
            for q, centre in enumerate((target.loss, target.loss, target.N_opt)):
                if centre is not None:
                    middle = np.log(centre) + size * z
                    values[t, p, q] = np.exp(middle + size * half * np.array([-1.0, 1.0, 0.0]))
    return Repeat(
        cell=cell.name,
        index=index,
        fresh=tuple(t.loss for t in cell.targets),
        values=values,
        laws=("chinchilla", "coupled"),
        cpu=(0.1,) * len(PARTS),
        failures=(),
    )


@pytest.fixture
def fake() -> Callable[..., Repeat]:
    return fake_repeat
