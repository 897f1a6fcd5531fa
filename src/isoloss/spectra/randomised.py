"""The leading modes of features that are large on both sides, by subspace iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from isoloss._core.arrays import Array
from isoloss.spectra.features import Features
from isoloss.spectra.gram import mean

_MORE = 1.1
"""Directions followed for each one kept."""
_PASSES = 4


@dataclass(frozen=True, slots=True)
class Leading:
    """Features reduced to their leading directions.

    ``residual`` bounds the error of each eigenvalue: the norm of C v - lam v, over lam.
    """

    features: Features
    trace: float
    residual: Array


def leading(
    features: Features, count: int, centred: bool, rng: np.random.Generator,
    on_step: Callable[[str], None] | None,
) -> Leading:  # fmt: skip
    """Project rows on the leading directions of their covariance, found by a random start.

    References
    ----------
    Halko, Martinsson and Tropp 2011, subspace iteration; the bound is that of symmetric matrices.
    """
    shift = mean(features) if centred else np.zeros(features.p)
    d = features.n - (1 if centred else 0)
    W = rng.standard_normal((features.p, round(_MORE * count)))
    W = np.linalg.qr(W)[0]
    trace = 0.0
    for i in range(_PASSES):
        Z, trace = np.zeros_like(W), 0.0
        for _, block in features.blocks():
            x = block - shift
            Z += x.T @ (x @ W)
            trace += float((x**2).sum())
        if i < _PASSES - 1:
            W = np.linalg.qr(Z)[0]
        if on_step:
            on_step(f"leading directions, pass {i + 1} of {_PASSES}")
    # The last pass gives C W for the W it used: Ritz values, and what they leave.
    Z /= d
    lam, turn = np.linalg.eigh((W.T @ Z + Z.T @ W) / 2)
    turn = turn[:, ::-1][:, :count]
    lam = lam[::-1][:count]
    V = W @ turn
    residual = np.linalg.norm(Z @ turn - V * lam, axis=0) / lam
    reduced = np.empty((features.n, count))
    for part, block in features.blocks():
        reduced[part] = (block - shift) @ V
    made = replace(features, values=reduced, kept=np.arange(features.n), used=np.arange(count))
    return Leading(made, trace / d, residual)
