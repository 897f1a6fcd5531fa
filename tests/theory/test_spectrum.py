import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import FitError, InputError
from isoloss.theory import from_binned, from_modes, power_law, random_features, solve_kappa
from isoloss.theory import kappa as kappa_module
from isoloss.theory.moments import moments
from isoloss.theory.power import compress, gauss_rule
from theory.given import GOLDEN, near, ridges, sizes, spectra


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.floats(0.0, 8.0), st.floats(0.0, 9.0), st.sampled_from([1, 31, 33, 65, 1000, 200_000]),
    st.floats(-20, 2), st.floats(-3.0, 3.0),
)  # fmt: skip
def test_compressed_sums_are_the_sums(b, a, M, log_k, angle):
    k = 10**log_k * (1.0 if abs(angle) > 1.8 else complex(math.cos(angle), math.sin(angle)))
    short = moments(power_law(b=b, a=a, M=M), np.array([k]))
    index = np.arange(1.0, M + 1)
    lam, v2 = index**-b, index**-a
    whole = moments(from_modes(lam, v2), np.array([k]))
    for key in ("z", "q", "e", "f", "S2", "d", "h", "rest"):
        ours, exact = getattr(short, key)[0], getattr(whole, key)[0]
        scale = max(abs(exact), abs(whole.z[0]) * 1e-3 if key in "zqef" else 0)
        assert abs(ours - exact) <= 1e-9 * scale + 1e-280


def test_a_gauss_rule_sums_polynomials_exactly():
    for first, count in ((1, 5), (33, 11), (1000, 5000)):
        x, w = gauss_rule(first, count)
        points = first + np.arange(count)
        for power in range(0, 20, 3):
            assert w @ x**power == near(np.sum(points ** float(power)), rel=1e-12)


def test_a_spectrum_of_any_length_is_short():
    assert compress(1e15, 1.5, 1.5)[0].size < 500
    assert compress(1e15, 1.5, 1.5)[1].sum() == near(1e15, rel=1e-14)
    huge, endless = (power_law(b=1.5, a=1.8, M=M) for M in (1e18, math.inf))
    assert float(solve_kappa(huge, 1e4, 1e5).kappa) == near(
        float(solve_kappa(endless, 1e4, 1e5).kappa), rel=1e-6
    )


def test_the_spectrum_without_end_has_the_known_constant():
    # z + 1/2 = C kappa^-p with p = 1/(1+alpha): arXiv:2102.06701, arXiv:2210.16859.
    known, alpha = GOLDEN["constants"]["value"], 0.7
    p = 1 / (1 + alpha)
    C = math.pi * p / math.sin(math.pi * p)
    assert near(known["C"], rel=3e-7) == C
    assert near(known["C_power"], rel=3e-7) == C ** (1 + alpha)
    n = 10**5
    kappa = float(solve_kappa(power_law(b=1 + alpha, a=2, M=math.inf), n, math.inf).kappa)
    assert kappa == near((C / (n + 0.5)) ** (1 + alpha), rel=1e-8)


def test_bins_keep_the_sums():
    index = np.arange(1, 200_001.0)
    whole = from_modes(index**-1.3, index**-1.7)
    k = np.geomspace(1e-6, 1, 30)
    for bins, error in ((500, 4e-5), (2000, 3e-6), (8000, 2e-7)):
        binned = from_binned(index**-1.3, index**-1.7, bins=bins)
        assert binned.lam.size <= bins
        assert moments(binned, k).z == near(moments(whole, k).z, rel=error)
        assert near(moments(whole, k).d, rel=3e-2) == moments(binned, k).d


def test_modes_that_cannot_be_learned_count_as_out_of_reach():
    spectrum = from_modes([1.0, 0.0, 0.5], [1.0, 3.0, 1.0], v0=0.5)
    assert (spectrum.size, spectrum.v0) == (2, 3.5)


def test_blocks_give_every_mode_once():
    spectrum = from_modes([3.0, 1.0], [1.0, 2.0], multiplicity=[2, 3])
    blocks = list(spectrum.blocks(2))
    assert np.concatenate([lam for lam, _ in blocks]).tolist() == [3, 3, 1, 1, 1]
    assert np.concatenate([v2 for _, v2 in blocks]).tolist() == [1, 1, 2, 2, 2]
    law = power_law(b=1.5, a=2, M=100)
    assert np.concatenate([lam for lam, _ in law.blocks(7)]) == near(np.arange(1, 101.0) ** -1.5)
    with pytest.raises(InputError, match="mode by mode"):
        next(from_modes([1.0], [1.0], tail=0.1).blocks(3))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(spectra(), sizes, sizes, st.one_of(st.just(0.0), ridges, st.just(1e-300), st.just(1e200)))
def test_kappa_solves_its_equation(spectrum, N, T, ridge):
    found = solve_kappa(spectrum, N, T, ridge=ridge).require()
    assert found.residual.max() < 1e-13
    kappa, x, y = (float(v) for v in (found.kappa, found.short, found.long))
    if 1e-250 < ridge < 1e100:
        assert math.log(kappa) + math.log(x * N) + math.log(y * T) == near(
            math.log(ridge), abs=1e-10
        )


def test_almost_all_modes_resolved_keeps_its_digits():
    # kappa sum(1/lam) = M - n to first order, where M - z/1 would have lost nearly all.
    M, gap = 10**6, 2.0**-29
    spectrum = power_law(b=1.5, a=1.5, M=M)
    inverse = float(np.sum(np.arange(1, M + 1.0) ** 1.5))
    found = float(solve_kappa(spectrum, M - gap, math.inf).kappa)
    assert found == near(gap / inverse, rel=1e-5)


def test_what_did_not_converge_is_no_solution(monkeypatch):
    spectrum = power_law(b=1.5, a=1.5, M=100)
    real = kappa_module.degrees

    def jumping(*arguments):
        z, e, rest = real(*arguments)
        return z * (1 + 1e-3 * np.random.default_rng(z.size).standard_normal(z.shape)), -e, rest

    monkeypatch.setattr(kappa_module, "degrees", jumping)
    monkeypatch.setattr(kappa_module, "_CLOSE", 0.0)
    monkeypatch.setattr(kappa_module, "_TURNS", 3)
    with np.errstate(all="ignore"):
        found = solve_kappa(spectrum, 10, 20, ridge=1.0)
        loss = random_features(spectrum, 10, 20, ridge=1.0)
    assert np.isnan(found.kappa)
    assert not found.converged
    assert loss.status == "failed"
    for result in (found, loss):
        with pytest.raises(FitError, match=r"kappa|Newton"):
            result.require()


@pytest.mark.parametrize(
    ("words", "piece"),
    [
        ({"b": -1, "a": 1, "M": 10}, "b = -1"),
        ({"b": 1, "a": -0.5, "M": 10}, "a = -0.5"),
        ({"b": 1, "a": 1, "M": 0}, "M = 0"),
        ({"b": 1, "a": 1, "M": 2.5}, "whole"),
        ({"b": 1, "a": 1, "M": math.nan}, "M = nan"),
        ({"b": math.nan, "a": 1, "M": 10}, "b = nan"),
        ({"b": 1, "M": 10}, "give the exponent"),
        ({"b": 1, "a": 1, "M": 10, "iid": True}, "not both"),
        ({"b": 30, "a": 1, "M": 1e12}, "smaller b or M"),
        ({"b": 0.9, "a": 2, "M": math.inf}, "infinite"),
        ({"b": 2, "M": math.inf, "iid": True}, "no power"),
        ({"b": 1, "a": 1, "M": 10, "scale": 0}, "scale"),
    ],
)
def test_bad_power_laws_are_refused_with_the_reason(words, piece):
    with pytest.raises(InputError, match=piece):
        power_law(**words)


@pytest.mark.parametrize(
    ("lam", "v2", "piece"),
    [([-1.0], [1.0], r"lam\[0\] = .*-1.0"), ([1.0], [-1.0], r"v2\[0\]"), ([0.0], [1.0], "no eig"),
     ([1.0, 2.0], [1.0], "one of each"), ([math.nan], [1.0], "lam"), ([[1.0]], [1.0], "dimension")],
)  # fmt: skip
def test_bad_modes_are_refused_with_the_reason(lam, v2, piece):
    with pytest.raises(InputError, match=piece):
        from_modes(lam, v2)
