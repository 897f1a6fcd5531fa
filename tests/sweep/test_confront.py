"""Forecasters against held-out runs, on tables whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import load_data
from isoloss.sweep.confront import confront
from isoloss.sweep.confront_kernels import kernel_curve, kernel_regressions
from isoloss.sweep.confront_tables import (
    KERNELS,
    RUNS,
    SCORES,
    confront_all,
    read_points,
    run_points,
    score_rows,
    table_text,
)
from isoloss.sweep.data.table import Data, subset_order
from isoloss.sweep.gridfile import grid
from isoloss.sweep.ledger import append_row
from isoloss.sweep.network_kernel import perceptron_tangent_kernel


def power_runs(noise=0.0, widths=(10, 20, 40)):
    """Runs of a law of N and D."""
    rng, runs = np.random.default_rng(0), []
    for N in widths:
        for D in 2.0 ** np.arange(5, 14):
            for seed in (0, 1):
                loss = (0.1 + N**-0.8 + 2 * D**-0.5) * math.exp(noise * rng.standard_normal())
                runs.append({"N": N, "D": D, "seed": seed, "loss": loss})
    return runs


def linear(x, z):
    """The kernel of inputs as they are."""
    return x @ (x if z is None else z).T


def one_kernel(D, loss, kind="spectrum", name="made"):
    return [
        {"kernel": name, "kind": kind, "D": d, "loss": v, "low": 0.95 * v, "high": 1.05 * v}
        for d, v in zip(D, loss, strict=True)
    ]


def test_spectrum_wins_where_the_networks_are_its_regression():
    # 100 directions of equal size: the loss falls steeply where D passes 100, and every law that
    # is fitted below has to guess that.
    rng = np.random.default_rng(1)
    p, noise = 100, 0.05
    truth = rng.standard_normal(p) / math.sqrt(p)

    def draw(n):
        x = rng.standard_normal((n, p))
        return x, (x @ truth + math.sqrt(noise) * rng.standard_normal(n))[:, None]

    test_x, test_y = draw(4000)
    runs = []
    for D in (16, 24, 32, 48, 64, 96, 768):
        for seed in range(4):
            x, y = draw(D)
            # The best ridge of a target with coefficients of one variance is the noise over it.
            w = np.linalg.solve(x.T @ x + noise * p * np.eye(p), x.T @ y)
            loss = float(((test_x @ w - test_y) ** 2).mean())
            runs.append({"N": p, "D": D, "seed": seed, "loss": loss})
    x, y = draw(384)
    curve = [{"kernel": "own"} | r for r in kernel_curve(linear, x, y, most=768)]
    found = confront(runs, curve, small_D=96, draws=50)
    _, family, error = found.ranking()[0]
    assert family in ("spectrum", "level")
    own = next(s for s in found.scores if s.family == "spectrum")
    assert abs(own.error) < 0.15
    assert own.inside == 4
    best_law = found.best("law")
    assert best_law is not None
    assert best_law[1] > 3 * error


@pytest.mark.parametrize("widths", [(40,), pytest.param((10, 20, 40), marks=pytest.mark.slow)])
def test_forecasts_do_not_see_what_is_held_out(widths):
    runs = power_runs(noise=0.01, widths=widths)
    D = np.geomspace(40, 700, 10)
    kernels = one_kernel(D, 0.3 + 2 * D**-0.4)
    regression = one_kernel([64, 4096], [0.5, 0.4], kind="regression")
    changed = [r | {"loss": r["loss"] * (5 if r["D"] > 1024 else 1)} for r in runs]
    first, second = (
        confront(r, k, draws=50) for r, k in ((runs, kernels + regression), (changed, kernels))
    )
    assert [c.name for c in second.curves] == [
        c.name for c in first.curves if c.family != "regression"
    ]
    mine = {(c.name, c.family): c for c in first.curves}
    for curve in second.curves:
        for part in ("loss", "low", "high"):
            its = getattr(mine[curve.name, curve.family], part)
            assert np.array_equal(getattr(curve, part), its)
    assert second.scores != first.scores


@pytest.mark.slow
def test_right_laws_are_right_and_scores_say_so():
    found = confront(power_runs(), draws=50)
    assert (found.small_D, found.N, found.failed) == (1024, 40, ())
    chinchilla = [s for s in found.scores if s.name == "chinchilla"]
    assert [s.D for s in chinchilla] == [2048, 4096, 8192]
    for s in chinchilla:
        assert s.measured == pytest.approx(0.1 + 40**-0.8 + 2 * s.D**-0.5)
        assert s.error == pytest.approx(0, abs=2e-3)
        assert s.improvement == pytest.approx(1, abs=0.03)
        assert s.forecast / s.measured - 1 == pytest.approx(s.error)
    families = {family for _, family, _ in found.ranking()}
    assert families == {"law", "solvable"}
    assert [e for *_, e in found.ranking()] == sorted(e for *_, e in found.ranking())


def test_level_of_a_scaled_truth_is_found():
    runs = [r for r in power_runs(noise=0.002) if r["N"] == 40]
    D = np.geomspace(32, 8192, 30)
    kernels = one_kernel(D, 3 * (0.1 + 40**-0.8 + 2 * D**-0.5))
    found = confront(runs, kernels, draws=50)
    alone = [s for s in found.scores if s.family == "spectrum"]
    levelled = [s for s in found.scores if s.family == "level"]
    assert [s.error for s in alone] == pytest.approx([2, 2, 2], abs=0.05)
    assert [s.error for s in levelled] == pytest.approx([0, 0, 0], abs=5e-3)
    assert sum(s.inside for s in alone) == 0
    assert sum(s.inside for s in levelled) >= 4


def test_a_curve_beyond_its_reach_is_continued_with_a_wider_interval():
    runs = [r for r in power_runs(noise=0.002) if r["N"] == 40]
    D = np.geomspace(32, 500, 14)
    found = confront(runs, one_kernel(D, 0.2 + 2 * D**-0.5), draws=50)
    curve = next(c for c in found.curves if c.family == "spectrum")
    assert (curve.reach, curve.D[-1]) == (500, 8192)
    far = curve.at([8192.0])
    assert far[0][0] == pytest.approx(0.2 + 2 * 8192**-0.5, rel=0.02)
    wide = np.log(curve.high / curve.low)
    assert (wide[curve.D > 500] >= wide[curve.D <= 500].max() - 1e-9).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("N"), "no field 'N'"),
        (lambda r: r.update(loss=math.nan), "must be finite"),
        (lambda r: r.update(D="many"), "no number"),
        (lambda r: r.update(loss=-1.0), "above zero"),
    ],
)
def test_bad_rows_are_refused(change, said):
    runs = power_runs()
    change(runs[3])
    with pytest.raises(InputError, match=said):
        confront(runs)


def test_bad_splits_and_kernels_are_refused():
    runs = power_runs(widths=(40,))
    with pytest.raises(InputError, match="beyond"):
        confront(runs, small_D=1e9)
    with pytest.raises(InputError, match="5 at least"):
        confront(runs, small_D=64)
    with pytest.raises(InputError, match="none"):
        confront([])
    with pytest.raises(InputError, match="of kind"):
        confront(runs, one_kernel([64], [0.5], kind="guess"), draws=50)


def made_data(n=1500, d=20):
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((n + 1200, d)) * np.arange(1, d + 1) ** -0.5).astype("f4")
    y = (x.sum(axis=1, keepdims=True) + 0.3 * rng.standard_normal((len(x), 1))).astype("f4")
    cut = n, n + 400
    return Data(
        kind="numbers", train_x=x[: cut[0]], train_y=y[: cut[0]], valid_x=x[cut[0] : cut[1]],
        valid_y=y[cut[0] : cut[1]], test_x=x[cut[1] :], test_y=y[cut[1] :], outputs=1,
        digest="0" * 64,
    )  # fmt: skip


def test_measured_regressions_lie_on_the_predicted_curve():
    def affine(x, z):
        return linear(x, z) + 1.0

    data = made_data()
    rows = subset_order(data.examples, 0)
    predicted = kernel_curve(affine, data.train_x[rows[:500]], data.train_y[rows[:500]], most=800)
    D, loss = np.array([[r["D"], r["loss"]] for r in predicted]).T
    for row in kernel_regressions(affine, data, rows[500:], (100, 200, 800)):
        assert row["loss"] == pytest.approx(float(np.interp(row["D"], D, loss)), rel=0.15)
        assert row["low"] < row["loss"] < row["high"]
    with pytest.raises(InputError, match="at most 100"):
        kernel_regressions(linear, data, rows[:100], (200,))


def test_a_kernel_without_a_positive_eigenvalue_is_refused():
    with pytest.raises(InputError, match="positive"):
        kernel_curve(lambda x, z: np.zeros((len(x), len(x))), np.ones((40, 2)), np.ones(40), most=9)


def test_tangent_kernel_is_that_of_autograd():
    torch = pytest.importorskip("torch")
    from isoloss.sweep.models.build import build
    from isoloss.sweep.tangents import tangent_kernel

    spec = grid({"batch": 4, "lr": 1, "D": 8, "model": {"kind": "mlp", "width": 9, "depth": 3},
                 "data": {"name": "given"}})[0]  # fmt: skip
    network = build(spec, (5,), 4)
    with torch.no_grad():
        for i, weight in enumerate(network.parameters()):
            source = torch.Generator().manual_seed(i)
            weight.add_(0.3 * torch.randn(weight.shape, generator=source))
    layers = [(p.weight.detach().numpy(), p.bias.detach().numpy()) for p in network.layers]
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal((n, 5)).astype("f4") for n in (7, 4))
    assert perceptron_tangent_kernel(layers, x, z) == pytest.approx(
        tangent_kernel(network, x, z), rel=2e-5
    )
    assert perceptron_tangent_kernel(layers, x) == pytest.approx(
        perceptron_tangent_kernel(layers, x, x)
    )


def test_layers_that_do_not_fit_are_refused():
    good = [(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 3)), np.zeros(1))]
    with pytest.raises(InputError, match="layers: none"):
        perceptron_tangent_kernel([], np.ones((2, 2)))
    with pytest.raises(InputError, match=r"layers\[1\]"):
        perceptron_tangent_kernel([good[0], good[0]], np.ones((2, 2)))
    with pytest.raises(InputError, match="takes 2"):
        perceptron_tangent_kernel(good, np.ones((2, 5)))
    with pytest.raises(InputError, match="expected rows"):
        perceptron_tangent_kernel(good, np.ones(2))


TINY = {
    "batch": 32, "lr": 0.01, "steps": 40, "choose": "best",
    "model": {"kind": "mlp", "depth": 1},
    "data": {"name": "teacher", "dimension": 3, "teacher_width": 4, "teacher_depth": 1,
             "examples": 1024},
    "grid": [
        {"model": {"width": 8}, "D": [64, 96, 128, 192, 256, 1024], "seed": [0, 1]},
        {"model": {"width": [2, 4]}, "D": [64, 128, 256], "seed": 0},
    ],
}  # fmt: skip


def test_spectra_come_from_examples_of_small_runs_alone():
    pytest.importorskip("torch")
    from isoloss.sweep.confront_kernels import kernel_rows

    specs = grid(TINY)
    data = load_data(specs[0].data)
    seen = {i for seed in (0, 1) for i in subset_order(1024, seed)[:256].tolist()}
    y = data.train_y.copy()
    y[[i for i in range(1024) if i not in seen]] = 77.0
    first = kernel_rows(specs, data, small_D=256, regress=(64,))
    second = kernel_rows(specs, replace(data, train_y=y, test_y=-data.test_y), small_D=256,
                         regress=())  # fmt: skip
    assert [r for r in first if r["kind"] == "spectrum"] == second
    assert {r["kernel"] for r in first} == {
        "infinite tangent", "tangent, start", "tangent, trained", "last layer, trained",
    }  # fmt: skip
    assert sum(r["kind"] == "regression" for r in first) == 4
    with pytest.raises(InputError, match="several seeds"):
        kernel_rows([s for s in specs if s.seed == 0], data, small_D=256)
    with pytest.raises(InputError, match="so few"):
        kernel_rows(specs, data, small_D=1)


def test_tables_come_back(tmp_path):
    runs = [r | {"data": "made", "width": 1, "decay": 0.0, "chosen_step": 1, "cpu_seconds": 0.5}
            for r in power_runs(noise=0.01, widths=(40,))]  # fmt: skip
    D = np.geomspace(32, 500, 14)
    kernels = [r | {"data": "made"} for r in one_kernel(D, 0.2 + 2 * D**-0.5)]
    for name, rows, columns in (("r", runs, RUNS), ("k", kernels, KERNELS)):
        (tmp_path / name).write_text(table_text(rows, columns))
    found = confront_all(
        read_points(tmp_path / "r", RUNS), read_points(tmp_path / "k", KERNELS), draws=50
    )
    assert list(found) == ["made"]
    rows = score_rows(found)
    assert (rows[0]["forecaster"], rows[0]["family"]) == found["made"].ranking()[0][:2]
    (tmp_path / "s").write_text(table_text(rows, SCORES))
    assert len(read_points(tmp_path / "s", SCORES)) == len(found["made"].scores)
    assert "shifted_power" in found["made"].summary()
    assert found["made"].to_dict()["small_D"] == 1024


def test_tables_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_points(tmp_path, RUNS)
    path = tmp_path / "table"
    for content, said in ((b"a,b\n1,2\n", "no column 'data'"), (b"\xff\xfe\x00", "no table"),
                          ((",".join(RUNS) + "\n").encode(), "no row")):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_points(path, RUNS)
    with pytest.raises(InputError, match="other: "):
        confront_all([{"data": "other", "N": 1, "D": 1, "loss": 1}], [])


def test_the_recipe_that_is_best_on_validation_counts(tmp_path):
    spec = {"model": {"width": 4}, "D": 64, "seed": 0}
    for i, (valid, loss, status) in enumerate(
        ((0.3, 0.5, "done"), (0.2, 0.9, "done"), (0.1, 0.1, "diverged"))
    ):
        append_row(tmp_path / "l", {
            "run": str(i), "status": status, "spec": spec | {"weight_decay": i}, "N": 9, "D": 64,
            "loss": loss, "chosen_step": 5, "cpu_seconds": 1.0, "curve": [[5, 5, valid], [6, 6, 1]],
        })  # fmt: skip
    (point,) = run_points(tmp_path / "l", "made")
    assert (point["loss"], point["decay"]) == (0.9, 1)
