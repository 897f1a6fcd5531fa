"""The spectrum of features, and the target's power on its modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, as_seed, freeze
from isoloss.errors import InputError
from isoloss.spectra.features import as_features
from isoloss.spectra.gram import Sample, samples
from isoloss.spectra.jackknife import as_groups
from isoloss.spectra.randomised import leading

OnStep = Callable[[str], None]

_EXACT = 3000
"""Smaller side up to which all modes are computed."""
_LEADING = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredSpectrum:
    """Eigenvalues of the covariance of features, with what each group of rows does to them.

    Attributes
    ----------
    sample
        Eigenvalues and target power of all rows, as they are. They are biased: with n rows the
        k-th eigenvalue is off by a share of about k/n, the first ones upwards and the last ones
        downwards, and each target power holds 1/n of the noise. `exponent`, `predict_curve` and
        `to_spectrum` correct for that, each in its way.
    without
        The same without each group of rows.
    sizes
        Rows of each group, (g,).
    n, p
        Rows and columns used.
    centred
        Whether the mean was taken out: the covariance, or the second moments.
    error
        Bound on the relative error of each eigenvalue by the method that found it, (m,).
    method
        How, in words.
    outputs
        Columns of the target; 0 without one.
    notes
        What was left out or assumed, in sentences.
    """

    sample: Sample
    without: tuple[Sample, ...]
    sizes: Array
    n: int
    p: int
    centred: bool
    error: Array
    method: str
    outputs: int
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", freeze(self.sizes))
        object.__setattr__(self, "error", freeze(self.error))

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues."""
        return float(self.sample.lam.sum()) + self.sample.dropped

    def __repr__(self) -> str:
        return (
            f"MeasuredSpectrum({self.n} rows, {self.p} columns, {self.sample.lam.size} modes, "
            f"trace {self.trace:.6g}, {self.outputs} targets)"
        )

    def need_target(self) -> None:
        """Raise where there is no target."""
        if not self.outputs:
            raise InputError("labels: are needed for the power of a target; give them with the "
                             "features")  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "rows": self.n,
            "columns": self.p,
            "centred": self.centred,
            "method": self.method,
            "modes": int(self.sample.lam.size),
            "trace": self.trace,
            "eigenvalues": self.sample.lam.tolist(),
            "eigenvalue_error": float(self.error.max()),
            "outputs": self.outputs,
            "target_power": self.sample.power.tolist() if self.outputs else None,
            "target_total": self.sample.total if self.outputs else None,
            "notes": list(self.notes),
        }


def measure_spectrum(
    features: Any, labels: Any = None, *, centre: bool = True, groups: Any = 20,
    rng: int | np.random.Generator = 0, on_step: OnStep | None = None,
) -> MeasuredSpectrum:  # fmt: skip
    """Eigenvalues of the covariance of features, and the power a target has on each direction.

    With rows x and their mean taken out, ``C = X^T X / (n-1)``; for an eigenvalue lam with
    direction v the target's power is ``(v.X^T y)^2 / (lam (n-1)^2)``, summed over outputs. Sums are
    taken in blocks over the smaller side. Where both sides exceed 3,000 the leading 1,000
    directions are found by subspace iteration from a random start, and the rest is known by its
    trace.

    Parameters
    ----------
    features, labels
        As in `isoloss.spectra.as_features`.
    centre
        Take out the mean of features and targets: regression with an intercept.
    groups
        Number of groups of rows for the jackknife, made by chance, or a label for each row, or a
        path to labels, where rows of one label belong together, as pieces of one document do.
    rng
        Seed of groups and random start.
    on_step
        Called with a sentence after each piece of work.

    Raises
    ------
    InputError
        If features, labels or groups cannot be used.

    References
    ----------
    Bahri et al., arXiv:2102.06701, spectra of trained features; Halko, Martinsson and Tropp 2011.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((400, 8)) * np.arange(1, 9) ** -0.75
    >>> measure_spectrum(x, x @ np.ones(8))
    MeasuredSpectrum(400 rows, 8 columns, 8 modes, trace 1.7825, 1 targets)
    """
    given = as_features(features, labels)
    seeded = (
        np.random.default_rng(as_seed(rng)) if not isinstance(rng, np.random.Generator) else rng
    )
    parts = as_groups(given.groups(groups), given.n, seeded)
    notes, used, dropped_trace = list(given.notes), given, None
    smaller = min(given.n, given.p)
    method = f"all modes, from {'columns' if given.p <= given.n else 'rows'}"
    error = None
    if smaller > _EXACT:
        found = leading(given, _LEADING, centre, seeded, on_step)
        used, dropped_trace, error = found.features, found.trace, found.residual
        method = f"leading {_LEADING} of {smaller} modes, subspace iteration"
        notes.append(f"only the leading {_LEADING} modes are known one by one")
    whole, without = samples(used, parts, centre, on_step)
    if dropped_trace is not None:
        rest = max(dropped_trace - float(whole.lam.sum()), 0.0)
        whole, *without = (replace(s, dropped=rest) for s in (whole, *without))
    if error is None:
        # Rounding of sums of squares: absolute, of the size of the first eigenvalue.
        error = 1e-15 * whole.lam[0] / whole.lam
    return MeasuredSpectrum(
        sample=whole, without=tuple(without), sizes=np.array([len(g) for g in parts], dtype=float),
        n=given.n, p=given.p, centred=centre, error=error[: whole.lam.size], method=method,
        outputs=0 if given.targets is None else given.targets.shape[1], notes=tuple(notes),
    )  # fmt: skip
