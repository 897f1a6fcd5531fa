"""Random features of many widths trained on the same samples, and endlessly many of them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, as_vector, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_amounts, as_noise
from isoloss.theory.draw import OnStep, each, whole
from isoloss.theory.simulate import Rng
from isoloss.theory.spectrum import Spectrum
from isoloss.theory.width import Reference, WidthConsistency, width_consistency

_MOST = 2**27
"""Entries of a matrix that is held at once: a gigabyte."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedWidths:
    """Predictions of networks of many widths and seeds, and of the endless one.

    Attributes
    ----------
    widths
        Features of each, (w,).
    t
        Times, (k,).
    predictions
        (w, seed, k, point).
    limit
        Exact predictions of endlessly many features, (k, point).
    """

    widths: Array
    t: Array
    predictions: Array
    limit: Array

    def __post_init__(self) -> None:
        for name in ("widths", "t", "predictions", "limit"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        w, seeds, k, points = self.predictions.shape
        return f"SimulatedWidths({w} widths, {seeds} seeds, {k} times, {points} points)"

    def consistency(
        self, *, reference: Reference | None = None, level: float = 0.9
    ) -> WidthConsistency:
        """Bias and variance against the endless network, or another reference."""
        chosen = self.limit if reference is None else reference
        return width_consistency(self.predictions, self.widths, reference=chosen, level=level)


def simulate_widths(
    spectrum: Spectrum,
    widths: Any,
    T: int,
    t: Any,
    *,
    seeds: int = 20,
    points: int = 50,
    noise: float = 0.0,
    rng: Rng = 0,
    on_step: OnStep | None = None,
    executor: Executor | None = None,
) -> SimulatedWidths:
    """Train random features of many widths by gradient flow on one set of samples.

    Samples, target and test points are drawn once; features anew for each width and seed. With N
    endless the features' kernel is that of the latents, so that the limit is exact.

    Parameters
    ----------
    spectrum
        Modes that can be listed one by one; the target's coefficients get random signs.
    widths
        Numbers of features N.
    T
        Samples.
    t
        Times of the flow of half the mean squared error, as in `isoloss.theory.gradient_flow`.
    seeds
        Draws of the features a width, 2 or more.
    points
        Test points.
    noise
        Variance of the label noise, drawn once.
    rng, on_step, executor
        As in `isoloss.theory.simulate_random_features`.

    Returns
    -------
    SimulatedWidths

    Raises
    ------
    InputError
        If a value breaks these rules, or a matrix of the draw would be larger than a gigabyte.

    References
    ----------
    The model of arXiv:2210.16859; the question of arXiv:2305.18411.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> made = simulate_widths(power_law(b=1.2, a=1.5, M=100), [32, 64, 128], 10, [1, 10], seeds=40)
    >>> [e.verdict for e in made.consistency().scatter]
    ['consistent', 'consistent']
    """
    counts = [whole("widths", n) for n in as_vector("widths", widths)]
    T, P, noise = whole("T", T), whole("points", points), float(as_noise(noise))
    times = np.atleast_1d(as_amounts("t", t, infinite=True))
    if times.ndim != 1:
        raise InputError(f"t: expected one dimension, got shape {times.shape}")
    lam, v2 = (np.concatenate(part) for part in zip(*spectrum.blocks(_MOST), strict=True))
    if lam.size * max(*counts, T, P) > _MOST:
        raise InputError(
            f"M = {lam.size} modes with {max(*counts, T, P)} features, samples or points: "
            f"{_MOST:.0e} entries of a matrix at most; give fewer"
        )
    own = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(as_seed(rng))
    root = np.sqrt(lam)
    X, Z = own.standard_normal((T, lam.size)), own.standard_normal((P, lam.size))
    target = np.sqrt(v2) * own.choice([-1.0, 1.0], lam.size)
    labels = X @ target + np.sqrt(noise + spectrum.v0) * own.standard_normal(T)
    draw = partial(_network, X * root, Z * root, labels, times)
    found = [
        each(partial(draw, n), int(own.integers(2**62)), seeds, on_step, executor) for n in counts
    ]
    limit = _flow(X * root, Z * root, labels, times)
    return SimulatedWidths(
        widths=np.array(counts, dtype=np.float64),
        t=times,
        predictions=np.array(found),
        limit=limit,
    )


def _network(
    X: Array, Z: Array, labels: Array, times: Array, n: int, rng: np.random.Generator
) -> Array:
    """Predictions (k, point) of one draw of n features."""
    W = rng.standard_normal((X.shape[1], n)) / np.sqrt(n)
    return _flow(X @ W, Z @ W, labels, times)


def _flow(X: Array, Z: Array, labels: Array, times: Array) -> Array:
    """Flow on the features X of the samples, exact in time by the eigenvalues of their kernel."""
    lam, V = np.linalg.eigh(X @ X.T)
    # Directions that no feature reaches are never learned.
    keep = lam > 1e-13 * lam[-1]
    lam, V = lam[keep], V[:, keep]
    learned = -np.expm1(-lam * times[:, None] / len(labels)) / lam * (V.T @ labels)
    return np.asarray(learned @ (V.T @ X @ Z.T))
