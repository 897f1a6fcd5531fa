"""Tables made from the code when the pages are built, so that the two cannot part.

A page holds a line ``<!-- table: NAME -->``; `fill` puts the table after it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module

from isoloss.coverage import shipped_coverage
from isoloss.coverage.noises import NOISES
from isoloss.coverage.page import render_markdown
from isoloss.coverage.truths import TRUTHS
from isoloss.laws import PUBLISHED, get_law, law_names
from isoloss.runs.columns import ALIASES
from isoloss.sweep.data import names

ROOMS = (
    ("isoloss.runs", "Runs"),
    ("isoloss.runs.atlas", "Released tables"),
    ("isoloss.runs.counting", "Counts of models"),
    ("isoloss.runs.logs", "Logs of training"),
    ("isoloss.laws", "Laws"),
    ("isoloss.laws.kaplan", "What follows from Kaplan's laws"),
    ("isoloss.fit", "Fits, law sets, forecasts"),
    ("isoloss.fit.curves", "Laws of training curves"),
    ("isoloss.plan", "Plans"),
    ("isoloss.plan.recipes", "Recipes compared"),
    ("isoloss.theory", "Theory"),
    ("isoloss.spectra", "Spectra of features"),
    ("isoloss.prune", "Pruning"),
    ("isoloss.study", "Studies"),
    ("isoloss.study.atlas", "The atlas"),
    ("isoloss.study.downstream", "Downstream tasks"),
    ("isoloss.study.pilots", "Pilots of pruning"),
    ("isoloss.study.sealed", "Sealed forecasts"),
    ("isoloss.coverage", "Coverage"),
    ("isoloss.report", "Reports"),
    ("isoloss.report.verdict", "Reports of verdicts"),
    ("isoloss.report.next_runs", "Reports of next runs"),
    ("isoloss.plot", "Pictures"),
    ("isoloss.plot.gallery", "Pictures of theory"),
    ("isoloss.plot.scores", "Pictures of scores"),
    ("isoloss.plot.clusters", "Maps of clusters"),
    ("isoloss.plot.recipes", "Pictures of recipes"),
    ("isoloss.plot.verdict", "Pictures of verdicts"),
    ("isoloss.plot.next_runs", "Pictures of next runs"),
    ("isoloss.sweep", "Sweeps"),
    ("isoloss.sweep.data", "Data to train on"),
)
_MARK = re.compile(r"^<!-- table: (\w+) -->$", re.MULTILINE)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    # A bar inside a cell would end it.
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines)


def laws() -> str:
    """Every law of the catalogue, one short section each: a table of them would not fit a page."""
    parts = []
    for name in law_names():
        law = get_law(name)
        meanings = ", ".join(f"`{p.name}` {p.meaning}" for p in law.parameters)
        parts.append(
            f"### {name}\n\n```text\n{law.formula}\n```\n\n"
            f"{law.description[:1].upper()}{law.description[1:]}. Parameters: {meanings}. "
            f"Source: {law.source}."
        )
    return "\n\n".join(parts)


def published() -> str:
    """Published constants with their caveats."""
    parts = []
    for name, p in PUBLISHED.items():
        values = ", ".join(f"`{k}` {v:g}" for k, v in p.parameters.items())
        of = f" of {p.axis}" if p.axis else ""
        intervals = "".join(f" Interval of `{k}`: {v}." for k, v in p.intervals.items())
        caveat = f" Know before use: {p.caveat}." if p.caveat else ""
        parts.append(
            f"### {name}\n\nLaw `{p.law}`{of}: {values}.{intervals} Gives: {p.measures}. "
            f"Source: {p.source}.{caveat}"
        )
    return "\n\n".join(parts)


def aliases() -> str:
    """Names of columns that are understood unasked."""
    rows = [[f"`{axis}`", ", ".join(sorted(names))] for axis, names in ALIASES.items()]
    return table(["Axis", "Names (case, spaces and punctuation do not count)"], rows)


def coverage() -> str:
    """Coverage that this release ships with, from its file; the numbers stand nowhere else."""
    shipped = shipped_coverage()
    if shipped is None:
        return "This version ships no result: `isoloss coverage` makes one."
    return render_markdown(shipped.answers).rstrip()


def simulated() -> str:
    """What is simulated: truths, designs, noises."""
    truths = [
        [f"`{t.name}`", f"`{t.law.formula}`", _values(t.values), t.meaning] for t in TRUTHS.values()
    ]
    noises = [[f"`{n.name}`", n.meaning, _values(n.to_dict())] for n in NOISES.values()]
    return "\n\n".join(
        [
            table(["Truth", "Formula", "Values", "Meaning"], truths),
            table(["Noise", "Meaning", "Values"], noises),
        ]
    )


def _values(named: Mapping[str, object]) -> str:
    """List the numbers of a truth or a noise, those that are not zero."""
    return ", ".join(f"{k} {v:.4g}" for k, v in named.items() if isinstance(v, float) and v)


def reference() -> str:
    """Directives for every public name of every room."""
    parts = []
    for module, title in ROOMS:
        room = import_module(module)
        parts.append(f"## {title}: `{module}`\n\n```{{eval-rst}}\n.. currentmodule:: {module}\n")
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isclass(value):
                parts.append(
                    f".. autoclass:: {name}\n   :members:\n   :exclude-members: {_own(value)}"
                )
            elif callable(value):
                parts.append(f".. autofunction:: {name}")
            else:
                # A mapping's own docstring is that of its type.
                parts.append(f".. py:data:: {name}\n\n   A mapping; see the page of laws.")
        parts.append("```\n")
    return "\n".join(parts)


def _own(kind: type) -> str:
    """Fields: the docstring of the class lists them already."""
    fields = {*getattr(kind, "__dataclass_fields__", {}), *kind.__dict__.get("__slots__", ())}
    return ", ".join(sorted({*fields, "__init__", "__new__"}))


def data_sets() -> str:
    """List the data sets that networks can learn from."""
    parts = []
    for s in names():
        needs, takes = (", ".join(f"`{n}`" for n in given) for given in (s.needs, s.takes))
        parts.append(
            f"`{s.name}`\n: {s.what[:1].upper()}{s.what[1:]}.\n"
            f": *Training + validation + test* {s.split}. *From* {s.source}."
            + f" *Licence* {s.licence}." * bool(s.licence)
            + f" *Needs* {needs}." * bool(needs)
            + f" *Takes* {takes}." * bool(takes)
        )
    return "\n\n".join(parts)


_TABLES: dict[str, Callable[[], str]] = {
    "laws": laws,
    "published": published,
    "aliases": aliases,
    "reference": reference,
    "coverage": coverage,
    "simulated": simulated,
    "data_sets": data_sets,
}


def fill(text: str) -> str:
    """Put each table after its mark."""
    return _MARK.sub(lambda m: f"{m[0]}\n\n{_TABLES[m[1]]()}\n", text)
