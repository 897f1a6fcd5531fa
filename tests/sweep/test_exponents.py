import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep.exponents import decay_exponent, variance_exponent
from isoloss.sweep.regime_ranges import interpolated_up_to, local_slopes, regime_labels

X = 2.0 ** np.arange(5, 13)


def _table(
    source: np.random.Generator,
    truth: np.ndarray,
    *,
    seeds: int = 4,
    noise: float = 0.02,
    shared: float = 0.0,
    x: np.ndarray = X,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seeds with noise of their own at every x and one factor each, and one slope each."""
    at, loss, seed = [], [], []
    for s in range(seeds):
        tilt = shared * source.standard_normal() * np.log(x / x[0])
        own = noise * source.standard_normal(len(x))
        at.append(x)
        loss.append(truth * np.exp(tilt + own))
        seed.append(np.full(len(x), s))
    return np.concatenate(at), np.concatenate(loss), np.concatenate(seed)


@pytest.mark.parametrize(("a", "E"), [(0.3, 0.2), (1.0, 0.0), (1.7, 1e-3)])
def test_a_noiseless_law_comes_back_with_a_free_floor(a: float, E: float) -> None:
    found = decay_exponent(X, E + 3 * X**-a)
    assert found.value == pytest.approx(a, rel=1e-5)
    assert found.floor == pytest.approx(E, abs=1e-6)
    assert found.amplitude == pytest.approx(3, rel=1e-4)
    np.testing.assert_allclose(found.predict(X), E + 3 * X**-a, rtol=1e-6)


def test_a_given_floor_is_kept_and_a_wrong_one_bends_the_exponent() -> None:
    loss = 0.2 + 3 * X**-0.5
    right = decay_exponent(X, loss, floor=0.2)
    wrong = decay_exponent(X, loss, floor=0.0)
    assert right.value == pytest.approx(0.5, rel=1e-6)
    assert right.floor == 0.2
    assert right.floor_interval is None
    assert wrong.value < 0.45
    assert wrong.misfit > 100 * right.misfit


def test_only_the_range_asked_for_is_used() -> None:
    loss = np.where(X <= 256, 1.0, 256.0 / X)
    found = decay_exponent(X, loss, floor=0.0, low=256, high=2048)
    assert found.value == pytest.approx(1.0, rel=1e-6)
    assert (found.low, found.high, found.points) == (256.0, 2048.0, 4)


def test_a_floor_that_is_not_identified_opens_the_interval() -> None:
    source = np.random.default_rng(0)
    # Three e-folds of loss would be needed; these points show a tenth of one.
    x, loss, seed = _table(source, 1 + 0.02 * X**-0.5, noise=0.01)
    found = decay_exponent(x, loss, seed=seed)
    assert not found.closed
    assert any("do not bound" in reason for reason in found.reasons)


def test_a_measured_limit_is_subtracted_run_by_run() -> None:
    source = np.random.default_rng(1)
    limit = np.repeat(0.5 + 0.2 * source.random(5), len(X))
    x = np.tile(X, 5)
    loss = limit + 2 / x
    # Seeds that lack an x would shift the mean there if limits were not their own.
    keep = source.random(len(x)) < 0.7
    seed = np.repeat(np.arange(5), len(X))[keep]
    x, loss, limit = x[keep], loss[keep], limit[keep]
    found = variance_exponent(x, loss, seed=seed, limit=limit)
    assert found.value == pytest.approx(1.0, rel=1e-6)
    assert found.floor == pytest.approx(limit.mean())
    assert found.misfit < 1e-9


def test_a_limit_above_a_loss_is_refused() -> None:
    with pytest.raises(InputError, match="x = 4096 is not above it"):
        variance_exponent(X, 0.5 + 2 / X, limit=0.501)


def test_what_a_seed_does_at_every_x_widens_the_interval() -> None:
    source = np.random.default_rng(2)
    x, loss, seed = _table(source, 3 * X**-0.5, noise=1e-4, shared=0.1, seeds=5)
    found = decay_exponent(x, loss, seed=seed, floor=0.0)
    assert found.of_seeds is not None
    width = found.of_law.high - found.of_law.low
    assert found.of_seeds.high - found.of_seeds.low > 5 * width
    assert found.interval.low == pytest.approx(found.of_seeds.low)
    assert 0.5 in found.interval
    assert 0.5 not in found.of_law


def test_two_seeds_give_no_jackknife() -> None:
    x, loss, seed = _table(np.random.default_rng(3), 3 * X**-0.5, seeds=2)
    found = decay_exponent(x, loss, seed=seed, floor=0.0)
    assert found.of_seeds is None
    assert found.interval.method == found.of_law.method


def test_weights_follow_the_spread_of_the_seeds() -> None:
    source = np.random.default_rng(4)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(20):
        # Noise that falls with x from 20 % to 0.2 %.
        noise = 0.2 * (X / X[0]) ** -0.95
        loss = np.concatenate(
            [X**-0.5 * np.exp(noise * source.standard_normal(8)) for _ in "123456"]
        )
        seed = np.repeat(np.arange(6), 8)
        for weigh, found in errors.items():
            fitted = decay_exponent(np.tile(X, 6), loss, seed=seed, floor=0.0, weigh=weigh)
            found.append(abs(fitted.value - 0.5))
    assert np.mean(errors[True]) < 0.5 * np.mean(errors[False])


def test_the_order_of_runs_does_not_matter() -> None:
    source = np.random.default_rng(5)
    x, loss, seed = _table(source, 0.1 + 3 * X**-0.5)
    order = source.permutation(len(x))
    one = decay_exponent(x, loss, seed=seed)
    two = decay_exponent(x[order], loss[order], seed=seed[order])
    assert two.value == pytest.approx(one.value, rel=1e-9)
    assert two.interval.high == pytest.approx(one.interval.high, rel=1e-6)


def test_slopes_are_taken_within_seeds() -> None:
    # Each seed at a level of its own, and one seed short of an x.
    x = np.array([1.0, 2, 4, 1, 2, 4, 1, 2])
    seed = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    loss = np.array([5.0, 50, 0.7])[seed] * x**-0.5
    found = local_slopes(x, loss, seed=seed)
    np.testing.assert_allclose(found.slope, 0.5)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)
    np.testing.assert_allclose(found.x, [2**0.5, 2**1.5])
    assert found.seeds.tolist() == [3, 2]


def test_errors_of_slopes_are_those_of_a_mean() -> None:
    source = np.random.default_rng(6)
    x, loss, seed = _table(source, X**-0.5, seeds=400, noise=0.1)
    found = local_slopes(x, loss, seed=seed)
    expected = 0.1 * 2**0.5 / np.log(2) / 20
    np.testing.assert_allclose(found.error, expected, rtol=0.15)
    assert np.all(np.abs(found.slope - 0.5) < 4.5 * expected)


def test_labels_of_a_law_with_known_regimes() -> None:
    N, D = (g.ravel() for g in np.meshgrid([10.0, 100, 1e6], [10.0, 100, 1e4, 1e7]))
    data, size = regime_labels(N, D, 1 / N + 1 / D)
    at = {(n, d): (str(a), str(b)) for n, d, a, b in zip(N, D, data, size, strict=True)}
    assert at[100, 1e4] == ("variance", "resolution")
    assert at[100, 10] == ("resolution", "variance")
    assert at[100, 100] == ("mixed", "mixed")
    assert at[100, 1e7] == ("edge", "edge")
    assert at[1e6, 10] == ("edge", "edge")


def test_labels_average_seeds_and_follow_the_runs() -> None:
    N, D = np.array([1e6, 10, 10, 10, 1e6]), np.array([1e4, 1e2, 1e4, 1e2, 1e2])
    loss = np.array([1e-4, 0.1 + 0.01 + 0.05, 0.1 + 1e-4, 0.1 + 0.01 - 0.05, 0.01])
    data, _ = regime_labels(N, D, loss)
    assert data.tolist() == ["edge", "variance", "edge", "variance", "edge"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: decay_exponent([1, 2, 3], [1, 0.5, 0.3]), "3 distinct values in range for 3 free"),
        (lambda: decay_exponent(X, X[:3]), "give one each a run"),
        (lambda: decay_exponent(X, np.append(X[:-1], np.nan)), r"loss\[7\]"),
        (lambda: decay_exponent(X, 1 / X, low=1e9), "no x lies between"),
        (lambda: decay_exponent(X, 1 / X, floor=-1.0), "floor = -1.0"),
        (lambda: decay_exponent(X, 1 / X, level=2.0), "level"),
        (lambda: local_slopes(X, 1 / X, seed=X * 0, floor=1.0), "below every loss"),
        (lambda: local_slopes([1, 1], [1, 1], seed=[0, 1]), "slopes need two"),
        (lambda: regime_labels(X, X, 1 / X, floor=1.0), "no larger than the least loss"),
        (lambda: regime_labels(X, X[:2], 1 / X), "give one each a run"),
        (lambda: regime_labels(X, X, 1 / X, tolerance=0.0), "tolerance"),
    ],
)
def test_bad_input_is_said(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        call()


def test_the_fitted_range_ends_at_the_first_x_that_is_not_fitted() -> None:
    x, loss = np.tile([10.0, 20, 40, 80], 2), np.ones(8)
    train = np.tile([0.0, 0.05, 0.2, 0.05], 2)
    assert interpolated_up_to(x, loss, train) == 20
    assert interpolated_up_to(x, loss, train, share=0.3) == 80
    assert interpolated_up_to(x, loss, train + 0.5) == 0
    with pytest.raises(InputError, match=r"share = 1\.5"):
        interpolated_up_to(x, loss, train, share=1.5)
    with pytest.raises(InputError, match="give one each"):
        interpolated_up_to(x, loss, train[:3])


TABLES = 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("E", "floor", "shared"), [(0.0, 0.0, 0.0), (0.2, None, 0.0), (0.0, 0.0, 0.05)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    E: float, floor: float | None, shared: float
) -> None:
    source = np.random.default_rng(7)
    held = 0
    for _ in range(TABLES):
        x, loss, seed = _table(source, E + 3 * X**-0.5, shared=shared, seeds=5)
        held += 0.5 in decay_exponent(x, loss, seed=seed, floor=floor).interval
    # 90 % or more, a hull being wide: below 0.84 has a chance of 0.3 % at 90 % (binomial).
    assert held >= 0.84 * TABLES


@pytest.mark.slow
def test_variance_intervals_hold_one() -> None:
    source = np.random.default_rng(8)
    held = 0
    for _ in range(TABLES):
        limit = np.repeat(1 + 0.1 * source.standard_normal(5), len(X))
        x, seed = np.tile(X, 5), np.repeat(np.arange(5), len(X))
        excess = 2 / x * np.exp(0.1 * source.standard_normal(len(x)))
        held += 1.0 in variance_exponent(x, limit + excess, seed=seed, limit=limit).interval
    assert held >= 0.84 * TABLES
