"""One-pass SGD under a schedule of the learning rate: the mean recursion on few directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array, freeze
from isoloss.errors import InputError
from isoloss.theory.checks import as_above_zero, as_noise, as_resources, as_whole
from isoloss.theory.schedule import Rates, Scheduled, rates_of, run_length
from isoloss.theory.sgd import Model
from isoloss.theory.spectrum import Spectrum

_A_DECADE = 24
"""Directions a decade of eigenvalues."""

_SINGLE = 2048
"""Steps that are taken one by one, from the start."""

_GROUPS = (120, 80, 1500)
"""Later ones go in groups no longer than the steps before over the first of these, those to where
the schedule bends over the second, and the run over the third."""

_DECADES = 40

_SHARP = 1e-8
"""Accuracy of the weights, as a share of what is left to learn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduledRisk:
    """Mean risk along one-pass SGD with a schedule.

    Attributes
    ----------
    steps, risk
        Steps and mean excess risk after them.
    lr
        Size of the last step before each.
    kernel_mass
        Sum of the noise kernel at the largest step size: at one and above SGD diverges for as
        long as it lasts.
    error
        Relative error of the risk, measured: that of the same directions and groups at a constant
        step size, the largest, where the exact answer is known, and what groups twice as long
        change.
    resolution
        Absolute error to expect at the end of the run; smaller risks are rounding.
    """

    steps: Array
    risk: Array
    lr: Array
    kernel_mass: float
    error: float
    resolution: float

    def __post_init__(self) -> None:
        for name in ("steps", "risk", "lr"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def stable(self) -> bool:
        """Whether no step size of the schedule diverges."""
        return self.kernel_mass < 1

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "steps": self.steps.tolist(), "risk": self.risk.tolist(), "lr": self.lr.tolist(),
            "kernel_mass": self.kernel_mass, "error": self.error,
            "resolution": self.resolution,
        }  # fmt: skip


def scheduled_sgd(
    spectrum: Spectrum,
    N: float,
    steps: Any,
    *,
    lr: float,
    schedule: Scheduled = "constant",
    length: int | None = None,
    batch: float = 1,
    noise: float = 0.0,
) -> ScheduledRisk:
    """Mean risk of one-pass SGD on N random features under any schedule of the learning rate.

    The model of `one_pass_sgd`. Squared errors p along the eigenvectors of the features' covariance
    (eigenvalues x, step size l) obey

        p <- (1 - 2 l B x + l^2 B (B+1) x^2) p + l^2 B n x^2 (R + noise),   R = F_0 + sum p.

    Their start and their number n have known Stieltjes transforms, ``S1(kappa(s))`` and
    ``z(kappa(s))``; two dozen directions a decade with weights that reproduce both take their
    place. Late steps go in groups along which R and l change in straight lines; as R couples all
    directions by one number, its new value is the solution of one linear equation.

    Parameters
    ----------
    spectrum, N, batch, noise
        As in `one_pass_sgd`.
    steps
        Whole numbers, any shape.
    lr
        Peak step size (of the sum over the batch).
    schedule
        ``"constant"``, ``"cosine"``, ``"linear"``, ``"warmup"``, ``"warmup-stable-decay"``, a
        `Schedule`, a function from shares of the run to shares of the peak, or one share a step.
        Step k of the run, from zero, takes the share at (k + 1/2)/length.
    length
        Steps of the whole run; the last of ``steps`` by default.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    Paquette, Paquette, Xiao and Pennington, arXiv:2405.15074, for the recursion.

    Examples
    --------
    >>> from isoloss.theory import one_pass_sgd, sgd_spectrum
    >>> spectrum = sgd_spectrum(alpha=0.8, beta=0.6, M=800)
    >>> found = scheduled_sgd(spectrum, 200, 10_000, lr=0.1, schedule="cosine", noise=0.01)
    >>> bool(found.risk < one_pass_sgd(spectrum, 200, 10_000, lr=0.1, noise=0.01).risk)
    True
    """
    n = as_resources("N", N)
    if n.ndim:
        raise InputError("N: expected one number; call once for each")
    lr, batch = as_above_zero("lr", lr), as_above_zero("batch", batch)
    if not 1e-100 <= lr * batch <= 1e100:
        raise InputError(f"lr = {lr!r}: lr times batch must lie between 1e-100 and 1e100")
    noise = float(as_noise(noise))
    counts = as_whole("steps", steps)
    run = run_length(length, float(counts.max()))
    wanted, back = np.unique(counts.ravel().astype(np.int64), return_inverse=True)
    rates = rates_of(schedule, lr, max(run, 1))
    se = noise + spectrum.v0
    peak = float(rates.at(_every(rates)).max())
    model = Model(spectrum, float(n), peak, batch, se)
    time = 2 * batch * max(rates.total, peak)
    directions = find_directions(model, time)
    risk = _walk(directions, rates, batch, se, wanted, 1)
    resolution = _SHARP * float(np.abs(model.sums(np.array([1j / time]))[0][0]))
    return ScheduledRisk(
        steps=counts, risk=np.maximum(risk, 0.0)[back].reshape(counts.shape) + spectrum.v0,
        lr=rates.at(np.maximum(wanted - 1, 0))[back].reshape(counts.shape),
        kernel_mass=model.mass, error=_error(directions, rates, model, wanted, risk, resolution),
        resolution=resolution,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Directions:
    """Eigenvalues x, squared errors at the start, numbers, and the risk that is never learned.

    Weights reproduce sums over the true eigenvalues; they need be neither positive nor whole.
    """

    x: Array
    start: Array
    number: Array
    rest: float


def find_directions(model: Model, time: float) -> Directions:
    """Directions good for the decay of errors up to a time, the sum of 2 lr batch.

    Weights are least squares of the two transforms along the imaginary axis, each relative to
    itself: rational functions with poles on the negative axis, as the transforms have.
    """
    top = model.length
    span = math.log(10) / _A_DECADE
    time = min(time, 10**_DECADES / top)
    x = top * np.exp(-span * np.arange(int(math.log(max(100 * top * time, 1e3)) / span) + 1))
    low = min(0.3 / time, 0.03 * top)
    s = 1j * np.exp(np.arange(math.log(low), math.log(30 * top), math.log(10) / 12))
    S1, z = model.sums(s)
    near = s[:, None] / (x + s[:, None])
    # The power at the start, the transform at infinity, is exact.
    power = model.spectrum.power - model.spectrum.v0
    near = np.concatenate([near, np.ones((1, x.size))])
    start = _least_squares(
        np.concatenate([near, np.ones((s.size + 1, 1))], axis=1), np.append(S1, power), first=1e4
    )
    number = _least_squares(x / (x + s[:, None]), z)
    return Directions(x, start[:-1], number, float(start[-1]))


def _least_squares(
    A: npt.NDArray[np.complex128], b: npt.NDArray[np.complex128], first: float = 1.0
) -> Array:
    """Weights of least relative error; the last row counts ``first`` times as much."""
    weight = 1 / np.maximum(np.abs(b), 1e-300)
    weight[-1] *= first
    A, b = A * weight[:, None], b * weight
    real, right = np.concatenate([A.real, A.imag]), np.concatenate([b.real, b.imag])
    scale = np.linalg.norm(real, axis=0)
    return np.asarray(np.linalg.lstsq(real / scale, right, rcond=1e-12)[0] / scale)


def _walk(
    at: Directions, rates: Rates, batch: float, se: float, wanted: npt.NDArray[np.int64],
    coarse: int,
) -> Array:  # fmt: skip
    """Risk at each step wanted (rising)."""
    risk = np.empty(wanted.size)
    p, R, now, i = at.start, at.rest + float(at.start.sum()), 0, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for end in _ends(rates, wanted, coarse):
            while now < end and math.isfinite(R):
                p, R, now = _group(at, p, R, now, int(end), rates, batch, se)
            while i < wanted.size and wanted[i] <= end:
                risk[i] = R if math.isfinite(R) else np.inf
                i += 1
    return risk


def _group(
    at: Directions, p: Array, R: float, now: int, end: int, rates: Rates, batch: float, se: float
) -> tuple[Array, float, int]:
    """Errors and risk after a group of steps, or after its first half.

    The group decays at the size in its middle. What each direction would settle at,
    ``l n x/(2 - l (B+1) x) (R + noise)``, is a straight line between its ends.
    """
    x = at.x
    while True:
        count = end - now
        first, lr, then = rates.at(np.array([now, now + (count - 1) / 2, end]) if count > 1 else
                                   np.full(3, now))  # fmt: skip
        turn = lr * (batch + 1) * x
        loss = lr * batch * x * (2 - turn)
        kick = batch * at.number * lr * x**2
        if count == 1:
            p = p - loss * p + lr * kick * (R + se)
            return p, at.rest + float(p.sum()), end
        # Sums over the group of phi^m, and of the same against a straight line from 0 to 1.
        kept = np.exp(count * np.log1p(-loss))
        small = np.abs(loss) * count < 1e-5
        safe = np.where(small, 1.0, loss)
        flat = np.where(small, count * (1 - loss * (count - 1) / 2), (1 - kept) / safe)
        ramp = np.where(
            small, (count - 1) / 2 * (1 - loss * (count - 2) / 3), (1 - flat / count) / safe
        )
        start = kick * _settled(first, lr, turn) * (flat - ramp)
        finish = kick * _settled(then, lr, turn) * ramp
        back = float(finish.sum())
        # Where what is kicked in comes back at once, the group is too long for a straight line.
        if back > 0.7:
            end = now + count // 2
            continue
        held = kept * p + start * (R + se)
        new = (at.rest + float(held.sum()) + back * se) / (1 - back)
        return held + finish * (new + se), new, end


def _settled(size: float, lr: float, turn: Array) -> Array:
    """Give the step size that settles where this one does, at the decay of the middle one."""
    there = 2 - turn * (size / lr) if lr > 0 else 2 - turn
    return np.where(np.abs(there) > 0.1, size * (2 - turn) / np.where(there == 0, 1, there), size)


def _ends(rates: Rates, wanted: npt.NDArray[np.int64], coarse: int) -> npt.NDArray[np.int64]:
    """Make the steps at which groups end, up to the last one wanted."""
    last = int(wanted[-1])
    single = min(_SINGLE // coarse, last)
    if rates.listed is not None:
        return np.arange(last + 1)
    ends = [np.arange(1, single + 1)]
    if last > single:
        share, beside, whole = (v // coarse for v in _GROUPS)
        ends.append(single + _growing(last - single, share, single))
        ends.append(np.round(np.linspace(0, rates.length, whole + 1)).astype(np.int64))
        bends = (0, *rates.breaks, rates.length)
        for left, right in pairwise(bends):
            steps = _growing(right - left, beside, 0)
            ends += [left + steps, right - steps] if left else [right - steps]
    every = np.unique(np.concatenate([*ends, wanted, np.array(rates.breaks, dtype=np.int64)]))
    return every[(every >= 0) & (every <= last)]


def _growing(length: int, share: int, before: int) -> npt.NDArray[np.int64]:
    """Distances up to a length, each further by a share of itself and what lies before it."""
    start = max(before, share)
    grow = start * np.exp(np.arange(0, math.log1p(length / start) + 1 / share, 1 / share))
    return np.concatenate(
        [np.arange(share if not before else 1), np.round(grow).astype(np.int64) - before]
    )


def _error(
    at: Directions, rates: Rates, model: Model, wanted: npt.NDArray[np.int64], risk: Array,
    resolution: float,
) -> float:  # fmt: skip
    """Measure the relative error: at a constant step size, and against longer groups."""
    batch, se = model.batch, model.se
    # As much learning in steps of the largest size, where weights are strained the most.
    length = max(math.ceil(rates.total / model.lr), 1)
    level = Rates(model.lr, length, np.ones_like, None, ())
    some = np.unique(np.geomspace(1, length, 6).astype(np.int64))
    exact = model.risk(some.astype(np.float64))
    worst = _distance(_walk(at, level, batch, se, some, 1), exact, resolution)
    if rates.listed is None and int(wanted[-1]) > _SINGLE // 2:
        # Errors fall with the square of the length: longer groups err three times as much more.
        other = _walk(at, rates, batch, se, wanted, 2)
        worst = max(worst, _distance(other, risk, resolution) / 3)
    return worst


def _distance(found: Array, true: Array, floor: float) -> float:
    """Largest relative distance where the true values can be told from rounding."""
    good = np.isfinite(found) & np.isfinite(true) & (np.abs(true) > 100 * floor)
    return float(np.abs(found[good] / true[good] - 1).max()) if good.any() else 0.0


def _every(rates: Rates) -> Array:
    """Choose steps among which the largest size is sought."""
    if rates.listed is not None:
        return np.arange(rates.length, dtype=np.float64)
    return np.linspace(0, rates.length - 1, min(rates.length, 4001))
