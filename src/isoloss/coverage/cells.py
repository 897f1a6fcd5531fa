"""Cells: one truth, one design, one noise; and which of them a size of study holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import numpy as np

from isoloss.coverage.designs import DESIGNS, Design, Target
from isoloss.coverage.noises import NOISES, Noise
from isoloss.coverage.truths import TRUTHS, Truth
from isoloss.errors import InputError
from isoloss.runs import Runs, read_runs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """One truth seen through one design and one noise."""

    truth: Truth
    design: Design
    noise: Noise

    @property
    def name(self) -> str:
        """``truth/design/noise``."""
        return f"{self.truth.name}/{self.design.name}/{self.noise.name}"

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where answers are asked for."""
        return _targets(self.design, self.truth)

    def simulate(self, repeat: int, seed: int) -> tuple[Runs, list[float]]:
        """Draw a table of runs, and the loss of a fresh run at each target.

        The stream depends on the seed, the names and the number of the repeat and on nothing
        else, so any subset in any order gives the same tables.
        """
        words = np.frombuffer(hashlib.sha256(self.name.encode()).digest(), dtype="<u4")
        rng = np.random.default_rng([seed, repeat, *words.tolist()])
        x = self.design.draw(rng)
        scale = 6 * x["N"] * x["D"] if "N" in x else x["D"]
        noise = self.noise.draw(scale / self.design.high, rng)
        runs = read_runs(x | {"loss": self.truth.loss(x) * np.exp(noise)})
        ahead = np.array([t.scale for t in self.targets]) / self.design.high
        fresh = np.array([t.loss for t in self.targets]) * np.exp(self.noise.draw(ahead, rng))
        return runs, fresh.tolist()


@cache
def _targets(design: Design, truth: Truth) -> tuple[Target, ...]:
    return design.targets(truth)


ALL_CELLS = {
    cell.name: cell
    for cell in (
        Cell(truth=t, design=d, noise=n)
        for t in TRUTHS.values()
        for d in DESIGNS.values()
        if d.axes == t.axes
        for n in NOISES.values()
    )
}

_QUICK = (
    *(
        f"{truth}/isoflop-20/normal"
        for truth in ("chinchilla", "coupled-1.15", "kaplan", "drifting", "slow-term", "bent-floor")
    ),
    *(f"{truth}/isoflop-45/normal" for truth in ("chinchilla", "coupled-1.15", "drifting")),
    *(f"chinchilla/isoflop-20/{n}" for n in ("shrinking", "heavy", "one-sided", "outliers")),
    "chinchilla/seeds-60/normal",
    *(f"{truth}/points-24/normal" for truth in ("curve-floor", "curve-drifting")),
)

SIZES: dict[str, tuple[tuple[str, ...], int]] = {
    "quick": (_QUICK, 20),
    "nightly": (tuple(ALL_CELLS), 40),
}
"""Size to the cells it holds and the repeats of each."""


def select_cells(size: str, only: Sequence[str] = ()) -> list[Cell]:
    """Pick the cells of a size, or those that match one of the patterns.

    Parameters
    ----------
    size
        ``quick`` or ``nightly``.
    only
        Patterns of names such as ``"chinchilla/*/normal"``; all cells are looked through, also
        those that the size does not hold.

    Raises
    ------
    InputError
        For an unknown size, or a pattern that no cell matches.

    Examples
    --------
    >>> [cell.name for cell in select_cells("quick", ["kaplan/*-20/[hn]*"])]
    ['kaplan/isoflop-20/normal', 'kaplan/isoflop-20/heavy']
    """
    if size not in SIZES:
        raise InputError(f"size = {size!r}: choose one of {', '.join(SIZES)}")
    if not only:
        return [ALL_CELLS[name] for name in SIZES[size][0]]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in ALL_CELLS):
            raise InputError(
                f"only = {pattern!r}: no cell has such a name; cells are TRUTH/DESIGN/NOISE with "
                f"truths {', '.join(TRUTHS)}; designs {', '.join(DESIGNS)} (points-* for curves); "
                f"noises {', '.join(NOISES)}"
            )
    return [c for n, c in ALL_CELLS.items() if any(fnmatchcase(n, p) for p in only)]
