"""The four regimes on solved models and on measured runs; exponents from dimension."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.fit import fit, measured_regimes
from isoloss.runs import Runs
from isoloss.theory import (
    classify,
    dimension_exponents,
    kernel_exponent,
    power_law,
    random_features,
    regimes,
    simulate_interpolation,
)

IID = power_law(b=1.6, M=1e7, iid=True)


def test_the_four_corners_have_their_names() -> None:
    found = regimes(IID, [[100], [10**5]], [100, 10**5])
    assert found.data.tolist() == [["mixed", "variance"], ["resolution", "mixed"]]
    assert found.size.tolist() == [["mixed", "resolution"], ["variance", "mixed"]]


def test_variance_limited_corrections_fall_as_one_over_the_resource() -> None:
    # arXiv:2102.06701: L(N, T) - L(N) = L(N) N / (T - N), exactly, without ridge and noise.
    N = 200.0
    found = regimes(IID, N, [1e4, 1e5, 1e6])
    extra = found.loss - found.loss_more_data
    T = np.array([1e4, 1e5, 1e6])
    np.testing.assert_allclose(extra, found.loss_more_data * N / (T - N), rtol=1e-8)
    np.testing.assert_allclose(found.coefficient_T, found.loss_more_data * N, rtol=1e-6)
    np.testing.assert_allclose(extra * T, found.coefficient_T, rtol=0.03)


def test_duality_exchanges_the_words_and_the_numbers() -> None:
    one, two = regimes(IID, 300, 5000), regimes(IID, 5000, 300)
    assert (str(one.data), str(one.size)) == (str(two.size), str(two.data))
    np.testing.assert_allclose(one.exponent_T, two.exponent_N, rtol=1e-9)
    np.testing.assert_allclose(one.coefficient_T, two.coefficient_N, rtol=1e-6)


def test_resolution_limited_exponents_are_those_of_the_spectrum() -> None:
    # alpha = b - 1 in both resources, between few modes and all of them.
    found = regimes(power_law(b=1.6, M=1e9, iid=True), [1e4, 1e7], [1e7, 1e4])
    assert found.data.tolist() == ["variance", "resolution"]
    assert found.exponent_N[0] == pytest.approx(0.6, abs=0.01)
    assert found.exponent_T[1] == pytest.approx(0.6, abs=0.01)


def test_noise_is_variance_in_data_with_its_own_coefficient() -> None:
    # Without a ridge and T >> N, noise adds s2 N / (T - N).
    clean, noisy = (regimes(IID, 100, 1e6, noise=s) for s in (0.0, 0.01))
    assert noisy.coefficient_T - clean.coefficient_T == pytest.approx(0.01 * 100, rel=1e-6)


def test_a_floor_depends_on_neither() -> None:
    found = regimes(power_law(b=1.5, a=1.5, M=50, v0=0.1), 1e5, 1e6)
    assert (str(found.data), str(found.size)) == ("both", "both")


def test_the_peak_has_no_slope() -> None:
    found = regimes(IID, 100, 100)
    assert np.isinf(found.loss)
    assert np.isnan([found.exponent_N, found.exponent_T]).all()


@settings(max_examples=30, deadline=None)
@given(
    st.floats(1.2, 3.0), st.floats(10, 1e5), st.floats(10, 1e5), st.sampled_from([1.0, 30.0]),
    st.sampled_from([0.0, 0.01]),
)  # fmt: skip
def test_limits_are_those_of_the_model(
    b: float, N: float, T: float, ridge: float, noise: float
) -> None:
    spectrum = power_law(b=b, M=1e4, iid=True)
    found = regimes(spectrum, N, T, ridge=ridge, noise=noise)
    for got, n, t in (
        (found.loss, N, T), (found.loss_more_data, N, np.inf), (found.loss_more_size, np.inf, T)
    ):  # fmt: skip
        want = random_features(spectrum, n, t, ridge=ridge, noise=noise).test_excess
        assert float(got) == float(want)
    data, size = classify(found.loss, found.loss_more_data, found.loss_more_size)
    assert (str(data), str(size)) == (str(found.data), str(found.size))


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((1.09, 1.0, 0.2), ("variance", "resolution")),
        ((1.11, 1.0, 0.2), ("mixed", "mixed")),
        ((0.21, 0.05, 0.2), ("resolution", "variance")),
        ((1.0, 1.0, 1.0), ("both", "both")),
    ],
)
def test_the_tolerance_is_a_tenth(losses: tuple[float, ...], words: tuple[str, str]) -> None:
    assert tuple(str(w) for w in classify(*losses)) == words


def test_measured_runs_by_a_law() -> None:
    N = np.repeat([1e7, 1e9, 1e11], 3)
    D = np.tile([1e8, 1e11, 1e14], 3)
    runs = Runs(columns={"N": N, "D": D, "loss": 1.8 + 480 * N**-0.35 + 2100 * D**-0.37})
    found = measured_regimes(fit(runs, objective="lsq", draws=60), runs)
    # Few parameters and endless data: limited by size. Many parameters, little data: by data.
    assert (str(found.data[2]), str(found.size[2])) == ("variance", "resolution")
    assert (str(found.data[6]), str(found.size[6])) == ("resolution", "variance")
    assert found.data_share[2] == 1.0
    assert found.floor == pytest.approx(1.8, abs=1e-6)
    assert found.exponent_N[2] == pytest.approx(0.35, abs=0.01)
    assert found.exponent_D[6] == pytest.approx(0.37 * 2.304 / 2.372, abs=1e-3)
    assert "Limited by size" in found.sentence
    one_axis = Runs(columns={"D": D[:3], "loss": [3.0, 2.0, 1.5]})
    with pytest.raises(InputError, match="regimes need a law of N and D"):
        measured_regimes(fit(one_axis, "power", axis="D", draws=0), one_axis)


def test_dimension() -> None:
    found = dimension_exponents(8)
    assert (found.lipschitz, found.nearest, found.linear) == (0.125, 0.25, 0.5)
    assert kernel_exponent(3, 6) == 0.5
    with pytest.raises(InputError, match=r"d = 0\.0"):
        dimension_exponents(0)


@pytest.mark.parametrize(
    ("d", "method", "T", "exponent"),
    [
        (1, "nearest", [100, 400, 1600], 2.0),
        (2, "nearest", [200, 800, 3200], 1.0),
        (3, "nearest", [500, 2000, 8000], 2 / 3),
        (1, "linear", [100, 300, 900], 4.0),
        (2, "linear", [300, 1000, 3000], 2.0),
    ],
)
def test_interpolation_has_the_exponents_of_its_dimension(
    d: int, method: str, T: list[int], exponent: float
) -> None:
    found = simulate_interpolation(d, T, method=method, draws=6, points=1000)
    assert found.exponent == pytest.approx(exponent, rel=0.12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"d": 0, "T": [100]}, "d = 0"),
        ({"d": 9, "T": [100]}, "at most 5"),
        ({"d": 2, "T": [3]}, "at least 4"),
        ({"d": 2, "T": [100.5]}, "whole numbers"),
        ({"d": 2, "T": [100], "method": "cubic"}, "cubic"),
        ({"d": 2, "T": [100], "draws": 1}, "at least 2 draws"),
    ],
)
def test_misuse_of_interpolation(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        simulate_interpolation(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("tolerance", [0.0, 1.0, np.nan])
def test_misuse_of_the_tolerance(tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance"):
        classify(1.0, 1.0, 1.0, tolerance=tolerance)
