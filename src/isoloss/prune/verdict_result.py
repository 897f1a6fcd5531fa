"""What the verdict holds: estimates with intervals, findings, curves, and the words for people."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss._core.serial import plain
from isoloss.errors import FitError
from isoloss.fit.certificate import Reason
from isoloss.runs.table import Refusal

SCHEMA = 1
HARD, EASY, KEEP_ALL, NO_VERDICT = "hard", "easy", "none", "no verdict"


def _item(value: Any) -> Any:
    """Give plain types; those of other rooms without a method of their own by their fields."""
    if isinstance(value, tuple | list):
        return [_item(v) for v in value]
    return asdict(value) if isinstance(value, Refusal | Reason) else plain(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A best guess and its interval.

    Examples
    --------
    >>> Estimate(value=0.3, interval=Interval(low=0.2, high=0.5, level=0.9, method="hull"))
    0.3 [0.2, 0.5]
    """

    value: float
    interval: Interval

    def __repr__(self) -> str:
        return f"{self.value:.4g} [{self.interval.low:.4g}, {self.interval.high:.4g}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"value": self.value, "interval": self.interval.to_dict()}

    @property
    def decided(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval.low > 0 or self.interval.high < 0


class _Plain:
    """Plain types from the fields of a dataclass."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {f.name: _item(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(_Plain):
    """What is asked.

    Attributes
    ----------
    pool
        Examples there are before pruning; infinite where as many as wanted can be had.
    D
        Examples that training can pay for; infinite where training may take all.
    budget, unit
        The same as given: examples seen or FLOPs; ``None`` without a budget.
    epochs
        Examples seen for each one kept.
    tol
        Loss over that of the full pool that still counts as lossless, a part of it.
    trainings
        Trainings that share one scoring.
    """

    pool: float
    D: float
    budget: float | None
    unit: str
    epochs: float
    tol: float
    trainings: float

    @property
    def D_none(self) -> float:
        """Examples that are trained on without pruning."""
        return min(self.pool, self.D)

    def kept(self, keep: Any) -> Array:
        """Examples that are trained on at a share kept."""
        return np.minimum(self.D, np.asarray(keep, dtype=np.float64) * self.pool)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyFinding(_Plain):
    """One policy at the target.

    Attributes
    ----------
    policy, finding
        ``better``, ``worse`` or ``unsettled`` than not pruning, at some share and at every share.
    keep
        Share of least loss between the shares piloted.
    D, pool
        Examples kept and looked at there.
    gain, gain_random
        Part of the loss that goes, ``1 - L/L_0``, beside what is trained on without pruning, and
        beside as many random examples.
    keeps, gains
        Shares piloted, and the gain at each; these intervals hold together over shares, policies.
    lossless
        Smallest share with a loss within ``tol`` of that of the full pool; ``None`` without a
        pool.
    reach
        How far beyond the pilots the target is.
    """

    policy: str
    finding: str
    keep: Estimate
    D: float
    pool: float
    loss: Estimate
    gain: Estimate
    gain_random: Estimate
    keeps: tuple[float, ...]
    gains: tuple[Estimate, ...]
    lossless: Estimate | None
    reach: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossover(_Plain):
    """Where one policy overtakes another, at one share and equal numbers of examples kept.

    ``D`` is the number from which on ``winner`` has the lower loss: zero where it has it
    everywhere, infinite where nowhere, ``looked`` from where to where. ``pool`` is D over the
    share.
    """

    winner: str
    loser: str
    keep: float
    D: Estimate
    pool: Estimate
    looked: tuple[float, float]
    share_of_draws: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrontierFinding(_Plain):
    """Whether the best of all policies and shares falls faster than no pruning.

    Attributes
    ----------
    D, keep, policy, loss
        The frontier: examples kept and what is best there.
    exponent, unpruned
        Mean slope ``-d log L / d log D`` of the frontier and of no pruning over D.
    difference
        Exponent of the frontier less that of no pruning.
    growth
        That difference in the upper half of the range less that in the lower half: below zero it
        bends back.
    p
        Chance of so large a difference if there were none, two-sided, the largest over forms.
    sentence
        In words.
    """

    D: Array
    keep: Array
    policy: tuple[str, ...]
    loss: Array
    exponent: Estimate
    unpruned: Estimate
    difference: Estimate
    growth: Estimate
    p: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BreakEven(_Plain):
    """When scoring is paid back by training on fewer examples to the same loss.

    Attributes
    ----------
    trainings
        Trainings at the target that pay for one scoring; infinite where pruning saves nothing.
    compute
        Training compute, of one training, from which on it pays for itself; infinite where nowhere.
    unit
        ``flops`` or ``seen``.
    score, train
        Cost of scoring one example of the pool, and of training on one example kept.
    multiplier
        Training compute without pruning over that with it, scoring included, at equal loss.
    """

    trainings: Estimate
    compute: Estimate
    unit: str
    score: float
    train: float
    multiplier: Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorstClass(_Plain):
    """Error of the worst class with pruning over that with as many random examples."""

    policy: str
    keep: float
    D: float
    ratio: Estimate
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextPilot(_Plain):
    """A pilot that would settle most, and by how much it narrows the gain's interval."""

    policy: str
    keep: float
    D: float
    pool: float
    seeds: int
    narrows_to: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve(_Plain):
    """Loss against examples kept, with its band, for pictures."""

    policy: str
    keep: float
    D: Array
    loss: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FormShare(_Plain):
    """A form of the loss: its weight, whether the pilots exclude it, how badly it fits."""

    form: str
    weight: float
    excluded: bool
    misfit: float
    discrepancy: float
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verdict(_Plain):
    """Whether pruning is worth it.

    Attributes
    ----------
    answer
        ``hard``, ``easy``, ``none`` (do not prune) or ``no verdict``.
    sentence
        The answer in words.
    status
        ``ok``; ``suspect``: usable with doubt; ``refused``: no verdict.
    reasons
        Why it is not ok.
    notes
        What else should be known.
    metric, data, outcome
        Which score, data and column.
    question, level
        What was asked, and the level of all intervals.
    keep, loss, gain
        Of the policy that is the answer; ``None`` where none is.
    loss_none
        Loss without pruning.
    multiplier
        Random examples that an example kept is worth: what the same loss takes without pruning.
    policies
        Each policy tried.
    crossovers, frontier, break_even, worst_class, next_pilots
        See their classes; empty or ``None`` where the pilots say nothing about it.
    reach
        How many times beyond the pilots the target is.
    forms
        Every form of the loss that was fitted.
    curves, points
        For pictures: bands by policy and share; means of cells with their standard errors.
    """

    answer: str
    sentence: str
    status: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    metric: str
    data: str
    outcome: str
    question: Question
    level: float
    keep: Estimate | None = None
    loss: Estimate | None = None
    gain: Estimate | None = None
    loss_none: Estimate | None = None
    multiplier: Estimate | None = None
    policies: tuple[PolicyFinding, ...] = ()
    crossovers: tuple[Crossover, ...] = ()
    frontier: FrontierFinding | None = None
    break_even: BreakEven | None = None
    worst_class: tuple[WorstClass, ...] = ()
    next_pilots: tuple[NextPilot, ...] = ()
    reach: float = 1.0
    forms: tuple[FormShare, ...] = ()
    curves: tuple[Curve, ...] = ()
    points: tuple[Mapping[str, Any], ...] = ()
    runs: int = 0
    refused: tuple[Refusal, ...] = ()
    source: str = "memory"
    digest: str = ""
    seed: int = 0
    schema: int = field(default=SCHEMA)

    def __repr__(self) -> str:
        what = f" of {self.metric}" if self.metric else ""
        keep = f", keep {self.keep!r}" if self.keep else ""
        return f"Verdict({self.answer}{what}{keep}, {self.status})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"

    def require(self) -> Verdict:
        """Return self if the status is ok, else raise `FitError` with the first reason."""
        if self.status != "ok":
            raise FitError(self.reasons[0].code, self.reasons[0].message)
        return self

    def policy(self, name: str) -> PolicyFinding | None:
        """Return the finding about one policy."""
        return next((p for p in self.policies if p.policy == name), None)

    def summary(self) -> str:
        """Write the verdict for people."""
        from isoloss.prune.verdict_words import summary

        return summary(self)
