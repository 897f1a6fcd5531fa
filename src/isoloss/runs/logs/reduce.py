"""One run to one row: the final loss by the stated rule, its resources, and every doubt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.logs import names as known
from isoloss.runs.logs.clean import (
    Clean,
    clean_curve,
    cut,
    groups,
    mark_spikes,
    rate_curve,
    stepped,
    updates_of,
    warmup_end,
)
from isoloss.runs.logs.final import LAST, TAIL, Final, final_value
from isoloss.runs.logs.names import is_eval
from isoloss.runs.logs.record import Finding, LoggedRun
from isoloss.runs.logs.resources import RESERVED, Lookup, Unclear
from isoloss.runs.logs.rules import Rules

_DIVERGED, _RISING = 1.1, 1.02
_UNFINISHED, _EARLY = 0.99, 0.95
_DRIFT = 0.002
_AMBIGUOUS = {"N": "AMBIGUOUS_N", "D": "AMBIGUOUS_D"}


@dataclass(slots=True)
class Row:
    """One run as it goes into the table."""

    name: str
    source: str
    kind: str
    run_id: str
    metric: str
    values: dict[str, float]
    how: dict[str, str]
    step: float
    logs: int
    window: int
    tokenizer: str
    eval_set: str
    tags: str
    status: str


class _Stop(Exception):
    """The run has lost its row; the finding says why."""


@dataclass(slots=True)
class Reduction:
    """Works one run out; what is found goes to ``findings``."""

    run: LoggedRun
    rules: Rules
    findings: list[Finding] = field(default_factory=list)

    def say(self, code: str, severity: str, reason: str, remedy: str = "") -> None:
        """Note something; the caller's rules decide whether it costs the run its row."""
        severity = self.rules.severity(code, severity)
        found = Finding(
            run=self.run.name,
            source=self.run.source,
            code=code,
            severity=severity,
            reason=reason,
            remedy=remedy,
        )
        self.findings.append(found)
        if severity == "dropped":
            raise _Stop

    def row(self, metric: str) -> Row | None:
        """Reduce the run, or say why not."""
        try:
            return self._row(metric)
        except _Stop:
            return None

    def curve(self, metric: str) -> tuple[Clean, str | None]:
        """Return the clean curve and the metric that counts its updates."""
        clock = updates_of(self.run, self.rules.columns.get("step"))
        curve = clean_curve(*stepped(self.run, metric, clock), self.rules.unit)
        return curve, clock

    def _row(self, metric: str) -> Row:
        run = self.run
        for code, severity, reason, remedy in run.notes:
            self.say(code, severity, reason, remedy)
        try:
            curve, clock = self.curve(metric)
        except InputError as error:
            self.say("NO_STEP", "dropped", str(error), "name a metric that counts updates")
            raise _Stop from None
        self._logged(curve, metric)
        rate = rate_curve(run, clock, self.rules.columns.get("lr"))
        self._warm(curve, rate)
        mark_spikes(curve)
        rule = self.rules.final or (LAST if is_eval(metric) else TAIL)
        final = final_value(curve.steps, curve.values, rule)
        self._final(curve, final)
        step = float(curve.steps[-1])
        look = Lookup(run, clock, step, self.rules.columns, self.rules.fields(run.name))
        values = self._resources(look)
        self._ending(look, clock, step)
        self._annealed(rate, step)
        values |= {"loss": final.value, "loss_se": final.error}
        status = run.status or {True: "finished", False: "not closed", None: ""}[run.closed]
        return Row(
            name=run.name,
            source=run.source,
            kind=run.kind,
            run_id=run.run_id,
            metric=metric,
            values=values,
            how=look.how,
            step=step,
            logs=int(curve.steps.size),
            window=final.logs,
            tokenizer=look.text("tokenizer", known.TOKENIZER),
            eval_set=look.text("eval_set", known.EVAL_SET),
            tags=";".join(run.tags),
            status=status,
        )

    def _logged(self, curve: Clean, metric: str) -> None:
        if curve.repeated:
            self.say(
                "REPEATED_STEPS",
                "info",
                f"{curve.repeated} logs of {metric} share a step with"
                " a later one; the later value stays",
            )
        if curve.restarts:
            self.say("RESTARTED", "info", f"steps go back {curve.restarts} times")
        if curve.missing:
            self.say(
                "NOT_FINITE",
                "info" if not curve.ends_missing else "warning",
                f"{curve.missing} logs of {metric} are not finite and count as missing",
            )
        if not curve.steps.size:
            self.say(
                "NO_FINITE_LOSS",
                "dropped",
                f"{metric} has no finite value",
                "choose another metric with --metric",
            )
        if curve.ends_missing:
            self.say(
                "DIVERGED",
                "dropped",
                f"{metric} ends as NaN or infinite at step {curve.last_logged:g}",
                "repeat the run, or --keep DIVERGED for its last finite loss",
            )

    def _warm(self, curve: Clean, rate: Any) -> None:
        asked = self.rules.warmup
        first = warmup_end(rate, float(curve.steps[-1])) if asked is None else asked
        before = curve.steps.size
        if math.isfinite(first):
            cut(curve, first)
        if not curve.steps.size:
            self.say(
                "WARMUP_ONLY",
                "dropped",
                f"all {before} logs lie before step {first:g}, within the warm-up",
                "lower --warmup, or train longer",
            )

    def _final(self, curve: Clean, final: Final) -> None:
        if final.value <= 0 or not math.isfinite(final.value):
            self.say(
                "NOT_POSITIVE",
                "dropped",
                f"the final loss is {final.value:.6g}",
                "a loss in nats is above zero: check --metric and --loss-unit",
            )
        if final.logs < final.asked:
            self.say(
                "SHORT_WINDOW",
                "warning",
                f"{final.logs} logs where the rule averages {final.asked}",
                "log more often, or --final last:K with a smaller K",
            )
        window = curve.steps >= final.first_step
        if count := groups(curve.spikes):
            inside = groups(curve.spikes & window)
            where = f", {inside} within the window of the final loss" if inside else ""
            self.say(
                "SPIKES",
                "warning" if inside else "info",
                f"{count} spikes above the local median{where}",
                "look at the curve; a wider --final dilutes them" if inside else "",
            )
        best = float(curve.smooth.min())
        ratio = final.value / best if best > 0 else 1.0
        noise = 3 * final.error if math.isfinite(final.error) else 0.0
        if ratio > _DIVERGED:
            self.say(
                "DIVERGED",
                "dropped",
                f"ends {100 * (ratio - 1):.3g} % above its best, {best:.4g}",
                "repeat the run, or --keep DIVERGED if this is its loss",
            )
        elif ratio > _RISING and final.value - best > noise:
            self.say(
                "RISING",
                "warning",
                f"ends {100 * (ratio - 1):.3g} % above its best, {best:.4g}",
                "overfitting, or a spike that did not recover",
            )
        if final.drift > max(
            2 * final.error if math.isfinite(final.error) else 0.0, _DRIFT * final.value
        ):
            self.say(
                "DRIFT",
                "warning",
                f"the loss still falls within the window: its mean lies "
                f"{final.drift:.3g} above its end",
                "narrow the window with --final",
            )

    def _resources(self, look: Lookup) -> dict[str, float]:
        values: dict[str, float] = {}
        for axis in ("N", "D", "C", "lr", "seed"):
            try:
                value = look.axis(axis)
            except Unclear as error:
                self.say(_AMBIGUOUS[axis], "dropped", str(error))
                value = None
            if value is not None and math.isfinite(value):
                values[axis] = value
        extra = [a for a in (*self.rules.columns, *look.fields) if a not in RESERVED]
        for axis in extra:
            value = values.get(axis, look.axis(axis))
            if value is None or not math.isfinite(value):
                self.say(
                    "NO_COLUMN",
                    "dropped",
                    f"{axis}: {self.rules.columns.get(axis, 'the pattern')} is neither a "
                    "metric nor a setting of this run",
                    "check --columns",
                )
            else:
                values[axis] = value
        for axis, factor in self.rules.units.items():
            if axis in values:
                values[axis] *= factor
        return values

    def _ending(self, look: Lookup, clock: str | None, step: float) -> None:
        run = self.run
        planned = look.planned()
        counted = run.steps_counted and clock is None
        last = max(
            [step, run.last_step]
            if clock is None
            else [
                float(stepped(run, n, clock)[0].max())
                for n in run.curves
                if len(run.curves[n]) and n != clock
            ]
        )
        interval = (last - run.first_step) / max(1, max(run.counts.values(), default=1))
        if planned is not None and last + 2 * abs(interval) < _UNFINISHED * planned:
            self.say(
                "UNFINISHED",
                "warning" if counted else "dropped",
                f"{last:g} of {planned:g} planned steps are logged",
                "name the metric that counts updates with --columns step=NAME"
                if counted
                else "finish it, or --keep UNFINISHED if the loss was annealed there",
            )
        elif run.closed is False:
            self.say(
                "NOT_CLOSED",
                "warning",
                f"the log does not say that the run ended{f' ({run.status})' * bool(run.status)}",
                "check that it is finished",
            )
        if last > 0 and step < _EARLY * last and step + 2 * abs(interval) < last:
            self.say(
                "EARLY_LAST_LOG",
                "warning",
                f"the loss was last logged at step {step:g} of {last:g}; D is taken there",
                "evaluate at the end of a run",
            )
        if counted and "steps x" in look.how.get("D", ""):
            self.say(
                "STEPS_COUNT_LOGS",
                "warning",
                "D is derived from W&B's own step, which counts "
                "calls of log unless a step was passed",
                "log the number of updates and name it with --columns step=NAME",
            )

    def _annealed(self, rate: Any, step: float) -> None:
        if rate is None:
            return
        steps, values = rate
        before = values[steps <= step]
        if not before.size:
            return
        share = float(before[-1] / values.max())
        if share > self.rules.anneal:
            self.say(
                "UNDER_ANNEALED",
                "warning",
                f"the learning rate at the final loss is "
                f"{100 * share:.3g} % of its peak, more than {100 * self.rules.anneal:g} %",
                "anneal the run, or --anneal 1 if all runs are alike in this",
            )
