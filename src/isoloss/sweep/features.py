"""Features of a network: what its layers hold, and its gradient in the weights, projected."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from isoloss._core.arrays import Array, as_seed
from isoloss.errors import InputError

_HELD = 2**26
"""Numbers of tangents, or of gradients of a batch, held at once: 256 MiB."""
_MOST = 2**28
"""Numbers of an exact Jacobian."""


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
    rows = _rows(x)
    if of not in ("output", "input"):
        raise InputError(f"of = {of!r}: write 'output' or 'input'")
    with _still(module, device):
        _run(module, _tensor(rows[:1], device))
        if layer is None:
            watched, entering = _last(module, _tensor(rows[:1], device)), True
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
                    _run(module, _tensor(rows[start : start + batch], device))
                    if not seen:
                        raise InputError(f"layer = {layer!r}: is not run by the network")
                    value = seen[0]
                    if rows.dtype.kind in "ui" and value.ndim == 3:
                        value = value[:, -1]
                    yield value.flatten(1).float().cpu().numpy()

            return _collect(blocks(), len(rows), out)
        finally:
            hook.remove()


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
    rows, seed = _rows(x), _seed(rng)
    if method not in ("auto", "gradients", "tangents"):
        raise InputError(f"method = {method!r}: write 'auto', 'gradients' or 'tangents'")
    with _still(module, device):
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
            return _collect(blocks, len(rows), out)
        if out is None:
            table = np.empty((len(rows), int(width)), dtype=np.float32)
            _by_tangents(module, weights, outputs, rows, table, seed, scale, batch, device)
            return table
        with _whole(Path(out), (len(rows), int(width))) as mapped:
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
    rows = _rows(x)
    other = rows if z is None else _rows(z)
    with _still(module, device):
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
        given = _tensor(rows[start : start + step], device)
        parts = vmap(one, in_dims=(None, 0))(weights, given)
        yield torch.cat([parts[name].flatten(1) for name in weights], dim=1)


def _one_gradient(module: nn.Module, output: int) -> Callable[..., Any]:
    def value(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return _out(functional_call(module, weights, (row[None],)))[0, output]

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
            given = _tensor(rows[start : start + batch], device)

            def network(held: dict[str, Tensor], given: Tensor = given) -> Tensor:
                return _out(functional_call(module, held, (given,)))

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


def _out(found: Any) -> Tensor:
    """Bring outputs to the form (rows, outputs); of a sequence the last place."""
    if not isinstance(found, Tensor):
        raise InputError("module: returns no tensor")
    if found.ndim == 1:
        return found[:, None]
    return found[:, -1] if found.ndim == 3 else found.flatten(1)


def _sizes(module: nn.Module, rows: Any, device: str) -> tuple[dict[str, Tensor], int]:
    weights = {n: w.detach() for n, w in module.named_parameters() if w.requires_grad}
    if not weights:
        raise InputError("module: has no trainable weights, so no gradient in them")
    return weights, _out(_run(module, _tensor(rows[:1], device))).shape[1]


def _last(module: nn.Module, given: Tensor) -> nn.Module:
    """Submodule with weights of its own that the network calls last."""
    order: list[nn.Module] = []
    hooks = [
        m.register_forward_hook(lambda m, _i, _o: order.append(m))
        for m in module.modules()
        if next(m.parameters(recurse=False), None) is not None
    ]
    try:
        _run(module, given)
    finally:
        for hook in hooks:
            hook.remove()
    if not order:
        raise InputError("module: calls no layer with weights; name the layer")
    return order[-1]


def _run(module: nn.Module, given: Tensor) -> Any:
    try:
        with torch.no_grad():
            return module(given)
    except (RuntimeError, TypeError, IndexError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"x: rows of shape {tuple(given.shape[1:])} do not fit the network ({said})"
        ) from error


@contextmanager
def _still(module: nn.Module, device: str) -> Iterator[None]:
    """Hold the network in evaluation mode, then leave it as it was."""
    modes = [(m, m.training) for m in module.modules()]
    module.to(device)
    module.eval()
    try:
        yield
    finally:
        for m, mode in modes:
            m.training = mode


def _rows(x: Any) -> np.ndarray[Any, Any]:
    try:
        found = np.asarray(x)
    except ValueError as error:
        raise InputError("x: expected rows of equal length") from error
    if found.dtype.kind not in "fuib" or found.ndim < 2 or not len(found):
        raise InputError(
            f"x: shape {found.shape} of {found.dtype}; expected rows of numbers, (n, ...)"
        )
    return found


def _tensor(rows: np.ndarray[Any, Any], device: str) -> Tensor:
    kind = np.int64 if rows.dtype.kind in "ui" else np.float32
    return torch.from_numpy(np.array(rows, dtype=kind)).to(device)


def _seed(rng: int | np.random.Generator) -> int:
    return int(rng.integers(2**31)) if isinstance(rng, np.random.Generator) else as_seed(rng)


def _collect(
    blocks: Iterator[np.ndarray[Any, Any]], n: int, out: str | Path | None
) -> np.ndarray[Any, Any]:
    first = next(blocks)
    shape = (n, first.shape[1])
    if out is None:
        table = np.empty(shape, dtype=np.float32)
        _fill(table, first, blocks)
        return table
    with _whole(Path(out), shape) as mapped:
        _fill(mapped, first, blocks)
    return np.asarray(np.load(Path(out), mmap_mode="r", allow_pickle=False))


def _fill(table: Any, first: Any, blocks: Iterator[np.ndarray[Any, Any]]) -> None:
    table[: len(first)] = first
    start = len(first)
    for block in blocks:
        table[start : start + len(block)] = block
        start += len(block)


@contextmanager
def _whole(path: Path, shape: tuple[int, int]) -> Iterator[Any]:
    """Map a ``.npy`` file to be filled, and put it in place when it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        mapped = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        yield mapped
        mapped.flush()
        del mapped
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
