"""Curves of given features: by hand, against the theory, the duality, and mistakes."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.theory import feature_curves, measured_spectrum, power_law, random_features
from isoloss.theory.feature_test import _losses, _projection
from theory.given import near

RNG = np.random.default_rng(0)
S = 120
FEATURES = RNG.standard_normal((2400, S)) * np.arange(1, S + 1.0) ** -0.75
LABELS = FEATURES @ RNG.standard_normal(S) + 0.3 * RNG.standard_normal(2400)
SIZES = [30, 60, 100]


def close(found, name, sigmas=4.0, slack=0.03):
    """Within so many standard errors, and what one table of data and finite sizes may add."""
    gap = np.abs(getattr(found, f"loss_{name}") - getattr(found, f"theory_{name}"))
    return gap <= sigmas * getattr(found, f"sem_{name}") + slack * getattr(found, f"theory_{name}")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, {}), (None, {"ridge": 1e-4}), (LABELS, {}), (LABELS, {"ridge": 1e-3}),
        (LABELS, {"subset": "pca"}), (np.stack([LABELS, FEATURES[:, 0]], axis=1), {}),
    ],
)  # fmt: skip
def test_curves_are_those_of_the_measured_spectrum(labels, words):
    found = feature_curves(FEATURES, labels, sizes=[*SIZES, 300], draws=12, **words)
    # Without noise and past all modes the loss is next to nothing, and so is the theory's.
    last = -1 if labels is None else None
    assert close(found, "D")[:last].all()
    assert close(found, "P")[:last].all()
    assert found.loss_D[0] > found.loss_D[2]


def test_a_wrong_spectrum_is_found_out():
    found = feature_curves(FEATURES, LABELS, sizes=SIZES, draws=12)
    wrong = random_features(power_law(b=1.0, a=1.0, M=S), np.inf, SIZES, ridge="optimal")
    assert (np.abs(found.loss_D - wrong.test_total) > 6 * found.sem_D).all()


def test_samples_and_width_are_dual_for_a_teacher_and_not_with_noise():
    found = feature_curves(FEATURES, sizes=SIZES, draws=16, ridge=1e-7)
    spread = np.hypot(found.sem_D / found.loss_D, found.sem_P / found.loss_P)
    assert (np.abs(found.duality - 1) < 4 * spread + 0.05).all()
    noisy = feature_curves(FEATURES, LABELS, sizes=SIZES, draws=8, ridge=1e-7)
    assert (noisy.duality < 0.8).all()
    # With as many samples as features and no ridge, noise has its peak.
    peak = feature_curves(FEATURES, LABELS, sizes=[60, S, 400], draws=8, ridge=1e-9)
    assert peak.loss_D[1] > 5 * max(peak.loss_D[0], peak.loss_D[2])


def test_the_spectrum_is_measured():
    true = np.arange(1, S + 1.0) ** -1.5
    spectrum = measured_spectrum(FEATURES, LABELS)
    # A table of twenty rows a feature spreads eigenvalues, but not their sum.
    assert spectrum.trace == near(true.sum(), rel=0.05)
    assert spectrum.lam[0] == near(1.0, rel=0.1)
    assert spectrum.v0 == near(0.09, rel=0.1)
    assert spectrum.power == near(float(LABELS.var()), rel=0.02)
    # Labels with nothing in them: all is out of reach.
    chance = measured_spectrum(FEATURES, np.random.default_rng(1).standard_normal(2400))
    assert chance.v0 == near(1.0, rel=0.1)
    assert chance.power - chance.v0 < 0.05
    # A shift of features or labels changes nothing.
    shifted = measured_spectrum(FEATURES + 5.0, LABELS - 3.0)
    assert shifted.v2 == near(spectrum.v2, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(20, 8), (8, 20)])
def test_losses_are_those_of_the_normal_equations(shape):
    rng = np.random.default_rng(2)
    A, y = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
    B, target = rng.standard_normal((15, shape[1])), rng.standard_normal((15, 2))
    ridges = np.array([1e-3, 0.1])
    for loss, s in zip(_losses(A, y, B, target, ridges), ridges, strict=True):
        T, p = shape
        theta = np.linalg.solve(A.T @ A / T + s * np.eye(p), A.T @ y / T)
        assert loss == near(float(np.mean((B @ theta - target) ** 2)), rel=1e-9)


def test_more_projections_than_features_keep_their_kernel():
    W = np.random.default_rng(3).standard_normal((5, 12))
    made = _projection(W)
    assert made.shape == (5, 5)
    assert made @ made.T == near(W @ W.T / 12, rel=1e-12)
    assert _projection(W[:, :4]) == near(W[:, :4] / 2)


def test_results_repeat_and_say_what_they_are():
    few = feature_curves(FEATURES, sizes=[20, 40], draws=3)
    again = feature_curves(FEATURES, sizes=[20, 40], draws=3)
    with ThreadPoolExecutor(2) as pool:
        there = feature_curves(FEATURES, sizes=[20, 40], draws=3, executor=pool)
    assert few.loss_P.tolist() == again.loss_P.tolist()
    assert there.loss_P == near(few.loss_P, rel=1e-9)
    assert "sizes below 30" in few.doubts[0]
    assert few.samples == 1800
    assert set(few.to_dict()) > {"sizes", "duality", "draws", "doubts"}
    assert len(few.to_columns()["theory_D"]) == 2
    assert "2 sizes" in repr(few)
    crowded = feature_curves(FEATURES[:300], draws=2)
    assert any("five rows a feature" in doubt for doubt in crowded.doubts)
    assert crowded.sizes[-1] == 225


@pytest.mark.parametrize(
    ("words", "piece"),
    [({"F": FEATURES[0]}, "shape"), ({"F": FEATURES[:100]}, "at least 128 rows"),
     ({"y": LABELS[:5]}, "one row each"), ({"y": LABELS * math.nan}, "must be finite"),
     ({"y": np.ones(2400)}, "is constant"), ({"sizes": [0]}, "from 1"),
     ({"sizes": [2000]}, "1800"), ({"sizes": [1.5]}, "whole"), ({"subset": "best"}, "pca"),
     ({"ridge": "optimal"}, "tuned"), ({"ridge": 0}, "ridge"), ({"draws": 1}, "draws")],
)  # fmt: skip
def test_mistakes_are_named(words, piece):
    arguments = {"F": FEATURES, "y": LABELS, "sizes": [20], "draws": 2} | words
    with pytest.raises(InputError, match=piece):
        feature_curves(arguments.pop("F"), arguments.pop("y"), **arguments)
