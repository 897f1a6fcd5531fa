"""Train one run from its spec and return its ledger row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from isoloss.sweep.course import Course
from isoloss.sweep.data.table import Data
from isoloss.sweep.spec import RunSpec


def train(
    spec: RunSpec, data: Data, *, device: str = "cpu", checkpoint: Path | None = None
) -> dict[str, Any]:
    """Train one network and return its row of the ledger.

    The row is a function of spec and data alone, bit for bit on one machine's CPU with one number
    of threads, but for the fields in `isoloss.sweep.row.CLOCKED`: also when the run was killed and
    went on from its checkpoint. ``loss`` is NaN and ``status`` "diverged" when the loss of a step
    was no number or above 1,000 times that of the first; the row then counts the steps taken.

    Parameters
    ----------
    spec
        The run.
    data
        What it learns from: classes and numbers whole; text in blocks of ``model.context`` bytes,
        its losses on 256 blocks of the validation part and 1,024 of the test part.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"``. The caller sets the number of threads.
    checkpoint
        File to which the state goes every half minute, and from which a later call goes on; a
        damaged one, or one of another run, counts as absent. The caller removes it once the row
        is safe, so that a kill between the two loses half a minute at most.

    Raises
    ------
    InputError
        Where model, loss or D do not fit the data, the model is solved rather than trained, or the
        device is not there.
    """
    return Course([spec], data, device, checkpoint).run()[0]


def trained(spec: RunSpec, data: Data, *, device: str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """Train one network and return it with its row.

    The weights are those whose test loss the row gives: of the last step, or where the spec
    chooses the best, of the step that was best on the validation part.
    """
    course = Course([spec], data, device, None)
    model = course.walker.model
    kept: dict[str, Any] = {}

    def keep() -> None:
        kept.update({name: value.clone() for name, value in model.state_dict().items()})

    row = course.run(on_best=keep)[0]
    if kept:
        with torch.no_grad():
            model.load_state_dict(kept)
    return model, row
