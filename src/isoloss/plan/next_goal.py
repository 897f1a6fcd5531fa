"""What the next runs are to narrow: a loss, or the best size, at one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isoloss._core.arrays import as_positive
from isoloss.errors import InputError

LOSS, SIZE = "loss", "N_opt"
_FORMS = "'loss@N=7e10,D=1.4e12', 'loss@C=1e23' or 'N_opt@C=1e23'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A quantity whose variance runs are chosen to reduce, in the logarithm.

    Attributes
    ----------
    kind
        ``loss`` or ``N_opt``.
    at
        Where: resources of the target, or C alone for the best split of a budget.

    Examples
    --------
    >>> parse_goal("loss@C=1e23").text
    'loss@C=1e+23'
    """

    kind: str
    at: Mapping[str, float] = field(default_factory=dict)

    @property
    def budget(self) -> float | None:
        """Budget whose best split is meant; ``None`` for a target of given resources."""
        return self.at["C"] if set(self.at) == {"C"} else None

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.kind}@" + ",".join(f"{a}={v:g}" for a, v in self.at.items())

    @property
    def words(self) -> str:
        """For people."""
        where = ", ".join(f"{a} = {v:.4g}" for a, v in self.at.items())
        return f"{'the loss' if self.kind == LOSS else 'N_opt'} at {where}"


def parse_goal(text: str | Goal) -> Goal:
    """Read a goal as it is written on the command line.

    Raises
    ------
    InputError
        For another form, a number that is not positive, or a resource named twice.

    Examples
    --------
    >>> parse_goal("loss@N=7e10,D=1.4e12").at
    {'N': 70000000000.0, 'D': 1400000000000.0}
    """
    if isinstance(text, Goal):
        return text
    kind, sign, where = str(text).partition("@")
    kind = kind.strip()
    if not sign or kind not in (LOSS, SIZE):
        raise InputError(f"goal = {text!r}: write {_FORMS}")
    at: dict[str, float] = {}
    for part in where.split(","):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not (equals and name and value.strip()):
            raise InputError(f"goal = {text!r}: {part!r} is not NAME=VALUE; write {_FORMS}")
        if name in at:
            raise InputError(f"goal = {text!r}: {name} is given twice")
        try:
            at[name] = as_positive(f"goal {name}", float(value))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"goal = {text!r}: {value.strip()!r} is not a number") from None
    if kind == SIZE and set(at) != {"C"}:
        raise InputError(f"goal = {text!r}: N_opt is of a budget; write N_opt@C=1e23")
    return Goal(kind=kind, at=at)
