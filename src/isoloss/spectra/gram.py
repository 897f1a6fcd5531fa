"""Sums over rows in blocks: eigenvalues of the covariance and the target's power on each mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.spectra.features import BLOCK, Features

ROUNDING = 1e-13
"""Eigenvalues below this share of the first are rounding of the sums."""
_KEEP = 1 << 27
"""Numbers of all groups' sums that are kept; beyond, rows are read again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Eigenvalues of the covariance of some rows, as they are, with their bias.

    Attributes
    ----------
    lam
        Eigenvalues above rounding, falling, (m,).
    power
        Squared correlation of the targets with each direction, summed over outputs, (m,): the
        target's power on the mode, and a share 1/freedom of all noise.
    total
        Power of the targets.
    dropped
        Trace of the modes that were not resolved.
    freedom
        Rows, less one where the mean was taken out.
    """

    lam: Array
    power: Array
    total: float
    dropped: float
    freedom: float

    def __post_init__(self) -> None:
        for name in ("lam", "power"):
            object.__setattr__(self, name, freeze(getattr(self, name)))


def samples(
    features: Features, groups: Sequence[Any], centred: bool, on_step: Callable[[str], None] | None,
) -> tuple[Sample, list[Sample]]:  # fmt: skip
    """Eigenvalues of all rows, and of all but each group, over the smaller side."""
    gram = _Columns(features, groups, centred) if features.p <= features.n else (
        _Rows(features, groups, centred)
    )  # fmt: skip
    whole = gram.sample(None)
    found = []
    for j in range(len(groups)):
        found.append(gram.sample(j))
        if on_step:
            on_step(f"spectrum without group {j + 1} of {len(groups)}")
    return whole, found


def mean(features: Features) -> Array:
    """Mean of each column used."""
    total = np.zeros(features.p)
    for _, block in features.blocks():
        total += block.sum(axis=0)
    return np.asarray(total / features.n)


def eigen(symmetric: Array) -> tuple[Array, Array]:
    """Eigenvalues of a symmetric matrix, falling, and their vectors as columns."""
    try:
        lam, vectors = np.linalg.eigh(symmetric)
    except np.linalg.LinAlgError as error:
        raise InputError(
            "features: the eigenvalues of their covariance were not found; bring columns to "
            "similar sizes"
        ) from error
    return lam[::-1], vectors[:, ::-1]


def outputs(features: Features) -> Array:
    """Targets, or none at all as an array of no columns."""
    return np.zeros((features.n, 0)) if features.targets is None else features.targets


class _Columns:
    """The p x p sums, of all rows and of each group."""

    def __init__(self, features: Features, groups: Sequence[Any], centred: bool) -> None:
        self.features, self.groups, self.centred = features, groups, centred
        # Sums are taken about the mean, whether it is kept or not: no digits are lost to it.
        self.shift = mean(features)
        y = outputs(features)
        self.label_shift = y.mean(axis=0)
        self.y = y - self.label_shift
        keep = len(groups) * features.p**2 <= _KEEP
        self.parts: list[Any] | None = [] if keep else None
        self.total: Any = None
        for rows in groups:
            part = self._sums(rows)
            self.total = (
                part
                if self.total is None
                else [a + b for a, b in zip(self.total, part, strict=True)]
            )
            if self.parts is not None:
                self.parts.append(part)

    def _sums(self, rows: Any) -> list[Any]:
        p, y = self.features.p, self.y
        C, B = np.zeros((p, p)), np.zeros((p, y.shape[1]))
        first = np.zeros(p)
        for part, block in self.features.blocks(rows):
            x = block - self.shift
            C += x.T @ x
            B += x.T @ y[part]
            first += x.sum(axis=0)
        own = y[rows]
        return [float(len(rows)), first, own.sum(axis=0), C, B, float((own**2).sum())]

    def sample(self, j: int | None) -> Sample:
        """Eigenvalues of all groups, or of all but one."""
        sums = self.total
        if j is not None:
            part = self._sums(self.groups[j]) if self.parts is None else self.parts[j]
            sums = [a - b for a, b in zip(self.total, part, strict=True)]
        n, first, label, C, B, square = sums
        if self.centred:
            d = n - 1
            C = C - np.outer(first, first) / n
            B = B - np.outer(first, label) / n
            square = square - label @ label / n
        else:
            # Back to sums about zero.
            d, m, l = n, self.shift, self.label_shift  # noqa: E741
            C = C + np.outer(first, m) + np.outer(m, first) + n * np.outer(m, m)
            B = B + np.outer(first, l) + np.outer(m, label) + n * np.outer(m, l)
            square = square + 2 * label @ l + n * l @ l
        lam, V = eigen(C / d)
        keep = lam > ROUNDING * lam[0]
        along = V[:, keep].T @ B
        power = (along**2).sum(axis=1) / (lam[keep] * d * d)
        return Sample(lam=lam[keep], power=power, total=square / d, dropped=0.0, freedom=d)


class _Rows:
    """The n x n products of rows: fewer rows than columns."""

    def __init__(self, features: Features, groups: Sequence[Any], centred: bool) -> None:
        self.groups, self.centred, self.y = groups, centred, outputs(features)
        n, p = features.n, features.p
        self.K = np.zeros((n, n))
        step = max(1, BLOCK // n)
        for start in range(0, p, step):
            columns = features.used[start : start + step]
            x = np.asarray(features.values[:, columns], dtype=np.float64)[features.kept]
            if centred:
                x = x - x.mean(axis=0)
            self.K += x @ x.T

    def sample(self, j: int | None) -> Sample:
        """Eigenvalues of all groups, or of all but one."""
        K, y = self.K, self.y
        if j is not None:
            rest = np.ones(len(K), dtype=bool)
            rest[self.groups[j]] = False
            K, y = K[np.ix_(rest, rest)], y[rest]
        d = len(K)
        if self.centred:
            d -= 1
            K = K - K.mean(axis=0)
            K = K - K.mean(axis=1)[:, None]
            y = y - y.mean(axis=0)
        lam, U = eigen(K / d)
        keep = lam > ROUNDING * lam[0]
        power = ((U[:, keep].T @ y) ** 2).sum(axis=1) / d
        total = float((y**2).sum()) / d
        return Sample(lam=lam[keep], power=power, total=total, dropped=0.0, freedom=float(d))
