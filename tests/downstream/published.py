"""Simulated tables of published models, with the truth that made them."""

from __future__ import annotations

from typing import Any

import numpy as np

BENCHMARKS = ("mmlu", "arc", "hella", "wino", "truth", "gsm")
CHANCE = 0.25
LOADINGS = np.array([[1.0, 0.9, 1.1, 0.7, 0.5, 0.8], [0.1, -0.2, 0.3, -0.1, 0.5, 0.6]])
LINK = np.array([-0.8, 0.9, 0.4])
ITEMS = 2000


def efficiency(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and places of families."""
    rng = np.random.default_rng([seed, 1])
    slope = np.array([0.4, 0.1]) * (1 + 0.2 * rng.standard_normal((count, 2)))
    return slope, rng.normal(0.0, [0.5, 0.4], (count, 2))


def skills(family: np.ndarray, C: np.ndarray, seed: int, count: int) -> np.ndarray:
    """Capabilities of models of families at a compute, without a model's own deviation."""
    slope, place = efficiency(seed, count)
    return place[family] + slope[family] * np.log(C / 1e22)[:, None]


def target(skill: np.ndarray) -> np.ndarray:
    """Accuracy of the target task."""
    return CHANCE + (1 - CHANCE) / (1 + np.exp(-(LINK[0] + skill @ LINK[1:])))


def table(
    seed: int = 0, *, families: int = 7, members: int = 6, missing: float = 0.0,
    deviation: float = 0.08, noise: float = 0.05,
) -> dict[str, Any]:  # fmt: skip
    """Columns: model, family, C, scores of benchmarks and of the target."""
    rng = np.random.default_rng([seed, 2])
    family = np.repeat(np.arange(families), members)
    C = np.tile(np.geomspace(1e20, 1e23, members), families) * np.exp(
        0.5 * rng.standard_normal(len(family))
    )
    skill = skills(family, C, seed, families)
    skill = skill + deviation * rng.standard_normal(skill.shape)
    # Scores linear in skill, as components are: a score stays inside 0 to 1 by its small scale.
    scores = 0.5 + 0.06 * (skill @ LOADINGS) + 0.06 * noise * rng.standard_normal((len(C), 6))
    made: dict[str, Any] = {
        "model": [f"m{i}" for i in range(len(C))],
        "family": [f"f{i}" for i in family],
        "C": C.tolist(),
    }
    for j, name in enumerate(BENCHMARKS):
        lost = rng.random(len(C)) < missing
        made[name] = [
            None if gone else float(v) for v, gone in zip(scores[:, j], lost, strict=True)
        ]
    made["reason"] = (rng.binomial(ITEMS, target(skill)) / ITEMS).tolist()
    return made
