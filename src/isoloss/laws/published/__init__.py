"""Published constants, each with the table it was read from and its caveat."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from isoloss.laws.published.entry import Published
from isoloss.laws.published.experts import EXPERTS
from isoloss.laws.published.games import GAMES
from isoloss.laws.published.growth import HOFFMANN
from isoloss.laws.published.kaplan import KAPLAN
from isoloss.laws.published.language import LANGUAGE
from isoloss.laws.published.vision import CLIP

__all__ = ["PUBLISHED", "Published"]

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {**LANGUAGE, **EXPERTS, **KAPLAN, **HOFFMANN, **CLIP, **GAMES}
)
"""Name to published constants."""
