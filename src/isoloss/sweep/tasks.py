"""From specs to tasks: what trains together, what it costs, and how one task is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Runs that one worker does in one go.

    Attributes
    ----------
    kind
        ``single``; ``trunk``: runs of one trunk; ``batched``: small networks side by side;
        ``solved``: in closed form, those of one group from the same features or kernel.
    specs
        The runs, those of a trunk by D.
    cost
        FLOPs.
    """

    kind: str
    specs: tuple[RunSpec, ...]
    cost: float

    @property
    def name(self) -> str:
        """Name of the task: of its run, or a digest of the names of its runs."""
        if len(self.specs) == 1:
            return self.specs[0].name
        names = "\n".join(sorted(spec.name for spec in self.specs))
        return f"{self.kind}-{hashlib.sha256(names.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=2)
def data_of(spec: DataSpec) -> Data:
    """Load data once a process; two sets at most are kept.

    Selections are taken from the whole, so that it is read once for all of them.
    """
    whole = spec.whole
    if spec != whole:
        from isoloss.sweep.data.changes import selected

        return selected(spec, data_of(whole))
    from isoloss.sweep.data.load import load_data

    return load_data(spec)


@lru_cache(maxsize=256)
def data_form(spec: DataSpec) -> tuple[tuple[int, ...], int]:
    """Return the shape of an input and the outputs of a data set, without keeping it."""
    data = data_of(spec.whole)
    if spec.selection is not None:
        from isoloss.sweep.data.changes import selected_rows

        # A selection that cannot be read is told of before anything is trained.
        selected_rows(spec, data)
    return data.features, data.outputs


def spec_cost(spec: RunSpec) -> float:
    """FLOPs of a run, all terms; loads its data where their shape must be known.

    Raises
    ------
    InputError
        When the data cannot be loaded.
    """
    features, outputs = data_form(spec.data)
    if spec.solved:
        from isoloss.sweep.solved import solution_flops

        return float(sum(solution_flops(spec, features)))
    from isoloss.sweep.counts import counts

    return float(counts(spec, features, outputs).flops) * spec.seen


def single(spec: RunSpec, cost: float) -> Task:
    """Make a task of one run."""
    return Task(kind="solved" if spec.solved else "single", specs=(spec,), cost=cost)


def make_tasks(
    specs: Sequence[RunSpec], costs: dict[str, float], *, batched: bool = True, parts: int = 1
) -> list[Task]:
    """Put together what trains together, the longest task first.

    Parameters
    ----------
    specs
        The runs.
    costs
        FLOPs by name of run.
    batched
        Whether small networks train side by side.
    parts
        Workers: what trains side by side is split so that each has something to do.
    """
    groups: dict[tuple[str, str], list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(_key(spec, batched), []).append(spec)
    tasks: list[Task] = []
    solved = sum(kind == "solved" for kind, _ in groups)
    for (kind, _), members in groups.items():
        if len(members) == 1:
            tasks.append(single(members[0], costs[members[0].name]))
        elif kind == "solved":
            tasks += _solved_tasks(members, costs, -(-parts // solved))
        elif kind == "trunk":
            members.sort(key=lambda s: s.D)
            each = [costs[spec.name] for spec in members]
            # All but the longest pay for their decay alone.
            cost = each[-1] + members[0].decay * sum(each[:-1])
            tasks.append(Task(kind=kind, specs=tuple(members), cost=cost))
        else:
            members.sort(key=lambda s: (-costs[s.name], s.name))
            batch = batch_of(members[0])
            most = batch[1] if batch else 1
            size = min(most, -(-len(members) // max(1, parts)))
            for start in range(0, len(members), size):
                some = members[start : start + size]
                cost = sum(costs[spec.name] for spec in some)
                tasks.append(
                    Task(kind=kind, specs=tuple(some), cost=cost)
                    if len(some) > 1
                    else single(some[0], cost)
                )
    return sorted(tasks, key=lambda t: (-t.cost, t.name))


def _solved_tasks(members: Sequence[RunSpec], costs: dict[str, float], parts: int) -> list[Task]:
    """Split runs that differ in width and ridge into parts, all ridges of a width in one."""
    widths: dict[int, list[RunSpec]] = {}
    for spec in sorted(members, key=lambda s: (-s.model.width, s.name)):
        widths.setdefault(spec.model.width, []).append(spec)
    each = list(widths.values())
    found = []
    for start in range(min(parts, len(each))):
        taken = each[start::parts]
        some = tuple(spec for alike in taken for spec in alike)
        # The decomposition of a width serves all its ridges.
        cost = sum(max(costs[spec.name] for spec in alike) for alike in taken)
        found.append(Task(kind="solved", specs=some, cost=cost))
    return found


def _key(spec: RunSpec, batched: bool) -> tuple[str, str]:
    if spec.solved:
        from isoloss.sweep.solved import in_common

        return "solved", repr(in_common(spec))
    if _has_trunk(spec):
        plain = spec.to_dict()
        del plain["D"]
        return "trunk", json.dumps(plain, sort_keys=True)
    batch = batch_of(spec) if batched else None
    return ("single", spec.name) if batch is None else ("batched", batch[0])


def batch_of(spec: RunSpec) -> tuple[str, int] | None:
    """Return what runs that train side by side have in common, and how many of them should."""
    from isoloss.sweep.batched import batchable, together

    features, outputs = data_form(spec.data)
    key = batchable(spec, features, outputs)
    return None if key is None else (repr(key), together(spec, features, outputs))


def _has_trunk(spec: RunSpec) -> bool:
    """Whether runs that differ in D alone share their first part: same rate, same examples."""
    return (
        spec.schedule == "wsd"
        and not spec.steps
        and spec.seen <= spec.D
        and spec.warmup <= (1 - spec.decay) * spec.updates
    )


def do_task(task: Task, *, device: str, checkpoint: Path | None) -> list[dict[str, Any]]:
    """Train the runs of a task and return their rows."""
    specs = list(task.specs)
    if task.kind == "batched":
        from isoloss.sweep.batched import train_batched
        from isoloss.sweep.data.changes import selected_rows

        _one_thread(device)
        whole = data_of(specs[0].data.whole)
        chosen = [selected_rows(spec.data, whole) for spec in specs]
        return train_batched(specs, whole, device=device, checkpoint=checkpoint, chosen=chosen)
    data = data_of(specs[0].data)
    if task.kind == "solved":
        from isoloss.sweep.solve import solve_runs

        return solve_runs(specs, data)
    _one_thread(device)
    if task.kind == "trunk":
        from isoloss.sweep.trunk import train_trunk

        return train_trunk(specs, data, device=device, checkpoint=checkpoint)
    from isoloss.sweep.train import train

    return [train(specs[0], data, device=device, checkpoint=checkpoint)]


def _one_thread(device: str) -> None:
    # Two workers of one thread beat one of two, and spinning OpenMP threads collapse when the
    # machine is shared.
    if device == "cpu":
        import torch

        torch.set_num_threads(1)
