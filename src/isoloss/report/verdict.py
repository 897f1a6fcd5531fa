"""Verdicts on pruning as one HTML page: an overview, and a card for each score."""

from __future__ import annotations

from collections.abc import Sequence

from isoloss._core.version import package_version
from isoloss.errors import InputError
from isoloss.plot.access import text
from isoloss.plot.verdict import label_of
from isoloss.prune.verdict_result import NO_VERDICT, Verdict
from isoloss.report.markup import Markup, tag
from isoloss.report.page import document
from isoloss.report.tables import Entry, table
from isoloss.report.verdict_card import best_try, card, name_of, state_of
from isoloss.report.verdict_words import asked, ends_cell, share, value_cell


def render_verdicts(verdicts: Verdict | Sequence[Verdict], *, command: str = "") -> str:
    """Return verdicts as one HTML file that needs nothing else and may fetch nothing.

    Parameters
    ----------
    verdicts
        Of `isoloss.prune.judge_pilots` or `isoloss.prune.judge_metrics`; several get an overview
        and a card each. Refused ones have a card that says why, and what to do.
    command
        What makes the page again.

    Raises
    ------
    InputError
        If there are none.

    Examples
    --------
    >>> from isoloss.prune import judge_pilots
    >>> table = {"policy": ["random", "hard"], "keep": [1, 0.5], "D": [10, 10], "loss": [0.3, 0.4],
    ...          "metric": ["", "<i>"]}
    >>> page = render_verdicts(judge_pilots(table, pool=100))
    >>> "no verdict" in page, "&lt;i&gt;" in page, "<i>" in page
    (True, True, False)
    """
    found = (verdicts,) if isinstance(verdicts, Verdict) else tuple(verdicts)
    if not found:
        raise InputError("verdicts: there are none; give one or more")
    links = [(f"card-{i + 1}", name_of(v)) for i, v in enumerate(found)]
    if len(found) > 1:
        links.insert(0, ("overview", "Overview"))
    body = [
        _header(found),
        _overview(found),
        *(card(v, i + 1) for i, v in enumerate(found)),
        _reproduce(command),
    ]
    return document(
        "Is pruning worth it?", [*links, ("methods", "Reproduce")], body,
        skip=(links[0][0], "Skip to the answer"), style="verdict.css",
    )  # fmt: skip


def _header(found: Sequence[Verdict]) -> Markup:
    told = sum(v.answer != NO_VERDICT for v in found)
    facts = [asked(found[0].question)]
    if len(found) > 1:
        facts += [f"{len(found)} scores", f"{told} with a verdict"]
    return tag(
        "header",
        tag("p", f"Verdict on pruning · isoloss {package_version()}", class_="kicker"),
        tag("h1", "Is pruning worth it?"),
        tag("p", " · ".join(facts), class_="facts"),
        class_="top",
    )


def _overview(found: Sequence[Verdict]) -> Markup:
    if len(found) == 1:
        return Markup("")
    rows: list[list[Entry]] = []
    for i, verdict in enumerate(found):
        link = tag("a", name_of(verdict), href=f"#card-{i + 1}")
        codes = [tag("code", f"{text(r.code)} ") for r in verdict.reasons]
        best = best_try(verdict)
        tried = ["–", "–", "–"] if best is None else [
            label_of(best.policy, best.keep.value), value_cell(best.gain.value, share),
            ends_cell(best.gain, share),
        ]  # fmt: skip
        rows.append([link, state_of(verdict), *tried, Markup("".join(codes)) or "–"])
    head = ["Score", "Answer", "Best try", "Gain#", f"{100 * found[0].level:g} %#", "Reasons"]
    return tag(
        "section",
        tag("h2", "Overview", id="overview-title"),
        table("tab-overview", head, rows, caption="Every score"),
        id="overview",
        aria_labelledby="overview-title",
    )


def _reproduce(command: str) -> Markup:
    said = tag("pre", tag("code", text(command)), tabindex="0") if command else None
    return tag(
        "section",
        tag("h2", "Reproduce", id="methods-title"),
        said,
        tag("p", f"Written by isoloss {package_version()}. The same table and command give the "
            "same bytes. A gain is 1 less the loss with pruning over that without.",
            class_="aside"),
        id="methods",
        aria_labelledby="methods-title",
    )  # fmt: skip


__all__ = ["render_verdicts"]
