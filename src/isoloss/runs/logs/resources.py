"""What a run used: parameters, tokens, FLOPs and settings, each with where it was found."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isoloss.runs.columns import squash
from isoloss.runs.logs import names as known
from isoloss.runs.logs.clean import ordered, stepped, value_at
from isoloss.runs.logs.names import keys, means
from isoloss.runs.logs.record import LoggedRun, as_number
from isoloss.runs.numbers import read_numbers
from isoloss.runs.rows import clean, short

RESERVED = ("step", "batch", "context", "planned", "lr", "tokenizer", "eval_set")
"""What the caller may name besides axes of the table."""
AXES = ("N", "D", "C", "U")
_SAME = 1e-9
_RATE_FOLDERS = frozenset(["perf", "throughput", "speed", "per", "second", "time"])


class Unclear(Exception):
    """Two settings that disagree could be meant."""


@dataclass(slots=True)
class Lookup:
    """Finds the value of an axis of one run at one step.

    ``named`` maps axes to names of metrics or settings, or to numbers, as the caller said;
    ``fields`` holds numbers from the run's name.
    """

    run: LoggedRun
    clock: str | None
    step: float
    named: Mapping[str, str]
    fields: Mapping[str, float] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)

    def axis(self, axis: str) -> float | None:
        """Value of an axis, and in ``how`` the words for where it came from."""
        if axis in self.named:
            return self.given(axis)
        if axis in self.fields:
            self.how[axis] = "the run's name"
            return self.fields[axis]
        find = {"N": self._parameters, "D": self._data, "C": self._flops, "lr": self._rate,
                "seed": self._seed}.get(axis)  # fmt: skip
        return find() if find else None

    def given(self, axis: str) -> float | None:
        """Value of what the caller named for an axis: a number, a setting or a metric."""
        source = self.named[axis]
        number = as_number(source)
        if number is not None and math.isfinite(number) and source not in self.run.config:
            self.how[axis] = f"{source} as given"
            return number
        if source in self.run.curves:
            self.how[axis] = f"metric {source}"
            return self._at(source)
        for what, table in (("setting", self.run.config), ("summary", self.run.summary)):
            hits = [k for k in table if k == source] or [
                k for k in table if squash(k) == squash(source)
            ]
            if len(hits) == 1 and (value := read_scalar(table[hits[0]])) is not None:
                self.how[axis] = f"{what} {hits[0]}"
                return value
        if source in self.run.last and math.isfinite(self.run.last[source]):
            self.how[axis] = f"last value of {source}"
            return self.run.last[source]
        return None

    def text(self, axis: str, words: frozenset[str]) -> str:
        """Return settings of a kind as one text, such as the tokenizer's name and size."""
        if axis in self.named:
            value = self.run.config.get(self.named[axis])
            return "" if value is None else clean(str(value))
        found = sorted({f"{keys(k)[1]}={v}" for k, v in self.run.config.items()
                        if keys(k)[1] in words and v not in (None, "")})  # fmt: skip
        return clean("; ".join(found))

    def setting(self, axis: str, words: frozenset[str]) -> float | None:
        """Value of a setting by the names people use.

        Raises
        ------
        Unclear
            Two of them disagree.
        """
        if axis in self.named:
            return self.given(axis)
        hits = self._settings(words)
        if not hits:
            return None
        values = set(hits.values())
        if len(values) > 1:
            shown = ", ".join(f"{short(k)} = {v:g}" for k, v in sorted(hits.items())[:6])
            raise Unclear(f"{shown} disagree; say which with --columns {axis}=NAME")
        name = sorted(hits)[0]
        self.how[axis] = f"setting {name}"
        return hits[name]

    def _settings(self, words: frozenset[str]) -> dict[str, float]:
        found: dict[str, float] = {}
        for table in (self.run.config, self.run.summary):
            for name, value in table.items():
                if means(name, words) and (number := read_scalar(value)) is not None:
                    found.setdefault(name, number)
        return {name: value for name, value in found.items() if value > 0}

    def _parameters(self) -> float | None:
        hits = self._settings(known.PARAMETERS)
        for name in ("N",):
            if (number := read_scalar(self.run.config.get(name))) is not None:
                hits = {name: number}
        for name in self.run.curves:
            if not hits and (name == "N" or means(name, known.PARAMETERS)):
                _steps, values = self.run.curves[name].arrays()
                finite = values[(values > 0) & (values < math.inf)]
                if finite.size and finite.max() - finite.min() <= _SAME * finite.max():
                    hits = {name: float(finite[0])}
        if len(set(hits.values())) > 1:
            shown = ", ".join(f"{short(k)} = {v:.4g}" for k, v in sorted(hits.items())[:6])
            raise Unclear(f"{shown} could be N; say which with --columns N=NAME")
        if not hits:
            return None
        name = sorted(hits)[0]
        self.how["N"] = f"{name}{_convention(name)}"
        return hits[name]

    def _data(self) -> float | None:
        for words, what in ((known.TOKENS, "tokens"), (known.EXAMPLES, "examples")):
            curves = [n for n in self.run.curves if self._counts(n, words)]
            if "D" in self.run.curves and words is known.TOKENS:
                curves = ["D"]
            ends = {name: self._at(name) for name in curves}
            ends = {n: v for n, v in ends.items() if math.isfinite(v) and v > 0}
            if ends and max(ends.values()) > (1 + 1e-6) * min(ends.values()):
                shown = ", ".join(f"{short(k)} = {v:.4g}" for k, v in sorted(ends.items())[:6])
                raise Unclear(f"{shown} could be D; say which with --columns D=NAME")
            if ends:
                name = sorted(ends)[0]
                self.how["D"] = f"{what} logged as {name}"
                return ends[name]
            if words is known.TOKENS:
                for find in (self._tokens_set, self._derived):
                    if (value := find()) is not None:
                        return value
        return None

    def _counts(self, name: str, words: frozenset[str]) -> bool:
        """Whether a metric is a running count: rising, and no rate by its name."""
        if not means(name, words) or set(known.words(name)) & _RATE_FOLDERS:
            return False
        _, values, _, _ = ordered(*self.run.curves[name].arrays())
        values = values[[math.isfinite(v) for v in values]]
        return bool(values.size and (values[1:] >= values[:-1]).all())

    def _tokens_set(self) -> float | None:
        """Tokens as a summary or setting says, where the run is at its end."""
        value = self.setting("D", frozenset(known.TOKENS))
        planned = self.planned()
        if value is None:
            return None
        if planned is not None and self.step < planned:
            self.how["D"] += f", times the share of {planned:g} planned steps done"
            value *= self.step / planned
        return value

    def _derived(self) -> float | None:
        """Multiply steps and the tokens of a batch: only from settings that leave no doubt."""
        if not self.step > 0:
            return None
        tokens = None
        if "batch" not in self.named and "context" not in self.named:
            tokens = self.setting("tokens_per_step", known.BATCH_TOKENS)
        if tokens is not None:
            self.how["D"] = f"{self.step:g} steps x {tokens:g} tokens a step"
            return self.step * tokens
        batch = self._batch()
        context = self.setting("context", known.CONTEXT)
        if batch is None or context is None:
            return None
        self.how["D"] = f"{self.step:g} steps x batch {batch:g} x context {context:g}"
        return self.step * batch * context

    def _batch(self) -> float | None:
        if "batch" in self.named:
            return self.given("batch")
        whole = self._settings(frozenset({"globalbatchsize", "totalbatchsize"}))
        if len(set(whole.values())) == 1:
            return next(iter(whole.values()))
        parts = {n: v for n, v in self._settings(known.BATCH_PARTS).items() if v != 1}
        if self.run.kind == "trainer" or parts:
            return None
        return self.setting("batch", known.BATCH)

    def planned(self) -> float | None:
        """Return the steps that were planned; None where nothing, or two things, are said."""
        if "planned" in self.named:
            return self.given("planned")
        values = set(self._settings(known.PLANNED).values())
        return values.pop() if len(values) == 1 else None

    def _flops(self) -> float | None:
        curves = [n for n in self.run.curves if self._counts(n, known.FLOPS)]
        ends = {n: self._at(n) for n in curves}
        ends = {n: v for n, v in ends.items() if math.isfinite(v) and v > 0}
        hits = ends or {
            n: v for n, v in self._settings(known.FLOPS).items()
            if not set(known.words(n)) & _RATE_FOLDERS
        }  # fmt: skip
        if len(set(hits.values())) != 1:
            return None
        name = sorted(hits)[0]
        self.how["C"] = name
        return hits[name]

    def _rate(self) -> float | None:
        values = set(self._settings(known.PEAK_RATES).values())
        return values.pop() if len(values) == 1 else None

    def _seed(self) -> float | None:
        hits = {n: read_scalar(v) for n, v in self.run.config.items() if means(n, known.SEEDS)}
        values = {v for v in hits.values() if v is not None}
        return values.pop() if len(values) == 1 else None

    def _at(self, name: str) -> float:
        return value_at(*stepped(self.run, name, self.clock), self.step)


def read_scalar(value: Any) -> float | None:
    """Read a setting as a finite number; text such as ``70M`` counts."""
    if isinstance(value, str):
        read, problems = read_numbers([value.strip()], suffix=True)
        return None if problems else float(read[0])
    number = as_number(value)
    return number if number is not None and math.isfinite(number) else None


def _convention(name: str) -> str:
    squashed = keys(name)[1]
    if "nonembed" in squashed or "noembed" in squashed or "withoutembed" in squashed:
        return " (non-embedding parameters)"
    return " (active parameters)" if "active" in squashed else ""


def convention_of(words: Iterable[str]) -> str:
    """Say what N counts, from the words for where it came from; empty where they differ."""
    found = {(re.search(r"\(([a-z-]+ parameters)\)", text) or [""])[-1] for text in words}
    return found.pop() if len(found) == 1 else ""
