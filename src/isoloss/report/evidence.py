"""Why to believe the answer: held-out forecasts, laws, back-test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, text, texts
from isoloss.plot.series import Study
from isoloss.report.answer import section
from isoloss.report.charts import (
    backtest_figures,
    forecast_figure,
    weights_figure,
)
from isoloss.report.digits import count, percent, power, significant, times
from isoloss.report.markup import Markup, tag
from isoloss.report.planes import fan_figure, isoloss_figure, residuals_figure
from isoloss.report.tables import (
    Cell,
    Entry,
    badge,
    described,
    interval,
    named,
    signed_percent,
    table,
    value,
)

_CERTIFICATE = (
    ("scaled_gradient", "Scaled gradient", "zero at an optimum; below 1e-6 is converged"),
    ("edm", "Distance to the minimum", "expected fall of the objective that is left"),
    ("condition", "Condition number", "how unevenly the runs determine the parameters"),
    ("min_eigenvalue", "Smallest curvature", "positive at a minimum; near zero is a flat valley"),
    ("second_engine_gap", "Gap to a second engine", "relative difference of the objective"),
    ("derivative_error", "Error of derivatives", "against an independent derivative"),
)


def figures(study: Study) -> Markup:
    """Return the main figures."""
    pair = [forecast_figure(study), weights_figure(study)]
    drawn = [isoloss_figure(study), fan_figure(study)]
    if any(pair):
        drawn.append(tag("div", [p for p in pair if p], class_="pair"))
    drawn.append(residuals_figure(study))
    return section("figures", "The picture", drawn) if any(drawn) else Markup("")


def held_out(study: Study) -> Markup:
    """Return the runs the whole procedure never saw, with their forecasts."""
    part = mapping(study.get("held_out"))
    if not part:
        return Markup("")
    rows: list[list[Entry]] = []
    for row in records(part.get("rows")):
        inside = row.get("inside")
        verdict = {True: badge("yes", "inside"), False: badge("no", "outside")}
        known = isinstance(inside, bool)
        rows.append(
            [
                named(text(row.get("name"))),
                verdict[bool(inside)] if known else None,
                value(row.get("predicted"), significant),
                interval(row.get("interval"), significant),
                value(row.get("loss"), significant),
                value(row.get("error_percent"), signed_percent),
                value(row.get("reach"), times),
                value(row.get("N"), count),
                value(row.get("D"), count),
                value(row.get("C"), power),
            ]
        )
    head = ["Run", "Verdict", "Forecast#", "Interval, new run#", "Measured#", "Error#", "Reach#",
            "N#", "D#", "C, FLOPs#"]  # fmt: skip
    return section(
        "held-out",
        "Forecasts of runs the procedure never saw",
        tag("p", text(part.get("sentence"))),
        tag("p", "For these forecasts the runs below took no part in fitting, in choosing the"
            " objective, or in weighting the laws. Their intervals are for one new run, noise"
            " of the seed included.",
            class_="aside"),
        table("tab-held-out", head, rows, caption="Held-out runs"),
    )  # fmt: skip


def laws(study: Study) -> Markup:
    """Return the laws with weights and status, and each one's parameters and certificate."""
    entries = records(study.get("laws"))
    if not entries:
        return Markup("")
    rows: list[list[Entry]] = [
        [
            tag("b", text(law.get("law"))),
            tag("code", text(law.get("formula"))) if text(law.get("formula")) else None,
            value(law.get("weight"), lambda w: significant(w, 2)),
            value(law.get("weight_by_extrapolation"), lambda w: significant(w, 2)),
            value(law.get("weight_by_fit"), lambda w: significant(w, 2)),
            value(law.get("emphasis"), lambda w: significant(w, 2)),
            status_badge(law.get("status")),
            value(100 * number(law.get("backtest_error")), percent),
            value(100 * number(law.get("rms_residual")), percent),
        ]
        for law in entries
    ]
    head = ["Law", "Form", "Weight#", "by record#", "by fit#", "Emphasis#", "Status",
            "Back-test#", "Residual#"]  # fmt: skip
    objectives: list[list[Entry]] = [
        [
            text(o.get("objective")),
            text(o.get("law")),
            value(100 * number(o.get("backtest_error")), percent),
            badge("yes", "chosen") if o.get("chosen") is True else Markup(" "),
        ]
        for o in records(study.get("objectives"))
    ]
    return section(
        "laws",
        "Laws, weights and certificates",
        tag("p", "No forecast here rests on one law. Open a law for its parameters with intervals"
            " and the certificate of its fit."),
        table("tab-laws", head, rows, caption="Laws"),
        [_law(i, law) for i, law in enumerate(entries)],
        table("tab-objectives", ["Objective", "Law", "Back-test#", ""], objectives,
              caption="Objectives tried")
        if objectives
        else None,
    )  # fmt: skip


def backtest(study: Study) -> Markup:
    """Return the back-test: its sentence, figures, and cuts."""
    part = mapping(study.get("backtest"))
    if not part:
        return Markup("")
    rows: list[list[Entry]] = [
        [
            str(i + 1),
            value(cut.get("C_cut"), power),
            value(cut.get("n_train"), count),
            value(cut.get("n_test"), count),
            value(cut.get("reach"), times),
        ]
        for i, cut in enumerate(records(part.get("cuts")))
    ]
    head = ["Cut#", "Fitted below, FLOPs#", "Fitted runs#", "Forecast runs#", "Reach#"]
    return section(
        "backtest",
        "Back-test",
        tag("p", text(part.get("sentence"))),
        backtest_figures(study),
        table("tab-cuts", head, rows, caption="Cuts"),
    )


def status_badge(status: object) -> Markup:
    """Return the status of a fit as a badge."""
    shown = text(status)
    kind = {"ok": "yes", "suspect": "partly", "failed": "no"}.get(shown, "unknown")
    return badge(kind, shown or "unknown")


def _law(index: int, law: Mapping[str, Any]) -> Markup:
    ends = mapping(law.get("intervals"))
    rows: list[list[Entry]] = [
        [
            tag("b", text(name)),
            value(theta, significant),
            interval(ends.get(name), significant),
            described(ends.get(name)),
        ]
        for name, theta in mapping(law.get("parameters")).items()
    ]
    reasons = [
        tag("li", tag("code", text(r.get("code"))), " ", text(r.get("message")))
        for r in records(law.get("reasons"))
    ]
    name = text(law.get("law"))
    objective = mapping(law.get("objective"))
    fitted = [text(law.get("note"))] if text(law.get("note")) else []
    fitted.append(f"{count(number(law.get('n_rows')))} runs")
    if text(objective.get("name")):
        reached = significant(number(objective.get("value")))
        fitted.append(f"objective {text(objective.get('name'))} = {reached}")
    return tag(
        "details",
        tag("summary", tag("b", name), " ", status_badge(law.get("status")),
            tag("span", " parameters and certificate", class_="faint")),
        tag("p", "; ".join(fitted), class_="aside"),
        tag("ul", reasons, class_="reasons") if reasons else None,
        table(f"tab-parameters-{index}", ["Parameter", "Value#", "Interval#", "Level, method"],
              rows, caption=f"Parameters of {name}"),
        table(f"tab-certificate-{index}", ["Certificate", "Value#", "Reads as"],
              _certificate(mapping(law.get("certificate"))), caption=f"Certificate of {name}"),
        class_="law",
    )  # fmt: skip


def _certificate(found: Mapping[str, Any]) -> list[list[Entry]]:
    if not found:
        return []
    rows: list[list[Entry]] = [
        [name, value(found.get(key), lambda v: significant(v, 2)), meaning]
        for key, name, meaning in _CERTIFICATE
    ]
    agree, starts = number(found.get("n_agree")), number(found.get("n_starts"))
    rows.append(
        ["Starts that agree", Cell(shown=f"{count(agree)} of {count(starts)}"),
         "few agreeing starts mean several valleys"]
    )  # fmt: skip
    bounds = ", ".join(texts(found.get("at_bound"))) or "none"
    rows.append(["Parameters at a bound", Cell(shown=bounds), "a bound decided, not the runs"])
    return rows
