"""The final loss of a curve, with a standard error that knows that neighbours are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.runs.rows import short

_FEWEST = 8
"""Logs from which a standard error is given."""
_AUTO_SHARE = 0.01
_AUTO_LOGS = 10
_MEMORIES = 5
"""An exponential window is cut where its weight has fallen to e^-5."""


@dataclass(frozen=True, slots=True)
class FinalRule:
    """How the last part of a curve becomes one number.

    Attributes
    ----------
    kind
        ``"last"`` (mean of the last ``amount`` logs), ``"share"`` (of the last share of logs) or
        ``"ema"`` (exponential weights of memory ``amount`` logs, divided by their sum).
    amount
        Logs, or the share.
    """

    kind: str
    amount: float

    def __str__(self) -> str:
        if self.kind == "last":
            return (
                "the last log" if self.amount == 1 else f"mean of the last {self.amount:.0f} logs"
            )
        if self.kind == "share":
            return f"mean of the last {100 * self.amount:g} % of the logs, {_AUTO_LOGS} at least"
        return f"mean with weights exp(-age / {self.amount:g} logs), divided by their sum"


LAST = FinalRule("last", 1)
TAIL = FinalRule("share", _AUTO_SHARE)


def parse_final(text: str) -> FinalRule | None:
    """Read ``last:K``, ``share:X``, ``ema:K`` or ``auto`` (None: by the kind of metric).

    Examples
    --------
    >>> parse_final("last:20")
    FinalRule(kind='last', amount=20.0)
    """
    if text == "auto":
        return None
    kind, _, amount = text.partition(":")
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    good = {"last": value >= 1 and value == math.floor(value), "share": 0 < value <= 1,
            "ema": value >= 1}.get(kind, False)  # fmt: skip
    if not good or not math.isfinite(value):
        raise InputError(
            f"final = {short(text)}: write auto, last:K (whole, 1 or more), share:X (0 to 1) or "
            "ema:K (1 or more)"
        )
    return FinalRule(kind, value)


@dataclass(frozen=True, slots=True)
class Final:
    """The final loss: value, standard error (NaN where it cannot be told), and what lies behind.

    ``drift`` is how far the weighted mean lies above the line through the window at its end;
    ``asked`` is how many logs the rule wanted.
    """

    value: float
    error: float
    logs: int
    asked: int
    drift: float
    first_step: float


def final_value(steps: Array, values: Array, rule: FinalRule) -> Final:
    r"""Average the end of a curve.

    .. math:: \hat L = \sum_i w_i L_i, \qquad
        s^2 = \sum_{ij} w_i w_j \hat\gamma_{|i-j|}

    with weights that sum to one and the autocovariances of what a straight line leaves,
    cut by Geyer's initial positive sequence; never below that of independent logs. With fewer than
    eight logs, or one, there is no error.

    Parameters
    ----------
    steps, values
        Clean curve, shape (logs,), at least one.
    rule
        Which weights.

    References
    ----------
    Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992), section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> final_value(np.arange(4.0), np.array([5.0, 4.0, 3.0, 2.0]), FinalRule("last", 2)).value
    2.5
    """
    count = values.size
    if rule.kind == "ema":
        asked = max(1, math.ceil(_MEMORIES * rule.amount))
        age = np.arange(min(asked, count), dtype=np.float64)[::-1]
        weights = np.exp(-age / rule.amount)
        asked = max(1, math.ceil(rule.amount))  # a shorter curve than one memory is too short
    else:
        asked = (
            int(rule.amount)
            if rule.kind == "last"
            else max(_AUTO_LOGS, math.ceil(rule.amount * count))
        )
        weights = np.ones(min(asked, count))
    weights = weights / weights.sum()
    x, y = steps[-weights.size :], values[-weights.size :]
    value = float(weights @ y)
    error, slope = math.nan, 0.0
    if y.size >= 3 and x[-1] > x[0]:
        slope, residuals = _line(x, y)
        error = _error(residuals, weights) if y.size >= _FEWEST else math.nan
    drift = slope * float(weights @ x - x[-1])
    return Final(value, error, int(y.size), asked, drift, float(x[0]))


def _line(x: Array, y: Array) -> tuple[float, Array]:
    z = (x - x.mean()) / (x[-1] - x[0])
    slope = float(z @ (y - y.mean()) / (z @ z))
    return slope / float(x[-1] - x[0]), y - y.mean() - slope * z


def _error(residuals: Array, weights: Array) -> float:
    count = residuals.size
    size = 2 ** math.ceil(math.log2(2 * count))
    # Two degrees of freedom went into the line.
    power = np.abs(np.fft.rfft(residuals, size)) ** 2
    covariances = np.fft.irfft(power, size)[:count] / max(1, count - 2)
    overlaps = np.fft.irfft(np.abs(np.fft.rfft(weights, size)) ** 2, size)[:count]
    even = count // 2 * 2
    pairs = covariances[:even:2] + covariances[1:even:2]
    kept = 2 * int(np.argmax(np.append(pairs, -1.0) <= 0))  # Geyer: while pairs sum above zero
    terms = covariances[:kept] * overlaps[:kept]
    independent = float(covariances[0] * overlaps[0])
    return math.sqrt(max(2 * float(terms.sum()) - independent, independent, 0.0))
