"""Small tables of runs, and the command line called in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from isoloss.cli import main

SIZES = np.repeat([1e7, 2e7, 4e7, 8e7, 1.6e8], 6)
DATA = np.tile([2e8, 5e8, 1e9, 2e9, 5e9, 1e10], 5)
FEW = ("--draws", "50")


def losses(N: np.ndarray, D: np.ndarray, *, noise: float = 0.002, seed: int = 0) -> np.ndarray:
    """A law that is known, with a little noise."""
    chance = np.random.default_rng(seed).standard_normal(len(N))
    return (1.8 + 480 * N**-0.35 + 2100 * D**-0.37) * np.exp(noise * chance)


def text(**columns: object) -> str:
    """Columns as CSV, every digit kept."""
    rows = [",".join(columns)]
    rows += [",".join(str(v) for v in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(rows) + "\n"


def good(**changes: object) -> str:
    """Thirty runs that a law of N and D fits."""
    columns = {"N": SIZES.tolist(), "D": DATA.tolist(), "loss": losses(SIZES, DATA).tolist()}
    return text(**(columns | changes))


def confounded() -> str:
    """Runs in which D is always twenty times N."""
    N = 1e7 * 1.3 ** np.arange(24)
    return text(N=N.tolist(), D=(20 * N).tolist(), loss=losses(N, 20 * N).tolist())


def one_axis() -> str:
    """Runs that vary the data alone."""
    D = np.geomspace(1e8, 1e11, 20)
    chance = np.random.default_rng(3).standard_normal(20)
    return text(D=D.tolist(), loss=((1.8 + 2100 * D**-0.37) * np.exp(0.002 * chance)).tolist())


def call(*words: object, stdin: str | bytes | None = None) -> Result:
    """Run the command line; anything but a clean exit is raised here."""
    result = CliRunner().invoke(main, [str(w) for w in words], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write(folder: Path, content: str | bytes, name: str = "runs.csv") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
