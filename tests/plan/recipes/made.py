"""Made runs of recipes."""

from __future__ import annotations

import numpy as np

from isoloss.runs import Runs

C = np.geomspace(1e17, 1e20, 12)
N = np.repeat(np.geomspace(2e7, 1e9, 5), 5)
D = np.tile(np.geomspace(1e9, 3e10, 5), 5)
TINY = 1e-9


def curve(A, seed=0, *, alpha=0.13, E=1.8, noise=1e-3, at=C):
    """Runs of one axis."""
    error = noise * np.random.default_rng(seed).standard_normal(at.size)
    return Runs(columns={"C": at, "loss": (E + A * at**-alpha) * np.exp(error)})


def grid(seed=0, *, E=1.8, A=480.0, B=2100.0, alpha=0.35, noise=1e-3):
    """Runs over N and D."""
    error = noise * np.random.default_rng(seed).standard_normal(N.size)
    return Runs(
        columns={"N": N, "D": D, "loss": (E + A * N**-alpha + B * D**-0.37) * np.exp(error)}
    )


def pairs(rng, variants, *, factors=(), cells=12, noise=0.003, shared=0.7):
    """Baseline and variants of one axis that share most of their noise."""
    at = np.geomspace(1e17, 1e20, cells)
    both = rng.standard_normal(cells)
    tables = {}
    for v in range(variants + 1):
        A = 300.0 * (factors[v - 1] if 0 < v <= len(factors) else 1.0)
        own = np.sqrt(shared) * both + np.sqrt(1 - shared) * rng.standard_normal(cells)
        tables[f"v{v}"] = Runs(
            columns={"C": at, "loss": (1.8 + A * at**-0.13) * np.exp(noise * own)}
        )
    return tables
