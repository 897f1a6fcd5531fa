"""Leave out each group once: bias and standard error of any smooth statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.fit.uncertainty import group_labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jackknife:
    """What leaving out each group tells.

    Attributes
    ----------
    value
        The statistic of all runs, flattened, (m,).
    bias
        Estimated bias of ``value``; subtract it to correct, (m,).
    se
        Standard errors, (m,).
    covariance
        (m, m).
    replicates
        The statistic without each group, (k, m).
    """

    value: Array
    bias: Array
    se: Array
    covariance: Array
    replicates: Array

    def __post_init__(self) -> None:
        for name in ("value", "bias", "se", "covariance", "replicates"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "value": self.value.tolist(),
            "bias": self.bias.tolist(),
            "se": self.se.tolist(),
            "covariance": self.covariance.tolist(),
            "groups": len(self.replicates),
        }

    def summary(self) -> str:
        """Lines for people."""
        rows = zip(self.value, self.se, self.bias, strict=True)
        lines = [f"{v:.6g}, standard error {s:.3g}, bias {b:.3g}" for v, s, b in rows]
        return "\n".join([*lines, f"jackknife over {len(self.replicates)} groups"])

    def __repr__(self) -> str:
        return f"Jackknife({self.value.tolist()}, se={self.se.tolist()})"


def jackknife(
    statistic: Callable[[npt.NDArray[np.int64]], npt.ArrayLike],
    n: int,
    *,
    groups: npt.ArrayLike | None = None,
) -> Jackknife:
    r"""Leave out each group once: bias and standard error of any smooth statistic.

    With :math:`\theta_i` the statistic without group i of k and :math:`\bar\theta` their mean, the
    covariance is :math:`\frac{k-1}{k}\sum_i (\theta_i-\bar\theta)(\theta_i-\bar\theta)^T` and the
    bias :math:`(k-1)(\bar\theta - \theta)`.

    Parameters
    ----------
    statistic
        Called with the rows that are kept.
    n
        Number of runs.
    groups
        Group of each run, (n,); each run its own group by default.

    Raises
    ------
    InputError
        Fewer than two groups.

    Notes
    -----
    Wrong for medians and other statistics that jump. Groups of unequal size make the bias rough.

    References
    ----------
    Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, eqs. 2.8 and 3.2.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0, 9.0])
    >>> found = jackknife(lambda rows: x[rows].mean(), 4)
    >>> bool(np.isclose(found.se[0], x.std(ddof=1) / 2)), bool(abs(found.bias[0]) < 1e-12)
    (True, True)
    """
    labels = group_labels(groups, n)
    names = np.unique(labels)
    if len(names) < 2:
        raise InputError(f"groups: {len(names)} group; leaving one out needs at least 2")
    everything = np.arange(n)
    whole = np.asarray(statistic(everything), dtype=np.float64).ravel()
    parts = np.array(
        [np.asarray(statistic(everything[labels != g]), dtype=np.float64).ravel() for g in names]
    )
    covariance = jackknife_covariance(parts)
    return Jackknife(
        value=whole,
        bias=(len(parts) - 1) * (parts.mean(axis=0) - whole),
        se=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        replicates=parts,
    )


def jackknife_covariance(replicates: Array) -> Array:
    """Covariance from k estimates that each leave out one group, (k, p) to (p, p)."""
    k = len(replicates)
    moved = replicates - replicates.mean(axis=0)
    return np.asarray((k - 1) / k * moved.T @ moved)
