"""What a number in the description of a model may be."""

from __future__ import annotations

from typing import Any

from isoloss.errors import InputError

MOST = 10**12
"""Of any one size: beyond it a description is a slip, and loops over layers would not end."""


def whole(owner: object, name: str, least: int = 1, *, optional: bool = False) -> None:
    """Refuse a field that is no whole number of at least ``least``."""
    value: Any = getattr(owner, name)
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        shown = repr(value)[:60]
        raise InputError(
            f"{name} = {shown}: must be a whole number of at least {least} and at most {MOST:.0e}"
        )


def flag(owner: object, *names: str) -> None:
    """Refuse a field that is neither true nor false."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, bool):
            raise InputError(f"{name} = {repr(value)[:60]}: must be true or false")


def one_of(owner: object, name: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that means nothing here."""
    value = getattr(owner, name)
    if value not in allowed:
        raise InputError(f"{name} = {repr(value)[:60]}: must be one of {', '.join(allowed)}")


def divides(small: str, by: int, large: str, value: int) -> None:
    """Refuse sizes that do not go into each other."""
    if value % by:
        raise InputError(f"{large} = {value} is not divisible by {small} = {by}")
