"""What to distrust in a study, worst first, each with what would help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoloss.fit import LawSet
from isoloss.runs import Runs

_ORDER = {"high": 0, "medium": 1, "low": 2}
_REMEDIES = {
    "CONFOUNDED_N_D": "add runs with other ratios of D to N",
    "CONSTANT_AXIS": "add runs at other values of the axis",
    "FEW_RUNS": "add cheap runs: twenty spread over size and data beat five large ones",
    "MIXED_TEXT": "select one experiment, with --where or where=",
    "STEPS": "keep the last row of each run, and say what a step is: --units D=TOKENS_PER_STEP",
    "SELECTED": "loosen a condition",
    "NARROW_COMPUTE": "add runs a decade below or above",
}


def doubts(
    runs: Runs, laws: LawSet, answers: Mapping[str, Any], trouble: list[str]
) -> list[dict[str, str]]:
    """Collect doubts from the input, the fits, the back-test, the forecast and the plan."""
    rows: list[dict[str, str]] = []

    def doubt(severity: str, code: str, message: str, remedy: str) -> None:
        rows.append({"severity": severity, "code": code, "message": message, "remedy": remedy})

    for text in trouble:
        doubt("high", "NO_PLAN", text, "add runs that vary N and D apart")
    known: set[str] = set()
    for f in answers["forecasts"]:
        tested = f["backtest_reach"]
        known.add(f["sentence"])
        if tested is None:
            doubt(
                "high",
                "NOT_BACKTESTED",
                "there were too few scales to test how this procedure extrapolates",
                "add runs at smaller or larger compute",
            )
        elif f["reach"] > 3 * tested:
            doubt(
                "high",
                "FAR_BEYOND",
                f"a target lies {f['reach']:.3g} times beyond the largest run, but the procedure "
                f"was tested only up to {tested:.3g} times ahead",
                "run one intermediate scale before you commit, or plan a smaller step",
            )
    held = answers["held_out"]["rows"]
    missed = [r for r in held if not r["inside"]]
    if missed:
        doubt(
            "high" if len(missed) * 2 > len(held) else "medium",
            "HELD_OUT_MISSED",
            f"{len(missed)} of {len(held)} held-out runs fell outside their interval "
            f"(worst error {max(abs(r['error_percent']) for r in missed):.2g} %)",
            "treat the interval as too narrow; look for what changed between small and large runs",
        )
    errors = [r["error_percent"] for r in held]
    if len(errors) >= 3 and (max(errors) < 0 or min(errors) > 0):
        side = "low" if errors[0] < 0 else "high"
        doubt(
            "medium",
            "HELD_OUT_ONE_SIDED",
            f"all {len(errors)} held-out forecasts were too {side}, by "
            f"{abs(sum(errors)) / len(errors):.2g} % on average",
            f"expect the truth in the {'upper' if side == 'low' else 'lower'} part of the interval",
        )
    if laws.left_out_sentence:
        doubt(
            "high",
            "UNEXPLAINED_RUNS",
            laws.left_out_sentence,
            "look for typing errors, failed runs or corners where laws break; compare the answer "
            "with them, or keep them: --outliers keep",
        )
    moved = answers["influence"]
    if moved and moved["without_flagged"]:
        names = [r["name"] for r in moved["rows"] if r["flagged"]]
        doubt(
            "high",
            "INFLUENTIAL_RUNS",
            f"{moved['sentence']} They are: {', '.join(names[:8])}"
            + (", ..." if len(names) > 8 else ""),
            "check tuning and evaluation of these runs; compare the two answers",
        )
    scales = (moved or {}).get("scales")
    if scales and any(row["decides"] for row in scales["levels"]):
        apart = any(row["disagrees"] for row in scales["levels"])
        doubt(
            "medium" if apart else "low",
            "INFLUENTIAL_SCALE",
            scales["sentence"],
            "compare the two answers; look for what changed at that scale"
            if apart
            else "add runs near that scale",
        )
    alike = [f for f, w in zip(laws.fits, laws.weights, strict=True) if w > 0.1]
    for f in alike:
        for reason in f.reasons:
            if reason.code == "INFLUENTIAL_RUNS":
                continue
            doubt(
                "medium" if f is laws.best else "low",
                reason.code,
                f"{f.law.name}: {reason.message}",
                "see the certificate of the law",
            )
    if len(alike) > 1:
        doubt("low", "LAWS_ALIKE", laws.sentence, answers["telling_runs"]["sentence"])
    plan = answers["plan"]
    if plan:
        for text in (t for t in plan["warnings"] if t not in known):
            doubt("medium", "PLAN", text, "see the plan")
        sizes = [row["N_opt"] for row in plan["laws"] if row["weight"] > 0.05 and row["N_opt"]]
        if sizes and max(sizes) > 2 * min(sizes):
            doubt(
                "medium",
                "LAWS_DISAGREE_ON_SIZE",
                f"the laws' best sizes differ by a factor {max(sizes) / min(sizes):.2g}",
                "take a size from the near-optimal range; it costs little",
            )
    for note in runs.notes:
        if note.severity == "warning":
            # Without N and D apart there is no split to speak of; without one experiment, no law.
            grave = (note.code == "CONFOUNDED_N_D" and plan) or note.code == "MIXED_TEXT"
            doubt(
                "high" if grave else "medium",
                note.code,
                note.message,
                _REMEDIES.get(note.code, "check the input"),
            )
    if runs.refused:
        doubt(
            "medium",
            "ROWS_REFUSED",
            f"{len(runs.refused)} rows of the input were not used",
            "see the list of refused rows with their reasons",
        )
    if not any(n.code == "REPLICATES" for n in runs.notes):
        doubt(
            "low",
            "NO_REPLICATES",
            "no configuration was repeated with another seed, so the noise of one run is only "
            "inferred from the scatter around the law",
            "repeat two or three cheap configurations with new seeds",
        )
    return sorted(rows, key=lambda r: _ORDER[r["severity"]])
