"""What a comparison of published fits with ours is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isoloss.runs.atlas import ReleasedTable

SCHEMA = 1
_HEADER = ("table", "quantity", "theirs", "same by isoloss", "defaults of isoloss", "what to know")


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasRow:
    """One number: as published, by the published procedure in this engine, and by our defaults.

    Attributes
    ----------
    family, table
        Which release, and what the number was computed from.
    quantity
        What it is.
    theirs, same, ours
        As published; the same procedure here; the defaults here. ``None`` where there is none.
    note
        Why they differ, where they do.
    """

    family: str
    table: str
    quantity: str
    theirs: float | None = None
    same: float | None = None
    ours: float | None = None
    note: str = ""

    @property
    def error(self) -> float | None:
        """Relative difference between ``same`` and ``theirs``."""
        if self.theirs is None or self.same is None or self.theirs == 0:
            return None
        return self.same / self.theirs - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        names = ("family", "table", "quantity", "theirs", "same", "ours", "note")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Atlas:
    """Rows of comparison, and the tables that they were computed from."""

    rows: tuple[AtlasRow, ...]
    tables: tuple[ReleasedTable, ...]

    @property
    def silent(self) -> tuple[str, ...]:
        """Families of which tables were found, but too few rows to compare anything."""
        compared = {row.family for row in self.rows}
        return tuple(dict.fromkeys(t.family for t in self.tables if t.family not in compared))

    def __repr__(self) -> str:
        return f"Atlas({len(self.rows)} numbers, {len(self.tables)} tables)"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "kind": "atlas",
            "schema": SCHEMA,
            "tables": [
                {
                    "name": t.name,
                    "family": t.family,
                    "rows": len(t.runs),
                    "digest": t.runs.digest,
                    "source": t.source,
                    "licence": t.licence,
                }
                for t in self.tables
            ],
            "rows": [row.to_dict() for row in self.rows],
        }

    def to_columns(self) -> dict[str, list[Any]]:
        """Table, one row a number."""
        plain = [row.to_dict() for row in self.rows]
        return {name: [row[name] for row in plain] for name in (plain[0] if plain else ())}

    def summary(self) -> str:
        """Lines for people."""
        lines = []
        for family in dict.fromkeys(row.family for row in self.rows):
            lines.append(family)
            for row in self.rows:
                if row.family == family:
                    numbers = ", ".join(
                        f"{label} {_digits(value)}"
                        for label, value in (
                            ("theirs", row.theirs),
                            ("same", row.same),
                            ("ours", row.ours),
                        )
                        if value is not None
                    )
                    lines.append(f"  {row.table}: {row.quantity}: {numbers}")
                    if row.note:
                        lines.append(f"      {row.note}")
        return "\n".join(lines)

    def markdown(self, family: str | None = None) -> str:
        """Return a Markdown table, of one family or of all."""
        lines = ["| " + " | ".join(_HEADER) + " |", "|" + " --- |" * len(_HEADER)]
        for row in self.rows:
            if family in (None, row.family):
                cells = (
                    row.table,
                    row.quantity,
                    *(_digits(v) for v in (row.theirs, row.same, row.ours)),
                    row.note,
                )
                lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def parameter_rows(
    family: str,
    table: str,
    theirs: Mapping[str, float],
    same: Mapping[str, float],
    ours: Mapping[str, float] | None = None,
    note: str = "",
) -> list[AtlasRow]:
    """One row for each parameter, the note at the first."""
    return [
        AtlasRow(
            family=family,
            table=table,
            quantity=name,
            theirs=theirs.get(name),
            same=same[name],
            ours=None if ours is None else ours.get(name),
            note=note if i == 0 else "",
        )
        for i, name in enumerate(same)
    ]
