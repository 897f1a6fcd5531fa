"""Published fits found again by one engine, theirs beside ours."""

from isoloss.study.atlas.atlas import atlas
from isoloss.study.atlas.rows import Atlas, AtlasRow

__all__ = ["Atlas", "AtlasRow", "atlas"]
