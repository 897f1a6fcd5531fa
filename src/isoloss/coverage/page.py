"""A result as text: lines for a terminal, Markdown for the documentation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = (
    "set: mean", "width", "of oracle's", "error", "new run", "N_opt", "width",
    "one law: mean", "width", "N_opt",
    "oracle: mean", "width", "N_opt",
)  # fmt: skip
_Rows = Mapping[tuple[str, str], Mapping[str, Any]]


def _share(row: Mapping[str, Any] | None, *, binomial: bool = False) -> str:
    if row is None or row["coverage"] is None:
        return "-"
    text = f"{row['coverage']:.2f}"
    return f"{text} ({row['low']:.2f}-{row['high']:.2f})" if binomial else text


def _width(row: Mapping[str, Any] | None, key: str = "width") -> str:
    """Width or error: percent of a loss, factor of a size."""
    if row is None or row[key] is None:
        return "-"
    if row["quantity"] == "N_opt":
        return f"x{_short(math.exp(min(row[key], 700.0)))}"
    return f"{_short(100 * math.expm1(min(row[key], 700.0)))} %"


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}" if value < 1e4 else f"{value:.0e}"


def _cells_of(rows: _Rows) -> list[str]:
    """Fill the columns of `HEAD` from scores by procedure and quantity."""
    mean = rows.get(("set", "mean"))
    ratio = None if mean is None else mean["ratio"]
    out = [
        _share(mean, binomial=True),
        _width(mean),
        "-" if ratio is None else _short(ratio),
        _width(mean, "error"),
        _share(rows.get(("set", "new_run"))),
        _share(rows.get(("set", "N_opt"))),
        _width(rows.get(("set", "N_opt"))),
    ]
    for procedure in ("single", "oracle"):
        out += [
            _share(rows.get((procedure, "mean")), binomial=True),
            _width(rows.get((procedure, "mean"))),
            _share(rows.get((procedure, "N_opt"))),
        ]
    return out


def _grouped(
    rows: Iterable[Mapping[str, Any]], keys: Sequence[str]
) -> dict[tuple[Any, ...], dict[tuple[str, str], Mapping[str, Any]]]:
    """Gather scores that share ``keys``, by procedure and quantity."""
    out: dict[tuple[Any, ...], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        key = tuple(row[k] for k in keys)
        out.setdefault(key, {})[row["procedure"], row["quantity"]] = row
    return out


def summary_table(answers: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Pooled coverage: head and rows."""
    head = ["truths", "target", "cells", *HEAD, "worst cell of the set"]
    rows = []
    groups = _grouped(answers["summary"], ("family", "inside", "target"))
    for (family, inside, target), scores in groups.items():
        first = scores["set", "mean"]
        worst = first["worst"]
        rows.append(
            [
                f"{family}, {'inside' if inside else 'outside'}",
                target,
                str(first["cells"]),
                *_cells_of(scores),
                f"{worst['cell']} {worst['coverage']:.2f}" if worst else "-",
            ]
        )
    return head, rows


def cell_table(cells: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Coverage by cell and target: head and rows."""
    head = ["truth", "design", "noise", "in set", "target", *HEAD]
    rows = []
    for cell in cells:
        inside = "yes" if cell["inside"] else "no"
        for (target,), scores in _grouped(cell["scores"], ("target",)).items():
            rows.append(
                [
                    cell["truth"], cell["design"], cell["noise"], inside, target,
                    *_cells_of(scores),
                ]
            )  # fmt: skip
    return head, rows


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    wide = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(text.ljust(w) for text, w in zip(row, wide, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def provenance(answers: Mapping[str, Any]) -> str:
    """One sentence on where the numbers come from."""
    a, cells = answers["arguments"], answers["cells"]
    repeats = sum(c["repeats"] for c in cells)
    cpu = answers["timing"]["cpu_s"]
    text = (
        f"{a['size']}: {len(cells)} cells, {repeats} simulated tables, {a['draws']} draws, level "
        f"{100 * a['level']:g} %, seed {a['seed']}, isoloss {answers['isoloss']}, "
        f"{cpu / 3600:.2g} core-hours."
    )
    if not answers["complete"]:
        text += " Interrupted: some repeats that were asked for are missing."
    if answers["failures"]:
        text += f" {len(answers['failures'])} times a procedure gave no answer."
    return text


def summary_lines(answers: Mapping[str, Any]) -> list[str]:
    """Lines for people: where from, and the pooled table."""
    return [provenance(answers), *_aligned(*summary_table(answers))]


def table_lines(answers: Mapping[str, Any]) -> list[str]:
    """Lines for people: every cell."""
    return _aligned(*cell_table(answers["cells"]))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def render_markdown(answers: Mapping[str, Any]) -> str:
    """Lay out the result in Markdown: pooled, then a table a design."""
    parts = [
        provenance(answers),
        f"SHA-256 of the result: `{answers['sha256']}`.",
        _markdown(*summary_table(answers)),
    ]
    for design in answers["designs"]:
        cells = [c for c in answers["cells"] if c["design"] == design["design"]]
        parts += [f"### {design['design']}", _markdown(*cell_table(cells))]
    return "\n\n".join(parts) + "\n"
