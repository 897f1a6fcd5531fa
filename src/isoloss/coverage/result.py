"""The result of a coverage study: plain data with a digest of itself."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import isoloss
from isoloss._core.arrays import as_level, as_seed
from isoloss._core.serial import digest_bytes, plain, to_json, write_atomic
from isoloss.coverage.cells import SIZES, Cell, select_cells
from isoloss.coverage.designs import DESIGNS
from isoloss.coverage.journal import digest_of, libraries, source_digest
from isoloss.coverage.noises import NOISES
from isoloss.coverage.procedures import PARTS, Repeat, Settings
from isoloss.coverage.simulate import Progress, check_jobs, run_repeats
from isoloss.coverage.tally import BINOMIAL_LEVEL, scores, summarise
from isoloss.coverage.truths import TRUTHS
from isoloss.errors import FitError, InputError

SCHEMA = 1
JOURNAL = "repeats.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """How often intervals held the truth.

    Attributes
    ----------
    answers
        The plain dictionary that coverage.json holds, its ``sha256`` included.
    """

    answers: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether every repeat asked for is in it."""
        return bool(self.answers["complete"])

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Procedures that gave no answer, and why."""
        return list(self.answers["failures"])

    def to_dict(self) -> dict[str, Any]:
        """Plain types: what coverage.json holds."""
        return dict(self.answers)

    def write(self, out: str | Path) -> dict[str, Path]:
        """Write ``coverage.json`` and ``coverage.md``."""
        from isoloss.coverage.page import render_markdown

        folder = Path(out)
        files = {
            "coverage.json": to_json(self.answers),
            "coverage.md": "# Coverage\n\n" + render_markdown(self.answers),
        }
        for name, text in files.items():
            write_atomic(folder / name, text)
        return {name: folder / name for name in files}

    def summary(self) -> str:
        """Pooled lines for people."""
        from isoloss.coverage.page import summary_lines

        return "\n".join(summary_lines(self.answers))

    def __repr__(self) -> str:
        cells = self.answers["cells"]
        return f"Coverage({len(cells)} cells, {sum(c['repeats'] for c in cells)} repeats)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def coverage(
    size: str = "quick",
    *,
    out: str | Path,
    repeats: int | None = None,
    only: Sequence[str] = (),
    draws: int = 1000,
    level: float = 0.9,
    rng: int = 0,
    jobs: int = 1,
    on_repeat: Callable[[Progress], None] | None = None,
) -> Coverage:
    """Simulate tables of known truth, run the whole procedure on each, count what was held.

    Parameters
    ----------
    size
        ``quick`` or ``nightly``: which cells, and how many repeats of each.
    out
        Folder of the journal of finished repeats; a second call with the same settings goes on.
    repeats
        Tables a cell; that of the size by default.
    only
        Patterns of names of cells, ``truth/design/noise``, in place of those of the size.
    draws, level
        As in `isoloss.fit_laws`.
    rng
        Seed of the simulated tables.
    jobs
        Processes. The numbers do not depend on it.
    on_repeat
        Called after each repeat, to show progress.

    Raises
    ------
    InputError
        For an argument that breaks a rule.
    FitError
        ``NO_REPEATS`` when it was interrupted before any was done.
    """
    chosen = select_cells(size, only)
    settings = Settings(seed=as_seed(rng), draws=_count("draws", draws), level=as_level(level))
    count = _count("repeats", SIZES[size][1] if repeats is None else repeats)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out = {str(out)!r}: is a file; give a folder")
    started = time.monotonic()
    found, complete = run_repeats(
        chosen,
        repeats=count,
        settings=settings,
        journal=folder / JOURNAL,
        jobs=check_jobs(jobs),
        on_repeat=on_repeat,
    )
    if not found:
        raise FitError("NO_REPEATS", "interrupted before any repeat was done; start again")
    arguments = {"size": size, "repeats": count, "only": list(only)} | settings.to_dict()
    answers = collect(chosen, found, arguments, complete=complete)
    answers["timing"] |= {"wall_s": round(time.monotonic() - started, 1), "jobs": jobs}
    return Coverage(answers=seal(answers))


def _count(name: str, value: Any) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, np.integer))
        or not 0 < value <= 10**6
    ):
        raise InputError(f"{name} = {value!r}: must be a whole number from 1 to 1000000")
    return int(value)


def collect(
    cells: Sequence[Cell],
    found: Mapping[str, Sequence[Repeat]],
    arguments: Mapping[str, Any],
    *,
    complete: bool,
) -> dict[str, Any]:
    """Lay out the answers of finished repeats."""
    used = [cell for cell in cells if cell.name in found]
    sections = [cell_section(cell, found[cell.name]) for cell in used]
    names = {kind: {c[kind] for c in sections} for kind in ("truth", "design", "noise")}
    return {
        "schema": SCHEMA,
        "isoloss": isoloss.__version__,
        "source": source_digest(),
        "libraries": libraries(),
        "arguments": dict(arguments),
        "binomial_level": BINOMIAL_LEVEL,
        "complete": complete,
        "summary": summarise(sections),
        "truths": [t.to_dict() for t in TRUTHS.values() if t.name in names["truth"]],
        "designs": [d.to_dict() for d in DESIGNS.values() if d.name in names["design"]],
        "noises": [n.to_dict() for n in NOISES.values() if n.name in names["noise"]],
        "cells": sections,
        "failures": [
            {"cell": cell.name, "repeat": r.index, "procedure": procedure, "reason": reason}
            for cell in used
            for r in found[cell.name]
            for procedure, reason in r.failures
        ],
        "timing": _timing(used, found),
    }


def cell_section(cell: Cell, repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Lay out one cell."""
    laws = tuple(dict.fromkeys(name for r in repeats for name in r.laws))
    return {
        "cell": cell.name,
        "truth": cell.truth.name,
        "design": cell.design.name,
        "noise": cell.noise.name,
        "family": "joint" if "N" in cell.truth.axes else "curve",
        "laws": list(laws),
        "inside": cell.truth.is_in(laws),
        "repeats": len(repeats),
        "digests": [digest_of(r) for r in repeats],
        "targets": [t.to_dict() | {"reach": t.scale / cell.design.high} for t in cell.targets],
        "scores": scores(cell, repeats),
    }


def _timing(cells: Sequence[Cell], found: Mapping[str, Sequence[Repeat]]) -> dict[str, Any]:
    by_design: dict[str, list[tuple[float, ...]]] = {}
    for cell in cells:
        by_design.setdefault(cell.design.name, []).extend(r.cpu for r in found[cell.name])
    whole = np.sum([np.sum(rows, axis=0) for rows in by_design.values()], axis=0)
    return {
        "cpu_s": round(float(whole.sum()), 1),
        "cpu_s_per_repeat": {
            name: dict(zip(PARTS, np.mean(rows, axis=0).round(4).tolist(), strict=True))
            for name, rows in by_design.items()
        },
    }


def seal(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Add the digest of everything else."""
    content: dict[str, Any] = plain({k: v for k, v in answers.items() if k != "sha256"})
    return content | {"sha256": content_digest(content)}


def content_digest(answers: Mapping[str, Any]) -> str:
    """SHA-256 of all but ``sha256`` itself, keys sorted, without spaces."""
    content = {k: v for k, v in answers.items() if k != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return digest_bytes(text.encode())
