import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.spectra import as_features, measure_spectrum, predict_curve
from isoloss.spectra import features as features_file
from isoloss.spectra import measure as measure_file
from isoloss.spectra.jackknife import jackknife
from spectra.made import known


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("shape", [(80, 30), (30, 80)])
def test_eigenvalues_and_powers_are_those_of_singular_values(shape, centre):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape) + 2, rng.standard_normal((shape[0], 2)) + 1
    found = measure_spectrum(x, y, centre=centre, groups=10)
    d = shape[0] - centre
    xc, yc = (x - x.mean(axis=0), y - y.mean(axis=0)) if centre else (x, y)
    U, sigma, _ = np.linalg.svd(xc, full_matrices=False)
    m = min(shape[0] - centre, shape[1])
    assert found.sample.lam == pytest.approx(sigma[:m] ** 2 / d, rel=1e-9)
    power = ((U.T @ yc) ** 2).sum(axis=1)[:m] / d
    assert found.sample.power == pytest.approx(power, rel=1e-7, abs=1e-12)
    assert found.sample.total == pytest.approx((yc**2).sum() / d)
    assert found.trace == pytest.approx((xc**2).sum() / d)


@pytest.mark.parametrize("p", [20, 90])
@pytest.mark.parametrize("centre", [True, False])
def test_a_group_left_out_is_a_spectrum_of_the_rest(p, centre):
    x, y, _ = known(60, p)
    x = x + 3
    labels = np.arange(60) % 6
    found = measure_spectrum(x, y, centre=centre, groups=labels)
    assert found.sizes.tolist() == [10] * 6
    for j in (0, 5):
        rest = labels != j
        again = measure_spectrum(x[rest], y[rest], centre=centre, groups=5)
        assert found.without[j].lam == pytest.approx(again.sample.lam, rel=1e-8)
        assert found.without[j].power == pytest.approx(again.sample.power, rel=1e-6, abs=1e-10)
        assert found.without[j].total == pytest.approx(again.sample.total)


def test_blocks_files_and_refused_rows_change_nothing(tmp_path, monkeypatch):
    x, y, _ = known(70, 12)
    whole = measure_spectrum(x, y, groups=7)
    monkeypatch.setattr(features_file, "BLOCK", 50)
    holes = np.insert(np.column_stack([x, np.ones(70)]), 33, np.nan, axis=0)
    path = tmp_path / "x.npy"
    np.save(path, np.asfortranarray(holes))
    again = measure_spectrum(path, np.insert(y, 33, 0.0), groups=7)
    assert again.sample.lam == pytest.approx(whole.sample.lam, rel=1e-10)
    assert again.sample.power == pytest.approx(whole.sample.power, rel=1e-8)
    assert len(again.notes) == 2


def test_large_on_both_sides_finds_the_leading_modes(monkeypatch):
    x, y, _ = known(300, 200)
    exact = measure_spectrum(x, y, groups=5)
    monkeypatch.setattr(measure_file, "_EXACT", 100)
    monkeypatch.setattr(measure_file, "_LEADING", 40)
    found = measure_spectrum(x, y, groups=5, rng=3)
    assert found.sample.lam.size == 40
    assert found.trace == pytest.approx(exact.trace, rel=1e-10)
    off = np.abs(found.sample.lam / exact.sample.lam[:40] - 1)
    assert (off <= found.error + 1e-12).all()
    assert off[:20].max() < 2e-3
    assert found.error[:10].max() < 1e-2
    assert found.sample.power[:10] == pytest.approx(exact.sample.power[:10], rel=0.02, abs=1e-4)
    for D in (8.0, 15.0):
        few, all_modes = (predict_curve(m, D, ridge="ridgeless").loss for m in (found, exact))
        assert float(few) == pytest.approx(float(all_modes), rel=0.03)
    assert np.isnan(predict_curve(found, 250.0, ridge="ridgeless").loss)
    assert measure_spectrum(x, y, groups=5, rng=3).sample.lam.tolist() == found.sample.lam.tolist()


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(0, 100))
def test_units_turns_and_the_order_of_rows(scale, unit, seed):
    x, y, _ = known(40, 10)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    order = rng.permutation(40)
    one = measure_spectrum(x, y, groups=5)
    two = measure_spectrum(scale * (x @ turn)[order] + 7, (unit * y - 2)[order], groups=5)
    assert two.sample.lam == pytest.approx(scale**2 * one.sample.lam, rel=1e-6)
    assert two.sample.power == pytest.approx(
        unit**2 * one.sample.power, rel=1e-4, abs=1e-9 * unit**2
    )


def test_without_labels_there_is_a_spectrum_and_no_target():
    found = measure_spectrum(known(40, 5)[0], groups=5)
    assert found.outputs == 0
    assert found.to_dict()["target_power"] is None
    with pytest.raises(InputError, match="labels: are needed"):
        found.need_target()


@pytest.mark.parametrize(
    ("groups", "said"),
    [(4, "from 5"), (21, "half of the 40"), (2.5, "whole"), (np.zeros(40), "1 different"),
     (np.arange(39), "one label for each")],
)  # fmt: skip
def test_groups_that_cannot_be_used(groups, said):
    with pytest.raises(InputError, match=said):
        measure_spectrum(known(40, 5)[0], groups=groups)


def test_many_labels_are_gathered_into_forty_groups():
    found = measure_spectrum(known(200, 4)[0], groups=np.repeat(np.arange(100), 2))
    assert len(found.without) == 40
    assert found.sizes.sum() == 200


def test_the_jackknife_takes_out_bias_and_knows_unequal_groups():
    x = np.random.default_rng(0).standard_normal(90) ** 2
    groups = np.split(np.arange(90), [10, 30, 45, 60])
    # The square of a mean is biased by the variance of the mean.
    every = [np.delete(x, g).mean() ** 2 for g in groups]
    found = jackknife(x.mean() ** 2, every, [len(g) for g in groups])
    h = [90 / len(g) for g in groups]
    pseudo = [v * x.mean() ** 2 - (v - 1) * e for v, e in zip(h, every, strict=True)]
    corrected = 5 * x.mean() ** 2 - sum((1 - 1 / v) * e for v, e in zip(h, every, strict=True))
    assert float(found.corrected) == pytest.approx(corrected)
    variance = np.mean([(p - corrected) ** 2 / (v - 1) for p, v in zip(pseudo, h, strict=True)])
    assert float(found.se) == pytest.approx(np.sqrt(variance))
    single = jackknife(x.mean() ** 2, [np.delete(x, i).mean() ** 2 for i in range(90)], np.ones(90))
    unbiased = x.mean() ** 2 - x.var(ddof=1) / 90
    assert float(single.corrected) == pytest.approx(unbiased)


def test_features_come_back_as_they_are():
    given_features = as_features(known(40, 5)[0])
    assert as_features(given_features) is given_features
    with pytest.raises(InputError, match="hold targets already"):
        as_features(given_features, np.arange(40))
