"""Check a result: its digest, its sums, and a sample of its repeats run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoloss._core.arrays import as_level, as_seed
from isoloss._core.serial import plain
from isoloss.coverage.cells import ALL_CELLS
from isoloss.coverage.journal import digest_of, libraries, source_digest
from isoloss.coverage.procedures import Settings, score_repeat
from isoloss.coverage.result import SCHEMA, Coverage, content_digest
from isoloss.coverage.tally import share_of, summarise
from isoloss.errors import InputError

MAX_BYTES = 100_000_000
_KEYS = (
    "isoloss", "source", "libraries", "arguments", "binomial_level", "complete", "summary",
    "truths", "designs", "noises", "cells", "failures", "timing",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of a result found.

    Attributes
    ----------
    sha256
        Digest of the result, recomputed.
    rerun
        Repeats run again.
    differ
        Names of those whose numbers are not the same to the last bit.
    same_source
        Whether the result was made by this code.
    same_libraries
        Whether Python, numpy and scipy have the versions that it was made with.
    """

    sha256: str
    rerun: int
    differ: tuple[str, ...]
    same_source: bool
    same_libraries: bool

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differ

    def to_dict(self) -> dict[str, Any]:
        """Plain types; the contract of ``isoloss coverage --check --json``."""
        return {
            "sha256": self.sha256,
            "ok": self.ok,
            "rerun": self.rerun,
            "differ": list(self.differ),
            "same_source": self.same_source,
            "same_libraries": self.same_libraries,
        }

    def summary(self) -> str:
        """Sentences for people."""
        lines = [f"digest and sums are right: {self.sha256}"]
        if self.rerun:
            lines.append(f"{self.rerun - len(self.differ)} of {self.rerun} repeats run again agree")
        lines += [f"  differs: {name}" for name in self.differ]
        if not self.same_source:
            lines.append("it was made by another source of isoloss than this one")
        if not self.same_libraries:
            lines.append("it was made with other versions of Python, numpy or scipy")
        return "\n".join(lines)


def read_coverage(path: str | Path) -> Coverage:
    """Read coverage.json and check its digest and its sums.

    Raises
    ------
    InputError
        When the file is no such result, or was changed.
    """
    file = Path(path)
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file.name}: larger than {MAX_BYTES} bytes; no result is")
    try:
        answers = json.loads(file.read_text("utf8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name}: is no JSON of a coverage study ({error})") from error
    if not isinstance(answers, dict) or "sha256" not in answers:
        raise InputError(f"{file.name}: has no sha256; give a coverage.json")
    if answers.get("schema") != SCHEMA:
        raise InputError(
            f"{file.name}: schema {answers.get('schema')!r}; this version reads {SCHEMA}"
        )
    found = content_digest(answers)
    if found != answers["sha256"]:
        raise InputError(
            f"{file.name}: its content has the digest {found[:16]}..., not the "
            f"{str(answers['sha256'])[:16]}... that it states; it was changed after it was made"
        )
    missing = [k for k in _KEYS if k not in answers]
    if missing:
        raise InputError(f"{file.name}: {', '.join(missing)} missing; give a whole coverage.json")
    try:
        _settings(answers["arguments"])
        _check_sums(answers)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{file.name}: {error}") from error
    return Coverage(answers=answers)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _check_sums(answers: Mapping[str, Any]) -> None:
    """Check that counts follow from the hits, and pooled lines from the cells."""
    for cell in answers["cells"]:
        for row in cell["scores"]:
            hits = row["hits"]
            if set(hits) - set("01x") or len(hits) != cell["repeats"]:
                raise ValueError(
                    f"{cell['cell']}: hits {hits!r} are not {cell['repeats']} of 0, 1, x"
                )
            counted = share_of(hits.count("1"), len(hits) - hits.count("x"))
            if any(row[k] != v for k, v in counted.items()):
                raise ValueError(f"{cell['cell']}: a coverage does not follow from its hits")
        if len(cell["digests"]) != cell["repeats"]:
            raise ValueError(f"{cell['cell']}: {len(cell['digests'])} digests of its repeats")
    if plain(summarise(answers["cells"])) != answers["summary"]:
        raise ValueError("the summary does not follow from the cells")


def verify(
    path: str | Path,
    *,
    sample: int = 0,
    rng: int = 0,
    on_repeat: Callable[[int, str], None] | None = None,
) -> Verification:
    """Check a result, and run a random sample of its repeats again.

    Parameters
    ----------
    path
        A coverage.json.
    sample
        Repeats to run again; all there are if that is fewer.
    rng
        Seed of the choice.
    on_repeat
        Called with the number done and the name of each repeat.

    Raises
    ------
    InputError
        When the file is no result, was changed, or holds cells that this version does not know.
    """
    answers = read_coverage(path).answers
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
        raise InputError(f"sample = {sample!r}: must be a whole number, zero or more")
    settings = _settings(answers["arguments"])
    tasks = [(c["cell"], i, d) for c in answers["cells"] for i, d in enumerate(c["digests"])]
    choice = np.random.default_rng(as_seed(rng)).permutation(len(tasks))[:sample]
    differ = []
    for done, k in enumerate(choice.tolist()):
        name, index, digest = tasks[k]
        if name not in ALL_CELLS:
            raise InputError(f"cell {name!r}: this version of isoloss does not know it")
        if digest_of(score_repeat(ALL_CELLS[name], index, settings)) != digest:
            differ.append(f"{name} repeat {index}")
        if on_repeat:
            on_repeat(done + 1, f"{name} repeat {index}")
    return Verification(
        sha256=answers["sha256"],
        rerun=len(choice),
        differ=tuple(differ),
        same_source=answers["source"] == source_digest(),
        same_libraries=answers["libraries"] == libraries(),
    )


def _settings(arguments: Mapping[str, Any]) -> Settings:
    draws = arguments["draws"]
    if not isinstance(draws, int) or not 0 < draws <= 10**6:
        raise InputError(f"draws = {draws!r} in the file: must be from 1 to 1000000")
    return Settings(
        seed=as_seed(arguments["seed"]), draws=draws, level=as_level(arguments["level"])
    )


def shipped_coverage() -> Coverage | None:
    """Return the result that this release ships with, checked; ``None`` if it ships none."""
    path = Path(__file__).parents[1] / "data" / "coverage.json"
    return read_coverage(path) if path.exists() else None
