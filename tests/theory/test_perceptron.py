"""The pruned perceptron: printed digits, published equations, identities, limits, hostile input."""

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from isoloss.errors import FitError, InputError
from isoloss.theory import pruned_perceptron
from isoloss.theory.perceptron import PrunedPerceptron, as_law
from isoloss.theory.perceptron_moments import gauss, line_moments, plane_moments
from isoloss.theory.perceptron_solve import Student, equations, trace

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "perceptron.toml").read_text())
EVERYWHERE = settings(max_examples=12, deadline=None)
fractions = st.floats(-4, 0).map(lambda x: 10.0**x)
alphas = st.floats(-3, 4).map(lambda x: 10.0**x)
angles = st.one_of(st.floats(0, 90), st.floats(-4, 1).map(lambda x: 10.0**x))
keeps = st.sampled_from(["hard", "easy", "random"])


def printed(value, text):
    """Whether a number rounds to the digits printed."""
    digits = len(text.partition("e")[0].partition(".")[2]) - int(text.partition("e")[2] or 0)
    assert abs(float(value) - float(text)) <= 0.501 * 10.0**-digits, (float(value), text)


def solved(keep, fraction, theta, alpha, **words):
    return pruned_perceptron(alpha, fraction, np.deg2rad(theta), keep=keep, **words).require()


@pytest.mark.parametrize(
    "row", GOLDEN["points"], ids=lambda r: "-".join(map(str, list(r.values())[:4]))
)
def test_printed_points(row):
    found = solved(row["keep"], row["fraction"], row["theta"], row["alpha"])
    for name in ("R", "rho", "kappa", "eps"):
        if name in row:
            printed(getattr(found, name), row[name])


def test_printed_tables_of_pools():
    pools = GOLDEN["pools"]
    rows = pools["rows"]
    found = pruned_perceptron(
        alpha_tot=np.array(pools["alpha_tot"]),
        fraction=np.array([[r["fraction"]] for r in rows]),
        keep=[[r["keep"]] for r in rows],
    ).require()
    for row, values in zip(rows, found.eps, strict=True):
        for value, text in zip(values, row["eps"], strict=True):
            printed(value, text)


def test_printed_tables_of_imperfect_probes():
    table = GOLDEN["angles"]
    for row in table["rows"]:
        for keep in ("hard", "easy"):
            found = pruned_perceptron(
                alpha_tot=table["alpha_tot"], fraction=row["fraction"],
                theta=np.deg2rad(row["theta"]), keep=keep,
            )  # fmt: skip
            for value, text in zip(found.eps, row[keep], strict=True):
                printed(value, text)


def rule(ends, nodes=60):
    """Gauss's rule over panels."""
    x, weight = gauss(nodes)
    low, wide = np.array(ends[:-1]), np.diff(ends)
    return (low[:, None] + wide[:, None] * x).ravel(), (wide[:, None] * weight).ravel()


@pytest.mark.parametrize(("fraction", "alpha"), [(1.0, 2.0), (0.5, 1.5), (0.2, 2.0), (0.5, 4.0)])
def test_published_equations_of_a_perfect_probe(fraction, alpha):
    found = solved("hard", fraction, 0, alpha)
    R, kappa, s2 = float(found.R), float(found.kappa), 1 - float(found.R) ** 2
    g = math.sqrt(2) * float(as_law(*(np.array([v]) for v in (fraction, 0.0, "hard"))).high[0])
    g /= math.sqrt(2)
    t, weight = rule([-9, -5, -2, -0.5, kappa])
    weight = weight * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
    cut = 1.0 if math.isinf(g) else 1 - np.exp(-g * (g - 2 * R * t) / (2 * s2))
    first = weight @ (np.exp(-(R**2) * t**2 / (2 * s2)) * cut * (kappa - t))
    found_R = 2 * alpha / (fraction * math.sqrt(2 * math.pi * s2)) * first
    assert found_R == pytest.approx(R, rel=1e-9)
    s = math.sqrt(s2)
    inside = ndtr(R * t / s) - (0 if math.isinf(g) else ndtr((R * t - g) / s))
    assert s2 == pytest.approx(
        2 * alpha / fraction * (weight @ (inside * (kappa - t) ** 2)), rel=1e-9
    )


@pytest.mark.parametrize(
    ("keep", "theta", "fraction", "alpha"),
    [
        ("hard", 20, 0.5, 2.5),
        ("hard", 10, 0.2, 2.0),
        ("easy", 20, 0.5, 1.5),
        ("hard", 45, 0.1, 2.5),
    ],
)
def test_published_equations_of_an_imperfect_probe(keep, theta, fraction, alpha):
    found = solved(keep, fraction, theta, alpha)
    R, rho, kappa = float(found.R), float(found.rho), float(found.kappa)
    angle = math.radians(theta)
    s, c = math.sin(angle), math.cos(angle)
    law = as_law(*(np.array([v]) for v in (fraction, angle, keep)))
    if keep == "hard":
        g = float(law.high[0])
        z, wz = rule([-g, -g / 2, 0, g / 2, g])
    else:
        g = float(law.low[0])
        z, wz = rule([g, g + 1, g + 3, 9])
        z, wz = np.concatenate([-z, z]), np.concatenate([wz, wz])
    wz = wz * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / fraction
    t, wt = rule([-9, -5, -3, -1.5, -0.5, 0, kappa])
    z, t, weight = z[:, None], t[None, :], wz[:, None] * wt[None, :]
    L = math.sqrt(s**2 - R**2 - rho**2 + 2 * rho * R * c)
    gamma = z * (rho * R - c) - t * (R - rho * c)
    delta = z**2 * (rho**2 + c**2 - 2 * rho * R * c) + 2 * t * z * (R * c - rho) + t**2 * s**2
    one = 1 - rho**2
    density = np.exp(-((t - rho * z) ** 2) / (2 * one)) / math.sqrt(2 * math.pi * one)
    half = ndtr(-gamma / (math.sqrt(one) * L))
    bell, short = np.exp(-delta / (2 * L**2)), kappa - t
    total = lambda values: float((weight * values).sum())  # noqa: E731
    assert (R - rho * c) / s**2 == pytest.approx(
        alpha / (math.pi * L) * total(bell * short), rel=1e-7
    )
    assert 1 - (rho**2 + R**2 - 2 * rho * R * c) / s**2 == pytest.approx(
        2 * alpha * total(density * half * short**2), rel=1e-7
    )
    mixed = density * half * (z - rho * t) / one + bell * (rho * R - c) / (2 * math.pi * L * one)
    assert (rho - R * c) / s**2 == pytest.approx(2 * alpha * total(mixed * short), abs=1e-7)


@given(keep=keeps, fraction=fractions, theta=angles, alpha=alphas)
@EVERYWHERE
def test_solved_everywhere_with_the_identity_of_support_vectors(keep, fraction, theta, alpha):
    found = solved(keep, fraction, theta, alpha)
    assert found.residual < 1e-8
    assert 0 < found.eps < 0.5
    assert found.kappa > 0
    number = alpha * float(found.support_fraction)
    assert number < 1
    # 1 - aP = a kappa M1, from averages that the solver did not use: twice the nodes.
    law = as_law(*(np.array([v]) for v in (fraction, np.deg2rad(theta), keep)))
    hyp, chi, r = inside(found, law)
    tau = (found.kappa - law.low * hyp * np.cos(law.theta - chi)) / r
    if law.theta[0] > 0:
        m = plane_moments(law, hyp, chi, r, tau, nodes=24)
    else:
        m = line_moments(law, hyp, r, tau)
    lost = 1e-9 + 1e-15 / float(r[0])
    assert float((alpha * found.kappa * r * m.m1)[0]) == pytest.approx(
        1 - number, rel=1e-7, abs=lost
    )


def inside(found, law):
    """Length, angle and rest of the student, from what is public; (R, c, r) for tiny r by eps."""
    R = float(found.R)
    if law.theta[0] == 0:
        far = math.pi * float(found.eps)
        return np.array([math.cos(far)]), np.zeros(1), np.array([math.sin(far)])
    # rho = R cos + c sin loses digits at small angles: solve again for the student instead.
    from isoloss.theory.perceptron_solve import solve

    at = solve(law, np.atleast_1d(found.alpha_prune), np.zeros(1, dtype=int), law).student
    assert float((at.hyp * np.cos(at.chi))[0]) == pytest.approx(R, rel=1e-9)
    return at.hyp, at.chi, at.r


@given(fraction=fractions, alpha=alphas)
@EVERYWHERE
def test_a_probe_that_knows_nothing_is_random(fraction, alpha):
    found = pruned_perceptron(alpha, fraction, np.pi / 2, keep=["hard", "easy", "random"])
    for name in ("R", "kappa", "eps", "support_fraction"):
        values = getattr(found, name)
        assert values[0] == values[1] == values[2]
    assert found.rho.tolist() == [0, 0, 0]
    near = pruned_perceptron(alpha, max(fraction, 1e-2), np.deg2rad(89.9999), keep=["hard", "easy"])
    np.testing.assert_allclose(near.eps, found.eps[0], rtol=2e-5)


@given(theta=angles, alpha=alphas)
@EVERYWHERE
def test_keeping_everything_is_random(theta, alpha):
    angle = np.deg2rad(theta)
    full = pruned_perceptron(alpha, 1.0, angle, keep=["hard", "easy", "random"])
    assert full.eps[0] == full.eps[1] == full.eps[2]
    assert full.rho[0] == pytest.approx(float(full.R[0]) * math.cos(angle), abs=1e-15)
    near = pruned_perceptron(alpha, 1 - 1e-9, angle, keep=["hard", "easy"])
    np.testing.assert_allclose(near.eps, full.eps[0], rtol=1e-5)


@given(
    keep=keeps, fraction=fractions, theta=angles, alpha=st.floats(-3, 3.9).map(lambda x: 10.0**x)
)
@EVERYWHERE
def test_more_examples_narrow_the_margin(keep, fraction, theta, alpha):
    found = solved(keep, fraction, theta, [alpha, 1.25 * alpha])
    assert found.kappa[1] < found.kappa[0]


def test_small_angles_join_the_perfect_probe():
    for keep in ("hard", "easy"):
        found = pruned_perceptron(2.5, 0.3, [0, 1e-11, 1e-9, 1e-6, 1e-4], keep=keep).require()
        np.testing.assert_allclose(found.eps, found.eps[0], rtol=2e-4)
        assert abs(found.eps[3] / found.eps[0] - 1) < 2e-6


def test_the_step_at_capacity_is_resolved():
    alpha = np.array([1.9, 1.99, 2.0, 2.0001, 2.01, 2.1])
    for fraction in (1e-2, 1e-4, 1e-6):
        found = pruned_perceptron(alpha, fraction).require()
        assert (np.diff(found.eps) < 0).all()
        assert found.eps[0] > 0.4
        assert found.eps[-1] < 0.6 * fraction


@pytest.mark.parametrize("plane", [False, True])
@pytest.mark.parametrize("keep", ["hard", "easy"])
def test_derivatives_are_those_of_the_equations(plane, keep):
    law = as_law(*(np.array([v]) for v in (0.3, 0.4 * plane, keep)))
    at = np.array([[-0.4], [0.5], [0.1 * plane]])
    _, _, slopes = equations(law, Student(*at), plane, 24)
    for i in range(3 if plane else 2):
        move = np.zeros((3, 1))
        move[i] = 1e-5
        up, down = (equations(law, Student(*(at + k * move)), plane, 24)[1] for k in (1, -1))
        # The third is scaled by a margin whose own derivative vanishes with it.
        rows = slice(0, 2)
        np.testing.assert_allclose(((up - down) / 2e-5)[0, rows], slopes[0, rows, i], atol=1e-8)


def test_moments_have_converged_where_they_bend_most():
    rng = np.random.default_rng(0)
    n = 60
    f, theta = 10 ** rng.uniform(-4, 0, n), np.deg2rad(10 ** rng.uniform(-3, 1.95, n))
    keep = np.where(rng.random(n) < 0.5, "hard", "easy")
    alpha = 10 ** rng.uniform(-3, 4, n)
    law = as_law(f, theta, keep)
    from isoloss.theory.perceptron_solve import solve

    found = solve(law, alpha, np.arange(n), law)
    _, miss, slopes = equations(law, found.student, True, 26)
    miss[:, 0] += np.log(alpha)
    move = np.linalg.solve(slopes, miss[..., None])[..., 0]
    at = found.student
    c = at.hyp * np.sin(at.chi)
    size2 = at.r**2 + c**2
    shift = np.abs(at.r**2 * at.hyp * np.cos(at.chi) * move[:, 0] + c * move[:, 2]) / size2
    assert shift.max() < 1e-7


def test_curves_rise_in_examples_to_their_end():
    law = as_law(np.array([0.1, 1e-4]), np.deg2rad([10.0, 1e-3]), np.array(["hard", "easy"]))
    curve = trace(law, np.log([0.02, 0.02]), np.log([1e3, 1e3]), True)
    for k in range(2):
        log_a = curve.at[0, :, k]
        log_a = log_a[np.isfinite(log_a)]
        assert (np.diff(log_a) > -1e-5).all()
        assert log_a[-1] >= math.log(1e3)


def test_a_curve_that_is_lost_is_no_answer(monkeypatch):
    from isoloss.theory import perceptron_solve as room

    real = room._correct
    monkeypatch.setattr(room, "_correct", lambda *a: tuple(v * np.nan for v in real(*a)))
    found = pruned_perceptron([1.0, 3.0], 0.3, [0.0, 0.4])
    assert not found.converged.any()
    with pytest.raises(FitError, match="not solved"):
        found.require()


def test_fraction_zero_is_a_limit():
    angle = np.deg2rad(20)
    for keep, theta, alpha in (("hard", 0, 1.5), ("hard", 0, 3), ("hard", angle, 3)):
        zero = pruned_perceptron(alpha, 0, theta, keep=keep)
        near = pruned_perceptron(alpha, 1e-6, theta, keep=keep)
        for name in ("R", "rho", "kappa", "eps", "support_fraction"):
            assert float(getattr(zero, name)) == pytest.approx(float(getattr(near, name)), abs=1e-5)
        assert np.isinf(zero.alpha_tot)
    # The easiest are infinitely easy, but only as the root of a logarithm.
    zero = pruned_perceptron([0.3, 2], 0, angle, keep="easy")
    near = pruned_perceptron([0.3, 2], [[1e-3], [1e-6]], angle, keep="easy")
    assert zero.eps == pytest.approx(20 / 180)
    assert np.isinf(zero.kappa).all()
    gap = np.abs(near.support_fraction - zero.support_fraction)
    assert (gap[1] < gap[0]).all()
    assert (gap[1] < 0.01).all()
    assert pruned_perceptron(2, 0, keep="random").eps == pruned_perceptron(2, keep="random").eps
    blind = pruned_perceptron(2, 0, np.pi / 2)
    assert float(blind.eps) == pytest.approx(float(pruned_perceptron(2, keep="random").eps))


@pytest.mark.parametrize(
    ("words", "piece"),
    [
        ({"alpha_prune": 0}, "alpha_prune"),
        ({"alpha_prune": -1}, "positive"),
        ({"alpha_prune": math.nan}, "finite"),
        ({"alpha_prune": math.inf}, "finite"),
        ({"alpha_prune": 1e7}, "kept examples"),
        ({"alpha_prune": []}, "empty"),
        ({"alpha_prune": "two"}, "numbers"),
        ({"fraction": 1.5}, "share"),
        ({"fraction": -0.1}, "share"),
        ({"fraction": math.nan}, "share"),
        ({"fraction": 1e-9}, "limit"),
        ({"theta": 20}, "deg2rad"),
        ({"theta": -0.1}, "radians"),
        ({"theta": math.nan}, "radians"),
        ({"keep": "soft"}, "soft"),
        ({"keep": ["hard", "medium"]}, "medium"),
        ({"alpha_tot": 3}, "either"),
        ({"alpha_prune": None}, "either"),
        ({"alpha_prune": None, "alpha_tot": 3, "fraction": 0}, "limit|kept examples"),
        ({"alpha_prune": [1, 2], "fraction": [0.1, 0.2, 0.3]}, "broadcast"),
    ],
)
def test_bad_input_is_named(words, piece):
    with pytest.raises(InputError, match=piece):
        pruned_perceptron(**({"alpha_prune": 2, "fraction": 0.5} | words))


def test_results_are_whole_and_read_only():
    found = pruned_perceptron([[1], [2]], [0.5, 0.5, 0.2], keep="hard")
    assert found.eps.shape == (2, 3)
    assert (found.eps[:, 0] == found.eps[:, 1]).all()
    assert len(found.to_columns()["keep"]) == 6
    assert found.to_dict()["keep"][0][0] == "hard"
    assert "shape (2, 3)" in repr(found)
    with pytest.raises(ValueError, match="read-only"):
        found.eps[0, 0] = 0
    assert found.converged.all()
    broken = PrunedPerceptron(
        **{name: getattr(found, name) for name in found.__slots__ if name != "residual"},
        residual=np.ones((2, 3)),
    )
    assert broken.status == "failed"
    with pytest.raises(FitError, match="alpha_prune 1"):
        broken.require()


@pytest.mark.slow
def test_a_grid_over_the_whole_range_is_solved():
    rng = np.random.default_rng(1)
    n = 1500
    theta = np.where(rng.random(n) < 0.5, rng.uniform(0, 90, n), 10 ** rng.uniform(-4, 1.9, n))
    found = pruned_perceptron(
        10 ** rng.uniform(-3, 4, n), 10 ** rng.uniform(-4, 0, n),
        np.deg2rad(theta), keep=rng.choice(["hard", "easy"], n),
    )  # fmt: skip
    assert found.converged.all()
