"""The choices of an import, each with its default, checked once and said in the report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.logs.clean import UNITS
from isoloss.runs.logs.final import LAST, TAIL, FinalRule, parse_final
from isoloss.runs.logs.names import compile_pattern
from isoloss.runs.rows import short

KEEPABLE = ("DIVERGED", "UNFINISHED", "DELETED", "DUPLICATE_RUN", "MIXED_TOKENIZER",
            "MIXED_EVAL_SET")  # fmt: skip
"""Reasons to leave a run out that the caller may overrule."""
DROPPABLE = ("UNDER_ANNEALED", "RISING", "SPIKES", "DRIFT", "NOT_CLOSED", "EARLY_LAST_LOG",
             "SHORT_WINDOW", "STEPS_COUNT_LOGS", "TRUNCATED", "CORRUPT", "RESTARTED", "NOT_FINITE",
             "REPEATED_STEPS")  # fmt: skip
"""Doubts that the caller may make reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How curves become rows."""

    metric: str = "eval"
    unit: str = "nats"
    unit_given: bool = False
    final: FinalRule | None = None
    warmup: float | None = None
    anneal: float = 0.1
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    pattern: str = ""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    form: tuple[re.Pattern[str], tuple[str, ...]] | None = None

    def severity(self, code: str, severity: str) -> str:
        """Severity of a finding, after what the caller keeps and drops."""
        if code in self.keep and severity == "dropped":
            return "warning"
        return "dropped" if code in self.drop else severity

    def fields(self, name: str) -> dict[str, float]:
        """Numbers that the pattern finds in a run's name."""
        from isoloss.runs.logs.resources import read_scalar

        match = self.form[0].fullmatch(name[:300]) if self.form else None
        if match is None or self.form is None:
            return {}
        read = {k: read_scalar(v) for k, v in zip(self.form[1], match.groups(), strict=True)}
        return {k: v for k, v in read.items() if v is not None}

    def to_dict(self) -> dict[str, Any]:
        """Every choice in plain types, in words where that helps."""
        return {
            "metric": {"eval": "the held-out loss of each run",
                       "train": "the training loss of each run"}.get(self.metric, self.metric),
            "loss_unit": self.unit + ("" if self.unit == "nats" else ", converted to nats"),
            "final": str(self.final) if self.final else
            f"held-out: {LAST}; training: {TAIL}",
            "warmup": "logs before the learning rate first peaks are cut, where it is logged"
            if self.warmup is None else f"logs before step {self.warmup:g} are cut",
            "under_annealed_above": self.anneal,
            "columns": dict(self.columns),
            "units": dict(self.units),
            "pattern": self.pattern,
            "keep": list(self.keep),
            "drop": list(self.drop),
        }  # fmt: skip


def make_rules(
    *,
    metric: str,
    loss_unit: str | None,
    final: str,
    warmup: float | str,
    anneal: float,
    columns: Mapping[str, str] | None,
    units: Mapping[str, float] | None,
    pattern: str | None,
    keep: Sequence[str],
    drop: Sequence[str],
) -> Rules:
    """Check the caller's choices.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    if not isinstance(metric, str) or not metric:
        raise InputError("metric: eval, train, a name, or a pattern with *")
    if loss_unit is not None and loss_unit not in UNITS:
        raise InputError(f"loss_unit = {short(loss_unit)}: must be one of {', '.join(UNITS)}")
    if not (math.isfinite(anneal) and 0 < anneal <= 1):
        raise InputError(f"anneal = {anneal:g}: a share of the peak, above 0, at most 1")
    for what, given, known in (("keep", keep, KEEPABLE), ("drop", drop, DROPPABLE)):
        for code in given:
            if code not in known:
                raise InputError(f"{what}: {short(code)} is not one of {', '.join(known)}")
    for axis, name in (columns or {}).items():
        if axis in ("loss", "name", "loss_se"):
            raise InputError(f"columns: {axis} is not chosen here" + "; use metric" * (
                axis == "loss"))  # fmt: skip
        if not axis or not isinstance(name, str) or not name:
            raise InputError("columns: a dict from an axis to the name of a metric or setting")
    for axis, factor in (units or {}).items():
        if not (isinstance(factor, (int, float)) and math.isfinite(factor) and factor > 0):
            raise InputError(f"units: {short(axis)} = {short(factor)}: must be a positive number")
    return Rules(
        metric=metric,
        unit=loss_unit or "nats",
        unit_given=loss_unit is not None,
        final=parse_final(final),
        warmup=_warmup(warmup),
        anneal=float(anneal),
        columns=dict(columns or {}),
        units=dict(units or {}),
        pattern=pattern or "",
        keep=tuple(keep),
        drop=tuple(drop),
        form=compile_pattern(pattern) if pattern else None,
    )


def _warmup(given: float | str) -> float | None:
    if given == "auto":
        return None
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"warmup = {short(given)}: write auto, or a step of 0 or more")
    return value
