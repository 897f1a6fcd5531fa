"""Laws of single data points: known answers, global optima, bounds on memory, and doubt."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.theory import (
    PointLaws,
    draw_contributions,
    draw_mean_contributions,
    fit_error_curve,
    fit_points,
    fit_stream,
    group_contributions,
    join_points,
    mean_contribution,
    mean_power,
    select_points,
    stream_contributions,
)
from isoloss.theory.point_likelihood import Block, terms, without_effect
from theory.given import near

GOLDEN = tomllib.loads(
    (Path(__file__).parents[1] / "golden" / "scale_time.toml").read_text("utf8")
)["point"]
K = np.repeat(np.arange(100, 1001, 100), 4)
G = np.tile([1, -1, 0.5, -0.5], 10)
ZEROS = np.zeros(40, dtype=int)


def drawn(points=40, samples=60, seed=0, noise=0.05):
    """Samples of points with laws of many kinds: ids, sizes, contributions."""
    rng = np.random.default_rng(seed)
    k = rng.integers(100, 1001, (points, samples)).astype(float)
    c, alpha = rng.normal(0, 3, (points, 1)), rng.uniform(0.5, 1.8, (points, 1))
    delta = draw_contributions(k, c=c, alpha=alpha, sigma=noise, beta=1.8, rng=rng)
    return np.repeat(np.arange(points), samples), k.ravel(), delta.ravel()


def test_the_published_estimator_on_the_reference_data():
    delta = 2 * K**-1.2 + 0.3 * G / K
    found = fit_points(group_contributions(ZEROS, K, delta))
    assert found.verdict.tolist() == ["ok"]
    for name, value in GOLDEN["deterministic"]["value"].items():
        assert getattr(found, name)[0] == pytest.approx(value, rel=0, abs=2e-8), name
    assert found.sigma[0] == near(0.3 * np.sqrt(5 / 8), rel=1e-8)
    assert found.mean_value(100, 1000)[0] == pytest.approx(GOLDEN["range"]["value"], abs=5e-12)
    other = fit_points(group_contributions(ZEROS, K, delta), estimator="log")
    assert (other.c[0], other.alpha[0], other.r2[0]) == (near(2.0), near(1.2), near(1.0))
    assert np.isnan(other.error(500)[0])


def test_recovery_is_as_published():
    case, points = GOLDEN["recovery"], 400
    rng = np.random.default_rng(7)
    k = rng.integers(100, 1001, (points, 500)).astype(float)
    delta = draw_contributions(k, c=2, alpha=1.2, sigma=0.05, beta=1.8, rng=rng)
    ids = np.repeat(np.arange(points), 500)
    found = fit_points(group_contributions(ids, k.ravel(), delta.ravel()))
    assert found.ok.all()
    for name, mean in case["mean"].items():
        values = getattr(found, name)
        # Four standard errors of both, theirs from an unknown number of points, at least 50.
        room = 4 * values.std() * np.sqrt(1 / points + 1 / 50)
        assert values.mean() == pytest.approx(mean, abs=room), name
        assert values.std() == pytest.approx(case["sd"][name], rel=0.35), name
    # The errors that are stated are those that are seen, inside and outside the sizes drawn.
    for size in (150, 500, 5000):
        off = (found.value(size) - 2 * size**-1.2) / found.error(size)
        assert off.std() == pytest.approx(1, abs=0.15)
        assert abs(off.mean()) < 0.3


def test_no_grid_finds_a_better_optimum():
    ids, k, delta = drawn(60, 25, seed=3, noise=0.2)
    grouped = group_contributions(ids, k, delta)
    found = fit_points(grouped)
    alpha = np.exp(np.linspace(-6, 2, 60))
    beta = np.exp(np.linspace(-6, 2, 60))
    best = np.full(60, np.inf)
    for i in range(60):
        mine = ids == i
        x, d = np.log(k[mine]), delta[mine]
        for a in alpha:
            v = np.exp(-a * x)
            w = np.exp(beta[:, None] * x)
            c = (w * v) @ d / ((w * v) @ v)
            s2 = np.mean((d - c[:, None] * v) ** 2 * w, axis=1)
            best[i] = min(best[i], np.min(np.log(2 * np.pi * s2) / 2 + 0.5 - beta * x.mean() / 2))
    assert (found.nll <= best + 1e-9).all()
    assert found.gradient.max() < 1e-8


def test_derivatives_are_those_of_the_value():
    rng = np.random.default_rng(5)
    x, w = rng.normal(0, 1, (4, 7)), rng.integers(1, 5, (4, 7)).astype(float)
    block = Block(x - (w * x).sum(1, keepdims=True) / w.sum(1, keepdims=True), w,
                  rng.normal(1, 1, (4, 7)), rng.random((4, 7)))  # fmt: skip
    a, b = rng.normal(0, 0.5, (2, 4))
    now, step = terms(block, a, b), 1e-5
    for j, (da, db) in enumerate(((step, 0), (0, step))):
        up, down = terms(block, a + da, b + db), terms(block, a - da, b - db)
        assert now.g[:, j] == pytest.approx((up.f - down.f) / (2 * step), rel=1e-6, abs=1e-9)
        bend = (up.g - down.g) / (2 * step)
        assert now.h[:, [j, j + 1]] == pytest.approx(bend, rel=1e-6, abs=1e-8)


def test_the_value_without_effect_is_the_best_over_beta():
    _, k, delta = drawn(5, 30)
    x = np.log(k.reshape(5, 30))
    x -= x.mean(axis=1, keepdims=True)
    block = Block(x, np.ones((5, 30)), delta.reshape(5, 30), np.zeros((5, 30)))
    beta = np.exp(np.linspace(-6, 2, 4000))
    plain = [np.min(np.log(np.exp(beta[:, None] * x[i]) @ block.m[i] ** 2) / 2) for i in range(5)]
    assert without_effect(block) == near(plain, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(0.1, 100), st.integers(0, 50))
def test_units_sign_and_order_of_samples_do_not_matter(unit, stretch, seed):
    ids, k, delta = drawn(6, 40, seed)
    one = fit_points(group_contributions(ids, k, delta))
    order = np.random.default_rng(seed).permutation(ids.size)
    other = fit_points(group_contributions(ids[order], stretch * k[order], -unit * delta[order]))
    assert other.verdict.tolist() == one.verdict.tolist()
    sure = one.ok
    assert other.alpha[sure] == near(one.alpha[sure], rel=1e-5)
    assert other.beta[sure] == near(one.beta[sure], rel=1e-5)
    assert other.value(300 * stretch)[sure] == near(-unit * one.value(300)[sure], rel=1e-5)
    assert other.nll == pytest.approx(one.nll + np.log(unit), rel=1e-8, abs=1e-8)


def test_sums_hold_all_that_the_likelihood_needs():
    rng = np.random.default_rng(2)
    k = rng.choice([100.0, 200.0, 400.0, 800.0], 90)
    delta = draw_contributions(k, c=1, alpha=1, sigma=0.05, beta=1.5, rng=rng)
    grouped = group_contributions(np.zeros(90), k, delta)
    assert grouped.size.size == 4
    # The same samples at sizes that all differ in the twelfth digit are not summed up.
    apart = fit_points(group_contributions(np.zeros(90), k * (1 + 1e-12 * np.arange(90)), delta))
    found = fit_points(grouped)
    for name in ("c", "alpha", "sigma", "beta", "nll"):
        assert getattr(found, name)[0] == near(getattr(apart, name)[0], rel=1e-6), name


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("length", [1, 37, 10_000])
def test_a_stream_gives_what_one_table_gives(in_order, length, tmp_path):
    ids, k, delta = drawn(15, 20)
    whole = fit_points(group_contributions(ids, k, delta))
    if not in_order:
        order = np.random.default_rng(1).permutation(ids.size)
        ids, k, delta = ids[order], k[order], delta[order]
    chunks = [
        (ids[i : i + length], k[i : i + length], delta[i : i + length])
        for i in range(0, ids.size, length)
    ]
    words = {} if in_order else {"in_order": False, "folder": tmp_path, "buckets": 4}
    parts = list(fit_stream(chunks, **words))
    assert len(parts) > 1
    found = join_points(parts)
    order = np.argsort(found.point)
    assert found.point[order].tolist() == whole.point.tolist()
    assert found.alpha[order] == near(whole.alpha, rel=1e-12)
    assert found.nll[order] == near(whole.nll, rel=1e-12)
    assert not list(tmp_path.iterdir())


def test_a_stream_holds_one_point_at_a_time():
    asked = 0

    def chunks():
        nonlocal asked
        for i in range(1000):
            asked += 1
            yield np.full(10, i), np.arange(100, 110), np.ones(10)

    parts = stream_contributions(chunks())
    assert [next(parts).point.tolist() for _ in range(3)] == [[0], [1], [2]]
    assert asked < 6


def test_ids_that_fall_are_named_with_their_place():
    chunks = [([1, 2], [5, 5], [0, 0]), ([3, 2], [5, 5], [0, 0])]
    with pytest.raises(InputError, match=r"point\[3\] = 2: comes after a higher id"):
        list(stream_contributions(chunks))


def test_effects_that_are_not_there_are_said_to_be_zero():
    rng, points = np.random.default_rng(11), 600
    k = rng.integers(100, 1001, (points, 50)).astype(float)
    ids = np.repeat(np.arange(points), 50)
    none = draw_contributions(k, c=0, alpha=1, sigma=0.05, beta=1.8, rng=rng)
    found = fit_points(group_contributions(ids, k.ravel(), none.ravel()))
    # 5 % are told from zero by chance, asymptotically.
    assert 0.9 < np.mean(found.verdict == "zero") < 0.99
    sure = fit_points(group_contributions(ids, k.ravel(), none.ravel() + (2 / k).ravel()))
    assert sure.ok.mean() > 0.99


def test_points_that_cannot_be_estimated_say_why():
    words = [
        ([1, 1, 1, 1], [5, 6, 7, 8], [1, 2, 3, 4], "few"),
        ([1] * 6, [5] * 6, [1, 2, 3, 4, 5, 6], "few"),
        ([1] * 6, [5, 6, 7, 8, 9, 10], [0] * 6, "zero"),
    ]
    for ids, k, delta, word in words:
        found = fit_points(group_contributions(ids, k, delta))
        assert found.verdict.tolist() == [word]
        assert not found.ok.any()
    exact = fit_points(group_contributions(ZEROS, K, -3 * K**-0.7))
    assert exact.verdict.tolist() == ["exact"]
    assert (exact.c[0], exact.alpha[0]) == (near(-3.0), near(0.7))
    assert exact.sigma[0] == 0
    assert np.isnan(exact.beta[0])
    assert exact.ok.all()
    # No noise at one of two sizes: its exponent runs to the end.
    steep = fit_points(group_contributions([1] * 6, [100, 100, 100, 1000, 1000, 1000],
                                           [0.9, 1, 1.1, 0.5, 0.5, 0.5]))  # fmt: skip
    assert steep.verdict.tolist() == ["bound"]
    signs = group_contributions([1] * 4, [100, 200, 300, 400], [0.1, -0.1, 0.1, 0.1])
    assert fit_points(signs, estimator="log").verdict.tolist() == ["signs"]
    assert len(fit_points(group_contributions([], [], []))) == 0


def test_the_log_estimator_is_a_line():
    ids, k, delta = drawn(1, 400, seed=4, noise=0.005)
    k = np.round(k, -2)
    grouped = group_contributions(ids, k, delta)
    found = fit_points(grouped, estimator="log")
    x, y = np.log10(grouped.size), np.log10(np.abs(grouped.mean))
    slope, _ = np.polyfit(x, y, 1)
    assert found.alpha[0] == near(-slope, rel=1e-9)
    assert found.r2[0] == near(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-9)
    v = k ** -found.alpha[0]
    assert found.c[0] == near(np.sum(delta * v) / np.sum(v * v), rel=1e-9)


def test_points_near_the_mean_help_it_and_far_ones_harm():
    k = np.array([1.0, 10.0, 1e3, 1e6])
    for d, sigma in ((0.0, 1.0), (1.5, 1.0), (3.0, 2.0)):
        exact = mean_contribution(d, k, sigma=sigma)
        assert exact[-1] * k[-1] ** 2 == near(2 * sigma**2 - d**2, rel=1e-5)
    assert mean_contribution(np.sqrt(2), 1e9) == pytest.approx(0, abs=1e-26)
    sizes = np.arange(100, 1001, 100)
    distance = np.array([0.0, 0.3, 3.0])
    parts = join_points(fit_stream(draw_mean_contributions(distance, sizes, repeats=4000, rng=1)))
    assert parts.value(400) == pytest.approx(
        mean_contribution(distance, 400), abs=4 * parts.error(400).max()
    )
    off = (parts.value(400) - mean_contribution(distance, 400)) / parts.error(400)
    assert abs(off).max() < 4
    assert parts.alpha[0] == pytest.approx(2, abs=0.1)
    assert (parts.c[:2] > 0).all()
    assert parts.c[2] < 0


def test_draws_of_the_exact_case_have_its_mean():
    point, k, delta = next(draw_mean_contributions([0.5, 2.0], [3, 30], repeats=20_000, rng=4))
    for i, d in enumerate((0.5, 2.0)):
        for size in (3, 30):
            mine = delta[(point == i) & (k == size)]
            sem = mine.std() / np.sqrt(mine.size)
            assert abs(mine.mean() - mean_contribution(d, size)) < 4 * sem


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 8), st.integers(1, 300), st.integers(0, 3000))
def test_means_of_powers_are_sums(alpha, low, more):
    k = np.arange(low, low + more + 1, dtype=float)
    assert mean_power(alpha, low, low + more) == near(np.mean(k**-alpha), rel=1e-11)


def test_means_of_powers_over_endless_ranges():
    assert mean_power(1.0, 1, 10**15) * 1e15 == near(np.log(1e15) + 0.5772156649015329, rel=1e-12)
    assert mean_power(0.0, 7, 10**15) == near(1.0, rel=1e-12)
    assert mean_power(2.0, 1, 10**15) * 1e15 == near(np.pi**2 / 6, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 60), st.booleans(), st.integers(0, 99))
def test_classes_are_in_balance_and_the_best_of_each_are_taken(n, classes, count, worst, seed):
    rng = np.random.default_rng(seed)
    score, labels = rng.normal(size=n), rng.integers(0, classes, n)
    score[rng.random(n) < 0.1] = np.nan
    found = select_points(score, count=count, labels=labels, worst=worst)
    every = np.concatenate([found.chosen, found.left, found.refused])
    assert sorted(every.tolist()) == list(range(n))
    assert np.isnan(score[found.refused]).all()
    assert found.chosen.size == min(count, n - found.refused.size)
    taken = np.bincount(labels[found.chosen], minlength=classes)
    there = np.bincount(labels[~np.isnan(score)], minlength=classes)
    # No class has two more than one that still had points.
    for a in range(classes):
        for b in range(classes):
            assert taken[a] <= taken[b] + 1 or taken[b] == there[b]
    sign = -1 if worst else 1
    for c in range(classes):
        mine, rest = (sign * score[v[labels[v] == c]] for v in (found.chosen, found.left))
        assert not mine.size or not rest.size or mine.min() >= rest.max()


def test_selection_keeps_to_its_limits():
    score = np.array([0.3, -0.2, 0.1, -0.5, np.nan])
    assert select_points(score, count=9).chosen.tolist() == [0, 2, 1, 3]
    assert select_points(score, count=9, beyond=0).chosen.tolist() == [0, 2]
    assert select_points(score, count=9, worst=True, beyond=0).chosen.tolist() == [3, 1]
    usable = np.array([True, True, True, False, True])
    found = select_points(score, count=1, worst=True, usable=usable)
    assert (found.chosen.tolist(), found.refused.tolist()) == ([1], [3, 4])
    assert found.to_dict() == {"chosen": [1], "score": [-0.2], "left": 2, "refused": 2}
    assert "1 chosen" in repr(found)


def test_ranks_depend_on_the_size_of_the_set():
    k = np.tile(np.arange(100, 1001, 100), 8).astype(float)
    rng = np.random.default_rng(0)
    rows = [
        draw_contributions(k, c=c, alpha=a, sigma=1e-3, beta=1.8, rng=rng)
        for c, a in ((50, 1.6), (0.01, 0.4))
    ]
    found = fit_points(group_contributions(np.repeat([0, 1], 80), np.tile(k, 2), np.ravel(rows)))
    assert select_points(found.value(500), count=1).chosen[0] == 0
    assert select_points(found.value(5000), count=1).chosen[0] == 1


def test_error_curves_are_recovered():
    rng = np.random.default_rng(0)
    k = np.repeat(np.geomspace(100, 1e5, 20), 10)
    exact = fit_error_curve(k, 0.12 + 4 * k**-0.6)
    assert exact.verdict == "exact"
    assert (exact.floor, exact.c, exact.alpha) == (
        near(0.12, rel=1e-4), near(4, rel=1e-4), near(0.6, rel=1e-4)
    )  # fmt: skip
    errors = 0.12 + 4 * k**-0.6 + 0.3 * k**-0.5 * rng.standard_normal(200)
    found = fit_error_curve(k, errors)
    assert found.verdict == "ok"
    assert found.floor == pytest.approx(0.12, abs=0.01)
    assert found.alpha == pytest.approx(0.6, abs=0.08)
    assert found.sigma == pytest.approx(0.3, rel=0.6)
    assert found.beta == pytest.approx(1.0, abs=0.1)
    assert found(k).shape == k.shape
    # The likelihood, written out.
    w = k**found.beta
    s2 = np.mean((errors - found(k)) ** 2 * w)
    nll = np.log(2 * np.pi * s2) / 2 + 0.5 - found.beta / 2 * np.log(k).mean()
    assert found.nll == near(nll, rel=1e-9)
    other = fit_error_curve(1e3 * k, 7 * errors)
    assert other.floor == near(7 * found.floor, rel=1e-3)
    none = fit_error_curve(k, 4 * k**-0.6 * np.exp(0.01 * rng.standard_normal(200)))
    assert none.floor < 1e-3
    assert set(none.to_dict()) == set(type(none).__slots__)


def test_results_are_plain_and_frozen():
    found = fit_points(group_contributions(*drawn(3)))
    assert isinstance(found, PointLaws)
    assert not found.alpha.flags.writeable
    assert list(found.to_dict())[:3] == ["point", "c", "alpha"]
    assert "3 points" in repr(found)
    assert len(group_contributions(*drawn(3)).part(1, 2)) == 1


@pytest.mark.parametrize(
    ("call", "piece"),
    [
        (lambda: group_contributions([0.5], [1], [1]), r"point\[0\] = 0.5"),
        (lambda: group_contributions([1, 2], [1], [1]), "lengths differ"),
        (lambda: group_contributions([1], [0], [1]), r"k\[0\] = 0.0: must be between"),
        (lambda: group_contributions([1], [1], [np.nan]), r"delta\[0\] = nan"),
        (lambda: group_contributions(["a"], [1], [1]), "expected numbers"),
        (lambda: group_contributions([[1]], [1], [1]), "one dimension"),
        (lambda: group_contributions([2.0**60], [1], [1]), "2.53"),
        (lambda: list(stream_contributions([], in_order=False, buckets=0)), "buckets"),
        (lambda: fit_points(group_contributions([1], [1], [1]), estimator="x"), "estimator"),
        (lambda: fit_points(group_contributions([1], [1], [1])).value(0), "k = 0"),
        (lambda: mean_power(1, 0, 5), "low = 0"),
        (lambda: mean_power(1, 6, 5), "above high"),
        (lambda: join_points([]), "empty"),
        (lambda: select_points([1.0], count=0), "count"),
        (lambda: select_points([1.0], count=1, labels=[1, 2]), "labels"),
        (lambda: select_points([[1.0]], count=1), "one dimension"),
        (lambda: next(draw_mean_contributions([0], [1], repeats=0)), "repeats"),
        (lambda: mean_contribution(0, 1, sigma=0), "sigma"),
        (lambda: fit_error_curve([1, 2, 3], [1, 1, 1]), "5 samples"),
        (lambda: fit_error_curve([1, 2, 3, 4, 5], [1, 1, 1, 1, -1]), "error = -1"),
        (lambda: fit_error_curve([1, 2, 3, 4, 5], [1, 1]), "lengths differ"),
    ],
)
def test_mistakes_are_named(call, piece):
    with pytest.raises(InputError, match=piece):
        call()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from([1e-3, 1.0, 7.0, 1e5, 1e10]),
            st.sampled_from([0.0, 1e-149, -1.0, 1.0, 3.0, 1e149]),
        ),
        min_size=5, max_size=25,
    )
)  # fmt: skip
def test_extreme_samples_end_in_an_estimate_or_a_reason(rows):
    found = fit_points(group_contributions(*zip(*rows, strict=True)))
    assert set(found.verdict) <= {"ok", "few", "exact", "zero", "bound", "unconverged"}
    known = found.verdict != "few"
    assert np.isfinite(found.value(100.0)[known & (found.verdict != "zero")]).all()
    fit_points(group_contributions(*zip(*rows, strict=True)), estimator="log").value(10)
