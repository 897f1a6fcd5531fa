"""Laws with an axis beside size and data: what they become at the ends, and runs with noise."""

from __future__ import annotations

import numpy as np
import pytest

from fit.designs import CHINCHILLA, EXTRA, TRUTHS, design, law_of, table
from isoloss.errors import LawError
from isoloss.fit import fit
from isoloss.laws import get_law, is_law_name, law_names
from isoloss.laws.mixture import mixture, mixture_additive
from isoloss.plan import allocate

N, D = np.geomspace(1e7, 1e11, 5), np.geomspace(1e9, 1e13, 5)
BASE = get_law("chinchilla")(CHINCHILLA, {"N": N, "D": D})


@pytest.mark.parametrize(
    ("name", "axis", "end"),
    [
        ("precision", "bits", 1e3),
        ("precision_post", "bits", 1e3),
        ("granularity", "granularity", 1e40),
        ("vocabulary", "N_vocab", 1e90),
    ],
)
def test_at_the_end_of_its_axis_it_is_chinchillas_law(name: str, axis: str, end: float) -> None:
    loss = get_law(name)(TRUTHS[name], {"N": N, "D": D, axis: end})
    np.testing.assert_allclose(loss, BASE, rtol=1e-12)
    nearer = get_law(name)(TRUTHS[name], {"N": N, "D": D, axis: 4.0})
    assert (nearer > loss).all()


def test_over_training_is_chinchillas_law_with_one_exponent() -> None:
    theta = TRUTHS["over_training"]
    eta = theta["eta"]
    same = {
        "E": theta["E"],
        "A": theta["a"] * 6**-eta,
        "B": theta["b"] * 6**-eta,
        "alpha": 2 * eta,
    }
    law = get_law("over_training")
    loss = law(theta, {"N": N, "D": D})
    tied = get_law("chinchilla").tie(beta="alpha")
    np.testing.assert_allclose(loss, tied(same, {"N": N, "D": D}), rtol=1e-13)
    # In the paper's own axes: C and M = D/N.
    C, M = 6 * N * D, D / N
    printed = theta["E"] + (theta["a"] * M**eta + theta["b"] * M**-eta) * C**-eta
    np.testing.assert_allclose(loss, printed, rtol=1e-13)
    ours, theirs = allocate(law, theta, 1e22), allocate(tied, same, 1e22)
    assert ours.N_opt[0] == pytest.approx(theirs.N_opt[0], rel=1e-9)
    # The best data a parameter does not depend on the budget: a M^eta = b M^-eta.
    best = (theta["b"] / theta["a"]) ** (1 / eta)
    for budget in (1e20, 1e24):
        plan = allocate(law, theta, budget)
        assert (plan.D_opt / plan.N_opt)[0] == pytest.approx(best**0.5, rel=1e-8)


def test_nothing_at_rest_leaves_a_dense_law() -> None:
    theta = TRUTHS["sparsity"]
    dense = get_law("sparsity")(theta, {"N": N, "D": D, "sparsity": 0.0})
    base = {k: theta[k] for k in CHINCHILLA}
    expected = get_law("chinchilla")(base, {"N": N, "D": D})
    expected = expected + theta["c"] + theta["d"] * N ** -theta["gamma"]
    np.testing.assert_allclose(dense, expected, rtol=1e-13)


def test_one_stream_is_a_power_law() -> None:
    theta = TRUTHS["parallel"]
    loss = get_law("parallel")(theta, {"N": N, "streams": 1})
    np.testing.assert_allclose(loss, 1.3 + (2e8 / N) ** 0.2, rtol=1e-13)
    # k ln P = 1 is worth twice the parameters.
    twice = get_law("parallel")(theta, {"N": N, "streams": np.exp(1 / theta["k"])})
    np.testing.assert_allclose(twice, 1.3 + (1e8 / N) ** 0.2, rtol=1e-12)


def test_experts_stop_to_help_at_one_size() -> None:
    theta = TRUTHS["routing"]
    law, size = get_law("routing"), 10 ** (theta["b"] / theta["c"])
    one, many = (law(theta, {"N": size, "experts": e})[0] for e in (1, 512))
    assert one == pytest.approx(many, rel=1e-12)
    assert law(theta, {"N": size / 10, "experts": [1, 512]}).argmin() == 1
    # One expert counts as E_start, endless ones as E_max.
    for experts, counted in ((1, theta["E_start"]), (1e14, theta["E_max"])):
        log_n, log_e = 9.0, np.log10(counted)
        expected = theta["d"] - theta["a"] * log_n - theta["b"] * log_e
        expected += theta["c"] * log_n * log_e
        loss = law(theta, {"N": 1e9, "experts": experts})[0]
        assert loss == pytest.approx(10**expected, rel=1e-9)


def test_a_factor_before_the_exponential_of_a_mixture_is_no_parameter() -> None:
    r = np.random.default_rng(1).dirichlet(np.ones(4), 9).T
    x = {f"r{j + 1}": r[j] for j in range(4)}
    t = np.array([0.3, -1.0, 0.8, 0.1])
    printed = 1.7 + 0.4 * np.exp(t @ r)
    theta = {"E": 1.7} | {f"t{j + 1}": t[j] + np.log(0.4) for j in range(4)}
    np.testing.assert_allclose(mixture(4)(theta, x), printed, rtol=1e-13)


def test_the_best_mixture_is_best_at_every_size() -> None:
    share = np.linspace(0.01, 0.99, 99)
    law, theta = get_law("mixture_additive_2"), TRUTHS["mixture_additive_2"]
    best = {
        int(np.argmin(law(theta, {"N": n, "D": d, "r1": share, "r2": 1 - share})))
        for n, d in zip(N, D, strict=True)
    }
    assert len(best) == 1
    assert best & set(range(1, 98))


def test_any_number_of_domains() -> None:
    assert get_law("mixture_7").names == mixture(7).names
    assert get_law("Mixture-Additive-3").axes == ("N", "D", "r1", "r2", "r3")
    assert len(mixture_additive(3).names) == 11
    assert is_law_name("mixture_20")
    assert "mixture_7" not in law_names()
    for name in ("mixture_1", "mixture_21", "mixture_additive_0", "mixture_", "mixture_x"):
        with pytest.raises(LawError):
            get_law(name)


def test_rewards_and_fine_tuning_between_their_ends() -> None:
    theta = {"R0": 0.2, "A": 0.7, "C_mid": 1e9, "B": 0.6}
    reward = get_law("reward_sigmoid", axis="C")
    np.testing.assert_allclose(
        reward(theta, {"C": [1e-30, 1e9, 1e50]}), [0.2, 0.45, 0.7], atol=1e-12
    )
    # Odds of the gain are a power law of compute.
    gain = (reward(theta, {"C": [1e7, 1e12]}) - 0.2) / 0.5
    np.testing.assert_allclose(gain / (1 - gain), [1e-2**0.6, 1e3**0.6], rtol=1e-9)
    late = {"E": 1.0, "B": 300.0, "D_l": 0.0, "beta": 0.7}
    floor = get_law("power_floor", axis="D")({"E": 1.0, "A": 300.0, "alpha": 0.7}, {"D": D})
    np.testing.assert_allclose(get_law("rectified", axis="D")(late, {"D": D}), floor, rtol=1e-13)
    early = get_law("rectified", axis="D")(late | {"D_l": 150.0}, {"D": 1e-20})
    assert early[0] == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["over_training", "rectified", "reward_sigmoid", *EXTRA])
def test_runs_with_noise_give_the_curve_back(name: str) -> None:
    noise = 0.003
    runs, law = table(name, noise=noise, seed=5), law_of(name)
    found = fit(runs, law, draws=0)
    assert found.status != "failed", found.summary()
    truth = law(TRUTHS[name], design(name))
    error = np.log(law(found.theta, design(name)) / truth)
    # Least squares would leave noise sqrt(p/n); Huber's loss is near that, and 2.5 is far out.
    assert np.sqrt(np.mean(error**2)) < 2.5 * noise * np.sqrt(len(law.names) / len(runs))
