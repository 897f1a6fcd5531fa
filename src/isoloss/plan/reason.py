"""Why an answer of this room is missing, doubtful or worth a remark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A stable code and a sentence that says what was seen and what to do.

    Attributes
    ----------
    code
        In capitals, for example ``NO_INTERIOR_OPTIMUM``.
    message
        For people.
    severity
        ``info`` (a remark), ``doubt`` (the answer stands, with care) or ``refusal`` (no answer).
    """

    code: str
    message: str
    severity: str = "doubt"

    def to_dict(self) -> dict[str, str]:
        """Plain types."""
        return {"code": self.code, "message": self.message, "severity": self.severity}


def overall(reasons: tuple[Reason, ...], *, answered: bool) -> str:
    """Status of a result: ``ok``, ``suspect`` or ``failed``."""
    if not answered:
        return "failed"
    return "suspect" if any(r.severity != "info" for r in reasons) else "ok"
