"""Errors over several looks at growing data, and over several variants."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, as_vector
from isoloss.errors import InputError

MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    r"""Which look at the same question this is.

    Errors of several looks add up at most, whatever the looks have in common and however the
    next runs were chosen. So look k of K may err with probability
    :math:`\alpha_k = \alpha (2k - 1)/K^2`, which sums to :math:`\alpha` and spends little early,
    and look k of an unknown number with :math:`\alpha_k = 6\alpha/(\pi k)^2`, which sums to
    :math:`\alpha` over all k.

    Attributes
    ----------
    number
        This look, from 1.
    planned
        Looks in all; ``None`` where nobody knows.

    References
    ----------
    Kim and DeMets 1987, Biometrika 74:149 (spending by a power, here 2); the bound by the sum is
    Bonferroni's.

    Examples
    --------
    >>> [round(Looks(number=k, planned=3).alpha(0.09), 3) for k in (1, 2, 3)]
    [0.01, 0.03, 0.05]
    >>> round(Looks(number=2, planned=None).alpha(0.1), 4)
    0.0152
    """

    number: int = 1
    planned: int | None = 1

    def __post_init__(self) -> None:
        top = MOST if self.planned is None else self.planned
        if not (1 <= self.number <= top <= MOST):
            raise InputError(
                f"looks = {self.number}/{self.planned or '?'}: look k of K, 1 <= k <= K <= {MOST}"
            )

    @classmethod
    def parse(cls, text: str) -> Looks:
        """Read ``"2/5"``, the second of five, or ``"2"``, the second of nobody knows how many.

        Examples
        --------
        >>> Looks.parse("2/5"), Looks.parse("3").planned
        (Looks(number=2, planned=5), None)
        """
        found = re.fullmatch(r"\s*([0-9]{1,4})\s*(?:/\s*([0-9]{1,4})\s*)?", text)
        if found is None:
            raise InputError(f"looks = {text[:20]!r}: write k/K, such as 2/5, or k alone")
        return cls(number=int(found[1]), planned=int(found[2]) if found[2] else None)

    def alpha(self, total: float) -> float:
        """Error that this look may make, of ``total`` over all looks."""
        if self.planned is None:
            return total * 6 / (math.pi * self.number) ** 2
        return total * (2 * self.number - 1) / self.planned**2


def false_discovery(p: npt.ArrayLike) -> Array:
    r"""Benjamini and Hochberg's adjusted p-values, (m,).

    Those at or below q are found with an expected share of false ones of q at most, where the
    tests are independent or positively dependent, as tests against one baseline are.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min(1, p_{(j)} m / j)

    References
    ----------
    Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57:289; Benjamini and Yekutieli 2001,
    Ann. Stat. 29:1165 (positive dependence).

    Examples
    --------
    >>> false_discovery([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = as_vector("p", p)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("p: p-values lie between 0 and 1")
    order = np.argsort(values, kind="stable")[::-1]
    size = len(values)
    scaled = values[order] * size / np.arange(size, 0, -1)
    out = np.empty(size)
    out[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return out
