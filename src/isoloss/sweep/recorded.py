"""Train small networks side by side and hand on what they say of examples on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.batched import batchable, check_torch, together
from isoloss.sweep.counts import counts
from isoloss.sweep.data.table import Data
from isoloss.sweep.order import Order
from isoloss.sweep.spec import RunSpec

if TYPE_CHECKING:
    from isoloss.sweep.batched_run import Together

Block = tuple[slice, npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What some networks of a recorded training say at a time.

    Attributes
    ----------
    step
        Steps taken.
    members
        Which of the networks.
    """

    step: int
    members: slice
    _run: Together

    def blocks(self) -> Iterator[Block]:
        """Yield rows of the training part, outputs (networks, rows, outputs) and last features.

        Features are what enters the last layer, (networks, rows, width). Arrays are made anew for
        each block.
        """
        x, _ = self._run.held.train
        for rows, out, hidden in self._run.stack.outputs(x):
            yield rows, out.mT.float().cpu().numpy(), hidden.float().cpu().numpy()

    def __repr__(self) -> str:
        return f"Look(step {self.step}, networks {self.members.start} to {self.members.stop - 1})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recorded training was.

    Attributes
    ----------
    flops
        Of training, all networks.
    look_flops
        Of one look at the whole training part, all networks.
    cpu_seconds
        Of all, what was done with the outputs included.
    members
        Rows of the training part that each network learned from, rising.
    """

    flops: float
    look_flops: float
    cpu_seconds: float
    members: tuple[npt.NDArray[np.int64], ...]


def train_recorded(
    specs: Sequence[RunSpec],
    data: Data,
    *,
    steps: Sequence[int],
    on_look: Callable[[Look], Any],
    device: str = "cpu",
    at_once: int | None = None,
) -> Recorded:
    """Train runs that share a key of `batchable`; show all training examples to them on the way.

    Nothing but the training part is looked at, and outputs are those of evaluation. Some networks
    train at a time, to the end, before the next: looks come in that order.

    Parameters
    ----------
    specs
        The runs; their subsets may differ.
    data
        Classes, or numbers.
    steps
        When to look: whole numbers from 1 to the number of steps.
    on_look
        Called with each look, whose blocks it reads at once.
    device
        ``"cpu"`` or ``"cuda"``.
    at_once
        Networks that train at a time; by default as many as `together` says.

    Raises
    ------
    InputError
        If the runs cannot train together, a step is out of range, or a network diverges.
    MissingExtra
        Without torch.

    Examples
    --------
    >>> from isoloss.sweep import DataSpec, Mlp, RunSpec, load_data
    >>> data = load_data(DataSpec(name="perceptron", dimension=4, examples=100))
    >>> spec = RunSpec(model=Mlp(width=4), data=DataSpec(name="given"), D=50, steps=10, batch=10,
    ...                lr=0.01)
    >>> found = train_recorded([spec], data, steps=[5, 10], on_look=print)
    Look(step 5, networks 0 to 0)
    Look(step 10, networks 0 to 0)
    >>> found.members[0].size
    50
    """
    specs = list(specs)
    keys = {batchable(spec, data.features, data.outputs) for spec in specs}
    if len(keys) != 1 or None in keys:
        raise InputError("specs: must be perceptrons that batchable puts together, one or more")
    first = specs[0]
    if not steps or min(steps) < 1 or max(steps) > first.updates:
        raise InputError(f"steps: must be from 1 to the {first.updates} steps of the runs")
    check_torch()
    from isoloss.sweep.batched_run import Held, computing

    orders = [Order(spec, data.examples) for spec in specs]
    size = at_once or together(first, data.features, data.outputs)
    started = time.process_time()
    with computing(device):
        held = Held(first, data, device, "float32")
        for start in range(0, len(specs), size):
            part = slice(start, min(start + size, len(specs)))
            _train_part(specs[part], orders[part], held, part, steps, on_look)
    each = counts(first, data.features, data.outputs).flops
    return Recorded(
        flops=float(each) * first.seen * len(specs),
        # Forward alone: two of the six FLOPs of a weight and example.
        look_flops=each / 3 * data.examples * len(specs),
        cpu_seconds=time.process_time() - started,
        members=tuple(np.sort(order.members) for order in orders),
    )


def _train_part(
    specs: Sequence[RunSpec], orders: Sequence[Order], held: Any, part: slice,
    steps: Sequence[int], on_look: Callable[[Look], Any],
) -> None:  # fmt: skip
    from isoloss.sweep.batched_run import Together
    from isoloss.sweep.batched_state import Saver

    watched: dict[int, Callable[[], None]] = {}
    run = Together(
        specs, orders, held, Saver(None, ""), [], [held.data.digest] * len(specs), watched
    )

    def look(step: int) -> None:
        if bad := [reason for reason in run.record.reasons if reason]:
            raise InputError(f"scoring network: {bad[0]}; lower its rate")
        on_look(Look(step=step, members=part, _run=run))

    for step in steps:
        watched[step] = lambda step=step: look(step)  # type: ignore[misc]
    run.train()
