"""Rows of an import to a table of runs: what all runs share is checked here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isoloss.errors import InputError
from isoloss.runs.logs.record import Finding
from isoloss.runs.logs.reduce import Row
from isoloss.runs.logs.resources import RESERVED, convention_of
from isoloss.runs.logs.rules import Rules
from isoloss.runs.read import read_runs
from isoloss.runs.rows import short
from isoloss.runs.table import Refusal, Runs

_ALL = "all runs"
_WITHOUT = {"N": "NO_N", "D": "NO_D"}
_UNKNOWN = {"MIXED_TOKENIZER": "UNKNOWN_TOKENIZER", "MIXED_EVAL_SET": "UNKNOWN_EVAL_SET"}
_REMEDIES = {
    "N": "--columns N=SETTING, or --pattern 'NAME-{N}*' where the run's name holds it",
    "D": "--columns D=METRIC, or --columns batch=SEQUENCES_PER_STEP,context=TOKENS for steps x "
    "batch x context",
}


@dataclass(frozen=True, slots=True)
class Made:
    """The table, the rows behind it in its order, and columns of text that vary."""

    runs: Runs
    rows: list[Row]
    texts: dict[str, list[str]]


def make_runs(rows: list[Row], findings: list[Finding], rules: Rules, label: str) -> Made:
    """Make the table; what is found is added to the findings.

    Raises
    ------
    InputError
        No run is left, no run says its size or data, or identities are mixed.
    """
    for axis in ("N", "D"):
        rows = _need(axis, rows, findings, rules)
    if not rows:
        raise nothing_left(findings)
    if not any({"N", "D"} & set(row.values) for row in rows):
        raise InputError(
            "no run says its parameters or its tokens: " + "; ".join(_REMEDIES.values())
        )
    _identity(rows, findings, rules, "tokenizer", "MIXED_TOKENIZER", lambda row: row.tokenizer)
    _identity(rows, findings, rules, "evaluation set", "MIXED_EVAL_SET", lambda row: row.eval_set)
    axes = [a for a in ("N", "D", "C", "lr", "seed") if all(a in row.values for row in rows)]
    extra = [
        a for a in rows[0].values if a not in (*axes, "loss", "loss_se", *RESERVED, "C", "seed")
    ]
    axes += [a for a in extra if all(a in row.values for row in rows)]
    if "C" not in axes and any("C" in row.values for row in rows):
        _all(findings, "NO_C", "info", "only some runs log their FLOPs; C is left out")
    if all(math.isfinite(row.values["loss_se"]) for row in rows):
        axes.append("loss_se")
    columns: dict[str, list[object]] = {"name": [row.name for row in rows]}
    for axis in [*axes, "loss"]:
        columns[axis] = [row.values[axis] for row in rows]
    known = [a for a in ("N", "D", "C", "U", "lr", "seed") if a in axes]
    mapping = {"name": "name", "loss": "loss"} | {a: a for a in known}
    runs = read_runs(columns, columns=mapping, conventions=_conventions(rows, rules, findings))
    kept = [rows[i - 1] for i in runs.rows]
    for refusal in runs.refused:
        findings.append(
            Finding(
                run=refusal.name,
                source=rows[refusal.row - 1].source,
                code=refusal.code,
                severity="dropped",
                reason=refusal.reason,
            )
        )
    gone = [f for f in findings if f.severity == "dropped"]
    runs = Runs(
        columns=runs.columns,
        names=runs.names,
        conventions=runs.conventions,
        source=f"logs in {label}",
        refused=tuple(
            Refusal(len(kept) + i, f.run, f.code, f"{f.run}: {f.reason}")
            for i, f in enumerate(gone, 1)
        ),
        notes=runs.notes,
    )
    return Made(runs, kept, _texts(kept))


def nothing_left(findings: Sequence[Finding]) -> InputError:
    """Build the error for an import without a row: the most frequent reasons and a remedy."""
    gone = [f for f in findings if f.severity == "dropped"] or list(findings)
    codes = Counter(f.code for f in gone)
    first = {code: next(f for f in gone if f.code == code) for code in codes}
    shown = "; ".join(
        f"{code} {count}, such as {short(first[code].run)}: {first[code].reason}"
        + (f" ({first[code].remedy})" if first[code].remedy else "")
        for code, count in codes.most_common(4)
    )
    return InputError(f"no run can be used: {shown or 'nothing was logged'}")


def _need(axis: str, rows: list[Row], findings: list[Finding], rules: Rules) -> list[Row]:
    """Leave out runs without an axis that others have, or that was asked for."""
    asked = axis in rules.columns or bool(rules.form and axis in rules.form[1])
    without = [row for row in rows if axis not in row.values]
    if not without or (len(without) == len(rows) and not asked):
        if without:
            _all(
                findings,
                _WITHOUT[axis],
                "warning",
                f"no run says its {axis}; the table has none",
                _REMEDIES[axis],
            )
        return rows
    for row in without:
        findings.append(
            Finding(
                run=row.name,
                source=row.source,
                code=_WITHOUT[axis],
                severity="dropped",
                reason=f"nothing says its {axis}",
                remedy=_REMEDIES[axis],
            )
        )
    return [row for row in rows if axis in row.values]


def _all(findings: list[Finding], code: str, severity: str, reason: str, remedy: str = "") -> None:
    findings.append(
        Finding(run=_ALL, source="", code=code, severity=severity, reason=reason, remedy=remedy)
    )


def _identity(
    rows: list[Row],
    findings: list[Finding],
    rules: Rules,
    what: str,
    code: str,
    read: Callable[[Row], str],
) -> None:
    """Refuse losses of two tokenizers, or of two evaluation sets, in one table."""
    counts = Counter(read(row) for row in rows)
    unknown = counts.pop("", 0)
    if len(counts) > 1:
        shown = ", ".join(f"{short(value)} ({n} runs)" for value, n in counts.most_common(6))
        if rules.severity(code, "dropped") == "dropped":
            raise InputError(
                f"the runs name different {what}s: {shown}; their losses are not one measure: "
                f"import them apart, or --keep {code} and select with --where later"
            )
        _all(
            findings,
            code,
            "warning",
            f"the runs name different {what}s: {shown}",
            "select one with --where",
        )
    elif counts and unknown:
        _all(
            findings,
            _UNKNOWN[code],
            "info",
            f"{unknown} of {len(rows)} runs name no {what}",
        )


def _conventions(rows: list[Row], rules: Rules, findings: list[Finding]) -> dict[str, str]:
    found = {"loss": "nats per byte" if rules.unit == "bpb" else "nats per token"}
    if rules.unit == "base10":
        found["loss"] += ", from logarithms to base 10"
    elif rules.unit != "nats":
        found["loss"] += f", from {rules.unit}"
    meanings = {convention_of([row.how.get("N", "")]) for row in rows}
    if len(meanings) > 1:
        _all(
            findings,
            "MIXED_N",
            "warning",
            "N counts different parameters: "
            + ", ".join(sorted(m or "parameters as given" for m in meanings)),
            "name one setting that all runs have: --columns N=SETTING",
        )
    elif (meaning := meanings.pop()) and "N" in rows[0].values:
        found["N"] = meaning
    data = {_data_word(row.how.get("D", "")) for row in rows}
    if len(data) > 1:
        _all(
            findings,
            "MIXED_D",
            "warning",
            f"D counts {' and '.join(sorted(data))}",
            "--columns D=METRIC",
        )
    elif "D" in rows[0].values:
        found["D"] = f"{data.pop()} seen"
    sets = {row.eval_set for row in rows} - {""}
    metrics = sorted({row.metric for row in rows})
    found["evaluation"] = next(iter(sets)) if len(sets) == 1 else "; ".join(metrics[:3])
    return found


def _data_word(how: str) -> str:
    return "examples" if how.startswith("examples") else "tokens"


def _texts(rows: list[Row]) -> dict[str, list[str]]:
    """Columns of text that tell runs apart; what all share says nothing."""
    found = {
        "tokenizer": [row.tokenizer for row in rows],
        "eval_set": [row.eval_set for row in rows],
        "tags": [row.tags for row in rows],
    }
    return {name: values for name, values in found.items() if len(set(values)) > 1}
