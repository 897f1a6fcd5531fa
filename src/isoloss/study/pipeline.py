"""One study: hold the largest runs out, forecast them, then answer with all runs."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import isoloss
from isoloss._core.arrays import as_positive
from isoloss._core.serial import plain, to_json, write_atomic
from isoloss.errors import InputError, IsolossError
from isoloss.fit import LawSet, fit_laws, forecast
from isoloss.fit.backtest import run_scale, thin
from isoloss.fit.rivals import telling_runs
from isoloss.laws import Law
from isoloss.plan.design_places import cost_of_runs
from isoloss.plan.over_laws import LawSetPlan, allocate_over_laws
from isoloss.runs import Note, Runs, read_runs
from isoloss.study import sections
from isoloss.study.answers import fixed_axes, is_joint, with_compute
from isoloss.study.checklist import checklist
from isoloss.study.doubts import doubts
from isoloss.study.influence import influence_section
from isoloss.study.regimes import regimes_section

HELD_OUT_FACTOR = 5.0
"""Runs within this factor of the largest scale are held out, if they are few enough."""
PATH_POINTS = 61
MOST_RUNS = 20_000
"""A study of more runs uses this many of them, spread over scale, and says so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Everything that was asked of a table of runs.

    Attributes
    ----------
    runs
        The table.
    laws
        The law set fitted to all runs.
    plan
        Split of the budget; ``None`` for laws of one resource.
    answers
        The plain dictionary that study.json holds.
    """

    runs: Runs
    laws: LawSet
    plan: LawSetPlan | None
    answers: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain types: what study.json holds."""
        return dict(self.answers)

    def write(self, out: str | Path) -> dict[str, Path]:
        """Write ``report.html``, ``report.md``, ``laws.tex``, ``study.json`` and the figures.

        The figures are SVG files in ``figures/``, those of the report; `isoloss.plot` draws the
        same series with matplotlib.
        """
        from isoloss.report import (
            render_figures,
            render_html,
            render_latex_table,
            render_markdown,
        )

        folder = Path(out)
        files = {
            "study.json": to_json(self.answers),
            "report.html": render_html(self.answers),
            "report.md": render_markdown(self.answers),
            "laws.tex": render_latex_table(self.answers),
        }
        for name, text in render_figures(self.answers).items():
            files[f"figures/{name}.svg"] = text
        written = {}
        for name, text in files.items():
            written[name] = folder / name
            write_atomic(folder / name, text)
        return written

    def summary(self) -> str:
        """Return the headline."""
        return "\n".join(self.answers["headline"])

    def __repr__(self) -> str:
        return f"Study({len(self.runs)} runs; {self.laws!r})"

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{html.escape(s)}</li>" for s in self.answers["headline"])
        return f"<ul>{lines}</ul>"


def study(
    runs: Any = None,
    *,
    budget: float | None = None,
    at: Sequence[Mapping[str, float]] = (),
    laws: Sequence[str | Law] | None = None,
    objective: str = "auto",
    emphasis: str | float = "auto",
    outliers: str = "auto",
    draws: int = 1000,
    level: float = 0.9,
    rng: int = 0,
    axis: str | None = None,
    title: str | None = None,
    command: str = "",
    journal: Path | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Study:
    """Fit, back-test, forecast, plan and explain a table of runs.

    The largest runs are first held out and forecast by the same procedure; then everything is
    answered with all runs.

    Parameters
    ----------
    runs
        `Runs` or anything `read_runs` takes; the runs embedded in the package by default.
    budget
        Compute to plan, in the convention of the runs; ten times the largest run by default.
    at
        Further targets to forecast.
    laws, objective, emphasis, outliers, draws, level, rng, axis
        As in `fit_laws`.
    journal
        Folder where finished resampling blocks are kept, so that a killed study continues.
    on_step
        Called with a few words before each step.

    Raises
    ------
    InputError, LawError, FitError
        When the runs cannot be read, or no law can be fitted to them.
    """
    say = on_step or (lambda text: None)
    table = _thinned(_table(runs))
    target = as_positive("budget", budget) if budget is not None else None
    options: dict[str, Any] = {
        "laws": laws,
        "objective": objective,
        "emphasis": emphasis,
        "outliers": outliers,
        "draws": draws,
        "level": level,
        "rng": rng,
        "axis": axis,
        "journal": journal,
    }
    held = hold_out(table)
    held_section: dict[str, Any] = {"sentence": "Too few runs to hold any out.", "rows": []}
    if held.any():
        say(f"holding out the {int(held.sum())} largest runs")
        try:
            below = fit_laws(table.select(~held), **options, on_step=say)
            held_section = sections.held_out(table, held, below)
        except IsolossError as error:
            held_section["sentence"] = f"The held-out test was not possible: {error}"
    say("fitting all runs")
    full = fit_laws(table, **options, on_step=say)
    if target is None:
        target = 10.0 * float(full.backtest.scale.max())
    elif not is_joint(full) and full.axes != ("C",):
        raise InputError(
            f"budget: the laws are of {', '.join(full.axes)} alone and know no compute; leave the "
            f"budget out, or give at {full.axes[0]}=..."
        )
    plan, path, trouble = None, None, []
    if is_joint(full):
        say("planning")
        try:
            plan, path = _plan(table, full, target)
        except IsolossError as error:
            trouble.append(str(error))
    say("forecasting")
    targets = (*_targets(table, full, plan, target), *at)
    forecasts = [forecast(full, with_compute(table, a)) for a in targets]
    say("weighing each run and each scale")
    # Targets that the user added are forecast, but what decides is judged at the budget.
    moved = influence_section(table, full, target, [(f.at, f.loss) for f in forecasts[:1]])
    answers: dict[str, Any] = {
        "schema": 1,
        "isoloss": isoloss.__version__,
        "title": title or table.source,
        "command": command,
        "headline": [],
        "input": sections.input_section(table, held),
        "runs": sections.runs_section(table, held, full),
        "left_out": sections.left_out_section(table, full),
        "default_law": full.best.law.name,
        "laws": sections.laws_section(table, full, held),
        "objectives": sections.objectives_section(full),
        "backtest": sections.backtest_section(full),
        "held_out": held_section,
        "forecasts": [f.to_dict() | {"new_run": f.interval.to_dict()} for f in forecasts],
        "plan": sections.plan_section(table, full, plan, target),
        "path": path.path() if path is not None else None,
        "contour": sections.contour(table, full, plan),
        "influence": moved,
        "regimes": regimes_section(table, full),
        "telling_runs": telling_runs(full, table, cost=cost_of_runs(table)).to_dict(),
    }
    answers["distrust"] = doubts(table, full, answers, trouble)
    answers["checklist"] = checklist(table, full, answers)
    answers["headline"] = sections.headline(answers)
    return Study(runs=table, laws=full, plan=plan, answers=plain(answers))


def _table(runs: Any) -> Runs:
    if runs is None:
        from isoloss.runs.embedded import embedded_runs

        return embedded_runs()
    return runs if isinstance(runs, Runs) else read_runs(runs)


def _thinned(runs: Runs) -> Runs:
    """Every k-th run by scale when there are very many; `isoloss.fit` takes them all."""
    if len(runs) <= MOST_RUNS:
        return runs
    fewer = thin(runs, MOST_RUNS)
    note = Note(
        "THINNED",
        "warning",
        f"{len(runs)} runs: the study uses {MOST_RUNS} of them, spread evenly over scale; to fit "
        "one law to all of them use isoloss fit",
    )
    return replace(fewer, notes=(*fewer.notes, note))


def hold_out(runs: Runs) -> Any:
    """Mark the largest runs: those within a factor of five of the largest, if they are few.

    At most a quarter of the runs, else the largest twentieth (at least one); none when fewer
    than eight would be left.
    """
    scale = run_scale(runs)
    n = len(scale)
    held = scale > scale.max() / HELD_OUT_FACTOR
    if held.sum() > n / 4:
        k = max(1, n // 20)
        held = scale >= np.sort(scale)[-k]
    if held.sum() > n / 2 or n - held.sum() < 8:
        return np.zeros(n, dtype=bool)
    return held


def _plan(runs: Runs, laws: LawSet, budget: float) -> tuple[LawSetPlan, LawSetPlan]:
    fixed, cost = fixed_axes(runs, laws), cost_of_runs(runs)
    plan = allocate_over_laws(laws, [budget], cost=cost, fixed=fixed)
    scale = run_scale(runs)
    low = float(scale.min())
    high = max(100.0 * float(scale.max()), 10.0 * budget)
    grid = np.exp(np.linspace(np.log(low), np.log(high), PATH_POINTS))
    path = allocate_over_laws(laws, grid, cost=cost, fixed=fixed, price_of_missing=False)
    return plan, path


def _targets(
    runs: Runs, laws: LawSet, plan: LawSetPlan | None, budget: float
) -> list[Mapping[str, float]]:
    if plan is not None:
        point = {"N": float(plan.N_opt[0]), "D": float(plan.D_opt[0]), "C": budget}
        point |= fixed_axes(runs, laws)
        missing = [a for a in laws.axes if a not in point]
        return [] if missing else [point]
    if len(laws.axes) == 1:
        return [{laws.axes[0]: budget}]
    return []


def run_study(
    runs: Any, out: Path, *, on_step: Callable[[str], None] | None = None, **options: Any
) -> tuple[Study, dict[str, Path]]:
    """Run a study and write it; a killed one continues, and leaves no scratch when done."""
    if out.exists() and not out.is_dir():
        raise InputError(f"out = {str(out)!r}: is a file; give a folder")
    journal = out / ".unfinished"
    result = study(runs, journal=journal, on_step=on_step, **options)
    if on_step:
        on_step("writing the report")
    files = result.write(out)
    shutil.rmtree(journal, ignore_errors=True)
    return result, files
