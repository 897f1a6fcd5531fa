"""Tangent kernel of a perceptron from its weights, exact and without a gradient ever formed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError

Layers = Sequence[tuple[Any, Any]]

_MOST = 2**28
"""Entries of a kernel matrix: 2 GiB."""


def perceptron_tangent_kernel(layers: Layers, x: Any, z: Any = None) -> Array:
    """Products of the gradients of a ReLU perceptron's outputs, the mean over outputs.

    The gradient in the weights of layer l is an outer product, of what enters the layer, h, and of
    the output's gradient in what leaves it, g. So

    ``K(x, z) = 1/C sum_l sum_c (h_l(x).h_l(z) + 1) g_lc(x).g_lc(z)``,

    one matrix product of activations and one of gradients a layer: for 3,000 rows and a network of
    100,000 weights seconds, where rows of gradients would take gigabytes.

    Parameters
    ----------
    layers
        Weights (outputs, inputs) and biases (outputs,), first layer first; a ReLU between them.
    x, z
        Inputs, (n, ...) and (m, ...); z is x where absent.

    Returns
    -------
    array
        float64, (n, m).

    Raises
    ------
    InputError
        If layers and inputs do not fit, or the kernel would take more than 2 GiB.

    References
    ----------
    Jacot, Gabriel and Hongler, arXiv:1806.07572.

    Examples
    --------
    >>> line = [(np.array([[1.0, 1.0]]), np.zeros(1))]      # one layer: x.z + 1
    >>> perceptron_tangent_kernel(line, np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[6.0, 12.0], [12.0, 26.0]]
    """
    pairs = [(np.asarray(w, dtype=np.float64), np.asarray(b, dtype=np.float64)) for w, b in layers]
    left = _rows("x", x, pairs)
    right = left if z is None else _rows("z", z, pairs)
    if len(left) * len(right) > _MOST:
        raise InputError(
            f"x and z: a kernel of {len(left)} by {len(right)} rows; at most {_MOST} entries are "
            "made, take fewer rows"
        )
    mine = _passes(pairs, left)
    its = mine if z is None else _passes(pairs, right)
    found = np.zeros((len(left), len(right)))
    for (h, g), (other_h, other_g) in zip(mine, its, strict=True):
        product = h @ other_h.T
        product += 1.0
        if g is not None:
            assert other_g is not None
            product *= g @ other_g.T
        found += product
    return found


def _rows(name: str, values: Any, layers: Sequence[tuple[Array, Array]]) -> Array:
    if not layers:
        raise InputError("layers: none; give weights and biases of one layer at least")
    size = layers[0][0].shape[-1]
    for i, (weight, bias) in enumerate(layers):
        if weight.ndim != 2 or weight.shape[1] != size or bias.shape != weight.shape[:1]:
            raise InputError(
                f"layers[{i}]: weights {weight.shape} and biases {bias.shape} do not follow on "
                f"{size} numbers"
            )
        size = len(weight)
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim < 2 or not len(rows):
        raise InputError(f"{name}: shape {rows.shape}; expected rows of numbers, (n, ...)")
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] != layers[0][0].shape[1]:
        raise InputError(
            f"{name}: {rows.shape[1]} numbers a row; the first layer takes {layers[0][0].shape[1]}"
        )
    return rows


def _passes(layers: Sequence[tuple[Array, Array]], x: Array) -> list[tuple[Array, Array | None]]:
    """Find what enters each layer and gradients over the root of C, (n, C outputs)."""
    entering = [x]
    for weight, bias in layers[:-1]:
        entering.append(np.maximum(entering[-1] @ weight.T + bias, 0.0))
    outputs = len(layers[-1][0])
    found: list[tuple[Array, Array | None]] = [(entering[-1], None)]
    gradient = np.broadcast_to(np.eye(outputs), (len(x), outputs, outputs)) / np.sqrt(outputs)
    for i in range(len(layers) - 1, 0, -1):
        open_ = entering[i] > 0
        gradient = (gradient @ layers[i][0]) * open_[:, None, :]
        found.append((entering[i - 1], gradient.reshape(len(x), -1)))
    return found
