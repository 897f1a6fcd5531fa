"""What is kept of constants that somebody printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isoloss._core.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Constants of a law as somebody printed them.

    Attributes
    ----------
    law
        Key in the catalogue of laws.
    parameters
        Values by name; a constant that was not printed is left out, and the caveat says so.
    source, caveat
        Where they stand, and what to know before using them.
    axis
        Resource that a law of one resource is of.
    measures
        What the law gives, with its unit and those of the resources.
    intervals
        Intervals by name, where some were printed.
    """

    law: str
    parameters: Mapping[str, float]
    source: str
    caveat: str = ""
    axis: str = ""
    measures: str = "loss in nats per token"
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "law": self.law,
            "parameters": dict(self.parameters),
            "source": self.source,
            "caveat": self.caveat,
            "axis": self.axis,
            "measures": self.measures,
            "intervals": {name: found.to_dict() for name, found in self.intervals.items()},
        }
