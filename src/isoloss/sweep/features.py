"""Features of a network: what its layers hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from isoloss.errors import InputError
from isoloss.sweep.feature_rows import collect, rows_of, run, still, tensor


def activations(
    module: nn.Module,
    x: Any,
    *,
    layer: str | None = None,
    of: Literal["output", "input"] = "output",
    batch: int = 512,
    device: str = "cpu",
    out: str | Path | None = None,
) -> np.ndarray[Any, Any]:
    """Return what a layer of a network gives, or takes, on each row of the inputs.

    Parameters
    ----------
    module
        The network, trained or not; run in evaluation mode and left as it was, on the device.
    x
        Inputs, first axis rows: numbers, or bytes for a model of text.
    layer
        Name of a submodule, as in ``module.named_modules()``. By default what *enters* the last
        submodule with weights that the network calls: the last hidden layer, after its
        nonlinearity.
    of
        ``"output"`` of the named layer or its ``"input"``. Where a nonlinearity is a function and
        not a module of its own, outputs are those before it.
    batch, device
        Rows at a time, and where.
    out
        A ``.npy`` file to write, batch by batch: nothing but a batch is held in memory, and the
        file appears whole or not at all. What is returned is then mapped from it.

    Returns
    -------
    array
        float32, (rows, numbers of the layer). Of a sequence the last place is taken.

    Raises
    ------
    InputError
        For a layer that is not there or gives no tensor, or inputs that do not fit.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> activations(net, np.ones((5, 3))).shape, activations(net, np.ones((5, 3)), layer="2").shape
    ((5, 8), (5, 2))
    """
    rows = rows_of(x)
    if of not in ("output", "input"):
        raise InputError(f"of = {of!r}: write 'output' or 'input'")
    with still(module, device):
        run(module, tensor(rows[:1], device))
        if layer is None:
            watched, entering = _last(module, tensor(rows[:1], device)), True
        else:
            named = dict(module.named_modules())
            if layer not in named or not layer:
                known = ", ".join(name for name in named if name)
                raise InputError(f"layer = {layer!r}: the network has {known}")
            watched, entering = named[layer], of == "input"
        seen: list[Tensor] = []

        def keep(_: nn.Module, given: Any, found: Any) -> None:
            value = (given[0] if given else None) if entering else found
            if not isinstance(value, Tensor):
                raise InputError(f"layer = {layer!r}: gives no tensor; name another")
            seen[:] = [value.detach()]

        hook = watched.register_forward_hook(keep)
        try:

            def blocks() -> Iterator[np.ndarray[Any, Any]]:
                for start in range(0, len(rows), batch):
                    seen.clear()
                    run(module, tensor(rows[start : start + batch], device))
                    if not seen:
                        raise InputError(f"layer = {layer!r}: is not run by the network")
                    value = seen[0]
                    if rows.dtype.kind in "ui" and value.ndim == 3:
                        value = value[:, -1]
                    yield value.flatten(1).float().cpu().numpy()

            return collect(blocks(), len(rows), out)
        finally:
            hook.remove()


def _last(module: nn.Module, given: Tensor) -> nn.Module:
    """Submodule with weights of its own that the network calls last."""
    order: list[nn.Module] = []
    hooks = [
        m.register_forward_hook(lambda m, _i, _o: order.append(m))
        for m in module.modules()
        if next(m.parameters(recurse=False), None) is not None
    ]
    try:
        run(module, given)
    finally:
        for hook in hooks:
            hook.remove()
    if not order:
        raise InputError("module: calls no layer with weights; name the layer")
    return order[-1]
