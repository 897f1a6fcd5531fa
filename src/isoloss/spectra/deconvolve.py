"""The spectrum of the population behind a sample, for every model that takes a spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.spectra.jackknife import jackknife
from isoloss.spectra.measure import MeasuredSpectrum
from isoloss.spectra.resolved import Resolved, resolve
from isoloss.theory.spectrum import Spectrum

_EQUATIONS = 160
_AN_OCTAVE = 6


@dataclass(frozen=True, slots=True)
class Deconvolved:
    """A population's spectrum, and how well it stands for the sample.

    Attributes
    ----------
    spectrum
        Nodes with multiplicities that need not be whole, and target power. Modes beyond the sample
        are its tail; noise and power out of reach, which a sample cannot tell apart, its ``v0``.
    misfit
        Largest relative error of the degrees of freedom z and q that the nodes leave.
    target_misfit
        Largest error of the loss S2 that they leave, in its standard errors.
    """

    spectrum: Spectrum
    misfit: float
    target_misfit: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            **self.spectrum.to_dict(), "misfit": self.misfit, "target_misfit": self.target_misfit,
        }  # fmt: skip


def to_spectrum(measured: MeasuredSpectrum) -> Deconvolved:
    """Find eigenvalues whose sample would have the eigenvalues that were measured.

    The sums z and q over the population are known at every kappa that the sample resolves; counts
    at nodes six an octave, zero or more, are fitted to them, and then powers to S2. What z and q do
    not tell apart, as modes closer than that, is not in the answer.

    Raises
    ------
    InputError
        If there is no target.

    References
    ----------
    El Karoui 2008, spectrum estimation by the Marchenko-Pastur equation.

    Examples
    --------
    >>> from isoloss.spectra import measure_spectrum
    >>> from isoloss.theory import gradient_flow
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((600, 40)) * np.arange(1, 41) ** -0.75
    >>> found = to_spectrum(measure_spectrum(x, x.sum(axis=1)))
    >>> found.misfit < 0.02, abs(found.spectrum.size - 40) < 0.5
    (True, True)
    >>> loss = gradient_flow(found.spectrum, float("inf"), 100, [1, 10]).test_excess
    """
    measured.need_target()
    at = _thinned(resolve(measured.sample))
    nodes = _nodes(measured, at)
    k, lam = at.kappa[:, None], nodes[None]
    t = lam / (lam + k)
    counts = np.concatenate([t / at.z[:, None], t**2 / at.q[:, None]])
    ends = np.concatenate([1 / (at.kappa * at.z), np.zeros(len(at.q))])[:, None]
    m, _ = _solve(np.hstack([counts, ends]), np.ones(len(counts)))
    tail, m = float(m[-1]), m[:-1]
    used = m > 1e-9 * m.max()
    # The loss is the less sure the smaller kappa is, steeply so where rows are fewer than modes.
    sure = 1 / _errors(measured, at)
    powers = np.hstack([((1 - t) ** 2)[:, used], np.ones((len(at.kappa), 1))]) * sure[:, None]
    v, _ = _solve(powers, at.S2 * sure)
    made = Spectrum(
        lam=nodes[used][::-1], multiplicity=m[used][::-1], v2=(v[:-1] / m[used])[::-1],
        tail=tail, v0=float(v[-1]),
    )  # fmt: skip
    reached = np.hstack([counts, ends]) @ np.append(m, tail)
    left = powers @ v - at.S2 * sure
    return Deconvolved(made, float(np.abs(reached - 1).max()), float(np.abs(left).max()))


def _errors(measured: MeasuredSpectrum, at: Resolved) -> Array:
    """Compute standard errors of S2 at each kappa."""
    x, every = np.log(at.kappa), []
    for sample in measured.without:
        other = resolve(sample)
        every.append(np.interp(x, np.log(other.kappa[::-1]), other.S2[::-1]))
    se = jackknife(at.S2, every, measured.sizes).se
    return np.asarray(np.maximum(se, 1e-6 * at.S2))


def _solve(design: Array, target: Array) -> tuple[Array, float]:
    from scipy.optimize import nnls

    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    found, rest = nnls(design / scale, target, maxiter=50 * design.shape[1])
    return found / scale, float(rest)


def _thinned(at: Resolved) -> Resolved:
    pick = np.unique(np.linspace(0, at.z.size - 1, _EQUATIONS).astype(int))
    arrays = {name: getattr(at, name)[pick] for name in ("kappa", "z", "q", "S1", "S2")}
    return Resolved(**arrays, complete=at.complete)


def _nodes(measured: MeasuredSpectrum, at: Resolved) -> Array:
    """Nodes from below the smallest to above the largest eigenvalue that the sample tells of."""
    lam = measured.sample.lam
    low = lam[-1] / 2 if at.complete else max(float(at.kappa[-1]) / 16, 1e-280)
    high = 2 * float(lam[0])
    count = max(8, int(_AN_OCTAVE * np.log2(high / low)))
    return np.geomspace(low, high, count)
