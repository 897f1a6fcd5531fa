r"""The annealing law of a loss curve, and its limit without any effect of annealing.

.. math:: L(t) = L_0 + A S_1(t)^{-\alpha} - C S_2(t), \qquad
    S_2(t) = \sum_{i \le t} m_i, \quad m_i = \lambda m_{i-1} + (\eta_{i-1} - \eta_i)

The sum over i is :math:`\sum_k (\eta_{k-1} - \eta_k) (1 - \lambda^{t-k+1}) / (1 - \lambda)`, so it
takes the same nodes as the multi-power law, with steps in the place of sums of rates.

References
----------
Tissue, Wang and Wang, "Scaling Law with Learning Rate Annealing", arXiv:2408.11029, equation 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws.curve_law import CurveLaw, RateScale
from isoloss.laws.rate_nodes import RateNodes


def _columns(nodes: RateNodes, scale: RateScale, shape: Array) -> tuple[Array, Array]:
    alpha, memory = np.exp(shape[0]), np.exp(shape[1])
    log_sum = np.log(nodes.sums / scale.sum)
    power = np.exp(-alpha * log_sum)
    age = nodes.age + 1.0
    # memory = -1 / log(lambda); the factor 1 / (1 - lambda) goes into the amplitude.
    left = np.exp(-age / memory)
    total = nodes.total(1 - left) / scale.rate
    slope = nodes.total(-left * age / memory) / scale.rate
    zero, one = np.zeros_like(power), np.ones_like(power)
    slopes = np.array([[zero, -alpha * log_sum * power, zero], [zero, zero, slope]])
    return np.array([one, power, total]), slopes


def _published(scale: RateScale, shape: Array, amplitudes: Array) -> dict[str, float]:
    alpha, decay = float(np.exp(shape[0])), float(np.exp(-np.exp(-shape[1])))
    return {
        "L0": float(amplitudes[0]),
        "A": float(amplitudes[1] * scale.sum**alpha),
        "alpha": alpha,
        "C": float(amplitudes[2] / scale.rate * -np.expm1(-np.exp(-shape[1]))),
        "lambda": decay,
    }


def _inner(scale: RateScale, given: Mapping[str, float]) -> tuple[Array, Array]:
    alpha, decay = given["alpha"], given["lambda"]
    shape = [np.log(alpha), -np.log(-np.log(decay))]
    amplitude = given["C"] * scale.rate / (1 - decay)
    return np.array(shape), np.array([given["L0"], given["A"] * scale.sum**-alpha, amplitude])


ANNEALING = CurveLaw(
    name="annealing",
    formula="L0 + A*S1^-alpha - C*S2",
    parameters=("L0", "A", "alpha", "C", "lambda"),
    lower=np.log([0.02, 2.0]).tolist(),
    upper=np.log([5.0, 1e6]).tolist(),
    starts=(np.log([0.3, 0.5, 0.8]).tolist(), np.log([30.0, 300.0, 3000.0]).tolist()),
    columns=_columns,
    centre=lambda scale: [float(np.log(0.5)), float(np.log(1000.0))],
    spread=[0.05, 2.0],
    published=_published,
    inner=_inner,
)


def _plain_columns(nodes: RateNodes, scale: RateScale, shape: Array) -> tuple[Array, Array]:
    alpha = np.exp(shape[0])
    log_sum = np.log(nodes.sums / scale.sum)
    power = np.exp(-alpha * log_sum)
    slopes = np.array([[np.zeros_like(power), -alpha * log_sum * power]])
    return np.array([np.ones_like(power), power]), slopes


def _plain(scale: RateScale, shape: Array, amplitudes: Array) -> dict[str, float]:
    alpha = float(np.exp(shape[0]))
    return {"L0": float(amplitudes[0]), "A": float(amplitudes[1] * scale.sum**alpha),
            "alpha": alpha}  # fmt: skip


def _plain_inner(scale: RateScale, given: Mapping[str, float]) -> tuple[Array, Array]:
    alpha = given["alpha"]
    return np.array([np.log(alpha)]), np.array([given["L0"], given["A"] * scale.sum**-alpha])


RATE_POWER = CurveLaw(
    name="rate-power",
    formula="L0 + A*S1^-alpha",
    parameters=("L0", "A", "alpha"),
    lower=[float(np.log(0.02))],
    upper=[float(np.log(5.0))],
    starts=(np.log([0.2, 0.4, 0.8]).tolist(),),
    columns=_plain_columns,
    centre=lambda scale: [float(np.log(0.5))],
    spread=[0.05],
    published=_plain,
    inner=_plain_inner,
)
