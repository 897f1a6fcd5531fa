"""Second derivatives of the engine against complex steps of the first ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.fit.kernel import Kernel
from isoloss.laws.tape import evaluate

FLOOR = 1e-4
"""Entries this far below the largest are compared on its scale: they may cancel to rounding."""


def second_derivative_error(kernel: Kernel, q: Array, rows: npt.NDArray[np.int64]) -> float:
    """Largest relative error of the predictions' second derivatives on some rows.

    The first derivatives that are stepped are themselves compared with the law. NaN if anything
    is.
    """
    if not kernel.pairs:
        return 0.0
    n, p = len(rows), kernel.p
    out = np.empty((1 + p + len(kernel.pairs), 1, n))
    with np.errstate(all="ignore"):
        kernel._full.run(q[None], rows, n, list(out))
    step = 1e-30 * np.maximum(np.abs(q), 1e-3)
    shifted = q + 1j * np.diag(step)
    leaves: dict[str, Any] = {a: kernel.x[a][rows] for a in kernel.law.axes}
    leaves |= {name: shifted[:, i, None] for i, name in enumerate(kernel.law.names)}
    first = evaluate(kernel._first.tape.roots[1 : 1 + p], leaves)
    found = out[1 + p :, 0]
    exact = np.empty_like(found)
    for k, (i, j) in enumerate(kernel.pairs):
        exact[k] = np.imag(np.broadcast_to(first[j], (p, n))[i]) / step[i]
    size = np.max(np.abs(exact), axis=1)
    scale = np.maximum(size, max(FLOOR * float(np.max(size)), 1e-280))
    return float(np.max(np.max(np.abs(found - exact), axis=1) / scale))
