r"""The multi-power law of a loss curve under a schedule of rates.

.. math:: L(t) = L_0 + A S_1(t)^{-\alpha}
    - B \sum_{k \le t} (\eta_{k-1} - \eta_k)\, G(\eta_k^{-\gamma} S_k(t)), \qquad
    G(x) = 1 - (1 + C x)^{-\beta}

with :math:`S_k(t) = \eta_k + \dots + \eta_t` and :math:`S_1` the sum of all rates, those of the
warm-up included.

References
----------
Luo et al., "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules",
arXiv:2503.12811, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.curve_law import CurveLaw, RateScale
from isoloss.laws.rate_nodes import RateNodes


def _columns(nodes: RateNodes, scale: RateScale, shape: Array) -> tuple[Array, Array]:
    alpha, beta, gamma = np.exp(shape[0]), np.exp(shape[1]), shape[3]
    log_sum = np.log(nodes.sums / scale.sum)
    power = np.exp(-alpha * log_sum)
    log_rate = np.log(nodes.rate / scale.rate)
    u = np.exp(shape[2] - gamma * log_rate) * (nodes.gap / scale.sum)
    log_u = np.log1p(u)
    left = np.exp(-beta * log_u)
    lag = left * (beta * u / (1 + u))
    one = np.ones_like(power)
    total = nodes.total(1 - left) / scale.rate
    zero = np.zeros_like(power)
    slopes = np.array(
        [
            [zero, -alpha * log_sum * power, zero],
            [zero, zero, nodes.total(beta * log_u * left) / scale.rate],
            [zero, zero, nodes.total(lag) / scale.rate],
            [zero, zero, nodes.total(-lag * log_rate) / scale.rate],
        ]
    )
    return np.array([one, power, total]), slopes


def _centre(scale: RateScale) -> list[float]:
    # Exponents of one half; after ten steps at the peak rate a change has begun to act. The 27
    # published curves lie near: alpha .43 to .51, beta .58 to .60, gamma .63 to .66, 9 steps.
    half = float(np.log(0.5))
    return [half, half, float(np.log(scale.sum / (10 * scale.rate))), 0.5]


def _published(scale: RateScale, shape: Array, amplitudes: Array) -> dict[str, float]:
    alpha, beta, gamma = float(np.exp(shape[0])), float(np.exp(shape[1])), float(shape[3])
    return {
        "L0": float(amplitudes[0]),
        "A": float(amplitudes[1] * scale.sum**alpha),
        "alpha": alpha,
        "B": float(amplitudes[2] / scale.rate),
        "C": float(np.exp(shape[2]) * scale.rate**gamma / scale.sum),
        "beta": beta,
        "gamma": gamma,
    }


def _inner(scale: RateScale, given: Mapping[str, float]) -> tuple[Array, Array]:
    alpha, gamma = given["alpha"], given["gamma"]
    shape = [
        np.log(alpha),
        np.log(given["beta"]),
        np.log(given["C"] * scale.sum * scale.rate**-gamma),
        gamma,
    ]
    amplitudes = [given["L0"], given["A"] * scale.sum**-alpha, given["B"] * scale.rate]
    return np.array(shape), np.array(amplitudes)


MULTI_POWER = CurveLaw(
    name="multi-power",
    formula="L0 + A*S1^-alpha - B*sum_k (eta_{k-1} - eta_k)*(1 - (1 + C*eta_k^-gamma*S_k)^-beta)",
    parameters=("L0", "A", "alpha", "B", "C", "beta", "gamma"),
    lower=[*np.log([0.02, 0.02, 0.5]).tolist(), -0.5],
    upper=[*np.log([5.0, 20.0, 1e7]).tolist(), 2.0],
    starts=(
        np.log([0.3, 0.5, 0.8]).tolist(),
        np.log([0.3, 1.0]).tolist(),
        np.log([30.0, 1000.0]).tolist(),
        [0.2, 0.7],
    ),
    columns=_columns,
    centre=_centre,
    spread=[0.05, 0.2, 2.0, 0.1],
    published=_published,
    inner=_inner,
)
