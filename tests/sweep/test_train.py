import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from isoloss.errors import InputError
from isoloss.sweep import DataSpec, Mlp, RandomFeatures, Transformer
from isoloss.sweep.order import Order
from isoloss.sweep.schedule import decay_start, looks, rate
from sweep import small_data as small

torch = pytest.importorskip("torch")
from isoloss.sweep.models.build import build  # noqa: E402
from isoloss.sweep.train import train, trained  # noqa: E402

FIELDS = {
    "run", "status", "spec", "N", "N_non_embedding", "D", "seen", "steps", "flops_dense",
    "flops_head", "flops_attention", "flops", "loss", "chosen_step", "train_loss", "curve",
    "seconds", "cpu_seconds", "joules", "device", "torch", "numpy", "python", "isoloss", "data",
    "started",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quickly():
    with small.quickly(1024):
        yield


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_equals_a_loop_written_out(kind, optimiser):
    data = getattr(small, kind)()
    run = small.spec(
        optimiser=optimiser, beta1=0.8, beta2=0.95, weight_decay=0.1, clip=0.5, warmup=7,
        schedule="cosine", steps=40,
    )  # fmt: skip
    row = train(run, data)
    model = build(run, (5,), data.outputs).double()
    order = Order(run, 200)
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in model.parameters()]

    def loss_of(x, y):
        out = model(torch.tensor(x).double())
        if kind == "classes":
            return -out.log_softmax(1)[range(len(y)), torch.tensor(y)].mean()
        return ((out - torch.tensor(y)) ** 2).sum(1).mean()

    for step in range(40):
        i = order.at(step)
        model.zero_grad()
        loss_of(data.train_x[i], data.train_y[i]).backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
        lr = 0.01 * ((step + 1) / 7 if step < 7 else (1 + math.cos(math.pi * (step - 7) / 33)) / 2)
        for p, m in zip(model.parameters(), moments, strict=True):
            g = p.grad * min(1, 0.5 / norm)
            with torch.no_grad():
                if optimiser == "sgd":
                    g = g + 0.1 * p
                    m[0] = 0.8 * m[0] + g
                    p -= lr * m[0]
                    continue
                p *= 1 - lr * 0.1
                m[0], m[1] = 0.8 * m[0] + 0.2 * g, 0.95 * m[1] + 0.05 * g**2
                up = m[0] / (1 - 0.8 ** (step + 1))
                p -= lr * up / ((m[1] / (1 - 0.95 ** (step + 1))).sqrt() + 1e-8)
    with torch.no_grad():
        expected = [float(loss_of(data.test_x, data.test_y))]
        expected += [float(loss_of(data.valid_x, data.valid_y))]
    assert [row["loss"], row["curve"][-1][2]] == pytest.approx(expected, rel=2e-5)
    assert row["curve"][-1][:2] == [40, 320]


def test_row_has_every_field_and_text_is_read_in_blocks():
    data = small.text()
    row = train(small.text_spec(schedule="linear"), data)
    assert set(row) == FIELDS
    assert (row["steps"], row["seen"], row["status"]) == (100, 6400, "done")
    assert row["loss"] < math.log(61)
    assert [point[0] for point in row["curve"]] == [33, 67, 100]
    assert "error" in train(small.spec(), small.classes())


def test_text_loss_is_that_of_the_stated_blocks():
    data, run = small.text(), small.text_spec()
    model, row = trained(run, data)
    starts = np.linspace(0, 2000 - 17, 1024).astype(int)
    with torch.no_grad():
        total = 0.0
        for s in starts:
            block = torch.tensor(data.test_x[s : s + 17].astype(np.int64))
            scores = model(block[None, :-1])[0].log_softmax(1)
            total -= float(scores[range(16), block[1:]].mean())
    assert row["loss"] == pytest.approx(total / 1024, rel=1e-5)


def test_weights_come_from_the_seed_alone():
    torch.manual_seed(1)
    a = build(small.spec(seed=3), (5,), 3)
    state = torch.get_rng_state()
    b = build(small.spec(seed=3, lr=0.1), (5,), 3)
    assert torch.equal(torch.get_rng_state(), state)
    c = build(small.spec(seed=4), (5,), 3)
    for p, q, r in zip(a.parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.ndim == 1 or not torch.equal(p, r)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_best_is_chosen_on_validation_and_kept(loss):
    data = small.classes()
    run = small.spec(choose="best", lr=0.3, steps=120, D=20, evaluations=12, loss=loss)
    model, row = trained(run, data)
    valid = [point[2] for point in row["curve"]]
    best = int(np.argmin(valid))
    assert best < len(valid) - 1
    assert row["chosen_step"] == row["curve"][best][0]
    with torch.no_grad():
        out = model(torch.tensor(data.test_x))
    y = torch.tensor(data.test_y)
    if loss == "squared":
        expected = ((out - torch.nn.functional.one_hot(y, 3)) ** 2).sum(1).mean()
    else:
        expected = torch.nn.functional.cross_entropy(out, y)
    assert row["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert row["error"] == float((out.argmax(1) != y).float().mean().double().round(decimals=6))
    assert row["loss_last"] != row["loss"]
    last = train(replace(run, choose="last"), data)
    assert last["loss"] == row["loss_last"]


@pytest.mark.parametrize("lr", [1e6, 1e38])
def test_divergence_ends_the_run_and_is_told(lr):
    run = small.spec(optimiser="sgd", lr=lr, clip=math.inf, steps=500, loss="squared")
    row = train(run, small.numbers())
    assert row["status"] == "diverged"
    assert row["steps"] == 50
    assert row["seen"] == 400
    assert row["flops"] == 400 * 6 * (5 * 8 + 64 + 16)
    assert "training loss" in row["reason"]
    assert math.isnan(row["loss"])


@pytest.mark.parametrize(
    ("run", "data", "match"),
    [
        (small.spec(RandomFeatures(width=4)), small.classes(), "solved in closed form"),
        (small.spec(D=201), small.classes(), "D = 201: the data hold 200"),
        (small.spec(loss="cross-entropy"), small.numbers(), "use 'squared'"),
        (small.text_spec(loss="squared"), small.text(), "learned by cross-entropy"),
        (small.text_spec(D=10, steps=9), small.text(), "less than one sequence"),
        (small.spec(Transformer(width=4, depth=1, heads=1, context=2000)), small.text(8000),
         "2000 examples or bytes in the valid part"),
        (small.text_spec(), small.classes(), "learns from text"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(run, data, match):
    with pytest.raises(InputError, match=match):
        train(run, data)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:x", "mps", "", "meta"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError, match="device"):
        train(small.spec(), small.classes(), device=device)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "wsd"])
def test_rates(schedule):
    run = small.spec(schedule=schedule, warmup=10, decay=0.25, lr=2.0)
    rates = [rate(run, step) for step in range(60)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 5)
    assert rates[10] == 2.0
    assert all(a >= b > 0 for a, b in pairwise(rates[10:]))
    if schedule == "wsd":
        assert decay_start(run) == 45
        assert rates[10:46] == [2.0] * 36
        assert rates[45:] == pytest.approx(2 * np.arange(15, 0, -1) / 15)
    assert max(looks(run)) == 60


def test_a_spec_is_trained_alike_twice_and_data_stay_as_they_were():
    data, run = small.classes(shape=(1, 6, 6)), small.spec(small.CNN)
    before = data.train_x.copy()
    assert small.unclocked(train(run, data)) == small.unclocked(train(run, data))
    np.testing.assert_array_equal(data.train_x, before)
    other = replace(run, data=DataSpec(name="given", seed=1), model=Mlp(width=4))
    assert train(other, data)["loss"] != train(run, data)["loss"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", ["text", "classes"])
def test_a_gpu_trains_to_the_same_losses_but_for_rounding(kind):
    data = getattr(small, kind)()
    run = small.text_spec() if kind == "text" else small.spec(choose="best")
    here, there = train(run, data), train(run, data, device="cuda")
    assert there["loss"] == pytest.approx(here["loss"], rel=1e-3)
    assert there["device"] == "cuda"
