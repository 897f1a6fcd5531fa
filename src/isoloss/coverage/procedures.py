"""The procedures that are scored, called as a user calls them, on one simulated table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import isoloss
from isoloss._core.arrays import Array
from isoloss._core.interval import Interval
from isoloss.coverage.cells import Cell
from isoloss.coverage.designs import Target
from isoloss.errors import IsolossError
from isoloss.laws import Law
from isoloss.plan.over_laws import allocate_over_laws
from isoloss.runs import Runs

PROCEDURES = ("set", "single", "oracle")
"""The default law set; one default law taken as right; the true law taken as right."""
QUANTITIES = ("mean", "new_run", "N_opt")
PARTS = ("fit_laws", "forecast", "plan", "single", "oracle")
"""What CPU time is counted for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all repeats share: the seed of the simulation, and arguments of the fits."""

    seed: int = 0
    draws: int = 1000
    level: float = 0.9

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {"seed": self.seed, "draws": self.draws, "level": self.level}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repeat:
    """Intervals from one simulated table.

    Attributes
    ----------
    cell, index
        Name of the cell, and number of the repeat in it.
    fresh
        Loss of a fresh noisy run at each target, (targets,).
    values
        Low, high and point by target, procedure and quantity, (targets, 3, 3, 3); NaN where
        there was no answer.
    laws
        Names of the laws in the set.
    cpu
        Seconds by part, in the order of `PARTS`.
    failures
        Procedure, and why it gave no answer.
    """

    cell: str
    index: int
    fresh: tuple[float, ...]
    values: Array
    laws: tuple[str, ...]
    cpu: tuple[float, ...]
    failures: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Notes:
    """What is gathered while a repeat runs."""

    values: Array
    cpu: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    failures: list[tuple[str, str]] = field(default_factory=list)

    def run(self, part: str, procedure: str, call: Callable[[], Any]) -> Any:
        """Call, count the time, and turn a failure of the procedure into a note of it.

        Also one that nobody foresaw: a user would have had no interval, and hours of other
        repeats must not be lost to it.
        """
        start = time.process_time()
        try:
            # Overflow far from the runs is an answer, whatever the caller makes of warnings.
            with np.errstate(all="ignore"):
                return call()
        except IsolossError as error:
            self.failures.append((procedure, str(error)))
        except Exception as error:
            self.failures.append((procedure, f"{type(error).__name__}: {error}"))
        finally:
            self.cpu[part] += time.process_time() - start
        return None

    def put(
        self, procedure: str, quantity: str, found: Sequence[Interval | None], points: Any
    ) -> None:
        """Keep the intervals of all targets, and name those where there is none."""
        p, q = PROCEDURES.index(procedure), QUANTITIES.index(quantity)
        for t, (interval, point) in enumerate(zip(found, points, strict=True)):
            if interval is None or np.isnan([interval.low, interval.high]).any():
                self.failures.append((procedure, f"no interval of {quantity} at target {t + 1}"))
            else:
                self.values[t, p, q] = interval.low, interval.high, float(point)


def score_repeat(cell: Cell, index: int, settings: Settings) -> Repeat:
    """Simulate one table and take every interval that is scored."""
    runs, fresh = cell.simulate(index, settings.seed)
    targets = cell.targets
    shape = (len(targets), len(PROCEDURES), len(QUANTITIES), 3)
    notes = _Notes(np.full(shape, np.nan))
    # The seed of the resampling differs from repeat to repeat: with a common one the coverage
    # of many repeats would share one sample of bootstrap weights.
    options = {"draws": settings.draws, "level": settings.level, "rng": index}
    laws = _score_set(notes, runs, targets, options)
    default = "chinchilla" if "N" in cell.truth.axes else "power_floor"
    _score_law(notes, "single", default, runs, targets, options)
    if cell.truth.law.name == default:
        # The default law is the true one: fitting it again would give the same bytes.
        notes.values[:, PROCEDURES.index("oracle")] = notes.values[:, PROCEDURES.index("single")]
        notes.failures += [("oracle", r) for p, r in notes.failures if p == "single"]
    else:
        _score_law(notes, "oracle", cell.truth.law, runs, targets, options)
    return Repeat(
        cell=cell.name,
        index=index,
        fresh=tuple(fresh),
        values=notes.values,
        laws=laws,
        cpu=tuple(notes.cpu[p] for p in PARTS),
        failures=tuple(notes.failures),
    )


def _score_set(
    notes: _Notes, runs: Runs, targets: Sequence[Target], options: dict[str, Any]
) -> tuple[str, ...]:
    laws = notes.run("fit_laws", "set", lambda: isoloss.fit_laws(runs, **options))
    if laws is None:
        return ()
    at = [t.at for t in targets]
    answers = notes.run("forecast", "set", lambda: isoloss.forecast(runs, at, laws=laws))
    if answers is not None:
        points = [a.loss for a in answers]
        notes.put("set", "mean", [a.mean for a in answers], points)
        notes.put("set", "new_run", [a.interval for a in answers], points)
    if targets[0].N_opt is not None:
        # The price of missing N_opt is no interval, and most of the time that a plan takes.
        budgets = [t.scale for t in targets]
        plan = notes.run(
            "plan", "set", lambda: allocate_over_laws(laws, budgets, price_of_missing=False)
        )
        if plan is not None:
            notes.put("set", "N_opt", plan.intervals["N_opt"], plan.N_opt)
    return (*(f.law.name for f in laws.fits), *(name for name, _ in laws.dropped))


def _score_law(
    notes: _Notes,
    procedure: str,
    law: str | Law,
    runs: Runs,
    targets: Sequence[Target],
    options: dict[str, Any],
) -> None:
    def score() -> None:
        fit = isoloss.fit(runs, law, **options)
        x = {a: [t.at[a] for t in targets] for a in fit.law.axes}
        points = fit.predict(x)
        notes.put(procedure, "mean", fit.interval(x), points)
        notes.put(procedure, "new_run", fit.interval(x, new_run=True), points)
        if targets[0].N_opt is not None:
            split = isoloss.allocate(fit, C=[t.scale for t in targets], near=False)
            notes.put(procedure, "N_opt", split.N_interval or (), split.N_opt)

    notes.run(procedure, procedure, score)
