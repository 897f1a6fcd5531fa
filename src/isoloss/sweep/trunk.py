"""Train runs of many D for little more than the longest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.sweep.course import Course, OnRow
from isoloss.sweep.data.table import Data
from isoloss.sweep.spec import RunSpec


def train_trunk(
    specs: Sequence[RunSpec],
    data: Data,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    on_row: OnRow | None = None,
) -> list[dict[str, Any]]:
    """Train ``wsd`` runs that differ in D alone, as branches of one trunk; rows in their order.

    Until its rate begins to fall, a run does not depend on its D. One trunk at the constant rate
    goes as far as the longest run needs. Every run leaves it when the share ``1 - decay`` of its
    own steps is done, from a copy of weights and optimiser state, and ends as if it had been
    trained alone: its row equals that of `train`, bit for bit on a CPU. Runs of 1, 2, 4 and 8
    million bytes with a decay of 0.2 take 9.4 million bytes of training instead of 15.

    The FLOPs of a row are those of the run alone. ``seconds``, ``cpu_seconds`` and ``joules`` are
    what it took: its own branch, and an equal share of each stretch of the trunk with the other
    runs that were yet to leave it, so that the rows add up to the whole. ``trunk_seconds`` is that
    share.

    Parameters
    ----------
    specs
        The runs, in any order.
    data, device
        As in `train`.
    checkpoint
        File for the state of the whole; see `train`.
    on_row
        Called with each row as it is finished, the fewest steps first; not again for rows that a
        checkpoint holds.

    Raises
    ------
    InputError
        Where runs differ in more than D, are not ``wsd``, see an example twice, or cannot be
        trained on the data.

    References
    ----------
    Hu et al. 2024, arXiv:2404.06395, section 4; Hägele et al. 2024, arXiv:2405.18392.
    """
    specs = list(specs)
    if not specs:
        return []
    for spec in specs:
        _check(spec, specs[0])
    unique = sorted({spec.name: spec for spec in specs}.values(), key=lambda s: (s.updates, s.D))
    rows = Course(unique, data, device, checkpoint).run(on_row)
    by_name = {row["run"]: row for row in rows}
    return [by_name[spec.name] for spec in specs]


def _check(spec: RunSpec, first: RunSpec) -> None:
    if spec.schedule != "wsd":
        raise InputError(f"run {spec.name}: schedule = {spec.schedule!r}; a trunk needs 'wsd'")
    if replace(spec, D=first.D, steps=first.steps, passes=first.passes) != first:
        raise InputError(
            f"run {spec.name}: differs from {first.name} in more than D; train it on its own"
        )
    if spec.seen > spec.D:
        raise InputError(
            f"run {spec.name}: sees {spec.seen} examples of D = {spec.D}; on a trunk each is seen "
            "once at most, so give passes = 1 and no steps"
        )
