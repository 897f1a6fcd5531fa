"""MNIST-1D: ten short signals, padded, moved, scaled, sheared and made noisy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.stream import ROWS, TRUTH, drawn_data, stream
from isoloss.sweep.data.table import Data

# The ten templates and the constants below are those of https://github.com/greydanus/mnist1d,
# Apache-2.0, Greydanus and Kobak, arXiv:2011.14439.
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
LENGTH, LONG = 40, 72
_PADDED = (36, 60)
_SCALE, _MOVED, _SHEAR = 0.4, 48, 0.75
_SMOOTH, _ROUGH = 0.25, 0.02
_OFF_ZERO = 1e-8

Float64 = npt.NDArray[np.float64]


def templates() -> Float64:
    """Return the ten signals, (10, 12), of deviation 1/6 each and beginning at 0."""
    x = np.array(TEMPLATES, dtype=np.float64)
    x -= x.mean(axis=1, keepdims=True)
    x /= x.std(axis=1, keepdims=True)
    return np.asarray((x - x[:, :1]) / 6)


def distort(
    labels: npt.NDArray[np.int64], padding: npt.NDArray[np.int64], scale: Float64,
    moved: npt.NDArray[np.int64], smooth: Float64, rough: Float64, shear: Float64,
) -> Float64:  # fmt: skip
    """Make signals of labels and of the chances that distort them, row by row.

    Parameters
    ----------
    labels
        Digits, (n,).
    padding
        Zeros after the template, 36 to 60, (n,).
    scale, shear
        Numbers in [0, 1), (n,).
    moved
        Steps to the left, round the end, 0 to 47, (n,).
    smooth, rough
        Standard normal numbers, (n, 72).

    Returns
    -------
    numpy.ndarray
        Signals, (n, 40), not standardised.
    """
    padded = np.zeros((10, 12 + _PADDED[1] + 1))
    padded[:, :12] = templates() + _OFF_ZERO
    at = np.linspace(0, 1, LONG) * (11 + padding)[:, None]
    left = np.minimum(at.astype(np.int64), padded.shape[1] - 2)
    rest = at - left
    row = labels[:, None]
    signal = padded[row, left] * (1 - rest) + padded[row, left + 1] * rest
    signal *= 1 + _SCALE * (scale[:, None] - 0.5)
    # Noise of the places of zeros moves with nothing: the signal is moved before.
    places = (np.arange(LONG) - moved[:, None]) % LONG
    signal = np.take_along_axis(signal, places, axis=1)
    waves = gaussian_filter1d(_SMOOTH * smooth, 2, axis=1)
    signal = np.where(signal != 0, signal, waves) + _ROUGH * rough
    signal -= _SHEAR * (shear[:, None] - 0.5) * np.linspace(-0.5, 0.5, LONG)
    where = np.linspace(0, LONG - 1, LENGTH)
    low = np.minimum(where.astype(np.int64), LONG - 2)
    part = where - low
    return np.asarray(signal[:, low] * (1 - part) + signal[:, low + 1] * part)


def _drawn(source: np.random.Generator, n: int) -> tuple[Float64, npt.NDArray[np.int64]]:
    labels = source.integers(10, size=n)
    x = distort(
        labels,
        source.integers(_PADDED[0], _PADDED[1] + 1, size=n),
        source.random(n),
        source.integers(_MOVED, size=n),
        source.standard_normal((n, LONG)),
        source.standard_normal((n, LONG)),
        source.random(n),
    )
    return x, labels


def read_mnist1d(spec: DataSpec) -> Data:
    """Signals of the ten digits; mean and deviation are those of 4,096 signals of their own."""
    first = np.concatenate([_drawn(stream(spec, TRUTH, i), ROWS)[0] for i in range(4)])
    mean, deviation = first.mean(), first.std()

    def draw(source: np.random.Generator, n: int) -> tuple[Float64, npt.NDArray[np.int64]]:
        x, labels = _drawn(source, n)
        return (x - mean) / deviation, labels

    return drawn_data(spec, draw, "classes", 10, (LENGTH,), ("MNIST-1D, drawn here",))
