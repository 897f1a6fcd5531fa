import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.spectra import as_features, check_prediction, data_exponents, study_spectrum
from isoloss.spectra.check import _regress
from spectra.made import known


@pytest.mark.parametrize("ridge", ["optimal", "ridgeless", 2.0])
def test_predictions_agree_with_regressions_on_gaussian_features(ridge):
    x, y, _ = known(1600, 120, noise=0.1)
    D, N = [25, 60, 180, 60, 100], [np.inf, np.inf, np.inf, 30, 60]
    found = check_prediction(x + 3, y - 1, D, N=N, ridge=ridge, repeats=8)
    assert np.abs(found.z).max() < 4
    assert np.abs(found.error).max() < 0.35
    assert found.test_rows == 400
    assert (found.sem < 0.2 * found.mean).all()
    assert found.draws.shape == (400, 5)
    assert found.draws.mean(axis=0) == pytest.approx(found.mean, rel=0.05)
    assert found.draws.std(axis=0) == pytest.approx(found.sem, rel=0.35)


def test_a_wrong_prediction_is_seen():
    # Categories of Zipf's frequencies: what was never seen cannot be learned from what was, and no
    # Gaussian with the same covariance knows that.
    rng = np.random.default_rng(0)
    share = np.arange(1, 201.0) ** -1
    category = rng.choice(200, size=3000, p=share / share.sum())
    y = rng.standard_normal(200)[category] + 0.1 * rng.standard_normal(3000)
    found = check_prediction(np.eye(200)[category], y, [100, 300], repeats=5)
    assert found.z[1] > 4
    assert found.error[1] > 2


def test_groups_stay_together():
    x, y, _ = known(400, 20, noise=0.1)
    groups = np.repeat(np.arange(40), 10)
    # Rows of one group share what no feature says: seen rows of it would not help a linear model
    # here, but errors over groups must be wider than over rows.
    shared = y + 2 * np.random.default_rng(3).standard_normal(40)[groups]
    apart = check_prediction(x, shared, [30, 60], repeats=3, groups=groups)
    assert apart.test_rows == 100
    assert len(apart.spectrum.without) == 30
    assert apart.spectrum.sizes.tolist() == [10] * 30
    holes = x.copy()
    holes[5] = np.nan
    again = check_prediction(holes, shared, [30], repeats=2, groups=groups)
    assert sorted(again.spectrum.sizes.tolist())[0] in (9, 10)
    for bad, said in ((np.arange(10), "one label for each"), (np.arange(400) // 390, "too few")):
        with pytest.raises(InputError, match=said):
            check_prediction(x, shared, [30], repeats=2, groups=bad)


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("rows", [20, 60])
def test_the_regression_is_that_of_normal_equations(rows, centre):
    x, y, _ = known(100, 40)
    given = as_features(x + 2, y, kind="numbers")
    held, pick = np.arange(80, 100), np.arange(rows)
    s = 0.01
    guess = _regress(given, pick, given, held, np.inf, s, centre, np.random.default_rng(0))
    X, Y = x[pick] + 2, y[pick]
    shift, level = (X.mean(axis=0), Y.mean()) if centre else (0.0, 0.0)
    g = s * (rows - centre)
    weight = np.linalg.solve(
        (X - shift).T @ (X - shift) + g * np.eye(40), (X - shift).T @ (Y - level)
    )
    assert guess[:, 0] == pytest.approx((x[held] + 2 - shift) @ weight + level, rel=1e-8)
    interpolated = _regress(given, np.arange(20), given, np.arange(20), np.inf, 0.0, centre,
                            np.random.default_rng(0))  # fmt: skip
    assert interpolated[:, 0] == pytest.approx(y[:20], rel=1e-7)


def test_test_rows_take_no_part_in_the_prediction():
    x, y, _ = known(400, 30, noise=0.1)
    one = check_prediction(x, y, [30, 60], repeats=2, rng=4)
    held = np.random.default_rng([4, 0]).permutation(400)[:100]
    other = y.copy()
    other[held] += 100.0
    two = check_prediction(x, other, [30, 60], repeats=2, rng=4)
    assert two.predicted.loss.tolist() == one.predicted.loss.tolist()
    assert (two.mean > one.mean + 1000).all()


def test_classes_are_counted_and_seeds_give_the_same_bytes():
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((3, 8))
    labels = rng.integers(3, size=600)
    x = centres[labels] + rng.standard_normal((600, 8))
    found = check_prediction(x, labels, [20, 100], repeats=3, rng=1)
    assert (found.wrong < 0.2).all()
    again = check_prediction(x, labels, [20, 100], repeats=3, rng=1)
    assert again.to_dict() == found.to_dict()
    assert check_prediction(x, labels, [20, 100], repeats=3, rng=2).to_dict() != found.to_dict()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"D": [10, 400]}, "whole numbers from 2 to 300"),
        ({"D": [10.5]}, "whole numbers"),
        ({"D": [1]}, "whole numbers"),
        ({"D": [20], "N": [0.5]}, "whole numbers of random features"),
        ({"repeats": 1}, "repeats"),
        ({"test": 1.0}, "test"),
        ({"ridge": -1}, "ridge"),
        ({"labels": None}, "labels"),
    ],
)
def test_values_that_cannot_be_used(words, said):
    x, y, _ = known(400, 20)
    with pytest.raises(InputError, match=said):
        check_prediction(x, **({"labels": y, "D": [20]} | words))


def test_a_study_has_every_route_and_says_what_to_distrust():
    x, y, _ = known(900, 150, noise=0.05)
    found = study_spectrum(x, y, check=3)
    routes = {r.name: r for r in found.routes}
    assert list(routes) == ["measured", "curve", "target", "spectrum", "4/d", "2/d", "1/d"]
    assert routes["spectrum"].value == pytest.approx(found.exponent.exponent - 1)
    assert routes["target"].value == min(found.target.exponent, 2 * found.exponent.exponent)
    assert routes["2/d"].value == pytest.approx(2 / found.dimensions[0].value)
    assert routes["curve"].interval.low < routes["measured"].interval.high
    assert routes["measured"].interval.low < routes["curve"].interval.high
    assert not found.suspect
    assert len(found.headline) == 15
    bare = study_spectrum(x)
    assert [r.name for r in bare.routes] == ["spectrum", "4/d", "2/d", "1/d"]
    assert bare.curve is None
    k = np.arange(1, 121.0)
    bent = study_spectrum(np.random.default_rng(0).standard_normal((900, 120)) * np.exp(-k / 30))
    assert bent.suspect
    assert any("no power law" in doubt for doubt in bent.doubts)
    few = study_spectrum(x[:60], y[:60], groups=6)
    assert few.exponent is None
    assert few.suspect
    assert any("rows are fewer than columns" in doubt for doubt in few.doubts)
    assert data_exponents(None) == ()
    with pytest.raises(InputError, match="check = 1"):
        study_spectrum(x, y, check=1)
    with pytest.raises(InputError, match="range"):
        study_spectrum(x, range=(1, 3))
