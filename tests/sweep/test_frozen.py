import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep.frozen import frozen_losses, teacher_targets
from isoloss.sweep.frozen_regimes import frozen_regimes

SOURCE = np.random.default_rng(0)
X = SOURCE.standard_normal((200, 30)) * np.arange(1, 31.0) ** -0.6 + 1
Y = X[:, :3] ** 2


def by_hand(draw, D, P, ridge, seed=0):
    """One draw from its documented streams, through the pseudo-inverse or normal equations."""
    order = np.random.default_rng([seed, draw, 0]).permutation(200)
    held, pool = order[:50], order[50:][:D]
    G = np.random.default_rng([seed, draw, 1]).standard_normal((64, 30)).T[:, : int(min(P, 64))]
    Z = X if np.isinf(P) else X @ G / np.sqrt(P)
    z, y = Z[pool], Y[pool]
    zc, yc = z - z.mean(axis=0), y - y.mean(axis=0)
    gram = zc.T @ zc + ridge * (D - 1) * np.eye(Z.shape[1])
    w = np.linalg.solve(gram, zc.T @ yc) if ridge else np.linalg.pinv(zc, rcond=1e-9) @ yc
    return (((Z[held] - z.mean(axis=0)) @ w + y.mean(axis=0) - Y[held]) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_every_path_is_that_of_normal_equations(ridge):
    # Both sides of D = P, on few and many projections, and the features themselves.
    points = [(20, 5), (20, 25), (20, 64), (100, 6), (100, 50), (15, np.inf), (90, np.inf)]
    D, P = (np.array(v, dtype=float) for v in zip(*points, strict=True))
    found = frozen_losses(X, Y, D, P, ridge=ridge, draws=3)
    wanted = [[by_hand(r, int(d), p, ridge) for d, p in points] for r in range(3)]
    assert found.loss == pytest.approx(np.array(wanted), rel=1e-5)
    assert found.test_rows == 50
    assert found.mean == pytest.approx(found.loss.mean(axis=0))


def test_few_projections_go_another_way_to_the_same():
    # Up to a quarter of the columns all rows are projected first. Projections are nested.
    alone = frozen_losses(X, Y, [20, 100], [5, 7], draws=2)
    among = frozen_losses(X, Y, [20, 100, 20], [5, 7, 40], draws=2)
    assert among.loss[:, :2] == pytest.approx(alone.loss)


def test_a_teacher_is_learned_exactly_with_enough():
    teacher = teacher_targets(X, teachers=4)
    found = frozen_losses(X, teacher, [31, 60], draws=3)
    assert (found.loss < 1e-18).all()
    assert (found.train < 1e-18).all()
    assert (frozen_losses(X, teacher, 20, draws=3).loss > 1e-4).all()
    w = np.linalg.lstsq(X, teacher_targets(X, teachers=2000), rcond=None)[0]
    assert (w**2).sum(axis=1).mean() == pytest.approx(1 / 30, rel=0.03)


def test_regimes_of_gaussian_features_are_those_of_the_theory():
    source = np.random.default_rng(1)
    x = source.standard_normal((3600, 200)) * np.arange(1, 201.0) ** -0.75
    found = frozen_regimes(
        x, teacher_targets(x), small=12, middle=50, ridge="ridgeless", noiseless=True, draws=8,
        spread=50,
    )  # fmt: skip
    over_d, over_p, in_d, in_p, *descents = found.curves
    # D^-1 and P^-1: the exponents of the theory at these sizes are 1.06 and 1.02.
    for curve in (over_d, over_p):
        assert curve.predicted_exponent == pytest.approx(1.04, abs=0.04)
        assert curve.exponent == pytest.approx(1.04, abs=0.15)
        assert curve.interval.low < 1.05 < curve.interval.high + 0.1
        assert abs(curve.error) < 0.07
    for curve in (in_d, in_p):
        assert curve.exponent == pytest.approx(curve.predicted_exponent, abs=0.05)
        assert abs(curve.error) < 0.08
        assert curve.floor == 0
        assert 0.6 < curve.exponent < 0.95
    # Away from the peak the two descents are one curve, and go through it.
    assert found.duality == pytest.approx(1, abs=0.35)
    assert found.duality[descents[0].x > 100] == pytest.approx(1, abs=0.08)
    peak = np.argmax(descents[0].mean)
    assert 40 <= descents[0].x[peak] <= 60
    assert [c.agree for c in descents] == [None, None]
    assert "variance-limited D" in found.summary()
    assert found.to_dict()["curves"][0]["axis"] == "D"


def test_wrong_targets_are_seen_to_disagree():
    # Rare categories: no Gaussian with the same covariance behaves like them.
    rng = np.random.default_rng(0)
    share = np.arange(1, 121.0) ** -1
    category = rng.choice(120, size=4000, p=share / share.sum())
    y = rng.standard_normal(120)[category]
    found = frozen_regimes(
        np.eye(120)[category], y, small=8, middle=24, draws=4, spread=10, ridge="ridgeless"
    )
    assert max(abs(c.error) for c in found.curves) > 0.5


def test_mistakes_are_named():
    for said, call in {
        "D = ": lambda: frozen_losses(X, Y, [1, 5]),
        "outside the test set": lambda: frozen_losses(X, Y, 190),
        "P = ": lambda: frozen_losses(X, Y, 20, 2.5),
        "ridge = ": lambda: frozen_losses(X, Y, 20, ridge=-1),
        "draws = ": lambda: frozen_losses(X, Y, 20, draws=1),
        "test = ": lambda: frozen_losses(X, Y, 20, test=1),
        "needed": lambda: frozen_losses(X, None, 20),
        "broadcast": lambda: frozen_losses(X, Y, [20, 30], [1, 2, 3]),
        "teachers = ": lambda: teacher_targets(X, teachers=0),
        "small = ": lambda: frozen_regimes(X, Y, small=24),
        "whole number of 4": lambda: frozen_regimes(X, Y, small=2.5),
        "share = ": lambda: frozen_regimes(X, Y, share=1.0),
        "'optimal'": lambda: frozen_regimes(X, Y, ridge="none"),
    }.items():
        with pytest.raises(InputError, match=said):
            call()
