"""Best widths of the documented students, as `student_optima` finds them in their table."""

from __future__ import annotations

import numpy as np

from isoloss._core.arrays import Array

_ROWS = (
    (10, 10, 1024000, 4.353, 3.802, 4.759, 0.003954, 0.0036, 0.004316),
    (10, 10, 4096000, 7.245, 5.372, 8.796, 0.002808, 0.002362, 0.003019),
    (10, 10, 16384000, 9.557, 9.109, 9.917, 0.001268, 0.001121, 0.001417),
    (10, 10, 65536000, 10.33, 9.607, 12.36, 0.0006741, 0.0005845, 0.0007849),
    (10, 10, 262144000, 15.46, 11.25, 19.48, 0.0003795, 0.0003248, 0.0004208),
    (10, 60, 1024000, 6.976, 5.583, 9.022, 0.006938, 0.006346, 0.007475),
    (10, 60, 4096000, 11.49, 9.327, 20.39, 0.004219, 0.00365, 0.00453),
    (10, 60, 16384000, 15.65, 11.24, 18.46, 0.002224, 0.001933, 0.002357),
    (10, 60, 65536000, 23.2, 18.57, 27.45, 0.001335, 0.001226, 0.001426),
    (10, 60, 262144000, 23.57, 20.15, 29.04, 0.0009078, 0.0008362, 0.0009488),
    (40, 10, 1024000, 2.515, 2.298, 2.755, 0.01356, 0.0129, 0.01424),
    (40, 10, 4096000, 3.188, 2.56, 4.424, 0.009225, 0.007562, 0.009851),
    (40, 10, 16384000, 5.686, 4.08, 6.851, 0.006426, 0.005597, 0.007052),
    (40, 10, 65536000, 7.984, 5.477, 9.155, 0.00384, 0.003314, 0.004219),
    (40, 10, 262144000, 10.26, 9.039, 11.4, 0.001959, 0.001673, 0.00228),
    (40, 60, 1024000, 2.455, 2.13, 3.424, 0.01664, 0.01501, 0.01784),
    (40, 60, 4096000, 2.762, 2.556, 3.553, 0.01133, 0.0104, 0.01273),
    (40, 60, 16384000, 5.555, 4.857, 7.031, 0.008987, 0.008572, 0.009397),
    (40, 60, 65536000, 8.292, 7.343, 8.979, 0.006884, 0.006512, 0.007261),
    (40, 60, 262144000, 11.81, 10.65, 15.07, 0.005009, 0.004585, 0.005243),
)
"""d, K, C, best n and its interval at 90 %, least loss and its interval."""


def measured_optima(d: float, K: float) -> dict[str, Array]:
    """Best n, T and loss of the documented students at each compute, with interval ends.

    Returns
    -------
    dict
        ``C``, and ``n``, ``T``, ``loss``, each also with ``_low`` and ``_high``; empty arrays where
        no students were trained for that d and K.

    Examples
    --------
    >>> found = measured_optima(10, 10)
    >>> bool((found["n_low"] <= found["n"]).all() and (found["T"] <= found["T_high"]).all())
    True
    """
    kept = [row[2:] for row in _ROWS if row[:2] == (d, K)]
    C, n, n_low, n_high, loss, low, high = np.array(kept, dtype=np.float64).reshape(-1, 7).T
    return {
        "C": C, "n": n, "n_low": n_low, "n_high": n_high,
        "T": C / d / n, "T_low": C / d / n_high, "T_high": C / d / n_low,
        "loss": loss, "loss_low": low, "loss_high": high,
    }  # fmt: skip
