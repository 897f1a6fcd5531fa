"""Which recipe: the goal of runs that are to tell two recipes apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isoloss._core.arrays import as_positive
from isoloss.errors import InputError
from isoloss.runs.rows import short

BETWEEN = "-vs-"
_FORM = "'A-vs-B@C=1e22', with the names of the recipes, or A and B for the first and the second"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsGoal:
    """Two recipes, compared at a scale.

    Attributes
    ----------
    recipes
        As they were written, ``"old-vs-new"``.
    resource, scale
        ``C``, or the one resource of the laws; where along it.

    Examples
    --------
    >>> parse_arms_goal("old-vs-new@C=1e22").text
    'old-vs-new@C=1e+22'
    """

    recipes: str
    resource: str
    scale: float

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.recipes}@{self.resource}={self.scale:g}"

    def pick(self, names: Sequence[str]) -> tuple[str, str]:
        """Find the two recipes among names; A and B are the first and the second of two.

        Examples
        --------
        >>> parse_arms_goal("A-vs-B@C=1e22").pick(["old", "new"])
        ('old', 'new')
        """
        found = [
            (a, b) for a in names for b in names if a != b and self.recipes == f"{a}{BETWEEN}{b}"
        ]
        if len(found) == 1:
            return found[0]
        if len(names) == 2 and self.recipes in ("A-vs-B", "B-vs-A"):
            return (names[0], names[1]) if self.recipes[0] == "A" else (names[1], names[0])
        shown = ", ".join(short(n) for n in list(names)[:10])
        raise InputError(
            f"goal = {short(self.text)}: no two such recipes; there are {shown}; write {_FORM}"
        )


def is_arms_goal(text: object) -> bool:
    """Whether a goal names two recipes."""
    return isinstance(text, ArmsGoal) or BETWEEN in str(text).partition("@")[0]


def parse_arms_goal(text: str | ArmsGoal) -> ArmsGoal:
    """Read a goal as it is written on the command line.

    Raises
    ------
    InputError
        For another form, or a scale that is no positive number.

    Examples
    --------
    >>> parse_arms_goal("A-vs-B@C=1e22").scale
    1e+22
    """
    if isinstance(text, ArmsGoal):
        return text
    # Names may hold an at sign themselves.
    recipes, sign, where = str(text).rpartition("@")
    recipes = recipes.strip()
    resource, equals, value = where.partition("=")
    resource = resource.strip()
    if not (sign and equals and resource.isidentifier()) or "," in value:
        raise InputError(f"goal = {short(str(text))}: write {_FORM}")
    left, between, right = recipes.partition(BETWEEN)
    if not (between and left and right):
        raise InputError(f"goal = {short(str(text))}: write {_FORM}")
    try:
        scale = float(value)
    except ValueError:
        raise InputError(f"goal = {short(str(text))}: {short(value)} is not a number") from None
    return ArmsGoal(recipes=recipes, resource=resource, scale=as_positive("goal", scale))
