"""Features of a network: its gradient in the weights, projected; and the kernel of both."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from isoloss._core.arrays import Array, as_seed
from isoloss.errors import InputError
from isoloss.sweep.feature_rows import (
    collect,
    outputs_of,
    rows_of,
    run,
    still,
    tensor,
    whole_file,
)

_HELD = 2**26
"""Numbers of tangents, or of gradients of a batch, held at once: 256 MiB."""
_MOST = 2**28
"""Numbers of an exact Jacobian."""


def tangent_features(
    module: nn.Module,
    x: Any,
    *,
    width: int,
    rng: int | np.random.Generator = 0,
    method: Literal["auto", "gradients", "tangents"] = "auto",
    batch: int = 256,
    device: str = "cpu",
    out: str | Path | None = None,
) -> np.ndarray[Any, Any]:
    """Random projections of the gradient of a network's outputs in its weights.

    With J_c(x) the gradient of output c in all trainable weights and r_t standard normal, row x
    holds ``J_c(x).r_t / sqrt(C T)`` for T tangents t and each of C outputs c, so that products of
    rows are an unbiased estimate of `tangent_kernel`, off by about one over the root of T. Column
    ``t C + c`` belongs to tangent t and output c.

    Parameters
    ----------
    module, x, device, out
        As in `activations`. A network that treats rows of a batch alone, without batch norm.
    width
        Columns: a multiple of the number of outputs.
    rng
        Of the tangents. The first columns of a wider projection are those of a narrower one, but
        for the factor.
    method
        ``"gradients"``: the gradients of a batch of rows times all tangents, fast where those fit
        in memory. ``"tangents"``: one directional derivative of the network a tangent and batch,
        forward, and no gradient is ever formed. Both give the same numbers up to rounding.
        ``"auto"`` decides by size.
    batch
        Rows at a time, at most.

    Returns
    -------
    array
        float32, (rows, width).

    Raises
    ------
    InputError
        For a width that is no multiple of the outputs, a network without weights, or inputs that
        do not fit.

    References
    ----------
    Jacot, Gabriel and Hongler, arXiv:1806.07572 (the kernel); Novak, Sohl-Dickstein and
    Schoenholz, arXiv:2206.08720 (its cost).

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> tangent_features(net, np.ones((5, 3)), width=40).shape
    (5, 40)
    """
    rows, seed = rows_of(x), _seed(rng)
    if method not in ("auto", "gradients", "tangents"):
        raise InputError(f"method = {method!r}: write 'auto', 'gradients' or 'tangents'")
    with still(module, device):
        weights, outputs = _sizes(module, rows, device)
        if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 1:
            raise InputError(f"width = {width!r}: must be a whole number above zero")
        if width % outputs:
            raise InputError(
                f"width = {width}: must be a multiple of the network's {outputs} outputs"
            )
        tangents = int(width) // outputs
        count = sum(w.numel() for w in weights.values())
        fits = count * tangents <= _HELD
        scale = 1 / math.sqrt(width)
        if method == "gradients" or (method == "auto" and fits):
            matrix = torch.empty((count, tangents), device=device)
            for t in range(tangents):
                matrix[:, t] = _tangent(seed, t, count, device)
            blocks = _by_gradients(module, weights, outputs, rows, matrix * scale, batch, device)
            return collect(blocks, len(rows), out)
        if out is None:
            table = np.empty((len(rows), int(width)), dtype=np.float32)
            _by_tangents(module, weights, outputs, rows, table, seed, scale, batch, device)
            return table
        with whole_file(Path(out), (len(rows), int(width))) as mapped:
            _by_tangents(module, weights, outputs, rows, mapped, seed, scale, batch, device)
        return np.asarray(np.load(Path(out), mmap_mode="r", allow_pickle=False))


def tangent_kernel(
    module: nn.Module, x: Any, z: Any = None, *, batch: int = 256, device: str = "cpu"
) -> Array:
    """Products of the gradients of a network's outputs in its weights, the mean over outputs.

    ``K(x, z) = 1/C sum_c J_c(x).J_c(z)``, exact, for networks and numbers of rows small enough to
    hold the gradients of one output.

    Parameters
    ----------
    module, x, batch, device
        As in `tangent_features`.
    z
        Other inputs; x where absent.

    Returns
    -------
    array
        float64, (rows of x, rows of z).

    Raises
    ------
    InputError
        If rows times weights are too many, or inputs do not fit.

    Examples
    --------
    >>> line = nn.Linear(2, 1, bias=False)
    >>> tangent_kernel(line, np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """
    rows = rows_of(x)
    other = rows if z is None else rows_of(z)
    with still(module, device):
        weights, outputs = _sizes(module, rows, device)
        count = sum(w.numel() for w in weights.values())
        if (size := count * (len(rows) + (0 if z is None else len(other)))) > _MOST:
            raise InputError(
                f"x: gradients of {size} numbers, more than {_MOST}; take fewer rows, or "
                "tangent_features"
            )
        found = np.zeros((len(rows), len(other)))
        for c in range(outputs):
            left = torch.cat(list(_gradients(module, weights, c, rows, batch, device)))
            right = left
            if z is not None:
                right = torch.cat(list(_gradients(module, weights, c, other, batch, device)))
            found += (left.double() @ right.double().T).cpu().numpy()
        return found / outputs


def _gradients(
    module: nn.Module, weights: dict[str, Tensor], output: int, rows: Any, batch: int, device: str
) -> Iterator[Tensor]:
    """Gradients of one output in all weights, (batch, weights) a time."""
    one = _one_gradient(module, output)
    count = sum(w.numel() for w in weights.values())
    step = max(1, min(batch, _HELD // count))
    for start in range(0, len(rows), step):
        given = tensor(rows[start : start + step], device)
        parts = vmap(one, in_dims=(None, 0))(weights, given)
        yield torch.cat([parts[name].flatten(1) for name in weights], dim=1)


def _one_gradient(module: nn.Module, output: int) -> Callable[..., Any]:
    def value(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return outputs_of(functional_call(module, weights, (row[None],)))[0, output]

    made: Callable[..., Any] = grad(value)
    return made


def _by_gradients(
    module: nn.Module, weights: dict[str, Tensor], outputs: int, rows: Any, matrix: Tensor,
    batch: int, device: str,
) -> Iterator[np.ndarray[Any, Any]]:  # fmt: skip
    sources = [_gradients(module, weights, c, rows, batch, device) for c in range(outputs)]
    for parts in zip(*sources, strict=True):
        columns = torch.stack([part @ matrix for part in parts], dim=2)
        yield columns.flatten(1).cpu().numpy()


def _by_tangents(
    module: nn.Module, weights: dict[str, Tensor], outputs: int, rows: Any, table: Any, seed: int,
    scale: float, batch: int, device: str,
) -> None:  # fmt: skip
    count = sum(w.numel() for w in weights.values())
    for t in range(table.shape[1] // outputs):
        flat = _tangent(seed, t, count, device)
        pieces = torch.split(flat, [w.numel() for w in weights.values()])
        along = {
            name: piece.reshape(w.shape)
            for (name, w), piece in zip(weights.items(), pieces, strict=True)
        }
        for start in range(0, len(rows), batch):
            given = tensor(rows[start : start + batch], device)

            def network(held: dict[str, Tensor], given: Tensor = given) -> Tensor:
                return outputs_of(functional_call(module, held, (given,)))

            with warnings.catch_warnings():
                # torch compiles its rules of forward derivatives by a way that it deprecates.
                warnings.simplefilter("ignore", DeprecationWarning)
                change = jvp(network, (weights,), (along,))[1]
            at = slice(t * outputs, (t + 1) * outputs)
            table[start : start + batch, at] = (change * scale).cpu().numpy()


def _tangent(seed: int, number: int, count: int, device: str) -> Tensor:
    """One tangent: its own stream, so that either method finds it alone."""
    drawn = np.random.default_rng([seed, number]).standard_normal(count, dtype=np.float32)
    return torch.from_numpy(drawn).to(device)


def _sizes(module: nn.Module, rows: Any, device: str) -> tuple[dict[str, Tensor], int]:
    weights = {n: w.detach() for n, w in module.named_parameters() if w.requires_grad}
    if not weights:
        raise InputError("module: has no trainable weights, so no gradient in them")
    return weights, outputs_of(run(module, tensor(rows[:1], device))).shape[1]


def _seed(rng: int | np.random.Generator) -> int:
    return int(rng.integers(2**31)) if isinstance(rng, np.random.Generator) else as_seed(rng)
