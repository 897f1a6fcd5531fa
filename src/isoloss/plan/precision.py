"""What rows of a linear model with noise of one determine, and what they leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array

_RANK = 1e-10
"""Singular values this small beside the largest, columns of length one, are rounding."""
_SEEN = 1e-6
"""A contrast with no larger a share in directions that no row sees is determined."""


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    r"""Rows J of :math:`y = J u + \epsilon` with noise of one: their information is J^T J.

    Columns are brought to one length first, so that no unit of a parameter matters to the rank.

    Attributes
    ----------
    rows
        (c, p), a configuration each, divided by the noise of its mean.
    root
        (p, r): the covariance of what is seen is root root^T.
    null
        Orthonormal directions that no row sees, (p, k).

    Examples
    --------
    >>> seen = Precision.of(np.array([[1.0, 1.0], [1.0, 1.0]]))
    >>> seen.null[:, 0].round(3).tolist(), round(seen.variance(np.array([1.0, 1.0])), 12)
    ([0.707, -0.707], 0.5)
    >>> seen.variance(np.array([1.0, 0.0]))
    inf
    """

    rows: Array
    root: Array
    null: Array

    @classmethod
    def of(cls, rows: Array) -> Precision:
        """Factor the rows by their singular values, which keeps twice the digits of J^T J."""
        length = np.sqrt(np.einsum("cp,cp->p", rows, rows))
        length = np.where(length > 0, length, 1.0)
        # All right vectors are needed, for the null space; the left ones of many rows are not.
        few = rows.shape[0] < rows.shape[1]
        _, size, turned = np.linalg.svd(rows / length, full_matrices=few)
        size = np.concatenate([size, np.zeros(len(turned) - len(size))])
        seen = size > _RANK * max(float(size.max(initial=0.0)), 1e-300)
        root = turned[seen].T / size[seen] / length[:, None]
        null = turned[~seen].T / length[:, None]
        if null.shape[1]:
            null = np.linalg.qr(null)[0]
            # One sign, so that the same rows always give the same words.
            lead = np.argmax(np.abs(null) > 0.5 * np.abs(null).max(axis=0), axis=0)
            null = null * np.sign(null[lead, np.arange(null.shape[1])])
        return cls(rows, root, null)

    @property
    def rank(self) -> int:
        """How many directions the rows see."""
        return int(self.root.shape[1])

    def sees(self, g: Array) -> bool:
        """Whether the rows determine g^T u."""
        if not self.null.shape[1]:
            return bool(np.isfinite(g).all())
        lost = float(np.linalg.norm(self.null.T @ g))
        return bool(lost <= _SEEN * max(float(np.linalg.norm(g)), 1e-300))

    def variance(self, g: Array) -> float:
        """Variance of g^T u; infinite where the rows do not determine it."""
        if not self.sees(g):
            return float("inf")
        half = self.root.T @ g
        return float(half @ half)

    def pulls(self, g: Array) -> Array:
        """Weight of each row's measurement in the estimate of g^T u, (c,)."""
        return np.asarray(self.rows @ (self.root @ (self.root.T @ g)))

    def leverage(self) -> Array:
        """Share of its own fitted value that each row decides, (c,), from 0 to 1."""
        return np.asarray(np.clip(np.sum((self.rows @ self.root) ** 2, axis=1), 0.0, 1.0))

    def without_each(self, g: Array) -> Array:
        r"""Variance of g^T u without each row, (c,): :math:`V + a_i^2 / (1 - h_i)`."""
        pulls, left = self.pulls(g), 1 - self.leverage()
        gone = np.abs(pulls) > 1e-6 * max(float(np.abs(pulls).max(initial=0.0)), 1e-300)
        with np.errstate(divide="ignore", invalid="ignore"):
            more = np.where(left > 1e-9, pulls**2 / left, np.where(gone, np.inf, 0.0))
        return np.asarray(self.variance(g) + more)

    def with_each(self, g: Array, candidates: Array) -> Array:
        r"""Variance of g^T u with each of some further rows, (m,): :math:`V - a^2/(1 + h)`."""
        seen = candidates @ self.root
        pulls, leverage = seen @ (self.root.T @ g), np.sum(seen**2, axis=1)
        return np.asarray(self.variance(g) - pulls**2 / (1 + leverage))

    def directions(self) -> tuple[Array, Array]:
        """Directions that are seen, (p, r), and their standard errors, (r,), the worst first."""
        turned, size, _ = np.linalg.svd(self.root, full_matrices=False)
        lead = np.argmax(np.abs(turned), axis=0)
        return turned * np.sign(turned[lead, np.arange(turned.shape[1])]), size

    def groups(self) -> list[tuple[npt.NDArray[np.int64], int]]:
        """Find sets of parameters that no row tells apart, and how many directions each leaves."""
        share = self.null @ self.null.T
        left = set(np.flatnonzero(np.diag(share) > _SEEN).tolist())
        found = []
        while left:
            group, edge = set(), {min(left)}
            while edge:
                group |= edge
                near = np.abs(share[list(edge)]).max(axis=0) > _SEEN
                edge = (set(np.flatnonzero(near).tolist()) & left) - group
            left -= group
            members = np.array(sorted(group), dtype=np.int64)
            found.append((members, round(float(np.trace(share[np.ix_(members, members)])))))
        return found
