"""One random draw of features and data, in blocks of modes, and what losses need of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed
from isoloss._core.threads import one_thread
from isoloss.errors import InputError
from isoloss.theory.checks import as_numbers
from isoloss.theory.spectrum import Spectrum

OnStep = Callable[[str], None]
_BYTES = 1 << 26
"""Random numbers held at once."""


@dataclass(frozen=True, slots=True)
class System:
    """N features and T samples of one draw; their population is exact.

    Attributes
    ----------
    power
        Target power of the modes.
    G, h
        Covariance of the features, (N, N), and with the target, (N,).
    sigma, Q
        Singular values of the design and its right singular vectors, (n,) and (N, n).
    c, total
        Labels along the left singular vectors, (n,), and their sum of squares.
    T
        Samples.
    """

    power: float
    G: Any
    h: Any
    sigma: Any
    Q: Any
    c: Any
    total: float
    T: int

    def losses(self, learned: Any, v0: float) -> tuple[Any, Any]:
        """Excess test loss and training loss, each (k,), for shares learned of each direction.

        Parameters
        ----------
        learned
            Share of each singular direction, (n, k): one is the least-squares solution.
        v0
            Power out of reach, added to the test loss.
        """
        weight = self.Q @ (learned * (self.c / self.sigma)[:, None])
        test = self.power + v0 - 2 * self.h @ weight + (weight * (self.G @ weight)).sum(axis=0)
        left = self.c[:, None] ** 2 * (1 - learned) ** 2
        train = (self.total - self.c @ self.c + left.sum(axis=0)) / self.T
        return test, train


class Source:
    """Random numbers and linear algebra of one draw, in numpy.

    `isoloss.theory.on_device.DeviceSource` gives the same on a device; what is drawn and how it is
    judged is written once, for either.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def normal(self, *shape: int) -> Any:
        """Draw standard normal numbers."""
        return self.rng.standard_normal(shape)

    def signs(self, size: int) -> Any:
        """Draw plus and minus one."""
        return self.rng.choice([-1.0, 1.0], size)

    def array(self, values: Array) -> Any:
        """Bring numbers to where the draw is made."""
        return values

    def zeros(self, *shape: int) -> Any:
        """Make zeros there."""
        return np.zeros(shape)

    def eigh(self, matrix: Any) -> Any:
        """Eigenvalues, rising, and eigenvectors of a symmetric matrix."""
        return np.linalg.eigh(matrix)

    def numpy(self, values: Any) -> Array:
        """Bring results back."""
        return np.asarray(values, dtype=np.float64)


def source_of(rng: np.random.Generator, device: str | None) -> Source:
    """Where a draw is made: in numpy, or by torch on a device."""
    if device is None:
        return Source(rng)
    from isoloss.theory.on_device import DeviceSource

    return DeviceSource(rng, device)


def draw_system(
    spectrum: Spectrum, N: int, T: int, noise: float, rng: np.random.Generator | Source
) -> System:
    """Draw Gaussian features, latents, signs of the target's coefficients, and label noise.

    Modes are taken in blocks, so that memory is that of the features and the samples.
    """
    on = Source(rng) if isinstance(rng, np.random.Generator) else rng
    design, labels = on.zeros(T, N), on.zeros(T)
    G, h, power = on.zeros(N, N), on.zeros(N), 0.0
    for lam, v2 in spectrum.blocks(max(1, _BYTES // (8 * (N + T)))):
        U = on.normal(N, lam.size) * on.array(np.sqrt(lam))
        X = on.normal(T, lam.size)
        target = on.array(np.sqrt(v2)) * on.signs(lam.size)
        design += X @ U.T
        labels += X @ target
        G += U @ U.T
        h += U @ target
        power += float(v2.sum())
    labels += np.sqrt(noise + spectrum.v0) * on.normal(T)
    fewer = design.T @ design if N <= T else design @ design.T
    values, vectors = on.eigh(fewer)
    # More features and samples than modes: the rest of the directions are rounding.
    keep = values > 1e-13 * values[-1]
    sigma, vectors = values[keep] ** 0.5, vectors[:, keep]
    if N <= T:
        Q, c = vectors, (design @ vectors).T @ labels / sigma
    else:
        Q, c = design.T @ vectors / sigma, vectors.T @ labels
    return System(power, G, h, sigma, Q, c, float(labels @ labels), T)


def streams(rng: int | np.random.Generator, draws: int) -> Iterator[np.random.Generator]:
    """One independent stream a draw, the same ones however many draws are asked for."""
    if not (isinstance(draws, int | np.integer) and draws >= 2):
        raise InputError(f"draws = {draws!r}: must be a whole number, 2 or more")
    seed = int(rng.integers(2**62)) if isinstance(rng, np.random.Generator) else as_seed(rng)
    for i in range(draws):
        yield np.random.default_rng([seed, i])


def each(
    draw: Callable[[np.random.Generator], Any],
    rng: int | np.random.Generator,
    draws: int,
    on_step: OnStep | None,
    executor: Executor | None,
) -> list[Any]:
    """Make every draw, here or where an executor does, in order."""
    sources = streams(rng, draws)
    found: list[Any] = []
    results = (
        map(draw, sources) if executor is None else executor.map(partial(_alone, draw), sources)
    )
    for result in results:
        found.append(result)
        if on_step:
            on_step(f"draw {len(found)} of {draws}")
    return found


def _alone(draw: Callable[[np.random.Generator], Any], rng: np.random.Generator) -> Any:
    """Make one draw beside others, on one thread."""
    with one_thread():
        return draw(rng)


def whole(name: str, value: float) -> int:
    """Read a number of features or samples to draw."""
    found = as_numbers(name, value)
    if found.ndim or not np.isfinite(found) or found < 1 or found != np.floor(found):
        raise InputError(
            f"{name} = {value!r}: must be one whole number to be simulated; infinite and broken "
            "ones exist in the theory alone"
        )
    return int(found)
