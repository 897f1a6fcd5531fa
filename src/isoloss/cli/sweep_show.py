"""What a sweep shows: its plan, a live table while it runs, and the end."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isoloss.cli.common import say
from isoloss.sweep.ledger import ended, read_ledger
from isoloss.sweep.pool import Sweep
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.speed import measured_speed, time_text
from isoloss.sweep.tasks import make_tasks, spec_cost

_LINES = 12
"""Latest runs in the live table."""


def parts_of(where: str, workers: int | None) -> int:
    """Return how many runs can be under way at a time, as far as the address says."""
    from isoloss._core.executor import cores

    number = where.partition(":")[2]
    return 1 if where == "here" else int(number) if number.isdigit() else workers or cores()


def plan_of(
    specs: Sequence[RunSpec], ledger: Path, workers: int | None, where: str
) -> dict[str, Any]:
    """Say what a sweep would do, as plain values."""
    parts = parts_of(where, workers)
    rows = read_ledger(ledger)
    over = {row["run"] for row in rows if ended(row)}
    costs = {spec.name: spec_cost(spec) for spec in specs}
    left = [spec for spec in specs if spec.name not in over]
    tasks = make_tasks(left, costs, parts=parts)
    speed = measured_speed(rows)
    seconds = [speed.of_task(task) for task in tasks]
    spent = sum(seconds)
    return {
        "runs": [
            {"run": spec.name, "D": spec.D, "flops": costs[spec.name], "done": spec.name in over}
            for spec in specs
        ],
        "tasks": [
            {"task": t.name, "kind": t.kind, "runs": len(t.specs), "flops": t.cost, "seconds": s}
            for t, s in zip(tasks, seconds, strict=True)
        ],
        "flops_left": sum(task.cost for task in tasks),
        "cpu_seconds": spent,
        # No sweep is shorter than its longest task.
        "wall_seconds": max([spent / parts, *seconds[:1]]) if seconds else 0.0,
        "workers": parts,
        "kwh": spent * speed.watts / 3.6e6 if speed.measured else None,
        "speed": "measured" if speed.measured else "assumed",
    }


def say_plan(plan: dict[str, Any]) -> None:
    """Write the plan for people: every run, then tasks, cost and time."""
    for run in plan["runs"]:
        mark = "done" if run["done"] else f"{run['flops']:.2e} FLOPs"
        say(f"{run['run']}  {mark}")
    kinds = Counter(task["kind"] for task in plan["tasks"])
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing to do"
    done = sum(run["done"] for run in plan["runs"])
    say(f"{len(plan['runs'])} runs, {done} done; tasks: {told}; {plan['flops_left']:.2e} FLOPs")
    energy = "" if plan["kwh"] is None else f", {plan['kwh']:.2g} kWh of the processor"
    say(
        f"about {time_text(plan['cpu_seconds'])} of one core{energy}; "
        f"{time_text(plan['wall_seconds'])} with {plan['workers']} workers (speed {plan['speed']})"
    )


class Shown:
    """Progress: a live table on a terminal, else a line a run."""

    def __init__(self, ledger: Path, *, quiet: bool = False) -> None:
        self.quiet, self.ledger = quiet, ledger
        self.speed = measured_speed(read_ledger(ledger))
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}
        """Expected core seconds of tasks, which weigh what is left."""
        self.latest: deque[dict[str, Any]] = deque(maxlen=_LINES)
        self.state = Sweep()
        self.live: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True,
                             get_renderable=self._table)  # fmt: skip
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()

    def event(self, state: Sweep, row: dict[str, Any] | None) -> None:
        """Take one change of the sweep."""
        self.state = state
        for name, task in list(state.left.items()):
            if name not in self.seconds:
                self.seconds[name] = self.speed.of_task(task)
        if row is None:
            if state.done and state.left and not self.quiet:
                say(f"{state.done} of {state.total} runs are in {self.ledger} already")
            return
        self.latest.append(row)
        if self.live is None and not self.quiet:
            say(f"{self._count()}  {row['run']}  {_outcome(row)}  {self._left()}".rstrip())

    def _count(self) -> str:
        return f"{self.state.done + self.state.failed + self.state.given_up}/{self.state.total}"

    def _left(self) -> str:
        """Time so far, times what is left over what has ended in expected seconds."""
        left = sum(self.seconds[name] for name in self.state.left if name in self.seconds)
        ended_already = sum(self.seconds.values()) - left
        if not left or ended_already <= 0:
            return ""
        return f"about {time_text((time.monotonic() - self.started) * left / ended_already)} left"

    def _table(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for name, justify in (("run", "left"), ("outcome", "left"), ("FLOPs", "right"),
                              ("seconds", "right")):  # fmt: skip
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for row in self.latest:
            table.add_row(
                row["run"], _outcome(row), f"{row.get('flops', math.nan):.2e}",
                f"{row.get('seconds', math.nan):.1f}",
            )  # fmt: skip
        state = self.state
        share = state.spent / state.cost if state.cost else 0.0
        line = (
            f"{self._count()} runs, {state.diverged} diverged, {state.failed} failed; "
            f"{state.spent:.2e} of {state.cost:.2e} FLOPs  {self._left()}"
        )
        return Group(table, ProgressBar(total=1.0, completed=share, width=60), line)

    def totals(self) -> dict[str, float]:
        """Sum what the runs of this start used."""
        return {
            name: sum(_number(row.get(name)) for row in self.state.rows)
            for name in ("flops", "cpu_seconds", "joules")
        }

    def say_end(self, state: Sweep) -> None:
        """Say what came out, each run without a result with its reason, and how to go on."""
        for row in state.rows:
            if row.get("status", "done") != "done":
                say(f"{row['status']}: {row['run']}: {row.get('reason', '')}")
        used = self.totals()
        say(
            f"{state.done - state.diverged} of {state.total} runs done, {state.diverged} diverged, "
            f"{state.failed + state.given_up} failed; ledger {self.ledger}"
        )
        if used["flops"]:
            say(
                f"this start: {used['flops']:.2e} FLOPs, {time_text(used['cpu_seconds'])} of CPU, "
                f"{used['joules'] / 3.6e6:.2g} kWh of the processor"
            )
        if state.failed:
            say("the same command tries the failed runs again")
        if state.given_up:
            say(f"{state.given_up} runs failed in every start so far; --attempts raises how many")


def _outcome(row: dict[str, Any]) -> str:
    status = row.get("status", "done")
    if status == "done":
        return f"loss {row.get('loss', math.nan):.4f}"
    return f"{status}: {str(row.get('reason', ''))[:60]}"


def _number(value: object) -> float:
    good = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if good and isinstance(value, (int, float)) else 0.0
