"""The study as Markdown: for a pull request, a wiki or a notebook."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from isoloss.plot.access import mapping, number, records, text, texts
from isoloss.plot.series import runs_series
from isoloss.report import regimes
from isoloss.report.digits import MISSING, count, percent, power, significant, times
from isoloss.report.influence import answer_rows, answer_title
from isoloss.report.page import require_schema
from isoloss.report.tables import described, interval, level
from isoloss.report.telling import TITLE, chance, explained, seeds, telling_rows, where

MOST_REGIMES = 20
"""The largest runs are enough for text; study.json holds all."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")


def render_markdown(study: Mapping[str, Any]) -> str:
    r"""Return the study as GitHub-flavoured Markdown, without figures.

    Parameters
    ----------
    study
        The plain study, as ``json.load`` of ``study.json`` gives it.

    Raises
    ------
    InputError
        When ``study`` is not a mapping, or has a schema this version does not know.

    Examples
    --------
    >>> print(render_markdown({"schema": 1, "title": "a|b", "headline": ["Loss 2.1."]}))
    # a\|b
    <BLANKLINE>
    0 fitted runs, 0 held out.
    <BLANKLINE>
    - Loss 2.1.
    <BLANKLINE>
    """
    require_schema(study)
    runs = runs_series(study)
    parts = [
        f"# {quote(text(study.get('title')) or 'Untitled study')}",
        f"{runs['fit']['C'].size} fitted runs, {runs['held_out']['C'].size} held out.",
        "\n".join(f"- {quote(line)}" for line in texts(study.get("headline"))),
        _distrust(study),
        _plan(study),
        _held_out(study),
        _laws(study),
        _backtest(study),
        _telling(study),
        _influence(study),
        _regimes(study),
        _checklist(study),
        _input(study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def quote(shown: str) -> str:
    r"""Return text that Markdown shows as it is: no markup, no HTML, one line.

    Examples
    --------
    >>> quote("<b> *x* | y")
    '&lt;b&gt; \\*x\\* \\| y'
    """
    line = " ".join(shown.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width joint would be invisible; breaking the scheme keeps an address from linking.
    line = _SPECIAL.sub(r"\\\1", line).replace("://", ":&#47;/")
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+=])", r"\\\1", line))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a pipe table; a head that ends with ``#`` is a column of numbers."""
    if not rows:
        return ""
    rule = ["---:" if name.endswith("#") else "---" for name in head]
    names = [name.removesuffix("#") for name in head]
    lines = [names, rule, *([cell or MISSING for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _section(title: str, *parts: str) -> str:
    kept = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *kept]) if kept else ""


def _distrust(study: Mapping[str, Any]) -> str:
    lines = []
    for doubt in records(study.get("distrust")):
        remedy = quote(text(doubt.get("remedy")))
        severity = quote(text(doubt.get("severity")) or "note")
        message = quote(text(doubt.get("message")))
        lines.append(f"- **{severity}** {message}{f' *{remedy}*' if remedy else ''}")
    return _section("What to distrust", "\n".join(lines))


def _plan(study: Mapping[str, Any]) -> str:
    plan = mapping(study.get("plan"))
    ends = mapping(plan.get("intervals"))
    if not plan:
        return ""
    rows = [
        [name, write(number(plan.get(key))), interval(ends.get(key), write).shown,
         quote(described(ends.get(key)))]
        for name, key, write in (("N\\*", "N_opt", count), ("D\\*", "D_opt", count),
                                 ("Loss", "L_opt", significant))
    ]  # fmt: skip
    price = [
        [times(number(row.get("N_ratio"))), count(number(row.get("N"))),
         significant(number(row.get("loss"))),
         percent(number(row.get("excess_percent")), signed=True)]
        for row in records(plan.get("price"))
    ]  # fmt: skip
    return _section(
        f"Plan at {power(number(plan.get('budget')))} FLOPs",
        quote(text(plan.get("sentence"))),
        _table(["Quantity", "Optimum#", "Interval#", "Level, method"], rows),
        _table(["Size over N\\*#", "N#", "Loss#", "Excess loss#"], price),
    )


def _held_out(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("held_out"))
    verdicts = {True: "inside", False: "**outside**"}
    rows = [
        [quote(text(row.get("name"))), count(number(row.get("N"))), count(number(row.get("D"))),
         significant(number(row.get("predicted"))),
         interval(row.get("interval"), significant).shown, significant(number(row.get("loss"))),
         percent(number(row.get("error_percent")), signed=True),
         verdicts[row["inside"]] if isinstance(row.get("inside"), bool) else MISSING]
        for row in records(part.get("rows"))
    ]  # fmt: skip
    first = next(iter(records(part.get("rows"))), {})
    confidence = level(first.get("interval"))
    head = ["Run", "N#", "D#", "Forecast#", f"{confidence} interval#".strip(), "Measured#",
            "Error#", "Verdict"]  # fmt: skip
    return _section("Held-out forecasts", quote(text(part.get("sentence"))), _table(head, rows))


def _laws(study: Mapping[str, Any]) -> str:
    laws = records(study.get("laws"))
    rows = [
        [quote(text(law.get("law"))), significant(number(law.get("weight")), 2),
         quote(text(law.get("status"))), percent(100 * number(law.get("backtest_error"))),
         percent(100 * number(law.get("rms_residual")))]
        for law in laws
    ]  # fmt: skip
    parameters = [
        [quote(text(law.get("law"))), quote(text(name)), significant(number(theta)),
         interval(mapping(law.get("intervals")).get(name), significant).shown,
         quote(described(mapping(law.get("intervals")).get(name)))]
        for law in laws
        for name, theta in mapping(law.get("parameters")).items()
    ]  # fmt: skip
    return _section(
        "Laws",
        _table(["Law", "Weight#", "Status", "Back-test error#", "Residual#"], rows),
        _table(["Law", "Parameter", "Value#", "Interval#", "Level, method"], parameters),
    )


def _backtest(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("backtest"))
    rows = [
        [power(number(cut.get("C_cut"))), count(number(cut.get("n_train"))),
         count(number(cut.get("n_test"))), times(number(cut.get("reach")))]
        for cut in records(part.get("cuts"))
    ]  # fmt: skip
    head = ["Fitted below, FLOPs#", "Fitted runs#", "Forecast runs#", "Reach#"]
    return _section("Back-test", quote(text(part.get("sentence"))), _table(head, rows))


def _telling(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("telling_runs"))
    rows = [
        [f"{power(found['most_cost'])} {quote(found['unit'])}", quote(where(found["run"])),
         *(f"{quote(law)} {significant(number(p.get('loss')))}"
           f" ({interval(p.get('interval'), significant).shown})"
           for law, p in zip(found["laws"], found["predicted"], strict=True)),
         chance(found["contrast"].get("power")), seeds(found["contrast"].get("seeds"))]
        for found in telling_rows(part)
    ]  # fmt: skip
    head = ["Allowed, up to#", "Run", "One law says", "The other", "Told apart by one#",
            "Seeds needed#"]  # fmt: skip
    note = quote(explained(part)) if rows else ""
    return _section(TITLE, quote(text(part.get("sentence"))), note, _table(head, rows))


def _influence(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("influence"))
    scales = mapping(part.get("scales"))
    full = mapping(scales.get("full"))
    levels = [
        [quote(text(row.get("name"))), count(number(row.get("n_runs"))),
         *(_shifted(name, row) for name in full),
         _verdict(row)]
        for row in records(scales.get("levels"))
    ]  # fmt: skip
    head = ["Left out", "Runs#", *(f"{quote(text(name))}, s.e.#" for name in full), "Verdict"]
    answers = records(part.get("side_by_side"))
    both = [[quote(name), *(shown for shown, _ in cells)] for name, cells in answer_rows(answers)]
    return _section(
        "Influence",
        quote(text(part.get("sentence"))),
        quote(text(part.get("weighted_sentence"))),
        quote(text(scales.get("sentence"))),
        _table(head, levels),
        _table(["Quantity", *(f"{quote(answer_title(a))}#" for a in answers)], both),
    )


def _verdict(row: Mapping[str, Any]) -> str:
    if row.get("disagrees") is True:
        return "**disagrees**"
    return "**decides**" if row.get("decides") is True else quote(text(row.get("reason"))) or " "


def _shifted(name: object, row: Mapping[str, Any]) -> str:
    shown = number(mapping(row.get("without")).get(str(name)))
    errors = number(mapping(row.get("standard_errors")).get(str(name)))
    write = count if str(name).startswith("N_opt") else significant
    return f"{write(shown)} ({significant(errors, 2)})"


def _regimes(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("regimes"))
    if not part:
        return ""
    rows = [
        [quote(text(row.get("name"))), regimes.limit(row),
         percent(100 * number(row.get("data_share"))),
         *(significant(number(row.get(f"exponent_{axis}")), 2) for axis in "ND"),
         *(count(number(row.get(axis))) for axis in "ND"), power(number(row.get("C")))]
        for row in regimes.regime_rows(study)[:MOST_REGIMES]
    ]  # fmt: skip
    return _section(
        regimes.TITLE,
        quote(text(part.get("sentence"))),
        quote(regimes.explained(part)),
        _table(regimes.HEAD, rows),
    )


def _checklist(study: Mapping[str, Any]) -> str:
    rows = [
        [quote(text(entry.get(key))) for key in ("item", "state", "answer")]
        for entry in records(study.get("checklist"))
    ]
    return _section("Checklist", _table(["Question", "State", "Answer"], rows))


def _input(study: Mapping[str, Any]) -> str:
    part = mapping(study.get("input"))
    lines = [
        f"- {quote(name)}: {quote(shown)}"
        for name, shown in (
            ("Source", text(part.get("source"))),
            ("SHA-256", text(part.get("digest"))),
            *((text(k), text(v)) for k, v in mapping(part.get("conventions")).items()),
            ("Command", text(study.get("command"))),
            ("isoloss", text(study.get("isoloss"))),
        )
        if shown
    ]
    refused = [
        [count(number(r.get("row"))), *(quote(text(r.get(k))) for k in ("name", "code", "reason"))]
        for r in records(part.get("refused"))
    ]
    return _section(
        "Input", "\n".join(lines), _table(["Row#", "Run refused", "Code", "Reason"], refused)
    )
