"""Laws and their parameters, and the runs that would tell them apart, as LaTeX tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from isoloss.plot.access import mapping, number, records, text
from isoloss.report.page import require_schema
from isoloss.report.tables import described
from isoloss.report.telling import TITLE, chance, explained, seeds, telling_rows, where

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "kappa", "lambda", "mu", "nu", "sigma"}


def render_latex_table(study: Mapping[str, Any]) -> str:
    r"""Return a table of laws, weights, parameters and intervals (needs the booktabs package).

    A second table follows where some runs would tell the laws apart.

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
    >>> law = {"law": "my_law", "weight": 1.0, "status": "ok", "parameters": {"alpha": 0.34}}
    >>> row = render_latex_table({"schema": 1, "laws": [law]}).splitlines()[7]
    >>> print(row)
    my\_law & 1.00 & ok & $\alpha$ & $0.3400$ & -- \\
    """
    require_schema(study)
    lines: list[str] = []
    methods: dict[str, None] = {}
    for law in records(study.get("laws")):
        if lines:
            lines.append(r"\addlinespace")
        weight = number(law.get("weight"))
        shown = f"{weight:.2f}" if abs(weight) < 1e3 else "--"
        lead = f"{quote(text(law.get('law')))} & {shown} & {quote(text(law.get('status')))}"
        ends = mapping(law.get("intervals"))
        parameters = mapping(law.get("parameters")) or {"": None}
        for name, theta in parameters.items():
            given = mapping(ends.get(name))
            if described(given):
                methods[described(given)] = None
            lines.append(f"{lead} & {_symbol(text(name))} & {_value(theta)} & {_ends(given)} \\\\")
            lead = " & & "
    note = f" Intervals: {quote('; '.join(methods))}." if methods else ""
    title = quote(text(study.get("title")) or "study")
    return "\n".join(
        [
            "% requires \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{Scaling laws fitted to {title}.{note}}}",
            r"\begin{tabular}{lrllrl}",
            r"\toprule",
            r"Law & Weight & Status & Parameter & Value & Interval \\ \midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            *_telling(study),
            "",
        ]
    )


def _telling(study: Mapping[str, Any]) -> list[str]:
    part = mapping(study.get("telling_runs"))
    lines = []
    for found in telling_rows(part):
        predicted = (
            f"{quote(law)} {_value(p.get('loss'))} {_ends(mapping(p.get('interval')))}"
            for law, p in zip(found["laws"], found["predicted"], strict=True)
        )
        told = quote(chance(found["contrast"].get("power")))
        more = quote(seeds(found["contrast"].get("seeds")))
        cost = f"{_value(found['run'].get('cost'))} {quote(found['unit'])}"
        cells = [quote(where(found["run"])), cost, *predicted, told, more]
        lines.append(" & ".join(cells) + r" \\")
    if not lines:
        return []
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{TITLE}. {quote(explained(part))}}}",
        r"\begin{tabular}{lrllrr}",
        r"\toprule",
        r"Run & Cost & One law says & The other & Told apart & Seeds needed \\ \midrule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def quote(shown: str) -> str:
    r"""Return text that LaTeX prints as it is.

    Examples
    --------
    >>> print(quote(r"\input{x}_100%"))
    \textbackslash{}input\{x\}\_100\%
    """
    line = " ".join(shown.split())
    return "".join(_ESCAPES.get(character, character) for character in line)


def _symbol(name: str) -> str:
    if name in _GREEK:
        return f"$\\{name}$"
    return f"${name}$" if re.fullmatch("[A-Za-z]", name) else quote(name)


def _value(given: object) -> str:
    value = number(given)
    if not math.isfinite(value):
        return "--"
    exponent = int(f"{abs(value):.3e}".partition("e")[2]) if value else 0
    if -4 <= exponent < 6:
        return f"${value:.{max(3 - exponent, 0)}f}$"
    mantissa, _, _ = f"{value:.3e}".partition("e")
    return f"${mantissa}\\times10^{{{exponent}}}$"


def _ends(given: Mapping[str, Any]) -> str:
    low, high = _value(given.get("low")), _value(given.get("high"))
    return "--" if low == high == "--" else f"[{low}, {high}]"
