"""Random-feature ridge regression: test and training loss, their parts, at any N, T and ridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss._core.arrays import Array, freeze
from isoloss.errors import FitError, InputError
from isoloss.theory.checks import as_amounts, as_counts, as_noise, as_resources, broadcast
from isoloss.theory.guards import near_peak, one_mode, small
from isoloss.theory.kappa import Solution, log_ridge, point, residual, solve
from isoloss.theory.moments import Moments, moments
from isoloss.theory.spectrum import Spectrum


@dataclass(frozen=True, slots=True)
class PerSample:
    """A ridge in the convention of the mean squared error.

    ``s`` is the penalty on the squared weights of features ``N**-0.5 u.x`` when the squared error
    is averaged over samples; ``ghat = N T s``.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> kernel = random_features(power_law(b=1.5, a=1.9, M=2000), np.inf, 250,
    ...                          ridge=PerSample(1e-3), noise=0.01)
    >>> round(float(kernel.test_excess), 7)
    0.0277351
    """

    s: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RidgeLoss:
    """Losses of random-feature ridge regression on a grid of N, T, ridge and noise.

    Every array has the shape of the grid. Losses are mean squared errors without a factor 1/2, in
    units of squared targets.

    Attributes
    ----------
    N, T, noise
        Features, samples, variance of the label noise.
    ridge, ridge_per_sample
        ``ghat`` and ``s = ghat/(N T)``; the optimum where that was asked for.
    kappa
        Effective ridge, in units of the eigenvalues.
    df1, df2
        Degrees of freedom, sums of ``lam/(lam+kappa)`` and of its square.
    test_excess, test_total
        Loss on clean and on noisy targets; they differ by the noise. Power that no feature can
        express (``v0``) is in both.
    train
        Mean squared error on the training labels.
    bias2, V_F, V_D, V_FD
        Parts of ``test_excess``: left with infinitely many models averaged; variance over features,
        over data, and over both together. They sum to ``test_excess``.
    residual
        How far kappa is from solving its equation.
    largest_share
        Largest share of the target that one mode carries; one number.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> found = random_features(power_law(b=2, M=1000, iid=True), 100, 200)
    >>> f"{found.kappa:.6e} {found.test_excess:.6e}"
    '2.239898e-04 4.479795e-05'
    """

    N: Array
    T: Array
    noise: Array
    ridge: Array
    ridge_per_sample: Array
    kappa: Array
    df1: Array
    df2: Array
    test_excess: Array
    test_total: Array
    train: Array
    bias2: Array
    V_F: Array
    V_D: Array
    V_FD: Array
    residual: Array
    largest_share: float = 0.0

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __repr__(self) -> str:
        loss = self.test_excess
        return f"RidgeLoss(shape {loss.shape}, test_excess {np.min(loss):.6g}..{np.max(loss):.6g})"

    @property
    def status(self) -> str:
        """``failed`` where kappa was not found, ``suspect`` where there are doubts, or ``ok``.

        Finite systems depart from the theory by about ``1/|N-T|`` without a ridge, and by
        ``1/min(N,T)``; single draws scatter where one mode carries most of the target.
        """
        if np.isnan(self.kappa).any():
            return "failed"
        return "suspect" if self.doubts else "ok"

    @property
    def doubts(self) -> tuple[str, ...]:
        """What to know before comparing with a finite system, in sentences."""
        bare = (self.ridge == 0) & (self.kappa > 0)
        return (
            small(self.N, self.T) + near_peak(self.N, self.T, bare) + one_mode(self.largest_share)
        )

    def ensemble(self, features: Any = 1, data: Any = 1) -> Array:
        """Excess loss of the mean over ``features`` feature draws times ``data`` data sets.

        The draws are fully crossed: ``bias2 + V_F/E_F + V_D/E_D + V_FD/(E_F E_D)``.

        Examples
        --------
        >>> from isoloss.theory import power_law
        >>> found = random_features(power_law(b=1.5, a=1.9, M=1000), 100, 200, ridge=1)
        >>> bool(found.ensemble(np.inf, np.inf) == found.bias2)
        True
        """
        f, d = as_counts("features", features), as_counts("data", data)
        return np.asarray(self.bias2 + self.V_F / f + self.V_D / d + self.V_FD / (f * d))

    def require(self) -> RidgeLoss:
        """Return self, or raise where a point has no solution."""
        if self.status == "failed":
            raise FitError("NO_KAPPA", "the equation for kappa was not solved at some points")
        return self

    def to_columns(self) -> dict[str, Array]:
        """Columns of a table, one row a point of the grid."""
        return {name: getattr(self, name).ravel() for name in _ARRAYS}

    def to_dict(self) -> dict[str, Any]:
        """Plain types, nested lists in the shape of the grid."""
        return {name: getattr(self, name).tolist() for name in _ARRAYS} | {
            "largest_share": self.largest_share
        }


_ARRAYS = tuple(name for name in RidgeLoss.__slots__ if name != "largest_share")


def random_features(
    spectrum: Spectrum, N: Any, T: Any, *, ridge: Any = "ridgeless", noise: Any = 0.0
) -> RidgeLoss:
    """Exact high-dimensional loss of ridge regression on N random features and T samples.

    Latents x have covariance ``diag(lam)``, features are ``U x`` with U Gaussian of N rows, targets
    ``w.x`` plus noise. With z, q, S1, S2 the sums over the spectrum at kappa,

        c = (N-z)/(N-q),   B = S1 - c (S1-S2),   D = N T - z^2 - q (N+T) + 2 q z,
        test_total = T (N-q)/D (B + v0 + noise),   train = (1 - z/T)^2 test_total.

    Parameters
    ----------
    spectrum
        Modes and target.
    N, T
        Features and samples, above zero; ``inf`` is allowed; they broadcast with the others.
    ridge
        ``ghat`` (penalty on the summed squared error, see `solve_kappa`), `PerSample`,
        ``"ridgeless"`` for its limit zero, or ``"optimal"`` for the ridge of least test loss.
    noise
        Variance of the label noise.

    Returns
    -------
    RidgeLoss
        Arrays of the broadcast shape. At N = T without a ridge the test loss is infinite.

    Raises
    ------
    InputError
        If a value breaks these rules or shapes do not broadcast.

    References
    ----------
    Maloney, Roberts and Sully, arXiv:2210.16859; Atanasov et al., arXiv:2405.00592; Simon et al.,
    arXiv:2110.03922.

    Examples
    --------
    >>> from isoloss.theory import power_law
    >>> spectrum = power_law(b=1.7, a=1.5, M=1e8)
    >>> found = random_features(spectrum, 5000, [20000, np.inf], ridge=3, noise=0.01)
    >>> [round(v, 8) for v in found.test_excess.tolist()]
    [0.06243959, 0.04518154]
    """
    if isinstance(ridge, str):
        if ridge not in ("ridgeless", "optimal"):
            raise InputError(f"ridge = {ridge!r}: write 'ridgeless', 'optimal' or a number")
        if ridge == "optimal":
            from isoloss.theory.optimal import optimal_ridge

            return optimal_ridge(spectrum, N, T, noise=noise)
        ridge = 0.0
    per_sample = isinstance(ridge, PerSample)
    given = as_amounts("ridge", ridge.s if per_sample else ridge)
    N, T, given, noise = broadcast(
        N=as_resources("N", N),
        T=as_resources("T", T),
        ridge=given,
        noise=as_noise(noise),
    )
    if per_sample:
        with np.errstate(divide="ignore"):
            logs = np.log(given)
    else:
        logs = log_ridge(N, T, given)
    if per_sample:
        return losses(spectrum, N, T, logs, noise, s=given)
    return losses(spectrum, N, T, logs, noise, ghat=given)


def losses(
    spectrum: Spectrum, N: Array, T: Array, log_s: Array, noise: Array, *,
    ghat: Array | None = None, s: Array | None = None,
) -> RidgeLoss:  # fmt: skip
    """Solve and assemble at checked arrays of one shape."""
    at = point(N, T, log_s)
    found = solve(spectrum, at)
    # Zero kappa: the sums are the limits there, but for a tail, which then fills every sample.
    sums = moments(spectrum, np.where(found.kappa == 0, 1e-300, found.kappa))
    parts = assemble(spectrum, N, T, found, sums, noise)
    s = np.exp(log_s) if s is None else s
    if ghat is None:
        with np.errstate(invalid="ignore", over="ignore"):
            ghat = np.where(s == 0, 0.0, s * N * T)
    return RidgeLoss(
        N=N,
        T=T,
        noise=noise,
        ridge=ghat,
        ridge_per_sample=s,
        kappa=found.kappa,
        residual=residual(spectrum, at, found, sums.z, sums.rest),
        largest_share=spectrum.largest_share,
        **parts,
    )


def factors(N: Array, T: Array, found: Solution) -> tuple[Array, Array]:
    """1 - z/N and 1 - z/T."""
    fewer = N <= T
    return (
        np.where(fewer, found.short, found.long),
        np.where(fewer, found.long, found.short),
    )


def amplifier(a: Array, b: Array, u: Array, w: Array, sums: Moments) -> tuple[Array, Array]:
    """Return D/(N T) and the amplification of all that is not learned, minus one.

    Both are sums of terms that are never negative: a and b are 1/N and 1/T, u and w are 1 - z/N and
    1 - z/T.
    """
    d = u * w + (b * sums.e) * u + (a * sums.e) * w
    with np.errstate(divide="ignore", invalid="ignore"):
        above = ((b * sums.q) * u + (a * sums.z) * (b * sums.e)) / d
    return d, above


def assemble(
    spectrum: Spectrum, N: Array, T: Array, found: Solution, sums: Moments, noise: Array
) -> dict[str, Array]:
    """Losses and their parts from a solution and its sums, without a cancellation."""
    a, b = 1 / N, 1 / T
    u, w = factors(N, T, found)
    d, above = amplifier(a, b, u, w, sums)
    se = spectrum.v0 + noise
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # 1 - c, the share of the variance over features: one without a ridge at N < T.
        share = a * sums.e / (u + a * sums.e)
        over_data = b * sums.q / (w + b * sums.e)
        over_both = (a * sums.e / d) * (b * sums.e / (w + b * sums.e))
        # Every mode resolved: nothing is left but what the noise does through T samples.
        resolved = found.kappa == 0
        full = np.where(np.isinf(T), 0.0, spectrum.size / np.where(spectrum.size == T, 0, T * w))
        full = np.where(b == 0, 0.0, full)
        above = np.where(resolved, full, above)
        over_data = np.where(resolved, full, over_data)
        over_both = np.where(resolved, 0.0, over_both)
        share = np.where(resolved, 0.0, share)
        S2, gap = (np.where(resolved, 0.0, v) for v in (sums.S2, sums.d))
        V_F = share * gap
        B = S2 + V_F
        V_D = _times(S2 + se, over_data)
        V_FD = _times(V_F, above) + _times(S2 + se, over_both)
        excess = B + spectrum.v0 + _times(B + se, above)
        total = excess + noise
        train = np.where(w == 0, 0.0, w**2 * total)
        df1 = np.where(resolved, _all(spectrum), sums.z)
        df2 = np.where(resolved, spectrum.size, sums.q)
    return {
        "df1": df1, "df2": df2, "test_excess": excess, "test_total": total, "train": train,
        "bias2": S2 + spectrum.v0, "V_F": V_F, "V_D": V_D, "V_FD": V_FD,
    }  # fmt: skip


def _all(spectrum: Spectrum) -> float:
    return np.inf if spectrum.tail else spectrum.size


def _times(power: Array, factor: Array) -> Array:
    """Multiply, where nothing amplified infinitely is nothing."""
    return np.where(power == 0, 0.0, power * factor)
