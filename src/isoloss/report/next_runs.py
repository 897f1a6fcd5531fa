"""Next runs as one HTML page: the answer, the runs with their reasons, the laws, all numbers."""

from __future__ import annotations

from isoloss._core.interval import Interval
from isoloss._core.version import package_version
from isoloss.plan.next_result import NextRun, NextRuns
from isoloss.plot.access import text
from isoloss.report.markup import Markup, tag
from isoloss.report.page import document
from isoloss.report.tables import Cell, Entry, interval, table, value
from isoloss.runs import Runs


def render_next_runs(found: NextRuns, runs: Runs) -> str:
    """Return next runs as one HTML file that needs nothing else and may fetch nothing.

    Parameters
    ----------
    found, runs
        Of `isoloss.plan.plan_next_runs`, and the runs it was given.
    """
    title = "What to run next"
    links = [("answer", "Answer"), ("runs", "Runs"), ("laws", "Laws")]
    body = [
        tag(
            "header",
            tag("p", f"Next runs · isoloss {package_version()}", class_="kicker"),
            tag("h1", title),
            tag("p", f"{found.goal} · {found.budget:.3g} {found.unit} · {len(runs)} runs at hand",
                class_="facts"),
            class_="top",
        ),
        _section("answer", "Answer", _answer(found)),
        _section("runs", "Runs, best per cost first", _runs(found)),
        _section("laws", "Laws", _laws(found)),
    ]  # fmt: skip
    return document(title, links, body, skip=("answer", "Skip to the answer"))


def _section(name: str, title: str, inside: Markup) -> Markup:
    head = tag("h2", title, id=f"{name}-title")
    return tag("section", head, inside, id=name, aria_labelledby=f"{name}-title")


def _answer(found: NextRuns) -> Markup:
    rows: list[list[Entry]] = [_change(found.goal, found.before, found.after)]
    if found.companion and found.companion_before and found.companion_after:
        rows.append(_change(found.companion, found.companion_before, found.companion_after))
    parts = [
        tag("p", text(found.sentence)),
        table("tab-change", ["What", "Now#", "With all runs#"], rows, caption="Before and after"),
        *(tag("p", tag("code", r.code), f" {text(r.message)}") for r in found.reasons),
        tag("p", f"Searched: {text(found.limits)}; {len(found.considered)} candidates.",
            class_="aside"),
    ]  # fmt: skip
    return Markup("".join(parts))


def _change(name: str, before: Interval, after: Interval) -> list[Entry]:
    return [text(name), *(interval(i.to_dict(), _fine) for i in (before, after))]


def _runs(found: NextRuns) -> Markup:
    # Two tables: beside all the numbers the words would have a column one word wide.
    rows = [_row(rank, r) for rank, r in enumerate(found.runs, 1)]
    head = ["Rank#", "Run", "Seeds#", f"{found.unit} each#", "Takes off#", "Loss expected#",
            "Goal then#"]  # fmt: skip
    numbers = table("tab-next", head, rows, caption="Runs to make")
    if not found.runs:
        return numbers
    built = any(r.shape is not None for r in found.runs)
    words = [_words(rank, r, built) for rank, r in enumerate(found.runs, 1)]
    head = ["Rank#", *(["Shape"] if built else []), "Why"]
    return Markup(numbers + table("tab-why", head, words, caption="Why these runs"))


def _row(rank: int, r: NextRun) -> list[Entry]:
    place = ", ".join(f"{a} = {v:.3g}" for a, v in r.at.items())
    return [
        value(rank, lambda v: f"{v:.0f}"),
        Cell(shown=text(f"{r.name}: {place}" if r.name else place)),
        value(r.seeds, lambda v: f"{v:.0f}"),
        value(r.cost, _short),
        value(100 * r.gain, lambda v: f"{v:.0f} %"),
        interval(r.loss.to_dict(), _short),
        interval(r.goal.to_dict(), _fine),
    ]


def _words(rank: int, r: NextRun, built: bool) -> list[Entry]:
    s = r.shape
    shape = "–" if s is None else f"{s['depth']} layers, width {s['width']}, {s['heads']} heads"
    return [
        value(rank, lambda v: f"{v:.0f}"),
        *([Cell(shown=shape)] if built else []),
        text(r.reason),
    ]


def _laws(found: NextRuns) -> Markup:
    rows: list[list[Entry]] = [
        [
            text(str(law["law"])),
            value(law["weight"], lambda v: f"{v:.3f}"),
            value(law["goal"], _short),
            value(100 * float(law["sd_before"]), lambda v: f"{v:.2g} %"),
            value(100 * float(law["sd_after"]), lambda v: f"{v:.2g} %"),
        ]
        for law in found.laws
    ]
    head = ["Law", "Weight#", "Goal#", "Error now#", "Error then#"]
    return table("tab-laws", head, rows, caption="What each law says of the goal")


def _short(number: float) -> str:
    return f"{number:.4g}"


def _fine(number: float) -> str:
    """One digit more for what the runs narrow, with its zeros: ends are compared."""
    return f"{number:#.5g}".removesuffix(".")


__all__ = ["render_next_runs"]
