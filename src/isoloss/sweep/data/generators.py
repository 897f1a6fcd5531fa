"""Examples whose truth is known: teachers, and the data of solvable models."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.stream import ROWS, TRUTH, drawn_data, stream
from isoloss.sweep.data.table import Data
from isoloss.theory.spectrum import Spectrum, power_law
from isoloss.theory.teacher import draw_teacher

LEFT = 1e-4
"""Part of the stick that `information` leaves unbroken: below 1e-8 of the logit's variance."""
_JUDGED = 16
"""Chunks by which a teacher's output is brought to variance one."""
_MOST = 1 << 27
"""Numbers that a teacher's weights, or the values of its neurons on a chunk, may hold."""

Float64 = npt.NDArray[np.float64]


class ReluTeacher:
    r"""A random network of ReLU layers, from which `teacher` gets its targets.

    .. math:: h_0 = x,\quad h_l = \max(W_l h_{l-1} + b_l, 0),\quad y = (w \cdot h_L - m)/s

    Entries of :math:`W_l` have variance 2 over the number of inputs, biases variance 1, and m and s
    bring the output to mean 0 and variance 1 over 16,384 inputs of their own.

    Parameters
    ----------
    spec
        ``dimension``, ``teacher_width``, ``teacher_depth``, ``inputs``, ``seed``.

    References
    ----------
    Teachers and students of this kind: Sharma and Kaplan, arXiv:2004.10802; Bahri et al.,
    arXiv:2102.06701.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec
    >>> teacher = ReluTeacher(DataSpec(name="teacher", dimension=3, teacher_width=8,
    ...                                teacher_depth=2))
    >>> teacher(np.zeros((5, 3))).shape
    (5,)
    """

    def __init__(self, spec: DataSpec) -> None:
        widths = [spec.dimension] + [spec.teacher_width] * spec.teacher_depth
        weights = sum(a * b for a, b in pairwise(widths))
        if max(weights, ROWS * max(widths)) > _MOST:
            raise InputError(
                f"teacher: {weights} weights are more than fit; lower teacher_width or dimension"
            )
        source = stream(spec, TRUTH)
        self._uniform = spec.inputs == "uniform"
        self._dimension = spec.dimension
        self._layers = [
            (source.standard_normal((a, b)) * math.sqrt(2 / a), source.standard_normal(b))
            for a, b in pairwise(widths)
        ]
        self._last = source.standard_normal(widths[-1]) / math.sqrt(widths[-1])
        self._mean, self._deviation = 0.0, 1.0
        values = np.concatenate(
            [self(self.inputs(stream(spec, TRUTH, 1 + i), ROWS)) for i in range(_JUDGED)]
        )
        if not values.std() > 1e-12 * max(1e-300, float(np.abs(values).max())):
            raise InputError(
                "teacher: its output is the same for all inputs; take another seed, or a teacher "
                "that is wider or less deep"
            )
        self._mean, self._deviation = float(values.mean()), float(values.std())

    def __call__(self, x: npt.NDArray[np.floating]) -> Float64:
        """Targets of inputs (n, dimension)."""
        hidden: Float64 = np.asarray(x, dtype=np.float64)
        for weights, biases in self._layers:
            hidden = np.maximum(hidden @ weights + biases, 0)
        return np.asarray((hidden @ self._last - self._mean) / self._deviation)

    def inputs(self, source: np.random.Generator, n: int) -> npt.NDArray[np.float32]:
        """Draw inputs of variance one: normal, or uniform on a cube."""
        if self._uniform:
            side = np.float32(math.sqrt(12))
            drawn = source.random((n, self._dimension), dtype=np.float32)
            return (drawn - np.float32(0.5)) * side
        return source.standard_normal((n, self._dimension), dtype=np.float32)


def read_teacher(spec: DataSpec) -> Data:
    """Draw inputs and the output of a `ReluTeacher`."""
    teacher = ReluTeacher(spec)

    def draw(source: np.random.Generator, n: int) -> tuple[npt.NDArray[np.float32], Float64]:
        x = teacher.inputs(source, n)
        return x, teacher(x)[:, None]

    notes = (f"random ReLU teacher of {spec.teacher_depth} layers of {spec.teacher_width}",)
    return drawn_data(spec, draw, "numbers", 1, (spec.dimension,), notes)


def data_spectrum(spec: DataSpec) -> Spectrum:
    r"""Give the exact spectrum of the data set ``spectrum``, as the theory takes it.

    .. math:: \lambda_i = i^{-(1+\alpha)}, \qquad v^2_i \propto \lambda_i \ \text{or}\ i^{-a},
              \qquad \sum_i v^2_i = 1

    ``label_noise`` is a deviation: the theory's ``noise`` is its square.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec
    >>> found = data_spectrum(DataSpec(name="spectrum", dimension=1000, exponent=0.5))
    >>> round(found.power, 12), round(float(found.lam[0]), 12)
    (1.0, 1.0)
    """
    b, M = 1 + spec.exponent, spec.dimension
    index = np.arange(1, M + 1, dtype=np.float64)
    if spec.target_exponent:
        power = 1 / float((index**-spec.target_exponent).sum())
        return power_law(b=b, a=spec.target_exponent, M=M, power=power)
    return power_law(b=b, M=M, iid=True, power=M / float((index**-b).sum()))


def read_spectrum(spec: DataSpec) -> Data:
    """Draw normal latents, and a linear target of unit variance whose signs are fair coins."""
    index = np.arange(1, spec.dimension + 1, dtype=np.float64)
    roots = index ** (-(1 + spec.exponent) / 2)
    if roots[-1] < 1e-30:
        raise InputError(
            f"spectrum: latent {spec.dimension} has deviation {roots[-1]:.2g}, beyond float32; "
            "lower exponent or dimension"
        )
    shares = index**-spec.target_exponent if spec.target_exponent else roots**2
    signs = np.where(stream(spec, TRUTH).random(spec.dimension) < 0.5, -1.0, 1.0)
    slopes = signs * np.sqrt(shares / shares.sum())

    def draw(source: np.random.Generator, n: int) -> tuple[Float64, Float64]:
        z = source.standard_normal((n, spec.dimension), dtype=np.float32)
        return z * roots, (z @ slopes)[:, None]

    return drawn_data(spec, draw, "numbers", 1, (spec.dimension,), ("linear target",))


def read_perceptron(spec: DataSpec) -> Data:
    """Draw normal inputs, labelled 1 on one side of a plane through the origin."""
    plane = stream(spec, TRUTH).standard_normal(spec.dimension)

    def draw(
        source: np.random.Generator, n: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        x = source.standard_normal((n, spec.dimension), dtype=np.float32)
        return x, x @ plane > 0

    return drawn_data(spec, draw, "classes", 2, (spec.dimension,), ("sign of a direction",))


def read_information(spec: DataSpec) -> Data:
    """Draw normal inputs, and coins of a teacher of `isoloss.theory.draw_teacher`.

    No student reaches a loss of zero: the labels are coins.
    """
    teacher = draw_teacher(spec.dimension, spec.teacher_width, stream(spec, TRUTH), left=LEFT)

    def draw(
        source: np.random.Generator, n: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        x = source.standard_normal((n, spec.dimension), dtype=np.float32)
        with np.errstate(over="ignore"):
            chance = 1 / (1 + np.exp(-teacher.logit(x)))
        return x, source.random(n) < chance

    notes = (f"{teacher.weights.size} neurons",)
    return drawn_data(spec, draw, "classes", 2, (spec.dimension,), notes)
