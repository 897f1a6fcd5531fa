"""Widths: known bias and variance, random features and their limit, coverage, borders."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.cli import main
from isoloss.errors import InputError
from isoloss.theory import power_law, simulate_widths, width_consistency, width_losses

WIDTHS = np.array([16.0, 32.0, 64.0, 128.0, 256.0])


def made(
    rng: np.random.Generator, seeds: int, *, shift: float = 8.0, scatter: float = 1.0,
    power: float = 1.0, points: int = 40,
) -> np.ndarray:  # fmt: skip
    """Predictions 1 + shift n^-power, and a scatter of variance scatter^2/n."""
    n = WIDTHS[:, None, None]
    noise = rng.standard_normal((len(WIDTHS), seeds, points)) * scatter / np.sqrt(n)
    return np.asarray(1 + shift * n**-power + noise)


def test_without_scatter_the_slopes_are_exact() -> None:
    rng = np.random.default_rng(0)
    pairs = np.array([-1.0, 1.0, 0.0])[None, :, None] * rng.uniform(1, 2, 30)
    F = made(rng, 3, scatter=0.0, points=30) + 1e-9 * pairs / np.sqrt(WIDTHS)[:, None, None]
    for reference in ("widest", "extrapolated", np.ones(30)):
        found = width_consistency(F, WIDTHS, reference=reference)
        assert found.bias[0].exponent == pytest.approx(1.0, abs=1e-4)
        assert found.scatter[0].exponent == pytest.approx(1.0, abs=1e-6)
        assert found.bias[0].verdict == found.scatter[0].verdict == "consistent"
        np.testing.assert_allclose(found.deviation, found.bias2 + found.variance)
    np.testing.assert_allclose(found.bias2[0], (8 / WIDTHS) ** 2, rtol=1e-6)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_other_exponents_are_told_apart(power: float) -> None:
    shift = 8.0 if power < 1 else 100.0
    F = made(np.random.default_rng(1), 20, shift=shift, power=power, scatter=0.3)
    found = width_consistency(F, WIDTHS, reference=np.ones(40)).bias[0]
    assert found.exponent == pytest.approx(power, abs=0.1)
    assert found.verdict == ("slower" if power < 1 else "faster")
    # Beside the widest the exponent is nearer one, on the same side.
    assert width_consistency(F, WIDTHS).bias[0].verdict == found.verdict


@pytest.mark.parametrize("reference", ["widest", "extrapolated", "given"])
def test_bias_and_variance_have_no_bias(reference: str) -> None:
    rng, found = np.random.default_rng(2), []
    for _ in range(200):
        F = made(rng, 4, points=10)
        given = np.ones(10) if reference == "given" else reference
        made_of = width_consistency(F, WIDTHS, reference=given)
        found.append(np.stack([made_of.bias2[0], made_of.variance[0]]))
    mean, sem = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    shift = 8 / WIDTHS - (8 / WIDTHS[-1] if reference == "widest" else 0)
    assert np.all(np.abs(mean[0] - shift**2) < 4 * sem[0] + 1e-12)
    assert np.all(np.abs(mean[1] - 1 / WIDTHS) < 4 * sem[1])


def test_intervals_cover() -> None:
    """90 % intervals hold the truth, and exist, at least 82 % of the time: 4.2 standard errors."""
    held = np.zeros(3)
    for seed in range(250):
        rng = np.random.default_rng(seed)
        found = width_consistency(made(rng, 6, points=12), WIDTHS)
        width = np.repeat(WIDTHS, 4)
        loss = 2 + 6 / width + 0.03 * rng.standard_normal(len(width)) / np.sqrt(width)
        losses = width_losses(width, loss)
        for i, e in enumerate((found.bias[0], found.scatter[0], losses.exponents[0])):
            held[i] += e.interval is not None and 1.0 in e.interval
    assert (held >= 0.82 * 250).all(), held / 250


def test_nothing_to_see_is_unresolved() -> None:
    F = made(np.random.default_rng(3), 5, shift=0.0)
    found = width_consistency(F, WIDTHS)
    assert found.bias[0].verdict == "unresolved"
    assert found.bias[0].exponent is None
    assert found.scatter[0].verdict == "consistent"
    assert found.to_dict()["bias"][0] == {
        "exponent": None, "interval": None, "verdict": "unresolved",
    }  # fmt: skip


def test_random_features_reach_their_kernel_as_one_over_width() -> None:
    spectrum = power_law(b=0.5, a=0.5, M=60)
    made = simulate_widths(spectrum, [128, 256, 512, 1024], 32, [0.5, 3.0], seeds=40, rng=4)
    for e in made.consistency().scatter:
        # Terms of order 1/n^2 move the exponent of the variance by about T/n.
        assert e.exponent == pytest.approx(1.0, abs=0.12)
    made = simulate_widths(spectrum, [64, 128, 256], 32, 3.0, seeds=200, rng=4)
    wide = made.consistency()
    assert wide.bias[0].verdict == "consistent"
    assert made.consistency(reference="extrapolated").bias[0].verdict == "consistent"
    # Ensembles of the narrowest keep the bias: their mean is farther off than that of the widest.
    assert wide.bias2[0, 0] > 4 * wide.bias2[0, 2] > 0


def test_simulated_widths_early_late_and_again() -> None:
    spectrum = power_law(b=1.2, a=1.5, M=50)
    one, two = (
        simulate_widths(spectrum, [8, 30], 20, [1e-6, 2e-6, np.inf], seeds=3, noise=0.1, rng=5)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.predictions, two.predictions)
    assert one.predictions.shape == (2, 3, 3, 50)
    np.testing.assert_allclose(
        one.predictions[..., 1, :], 2 * one.predictions[..., 0, :], rtol=1e-4
    )
    # Least squares on fewer features than samples, on the same draw of features.
    assert np.isfinite(one.predictions[..., 2, :]).all()
    many = simulate_widths(spectrum, [20_000], 20, 1.0, seeds=2, rng=6)
    off = np.mean((many.predictions[0] - many.limit) ** 2) / np.mean(many.limit**2)
    assert 0 < off < 0.01
    assert repr(many) == "SimulatedWidths(1 widths, 2 seeds, 1 times, 50 points)"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"widths": [2.5]}, "widths"),
        ({"widths": [np.inf]}, "widths"),
        ({"T": 0}, "T"),
        ({"t": -1.0}, "t"),
        ({"seeds": 1}, "draws"),
        ({"points": 10**8}, "fewer"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_misuse_of_simulation(change: dict[str, Any], match: str) -> None:
    options = {"widths": [8, 16], "T": 4, "t": 1.0} | change
    with pytest.raises(InputError, match=match):
        simulate_widths(power_law(b=1.2, a=1.5, M=50), **options)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.floats(0.1, 20), st.integers(0, 100))
def test_units_and_order(scale: float, move: float, unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    F = made(rng, 5, points=8)
    base = width_consistency(F, WIDTHS)
    order = rng.permutation(len(WIDTHS))
    other = width_consistency(scale * F[order][:, ::-1] + move, unit * WIDTHS[order])
    np.testing.assert_allclose(other.variance, scale**2 * base.variance, rtol=1e-7)
    np.testing.assert_allclose(other.bias2, scale**2 * base.bias2, rtol=1e-7, atol=1e-7 * scale**2)
    for a, b in zip(base.bias + base.scatter, other.bias + other.scatter, strict=True):
        assert (a.exponent is None) == (b.exponent is None)
        if a.exponent is not None:
            assert b.exponent == pytest.approx(a.exponent, abs=1e-3)


def test_losses_over_time() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (n, t, 2 + 6 * n**-c + 0.002 * rng.standard_normal())
        for n in WIDTHS for t, c in ((1.0, 1.0), (2.0, 0.4)) for _ in range(4)
    ]  # fmt: skip
    n, t, loss = np.array(rows).T
    found = width_losses(n, loss, time=t)
    assert [e.verdict for e in found.exponents] == ["consistent", "slower"]
    early = width_losses(n[t == 1], loss[t == 1])
    np.testing.assert_allclose(found.gap[0], early.gap[0], rtol=1e-12)
    assert found.exponents[0].exponent == pytest.approx(early.exponents[0].exponent, abs=1e-5)
    assert found.widest == 256
    by_hand = loss[(n == 16) & (t == 1)], loss[(n == 256) & (t == 1)]
    assert found.gap[0, 0] == pytest.approx(by_hand[0].mean() - by_hand[1].mean())
    sem = np.sqrt(sum(v.var(ddof=1) / 4 for v in by_hand))
    assert found.sem[0, 0] == pytest.approx(sem, rel=1e-12)
    assert len(found.summary().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"F": np.ones((3, 4))}, "shape"),
        ({"F": np.ones((5, 2, 4))}, "2 seeds"),
        ({"F": np.full((5, 4, 3), np.nan)}, "not finite"),
        ({"n": [1, 2, 3, 4]}, "one each"),
        ({"n": [16, 16, 64, 128, 256]}, "twice"),
        ({"n": [0, 16, 64, 128, 256]}, "positive"),
        ({"F": np.ones((2, 4, 3)), "n": [1, 2]}, "needs 3"),
        ({"F": [np.ones((4, 3)), np.ones((4, 2)), np.ones((4, 3))], "n": [1, 2, 3]}, "shape"),
        ({"reference": "endless"}, "reference"),
        ({"reference": np.ones(7)}, "reference"),
        ({"level": 1.0}, "level"),
        ({"F": np.full((5, 3, 2), 1e160)}, "1e\\+150"),
        ({"n": [1e-9, 1, 2, 3, 4]}, "between"),
    ],
)
def test_misuse(change: dict[str, Any], match: str) -> None:
    options = {"F": made(np.random.default_rng(0), 4), "n": WIDTHS} | change
    with pytest.raises(InputError, match=match):
        width_consistency(options.pop("F"), options.pop("n"), **options)


def test_values_without_scatter_or_without_a_gap() -> None:
    width = np.repeat([1.0, 2.0, 4.0, 8.0], 2)
    for loss in (np.full(8, 3.0), 2 - 1 / width, np.zeros(8)):
        assert width_losses(width, loss).exponents[0].verdict == "unresolved"
    for size in (1e-200, 1.0, 1e140):
        found = width_losses(width, size * (1 + 1 / width)).exponents[0]
        assert found.exponent == pytest.approx(1.0, abs=1e-4)
        assert found.verdict == "consistent"
    same = width_consistency(np.ones((4, 3, 5)), [1, 2, 4, 8])
    assert same.bias[0].verdict == same.scatter[0].verdict == "unresolved"
    assert not same.bias2.any()


def test_misuse_of_losses() -> None:
    with pytest.raises(InputError, match="lengths"):
        width_losses([1, 2], [1.0])
    with pytest.raises(InputError, match="2 different widths"):
        width_losses([1, 1, 2, 2], [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(InputError, match="width 3 at time 1: 1 runs"):
        width_losses([1, 1, 2, 2, 3], np.ones(5), time=np.ones(5))


def test_command(tmp_path: Any) -> None:
    rng = np.random.default_rng(6)
    rows = ["d_model,step,loss"]
    for n in (32, 64, 128, 256):
        rows += [f"{n},100,{2 + 6 / n + 0.003 * rng.standard_normal()}" for _ in range(3)]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(rows))
    base = ["theory", "widths", str(path), "--width", "d_model"]
    result = CliRunner().invoke(main, [*base, "--time", "step", "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["exponents"][0]["verdict"] == "consistent"
    assert answer["widths"] == [32, 64, 128]
    assert "consistent" in CliRunner().invoke(main, base).stderr
    noisy = [r if i == 0 else r[: r.rindex(",") + 1] + str(2 + i % 3) for i, r in enumerate(rows)]
    path.write_text("\n".join(noisy))
    assert CliRunner().invoke(main, base).exit_code == 3
    for bad in (["--width", "none"], ["--level", "7"], ["--where", "d_model<100"]):
        assert CliRunner().invoke(main, [*base, *bad]).exit_code in (1, 2)
