"""What a design can answer, and what it cannot."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss.plan.audit_parts import Direction, Leverage, MissingRun, Question, Target, finite
from isoloss.plan.audit_words import summary
from isoloss.plan.design_findings import Finding
from isoloss.plan.design_noise import DesignNoise

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignAudit:
    """What a design of runs can answer, and what it cannot.

    Attributes
    ----------
    n_runs, n_configurations
        Size of the design.
    law, laws, dropped
        The leading law; name and weight of each; those that could not be fitted, and why.
    middle
        Resources at the middle of the runs, where starred parameters are taken.
    noise
        Of one run.
    findings
        What is wrong with the design, the worst first.
    directions
        Parameters that move together, those that no run sees first.
    leverage
        Configurations by leverage, the largest first.
    target
        The decision in the design's own metric; ``None`` where no law could be fitted.
    questions
        What one may want to know.
    missing
        The run missing most, and the one among the cheap; empty where no law could be fitted.
    never
        What no repeating of these runs would identify.
    status
        ``ok``, ``suspect`` or ``failed``.
    sentence
        For people.
    """

    n_runs: int
    n_configurations: int
    law: str
    laws: Mapping[str, float]
    dropped: Mapping[str, str]
    middle: Mapping[str, float]
    noise: DesignNoise | None
    findings: tuple[Finding, ...]
    directions: tuple[Direction, ...]
    leverage: tuple[Leverage, ...]
    target: Target | None
    questions: tuple[Question, ...]
    missing: tuple[MissingRun, ...]
    never: tuple[str, ...]
    status: str
    sentence: str

    def question(self, name: str) -> Question:
        """Find a question by name."""
        return next(q for q in self.questions if q.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss audit --json``."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "status": self.status,
            "n_runs": self.n_runs,
            "n_configurations": self.n_configurations,
            "law": self.law,
            "laws": dict(self.laws),
            "dropped": dict(self.dropped),
            "middle": dict(self.middle),
            "noise": None if self.noise is None else self.noise.to_dict(),
            "findings": [f.to_dict() for f in self.findings],
            "directions": [d.to_dict() for d in self.directions],
            "leverage": [r.to_dict() for r in self.leverage],
            "target": None if self.target is None else self.target.to_dict(),
            "questions": [q.to_dict() for q in self.questions],
            "missing": [m.to_dict() for m in self.missing],
            "never": list(self.never),
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table of the questions."""
        rows = self.questions
        return {
            "question": [q.title for q in rows],
            "state": [q.state for q in rows],
            "value": [finite(q.value) for q in rows],
            "standard_error": [finite(q.standard_error) for q in rows],
            "between_laws": [finite(q.between) for q in rows],
            "factor_with_runs_again": [finite(q.again) for q in rows],
        }

    def summary(self) -> str:
        """Lines for people."""
        return summary(self)

    def __repr__(self) -> str:
        return f"DesignAudit({self.sentence})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
