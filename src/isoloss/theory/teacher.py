"""Random ReLU teachers with infinitely many neurons, of which few matter: a source of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_numbers
from isoloss.theory.draw import whole

Rng = int | np.random.Generator
_LARGEST = 1 << 27
"""Numbers held for one teacher."""

_SMALL = 1e-3
"""Below this gap of logits the divergence is summed as a series."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DirichletTeacher:
    r"""A network of one hidden ReLU layer whose neurons are atoms of a Dirichlet process.

    .. math:: F(x) = \sqrt{K+1}\,\sum_w \theta_w s_w \max(w\cdot x, 0), \qquad
              \Pr(y = 1\,|\,x) = \sigma(F(x)), \qquad x \sim N(0, I_d)

    Over teachers and inputs the mean of :math:`F^2` is 1/2 for every K and d.

    Attributes
    ----------
    K
        Concentration: roughly the number of neurons that matter.
    atoms
        Unit vectors w, (k, d).
    weights
        Their shares, (k,): of a whole teacher they sum to one and stand in the order of breaking.
    signs
        1 or -1, (k,).

    Examples
    --------
    >>> teacher = draw_teacher(5, 10, rng=1)
    >>> teacher.d, round(float(teacher.weights.sum()), 12)
    (5, 1.0)
    """

    K: float
    atoms: Array
    weights: Array
    signs: Array

    def __post_init__(self) -> None:
        for name in ("atoms", "weights", "signs"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        return f"DirichletTeacher(d={self.d}, K={self.K:g}, {self.weights.size} atoms)"

    @property
    def d(self) -> int:
        """Dimension of the inputs."""
        return int(self.atoms.shape[1])

    @property
    def slopes(self) -> Array:
        """Weight of each neuron in the logit, ``sqrt(K+1) theta s``, (k,)."""
        return np.asarray(np.sqrt(self.K + 1) * self.weights * self.signs)

    def logit(self, X: Any) -> Array:
        """F at inputs of shape (..., d); the answer is of shape (...)."""
        inputs = as_numbers("X", X)
        if inputs.ndim == 0 or inputs.shape[-1] != self.d:
            raise InputError(f"X: expected inputs of {self.d} numbers, got shape {inputs.shape}")
        flat, slopes = inputs.reshape(-1, self.d), self.slopes
        rows = max(1, (1 << 22) // self.weights.size)
        parts = [
            np.maximum(flat[i : i + rows] @ self.atoms.T, 0) @ slopes
            for i in range(0, len(flat), rows)
        ]
        return np.concatenate(parts).reshape(inputs.shape[:-1])

    def sample(self, T: int, rng: Rng = 0) -> tuple[Array, Array]:
        """Draw T Gaussian inputs, (T, d), and their labels, 0 or 1, (T,)."""
        source = _source(rng)
        X = source.standard_normal((whole("T", T), self.d))
        with np.errstate(over="ignore"):
            chance = 1 / (1 + np.exp(-self.logit(X)))
        return X, (source.random(len(X)) < chance).astype(np.float64)

    def surrogate(self, n: int, rng: Rng = 0) -> DirichletTeacher:
        r"""Network of n equal neurons drawn from the shares; equal ones are held as one atom.

        The mean of :math:`(F - F_n)^2` over teachers, draws and inputs is K/(2n), exactly. The
        number of its atoms is on average ``distinct_atoms(n, K)``.
        """
        counts = _source(rng).multinomial(whole("n", n), self.weights)
        drawn = counts > 0
        return DirichletTeacher(
            K=self.K,
            atoms=self.atoms[drawn],
            weights=counts[drawn] / n,
            signs=self.signs[drawn],
        )

    def first(self, n: int) -> DirichletTeacher:
        r"""Network of the first n neurons of the stick, the rest left out.

        For a teacher of `draw_teacher` the mean of :math:`(F - F_{\le n})^2` is exactly
        :math:`\frac12 (K/(K+2))^n`: see `first_sticks_error`.
        """
        kept = slice(whole("n", n))
        return DirichletTeacher(
            K=self.K, atoms=self.atoms[kept], weights=self.weights[kept], signs=self.signs[kept]
        )

    def quantised(self, eps: float) -> DirichletTeacher:
        """Move each atom to a lattice and back to the sphere, by no more than eps in all.

        For a surrogate of width n, the mean squared change of its logit is at most
        ``eps^2 (1 + K/n)``.
        """
        step = as_above_zero("eps", eps) / np.sqrt(self.d)
        # A lattice point is at most eps/2 away, and putting it back on the sphere doubles that.
        near = np.round(self.atoms / step) * step
        size = np.linalg.norm(near, axis=1, keepdims=True)
        moved = np.where(size > 0, near / np.where(size > 0, size, 1.0), self.atoms)
        return DirichletTeacher(K=self.K, atoms=moved, weights=self.weights, signs=self.signs)


def draw_teacher(d: int, K: float, rng: Rng = 0, *, left: float = 1e-12) -> DirichletTeacher:
    """Draw a teacher by breaking a stick.

    Atoms are uniform on the sphere of d dimensions, signs are fair coins, and shares come from a
    stick of which a Beta(1, K) part is broken off each time. Breaking ends when no more than
    ``left`` remains, after about ``K ln(1/left)`` atoms; the last atom gets the rest, so that the
    shares sum to one.

    Parameters
    ----------
    d
        Dimension of the inputs.
    K
        Concentration, above zero.
    rng
        Seed or generator.
    left
        Part of the stick that need not be broken, between 0 and 1.

    Raises
    ------
    InputError
        If a value breaks these rules, or the teacher would not fit in memory.

    References
    ----------
    Jeon and Van Roy, arXiv:2407.01456, the data-generating process; Sethuraman 1994 for the stick.

    Examples
    --------
    >>> draw_teacher(3, 4, rng=7)
    DirichletTeacher(d=3, K=4, ... atoms)
    """
    size, K, left = whole("d", d), as_above_zero("K", K), as_above_zero("left", left)
    if left >= 1:
        raise InputError(f"left = {left!r}: must lie between 0 and 1")
    expected = 1 + K * np.log(1 / left)
    if not expected * size < _LARGEST:
        raise InputError(
            f"K = {K:g}, d = {size}: about {expected:.3g} atoms of {size} numbers do not fit in "
            "memory; lower K or d, or raise left"
        )
    source = _source(rng)
    # What a break leaves is a uniform number to the power 1/K, so its logarithm falls by an
    # exponential number over K.
    falls: list[Array] = []
    total = 0.0
    while total < np.log(1 / left):
        falls.append(source.standard_exponential(int(expected + 4 * np.sqrt(expected)) + 1) / K)
        total += float(falls[-1].sum())
    fall = np.concatenate(falls)
    ends = np.cumsum(fall)
    breaks = 1 + int(np.searchsorted(ends, np.log(1 / left)))
    before = np.exp(-np.concatenate([[0.0], ends[: breaks - 1]]))
    weights = before * -np.expm1(-fall[:breaks])
    weights[-1] = before[-1]
    atoms = source.standard_normal((breaks, size))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    signs = np.where(source.random(breaks) < 0.5, -1.0, 1.0)
    return DirichletTeacher(K=K, atoms=atoms, weights=weights / weights.sum(), signs=signs)


def logit_divergence(f: Any, g: Any) -> Array:
    r"""Divergence in nats of a coin of logit g from one of logit f; shapes broadcast.

    .. math:: \mathrm{KL}\bigl(\sigma(f)\,\|\,\sigma(g)\bigr) \le (f - g)^2/8

    Examples
    --------
    >>> round(float(logit_divergence(0.0, 1.0)), 6)
    0.120115
    """
    f, g = np.broadcast_arrays(as_numbers("f", f), as_numbers("g", g))
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-f))
        gap = g - f
    direct = np.logaddexp(0, g) - np.logaddexp(0, f) - p * gap
    near = np.clip(gap, -1.0, 1.0)
    middle = np.log1p(p * np.expm1(near)) - p * near
    # Cumulants of the coin: the two forms above lose their digits where the gap is small.
    v = p * (1 - p)
    series = v * near**2 * (0.5 + near * ((1 - 2 * p) / 6 + near * (1 - 6 * v) / 24))
    found = np.where(np.abs(gap) < 1, np.where(np.abs(gap) < _SMALL, series, middle), direct)
    return np.asarray(np.maximum(found, 0.0))


def _source(rng: Rng) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(as_seed(rng))
