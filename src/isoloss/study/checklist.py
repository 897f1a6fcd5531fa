"""The reporting checklist of (Mis)Fitting, filled in from the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoloss.fit import LawSet
from isoloss.runs import Runs


def checklist(runs: Runs, laws: LawSet, answers: Mapping[str, Any]) -> list[dict[str, str]]:
    """Items, what this study can say about each, and whether that settles it.

    References
    ----------
    Li et al. 2025, "(Mis)Fitting: a survey of scaling laws", arXiv:2502.18969, checklist.
    """
    best = laws.best
    c = runs.conventions
    rows: list[dict[str, str]] = []

    def item(name: str, answer: str, state: str) -> None:
        rows.append({"item": name, "answer": answer, "state": state})

    names = ", ".join(f.law.name for f in laws.fits)
    item("Form of the law and why", f"{names}; weighted by back-test: {laws.sentence}", "yes")
    item("What is fitted", "; ".join(f"{f.law.name}: {f.law.formula}" for f in laws.fits), "yes")
    given = c.N != "parameters as given"
    item("Definition of N", c.N, "yes" if given else "unknown")
    item("Definition of D", c.D, "yes" if c.D != "tokens or examples seen" else "unknown")
    item("How compute is counted", c.C, "yes")
    item(
        "Loss and evaluation set",
        f"{c.loss}; {c.evaluation or 'evaluation set not stated'}",
        "yes" if c.evaluation else "partly",
    )
    configurations = len(np.unique(runs.configurations()))
    item(
        "Number of runs, sizes and repeats",
        f"{len(runs)} runs of {configurations} configurations"
        + "".join(
            f"; {a} from {runs[a].min():.3g} to {runs[a].max():.3g}"
            for a in ("N", "D", "C")
            if a in runs
        ),
        "yes",
    )
    tuned = [n for n in ("lr", "batch", "warmup") if n in runs]
    item(
        "Learning rate, batch size and schedule",
        f"columns given: {', '.join(tuned)}" if tuned else "not in the table; say how it was done",
        "partly" if tuned else "unknown",
    )
    item("Final or intermediate checkpoints", "one row a run, taken as final losses", "partly")
    item(
        "Objective",
        f"{laws.objective.name}, chosen by back-test among those listed",
        "yes",
    )
    item(
        "Optimiser, starts and bounds",
        f"damped Newton with exact derivatives from {best.certificate.n_starts} deterministic "
        f"starts, {best.certificate.n_agree} agree; parameters at a bound: "
        f"{', '.join(best.certificate.at_bound) or 'none'}",
        "yes",
    )
    item(
        "Excluded points",
        f"{len(runs.refused)} rows refused, each listed with its reason; "
        + (laws.left_out_sentence or "none dropped otherwise"),
        "yes",
    )
    held = answers["held_out"]["rows"]
    item(
        "Validation by extrapolation",
        answers["held_out"]["sentence"] + f" Back-test over {len(laws.backtest.cuts)} cuts.",
        "yes" if held and laws.backtest.cuts else "no",
    )
    item(
        "Uncertainty",
        f"{100 * laws.level:g} % intervals: {best.method}, spread over laws, seed noise, "
        "back-test discrepancy",
        "yes",
    )
    moved = answers["influence"]
    scales = moved["scales"] if moved else None
    item(
        "Influence of single runs",
        (moved["sentence"] + (f" {scales['sentence']}" if scales else ""))
        if moved
        else "not examined",
        "yes" if moved else "no",
    )
    item(
        "Data and code",
        f"input digest {runs.digest[:16]}, isoloss {answers['isoloss']}; the command is given",
        "yes",
    )
    return rows
