import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    compute_exponents,
    compute_optimal,
    data_asymptote,
    early_model_cost,
    flow_ensemble,
    from_modes,
    gradient_descent,
    gradient_flow,
    model_asymptote,
    noisy_kernel_exponent,
    power_law,
    random_features,
    time_asymptote,
    transfer,
)
from isoloss.theory import flow as flow_module
from isoloss.theory.complex_kappa import edge, solve_complex
from theory.given import EXACT, GOLDEN, near, noises, sizes, spectra, spectrum_of

FLOW, DESCENT = GOLDEN["flow"], GOLDEN["descent"]
ROOMY = settings(max_examples=25, deadline=None, derandomize=True)


def test_reference_numbers_of_gradient_flow():
    spectrum = spectrum_of("flow")
    N, T = FLOW["at"]["N"], FLOW["at"]["T"]
    found = gradient_flow(spectrum, N, T, FLOW["t"])
    assert found.test_excess == near(np.array(FLOW["test"]), rel=EXACT)
    assert found.train == near(np.array(FLOW["train"]), rel=EXACT)
    for shared, key in (
        ("data", "same_data"), ("features", "same_features"), ("nothing", "nothing_same")
    ):  # fmt: skip
        cross = gradient_flow(spectrum, N, T, FLOW["t"], shared=shared)
        assert cross.test_excess == near(np.array(FLOW[key]), rel=EXACT)
        assert cross.train is None
    modes = transfer(spectrum, N, T, FLOW["t"], 10**-1.3)
    assert modes == near(np.array(FLOW["residual_of_mode_10"]), rel=EXACT)
    ends = gradient_flow(spectrum, [np.inf, N], [T, np.inf], FLOW["t"]).test_excess
    assert ends[0] == near(np.array(FLOW["test_N_inf"]), rel=EXACT)
    assert ends[1] == near(np.array(FLOW["test_T_inf"]), rel=EXACT)


def test_reference_numbers_of_gradient_descent():
    found = gradient_descent(
        spectrum_of("descent"), DESCENT["at"]["N"], DESCENT["at"]["T"], DESCENT["steps"],
        eta=DESCENT["at"]["eta"], noise=DESCENT["at"]["noise"],
    )  # fmt: skip
    assert found.test_excess == near(np.array(DESCENT["test"]), rel=EXACT)
    assert found.train == near(np.array(DESCENT["train"]), rel=EXACT)


@ROOMY
@given(spectra(), sizes, sizes, noises)
def test_flow_starts_at_the_target_and_ends_without_a_ridge(spectrum, N, T, noise):
    scale = spectrum.power + noise
    found = gradient_flow(spectrum, N, T, [0.0, 1e-25, np.inf], noise=noise)
    assert found.test_excess[:2] == near(np.full(2, spectrum.power), rel=1e-9, abs=1e-11 * scale)
    assert found.train[:2] == near(np.full(2, scale), rel=1e-9)
    end = random_features(spectrum, N, T, noise=noise)
    assert float(found.test_excess[2]) == float(end.test_excess)
    # The slowest direction has eigenvalue about kappa0 (1 - n/n')^2; where the end is finite.
    far = 1e14 / max(float(end.kappa), 1e-6) if abs(N - T) > 0.02 * N else None
    if far and min(N, T) < 0.9 * spectrum.size:
        late = gradient_flow(spectrum, N, T, far, noise=noise)
        assert float(late.test_excess) == near(float(end.test_excess), rel=1e-7)
        assert float(late.train) == near(float(end.train), rel=1e-6, abs=1e-11 * scale)


@ROOMY
@given(spectra(), sizes, st.floats(-2, 5).map(lambda v: 10**v), noises)
def test_flow_with_endless_resources_is_a_limit(spectrum, n, t, noise):
    scale = spectrum.power + noise
    for make in (lambda m: (m, n), lambda m: (n, m)):
        end = gradient_flow(spectrum, *make(np.inf), t, noise=noise)
        far = gradient_flow(spectrum, *make(1e20), t, noise=noise)
        for key in ("test_excess", "train"):
            assert float(getattr(far, key)) == near(
                float(getattr(end, key)), rel=1e-7, abs=1e-11 * scale
            )
    both = gradient_flow(spectrum, np.inf, np.inf, t, noise=noise)
    far = gradient_flow(spectrum, 1e20, 1e20, t, noise=noise)
    assert float(far.test_excess) == near(float(both.test_excess), rel=1e-7, abs=1e-10 * scale)


@ROOMY
@given(spectra(), sizes, sizes, st.floats(-2, 4).map(lambda v: 10**v))
def test_complex_kappa_solves_its_equation_in_the_right_half(spectrum, N, T, size):
    s = size * np.exp(1j * np.array([0.3, 1.2, 2.0, 2.5, -2.5, -1.0]))
    n, m = np.full(6, N), np.full(6, T)
    found = solve_complex(spectrum, n, m, s)
    z = (spectrum.multiplicity * spectrum.lam / (spectrum.lam + found.kappa[:, None])).sum(1)
    z += spectrum.tail / found.kappa
    direct = found.kappa * (1 - z / n) * (1 - z / m)
    # The plain differences lose digits where a factor is small; the refined factors do not.
    assert np.abs(found.kappa * found.u * found.w / s - 1).max() < 1e-8
    small = np.minimum(np.abs(found.u), np.abs(found.w))
    assert (np.abs(direct / s - 1) < 1e-9 + 1e-12 / small).all()
    assert (found.kappa.imag * s.imag > 0).all()


def test_small_steps_are_the_flow_and_one_step_is_by_hand():
    spectrum = power_law(b=1.4, a=1.6, M=500, v0=0.1)
    N, T, noise = 60.0, 90.0, 0.2
    fine = gradient_descent(spectrum, N, T, [100_000], eta=1e-3, noise=noise)
    flow = gradient_flow(spectrum, N, T, [100.0], noise=noise)
    assert fine.test_excess == near(flow.test_excess, rel=1e-4)
    # E of (1 - eta B)^T lam (1 - eta B) with B = A^T A/N Sigma_hat, to first order in eta.
    eta = 1e-6
    one = gradient_descent(spectrum, N, T, [1], eta=eta, noise=noise)
    first = -2 * eta * float(spectrum.multiplicity @ (spectrum.v2 * spectrum.lam))
    assert float(one.test_excess[0]) - spectrum.power == near(first, rel=1e-4)


def test_very_many_steps_and_very_small_ones():
    spectrum = power_law(b=1.3, a=1.5, M=1500)
    end = float(random_features(spectrum, 20, 30).test_excess)
    many = gradient_descent(spectrum, 20, 30, 10**18, eta=0.3)
    assert float(many.test_excess) == near(end, rel=1e-10)
    small = gradient_descent(spectrum, 20, 30, 10**15, eta=1e-12)
    flow = gradient_flow(spectrum, 20, 30, 1000.0)
    assert float(small.test_excess) == near(float(flow.test_excess), rel=1e-10)


@pytest.mark.parametrize(("N", "T"), [(2, 1000), (1000, 2), (2, 5), (7, 1000)])
def test_the_end_with_as_many_features_as_modes(N, T):
    spectrum = power_law(b=1.5, a=1.5, M=2, v0=0.1)
    late = gradient_flow(spectrum, N, T, 1e100, noise=0.1)
    end = random_features(spectrum, N, T, noise=0.1)
    if T > 2:
        assert float(late.test_excess) == near(float(end.test_excess), rel=1e-9)
        assert float(late.train) == near(float(end.train), rel=1e-9)
    else:
        assert float(late.test_excess) > 1e10


def test_the_peak_grows_as_the_root_of_time_without_end():
    spectrum = power_law(b=3, a=0.42, M=3171)
    loss = gradient_flow(spectrum, 19, 19, [1e30, 1e60, 1e90], noise=0.1).test_excess
    assert loss[1:] / loss[:-1] == near(np.full(2, 1e15), rel=1e-9)


@pytest.mark.parametrize("product", [0.5, 1.9, 1.999, 2.0, 2.01])
def test_both_contours_of_descent_agree(product, monkeypatch):
    spectrum = power_law(b=1.3, a=1.5, M=1500)
    eta = product / edge(spectrum, 200, 300)
    steps = [2600] if product < 1 else [700, 1000]
    ends = gradient_descent(spectrum, 200, 300, steps, eta=eta, noise=0.02)
    monkeypatch.setattr(flow_module, "_STEPS", 1e9)
    whole = gradient_descent(spectrum, 200, 300, steps, eta=eta, noise=0.02)
    assert ends.test_excess == near(whole.test_excess, rel=1e-9)
    assert ends.train == near(whole.train, rel=1e-9)


def test_steps_that_are_too_large_diverge_to_infinity():
    spectrum = power_law(b=1.3, a=1.5, M=300)
    for N in (50, np.inf):
        loss = gradient_descent(spectrum, N, 80, [0, 1, 5, 10**6], eta=50.0).test_excess
        assert loss[0] == near(spectrum.power)
        assert loss[0] < loss[1] < loss[2] < math.inf
        assert loss[3] == math.inf


def test_the_edge_is_the_top_of_a_large_matrix():
    rng = np.random.default_rng(0)
    lam = np.repeat([1.0, 0.5, 0.2], 400)
    A = rng.standard_normal((600, 1200)) * np.sqrt(lam)
    B = rng.standard_normal((900, 1200))
    F = A @ B.T / math.sqrt(600 * 900)
    top = np.linalg.svd(F, compute_uv=False)[0] ** 2
    expected = edge(from_modes([1.0, 0.5, 0.2], [1, 1, 1], multiplicity=[400] * 3), 600, 900)
    assert top == near(expected, rel=0.03)


def test_an_ensemble_is_made_of_its_cross_terms():
    spectrum = power_law(b=1.3, a=1.5, M=1500)
    f, d = 4, 3
    whole = flow_ensemble(spectrum, 200, 400, [10.0, np.inf], features=f, data=d, noise=0.1)
    end = random_features(spectrum, 200, 400, noise=0.1).ensemble(f, d)
    assert float(whole.test_excess[1]) == near(float(end), rel=1e-12)
    late = flow_ensemble(spectrum, 200, 400, 1e13, features=f, data=d, noise=0.1)
    assert float(late.test_excess) == near(float(end), rel=1e-9)


def slope(loss, x):
    return np.diff(np.log(loss)) / np.diff(np.log(x))


def test_asymptotes_are_what_the_curves_tend_to():
    for a, b in ((1.5, 1.3), (2.8, 1.3), (4.2, 1.5)):
        spectrum = power_law(a=a, b=b, M=np.inf)
        model = random_features(spectrum, 1e7, np.inf).test_excess
        assert float(model / model_asymptote(a=a, b=b)(1e7)) == near(1, abs=1e-3)
        time = gradient_flow(spectrum, np.inf, np.inf, 1e8).test_excess
        assert float(time / time_asymptote(a=a, b=b)(1e8)) == near(1, abs=1e-3)
    for a, b in ((1.5, 1.3), (2.8, 1.3), (6.0, 1.5)):
        spectrum = power_law(a=a, b=b, M=np.inf)
        data = random_features(spectrum, np.inf, 1e7).test_excess
        assert float(data / data_asymptote(a=a, b=b)(1e7)) == near(1, abs=1e-3)


@pytest.mark.parametrize(
    ("a", "b", "printed", "found"),
    [(2.8, 1.3, 1.8, -1.305), (3.6, 1.2, 2.4, -1.214), (4.2, 1.5, 3.0, -1.501)],
)
def test_the_model_exponent_is_that_of_one_model_not_of_the_ensemble(a, b, printed, found):
    # In print the model bottleneck has the exponent min(a-1, 2b), here `printed`. That is the
    # exponent of an infinite ensemble; one model falls as N^-min(a-1, b).
    spectrum = power_law(a=a, b=b, M=10**12)
    N = np.array([1e4, 1e5, 1e6, 1e7])
    loss = random_features(spectrum, N, np.inf)
    one = slope(loss.test_excess, N)
    assert one[-1] == near(-min(a - 1, b), abs=0.02)
    assert one == near(np.full(3, found), abs=0.03)
    assert abs(one[-1] + printed) > 0.4
    assert slope(loss.bias2, N)[-1] == near(-printed, abs=0.08)


def test_early_costs_of_finite_resources():
    known = GOLDEN["early"]["value"]
    spectrum = power_law(a=1.5, b=1.3, M=10**12)
    assert float(early_model_cost(spectrum, 100.0)) == near(known["N"], rel=2e-6)
    N = np.array([1e6, 2e6, np.inf])
    endless = np.full(3, np.inf)
    for key, pair in (("N", (N, endless)), ("T", (endless, N))):
        loss = gradient_flow(spectrum, *pair, 100.0).test_excess
        cost = N[:2] * (loss[:2] - loss[2])
        assert 2 * cost[1] - cost[0] == near(known[key], rel=3e-6)
    endless_modes = float(early_model_cost(power_law(a=1.5, b=1.3, M=np.inf), 100.0))
    assert endless_modes == near(30.59785, rel=1e-6)


def test_early_cost_is_its_time_integral():
    lam, v2, t = np.array([1.0, 0.4, 0.1]), np.array([0.5, 1.0, 0.3]), 3.0
    x, w = np.polynomial.legendre.leggauss(40)
    u = t * (x + 1)
    decay = (lam[:, None] * np.exp(-lam[:, None] * (2 * t - u))).sum(0)
    learned = ((v2 * lam)[:, None] * np.exp(-lam[:, None] * u)).sum(0)
    assert float(early_model_cost(from_modes(lam, v2), t)) == near(
        float(w @ (decay * u * learned)) * t, rel=1e-9
    )


def test_compute_optimal_exponents_against_the_exact_path():
    # With min(a-1, 2b) for the model bottleneck the path in print would have exponents
    # .4348 and .7826 at a = 2.8, b = 1.3; the exact path has .534 and .643.
    found = compute_exponents(a=2.8, b=1.3)
    assert (found.model, found.loss) == near((0.535714, 0.642857), abs=1e-6)
    path = compute_optimal(power_law(a=2.8, b=1.3, M=np.inf), [1e9, 1e11])
    size, loss = (float(v[0]) for v in path.slopes())
    assert size == near(0.5344, abs=3e-3)
    assert loss == near(-0.642, abs=3e-3)
    assert float(path.N[0] * path.t[0]) == near(1e9)
    easy = compute_optimal(power_law(a=1.5, b=1.3, M=np.inf), [1e13, 1e15])
    law = compute_exponents(a=1.5, b=1.3)
    assert float(easy.slopes()[0][0]) == near(law.model, abs=0.02)
    assert float(easy.slopes()[1][0]) == near(-law.loss, abs=0.02)


def test_noisy_kernel_regression():
    assert noisy_kernel_exponent(a=4.9, b=1.5) == 0.75
    spectrum = power_law(a=1.5, b=1.3, M=np.inf)
    T = np.array([1e6, 1e7])
    best = random_features(spectrum, np.inf, T, ridge="optimal", noise=1.0)
    assert slope(best.test_excess, T)[0] == near(-noisy_kernel_exponent(a=1.5, b=1.3), abs=0.02)
    floor = random_features(spectrum, np.inf, 1e8, noise=0.5).test_excess
    assert float(floor) == near((1.3 - 1) * 0.5, rel=1e-2)


@pytest.mark.parametrize("bad", [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 0.5}, {"a": -1, "b": 2.0}])
def test_exponents_outside_the_law_are_refused(bad):
    with pytest.raises(InputError, match="must be"):
        model_asymptote(**bad)


def test_borders_with_logarithms_are_refused():
    with pytest.raises(InputError, match="logarithms"):
        model_asymptote(a=2.5, b=1.5)


@pytest.mark.parametrize(
    ("call", "piece"),
    [
        (lambda s: gradient_flow(s, 10, 20, -1.0), "t = -1.0"),
        (lambda s: gradient_flow(s, 10, 20, math.nan), "t = nan"),
        (lambda s: gradient_flow(s, 0, 20, 1.0), "N = 0.0"),
        (lambda s: gradient_descent(s, 10, 20, 1.5, eta=0.1), "whole"),
        (lambda s: gradient_descent(s, 10, 20, 1, eta=0.0), "eta"),
        (lambda s: gradient_flow(s, 10, 20, 1.0, shared="all"), "shared"),
    ],
)
def test_bad_values_are_named(call, piece):
    with pytest.raises(InputError, match=piece):
        call(power_law(b=1.5, a=1.5, M=100))
