"""One verdict as a part of a page: the decision, why to believe it, what follows, the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from isoloss.plot.access import text
from isoloss.plot.verdict import label_of
from isoloss.prune.verdict_result import (
    KEEP_ALL,
    NO_VERDICT,
    Estimate,
    FormShare,
    PolicyFinding,
    Verdict,
)
from isoloss.report.digits import count, significant
from isoloss.report.markup import Markup, tag
from isoloss.report.tables import Entry, badge, short, table
from isoloss.report.verdict_figures import curves_figure, frontier_figures, gains_figure
from isoloss.report.verdict_words import (
    amount,
    asked,
    crossing,
    ends,
    ends_cell,
    paid_back,
    share,
    spanned,
    value_cell,
)

REMEDIES = {
    "OVERLAP": "run the pilot named below, and ask again",
    "MISFIT": "pilot closer to the target, and fewer, closer shares",
    "TOO_FAR": "pilot larger sizes, or ask nearer to the pilots",
    "ONE_SIZE": "pilot the same shares at two more sizes",
    "POLICIES_ALIKE": "take either, or run the pilot named below",
    "WORST_CLASS": "select with a class floor, isoloss prune select --class-floor",
    "FAR": "pilot a larger size",
    "TOO_FEW_SIZES": "train on random subsets of three sizes or more, each twice the last",
    "TOO_FEW_SETTINGS": "pilot two shares of each policy at three sizes",
    "ONE_SEED": "train two more seeds of every setting",
    "NO_POLICY": "pilot hard and easy shares",
}
"""What to do about each reason."""


def name_of(verdict: Verdict) -> str:
    """Name the score and the data, for a heading."""
    parts = [text(v) for v in (verdict.metric, verdict.data) if text(v)]
    return short(" on ".join(parts), 80) or "The score"


def state_of(verdict: Verdict) -> Markup:
    """Return the answer as a badge."""
    if verdict.answer == NO_VERDICT:
        return badge("partly", "no verdict")
    if verdict.answer == KEEP_ALL:
        return badge("no", "do not prune")
    doubt = ", with doubt" if verdict.status != "ok" else ""
    return badge("partly" if doubt else "yes", f"prune, {verdict.answer}{doubt}")


def best_try(verdict: Verdict) -> PolicyFinding | None:
    """Return the policy that is the answer, or else that of the largest gain."""
    chosen = verdict.policy(verdict.answer)
    known = [p for p in verdict.policies if not math.isnan(p.gain.value)]
    return chosen or max(known, key=lambda p: p.gain.value, default=None)


def card(verdict: Verdict, number: int) -> Markup:
    """Return one verdict; ``number`` makes its identifiers unique in the document."""
    name = f"card-{number}"
    heading = tag("h2", name_of(verdict), " ", state_of(verdict), id=f"{name}-title")
    return tag(
        "section",
        heading,
        _decision(verdict),
        _reasons(verdict),
        _next(verdict, name),
        gains_figure(verdict, f"{name}-gains"),
        curves_figure(verdict, f"{name}-curves"),
        _belief(verdict),
        _follows(verdict),
        frontier_figures(verdict, f"{name}-front"),
        _numbers(verdict, name),
        _provenance(verdict, name),
        id=name,
        class_="verdict",
        aria_labelledby=f"{name}-title",
    )


def _decision(verdict: Verdict) -> Markup:
    known = best_try(verdict)
    how = f"Asked: {asked(verdict.question)}."
    if known is not None:
        inside = known.gain.interval
        how += f" Intervals are at {100 * inside.level:g} %: {text(inside.method)}."
    said: list[object] = [tag("p", text(verdict.sentence), class_="decision")]
    if verdict.answer == NO_VERDICT and verdict.reasons:
        said.append(tag("p", _sentence(text(verdict.reasons[0].message)), class_="because"))
    return tag("div", said, _stats(verdict, known), tag("p", how, class_="aside"))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _stats(verdict: Verdict, known: PolicyFinding | None) -> Markup | None:
    if known is None:
        return None
    chosen = known.policy == verdict.answer
    label = label_of(known.policy, known.keep.value)
    goes = f"{verdict.outcome.capitalize()} that goes"
    parts = [
        _stat(goes if chosen else f"Best try, {label}: {goes.lower()}", known.gain, share,
              f"{known.policy}: {known.finding}", big=True),
        _stat("Share kept", known.keep, share,
              f"{count(known.D)} of {count(known.pool)} examples"),
        _stat(f"Test {verdict.outcome}", known.loss, significant,
              "" if verdict.loss_none is None else
              f"without pruning {spanned(verdict.loss_none, significant)}"),
    ]  # fmt: skip
    if verdict.multiplier is not None and chosen:
        parts.append(_stat("An example kept is worth", verdict.multiplier, amount, "random ones"))
    else:
        parts.append(_stat("Beside as many random", known.gain_random, share, goes.lower()))
    return tag("div", parts, class_="stats")


def _stat(
    name: str, found: Estimate, write: Callable[[float], str], note: str, *, big: bool = False
) -> Markup:
    inside = found.interval
    return tag(
        "dl",
        tag("dt", name),
        tag("dd", write(found.value), class_="value"),
        tag("dd", ends(found, write), tag("span", f" {100 * inside.level:g} %"), class_="ends",
            title=f"{100 * inside.level:g} %, {text(inside.method)}"),
        tag("dd", note, class_="unit") if note else None,
        class_="stat big" if big else "stat",
    )  # fmt: skip


def _reasons(verdict: Verdict) -> Markup | None:
    if not verdict.reasons:
        return None
    refused = verdict.status == "refused"
    items = [
        tag(
            "li",
            badge("high" if refused else "medium", "refused" if refused else "doubt"),
            tag(
                "div",
                tag("p", text(r.message)),
                tag("p", tag("b", "Do: "), f"{REMEDIES[r.code]}.", class_="remedy")
                if r.code in REMEDIES
                else None,
            ),
            tag("code", text(r.code)),
            class_="doubt",
        )
        for r in verdict.reasons
    ]
    title = "Why there is no verdict" if refused else "What to distrust"
    return tag("div", tag("h3", title), tag("ul", items, class_="doubts"), class_="part")


def _next(verdict: Verdict, name: str) -> Markup | None:
    if not verdict.next_pilots:
        return None
    rows: list[list[Entry]] = [
        [p.policy, value_cell(p.keep, share), value_cell(p.D, count), value_cell(p.pool, count),
         str(p.seeds), value_cell(p.narrows_to, share)]
        for p in verdict.next_pilots
    ]  # fmt: skip
    head = ["Policy", "Share kept#", "Examples kept#", "Of#", "Seeds#", "Interval left#"]
    first = _sentence(text(verdict.next_pilots[0].sentence))
    return tag(
        "div",
        tag("h3", "What to pilot next"),
        tag("p", first),
        table(f"{name}-next", head, rows, caption="Pilots that narrow the gain's interval most"),
        class_="part",
    )


def _belief(verdict: Verdict) -> Markup | None:
    """Return what the answer rests on: forms, misses, distance, and what was assumed."""
    lines: list[object] = []
    kept = [f for f in verdict.forms if not f.excluded]
    if verdict.forms:
        names = ", ".join(f"{text(f.form)} ({f.weight:.2f})" for f in kept)
        lines.append(
            f"{len(kept)} of {len(verdict.forms)} forms of the loss are not excluded by the "
            f"pilots, with their weights: {names or 'none'}. Every interval spans all of them."
        )
    lines += _misses(kept)
    if verdict.forms:
        far = f"{amount(verdict.reach)} times beyond the largest pilots"
        lines.append(
            f"The target is {far}." if verdict.reach > 1 else "The target lies within the pilots."
        )
    lines += [_sentence(text(n)) for n in verdict.notes]
    if not lines:
        return None
    items = [tag("li", line) for line in lines]
    title = "Why to believe it" if verdict.answer != NO_VERDICT else "What it rests on"
    return tag("div", tag("h3", title), tag("ul", items, class_="sentences"), class_="part")


def _misses(kept: list[FormShare]) -> list[str]:
    if not kept:
        return []
    best = min(kept, key=lambda f: f.misfit)
    lines = [
        f"The form that fits best, {text(best.form)}, misses the means of pilots by "
        f"{amount(math.sqrt(max(best.misfit, 0)))} times what seeds explain; 1 is chance alone."
    ]
    gap = max(f.discrepancy for f in kept)
    if gap > 0:
        lines.append(
            f"Back-test: with the largest pilots held out, forecasts missed the gain there by "
            f"{share(gap)} beyond noise at 2.7 times the size of the others; the intervals grow "
            "with that."
        )
    else:
        lines.append(
            "Back-test: no miss of the gain at the largest pilots was seen beyond noise, or none "
            "could be held out."
        )
    return lines


def _follows(verdict: Verdict) -> Markup | None:
    if not verdict.policies:
        return None
    lossless = [
        f"{p.policy}: loss within {share(verdict.question.tol)} of that of the whole pool from "
        f"{spanned(p.lossless, share)} kept on."
        for p in verdict.policies
        if p.lossless is not None
    ]
    rows = [
        ("Lossless share", lossless),
        ("Crossovers", [crossing(c) for c in verdict.crossovers if c.winner == "hard"]),
        ("Frontier", _front_words(verdict)),
        ("Break-even", [paid_back(verdict)]),
        ("Worst class", [_sentence(text(w.sentence)) for w in verdict.worst_class]
         or ["Not known: the table has no usable column worst_error."]),
    ]  # fmt: skip
    entries = [
        (tag("dt", what), [tag("dd", line) for line in lines]) for what, lines in rows if lines
    ]
    return tag(
        "div",
        tag("h3", "What follows"),
        tag("dl", [part for pair in entries for part in pair], class_="follows"),
        class_="part",
    )


def _front_words(verdict: Verdict) -> list[str]:
    f = verdict.frontier
    if f is None:
        return []
    return [
        text(f.sentence),
        f"Exponent {spanned(f.exponent, amount)}, without pruning {spanned(f.unpruned, amount)}; "
        f"difference {spanned(f.difference, amount)}, p = {f.p:.2g}.",
    ]


def _numbers(verdict: Verdict, name: str) -> Markup:
    gains: list[list[Entry]] = [
        [p.policy, value_cell(k, share), value_cell(g.value, share), ends_cell(g, share), _sign(g)]
        for p in verdict.policies
        for k, g in zip(p.keeps, p.gains, strict=True)
    ]
    pilots: list[list[Entry]] = [
        [str(c["policy"]), value_cell(c["keep"], share), value_cell(c["pool"], count),
         value_cell(c["D"], count), str(c["runs"]), value_cell(c["loss"], significant),
         value_cell(c["loss"] * c["relative_error"], lambda v: significant(v, 2))]
        for c in verdict.points
    ]  # fmt: skip
    forms: list[list[Entry]] = [
        [text(f.form), value_cell(f.weight, lambda v: f"{v:.3f}"),
         badge("no", "excluded") if f.excluded else badge("yes", "kept"),
         value_cell(f.misfit, amount), value_cell(f.discrepancy, amount),
         ", ".join(f"{text(k)} {amount(v)}" for k, v in f.parameters.items())]
        for f in verdict.forms
    ]  # fmt: skip
    refused: list[list[Entry]] = [
        [str(r.row), text(r.name), tag("code", text(r.code)), text(r.reason)]
        for r in verdict.refused
    ]
    parts = [
        table(f"{name}-tab-gains",
              ["Policy", "Share kept#", "Gain#", f"All, {100 * verdict.level:g} %#", "Finding"],
              gains, caption="Gains over no pruning at every share piloted"),
        table(f"{name}-tab-pilots",
              ["Policy", "Share kept#", "Of#", "Examples kept#", "Runs#", "Mean#", "Std. error#"],
              pilots, caption=f"Pilots, test {verdict.outcome}"),
    ]  # fmt: skip
    if forms:
        head = ["Form", "Weight#", "State", "Misfit#", "Miss held out#", "Parameters"]
        parts.append(table(f"{name}-tab-forms", head, forms, caption="Forms of the loss"))
    if refused:
        head = ["Row#", "Run", "Code", "Reason"]
        parts.append(table(f"{name}-tab-refused", head, refused, caption="Refused rows"))
    return tag("div", tag("h3", "Numbers"), parts, class_="part")


def _sign(gain: Estimate) -> str:
    if not gain.decided:
        return "not told from zero"
    return "helps" if gain.interval.low > 0 else "hurts"


def _provenance(verdict: Verdict, name: str) -> Markup:
    facts: list[list[Entry]] = [
        ["Score", text(verdict.metric) or "not named"],
        ["Data", text(verdict.data) or "not named"],
        ["Judged by", f"test {verdict.outcome}"],
        ["Asked", asked(verdict.question)],
        ["Runs used", str(verdict.runs)],
        ["Rows refused", str(len(verdict.refused))],
        ["Level and seed", f"{100 * verdict.level:g} %, seed {verdict.seed}"],
        ["Table", text(verdict.source).replace("\\", "/").rsplit("/", 1)[-1]],
        ["SHA-256", tag("code", text(verdict.digest), class_="digest")],
    ]
    return table(f"{name}-source", ["Property", "Value"], facts, caption="Where it comes from")
