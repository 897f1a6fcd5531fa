"""Runs trained as one program against the same runs trained alone by a plain loop."""

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoloss.errors import InputError
from isoloss.sweep import Cnn, Data, DataSpec, Mlp, RunSpec
from isoloss.sweep.batched import batchable, together, train_batched
from isoloss.sweep.order import Order

torch = pytest.importorskip("torch")

from isoloss.sweep.stack import Stack  # noqa: E402


def made(kind="classes", features=(6,), outputs=3, noise=0.7, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((600, *features)).astype(np.float32)
    flat = x.reshape(600, -1)
    y = np.tanh(flat @ rng.standard_normal((flat.shape[1], outputs)))
    y += noise * rng.standard_normal(y.shape)
    y = y.argmax(1) if kind == "classes" else y.astype(np.float32)
    cut = {"train": slice(0, 400), "valid": slice(400, 500), "test": slice(500, 600)}
    parts = {f"{n}_{v}": a[c] for n, c in cut.items() for v, a in (("x", x), ("y", y))}
    return Data(kind=kind, outputs=outputs, digest="ab" * 32, **parts)


def spec(**changes):
    common = {"model": Mlp(width=8), "data": DataSpec(name="given"), "D": 200, "batch": 16}
    return RunSpec(**(common | {"lr": 0.004, "steps": 200, "evaluations": 8} | changes))


def members(**changes):
    """Four that differ in all that members may differ in."""
    return [
        spec(**changes, D=D, lr=lr, seed=seed, subset=subset)
        for D, lr, seed, subset in [
            (200, 0.004, 0, None),
            (37, 0.002, 1, None),
            (400, 0.008, 2, 1),
            (16, 0.004, 3, 1),
        ]
    ]


def shares(s):
    """Learning rate of each step as a share of the peak, from the words of `RunSpec`."""
    n = s.updates
    for step in range(n):
        left, decaying = n - step, s.decay * n
        if step < s.warmup:
            yield (step + 1) / s.warmup
        elif s.schedule == "linear":
            yield left / (n - s.warmup)
        elif s.schedule == "cosine":
            yield (1 + math.cos(math.pi * (step - s.warmup) / (n - s.warmup))) / 2
        else:
            yield 1.0 if s.schedule == "constant" or left > decaying else left / decaying


def alone(s, data, dtype=torch.float64):
    """Test losses and validation losses at every step, by a plain loop."""
    acts = {"relu": torch.nn.ReLU(), "tanh": torch.nn.Tanh(), "gelu": torch.nn.GELU()}
    sizes = [math.prod(data.features), *[s.model.width] * s.model.depth, data.outputs]
    layers = [torch.nn.Linear(a, b, dtype=dtype) for a, b in pairwise(sizes)]
    source = torch.Generator().manual_seed(s.seed)
    with torch.no_grad():
        for layer in layers:
            gain = 2 if s.model.activation in ("relu", "gelu") and layer is not layers[-1] else 1
            drawn = torch.randn(layer.weight.shape, generator=source)
            layer.weight.copy_(drawn * math.sqrt(gain / layer.in_features))
            layer.bias.zero_()
        if s.readout == "zero":
            layers[-1].weight.zero_()
    act = acts.get(s.model.activation, torch.erf)
    values = [p for layer in layers for p in layer.parameters()]
    squared = s.loss == "squared" or data.kind == "numbers"

    def outputs(x):
        out = torch.tensor(x).to(dtype).flatten(1)
        for layer in layers[:-1]:
            out = act(layer(out))
        return layers[-1](out)

    def loss(x, y):
        out, y = outputs(x), torch.tensor(y)
        if not squared:
            return torch.nn.functional.cross_entropy(out, y)
        y = torch.eye(data.outputs)[y] if data.kind == "classes" else y
        return ((out - y.to(dtype)) ** 2).sum(1).mean()

    if s.optimiser == "adamw":
        optimiser = torch.optim.AdamW(
            values, betas=(s.beta1, s.beta2), weight_decay=s.weight_decay, foreach=False
        )
    else:
        optimiser = torch.optim.SGD(values, momentum=s.beta1, weight_decay=s.weight_decay)
    order, tests, valids, seen = Order(s, data.examples), [], [], []
    for step, share in enumerate(shares(s)):
        chosen = order.at(step)
        optimiser.param_groups[0]["lr"] = s.lr * share
        optimiser.zero_grad()
        now = loss(data.train_x[chosen], data.train_y[chosen])
        now.backward()
        seen.append(now.item())
        torch.nn.utils.clip_grad_norm_(values, s.clip)
        optimiser.step()
        with torch.no_grad():
            tests.append(float(loss(data.test_x, data.test_y)))
            valids.append(float(loss(data.valid_x, data.valid_y)))
    wrong = (outputs(data.test_x).argmax(1).numpy() != data.test_y.T).mean()
    return tests, valids, wrong, np.mean(seen[-50:])


CASES = {
    "relu": {},
    "clipped, decayed": {"clip": 0.3, "weight_decay": 0.2, "warmup": 20, "schedule": "cosine"},
    "deep gelu": {"model": Mlp(width=5, depth=3, activation="gelu"), "schedule": "wsd"},
    "erf": {"model": Mlp(width=5, activation="erf"), "loss": "squared", "beta2": 0.99},
    "one layer": {"model": Mlp(width=7, depth=1, activation="tanh"), "schedule": "constant"},
    "sgd": {"optimiser": "sgd", "weight_decay": 0.01, "clip": math.inf, "warmup": 5},
    "from zero": {"readout": "zero", "model": Mlp(width=6, activation="tanh"), "loss": "squared"},
}


@pytest.mark.parametrize("case", CASES)
def test_members_get_what_they_get_alone(case):
    data = made()
    group = members(**CASES[case])
    rows = train_batched(group, data, dtype="float64")
    assert [r["run"] for r in rows] == [s.name for s in group]
    for s, row in zip(group, rows, strict=True):
        tests, valids, wrong, trained = alone(s, data)
        assert row["status"] == "done"
        assert row["loss"] == pytest.approx(tests[-1], rel=1e-10)
        assert row["error"] == pytest.approx(wrong)
        assert row["train_loss"] == pytest.approx(trained, rel=1e-10)
        steps = [step for step, _, _ in row["curve"]]
        assert steps == [25 * i for i in range(1, 9)]
        assert [v for _, _, v in row["curve"]] == pytest.approx(
            [valids[i - 1] for i in steps], rel=1e-10
        )


@pytest.mark.parametrize("outputs", [1, 2])
def test_numbers_and_images(outputs):
    data = made("numbers", features=(1, 2, 3), outputs=outputs)
    for name in ("train_x", "train_y", "valid_x", "test_y"):
        getattr(data, name).setflags(write=False)
    group = members(steps=60)
    for s, row in zip(group, train_batched(group, data, dtype="float64"), strict=True):
        assert row["loss"] == pytest.approx(alone(s, data)[0][-1], rel=1e-10)
        assert "error" not in row


def test_single_precision_follows_along_training():
    data = made()
    group = members(evaluations=200)
    for s, row in zip(group, train_batched(group, data), strict=True):
        valids = alone(s, data, torch.float32)[1]
        assert [v for _, _, v in row["curve"]] == pytest.approx(valids, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    act=st.sampled_from(["relu", "gelu", "tanh", "erf"]),
    sizes=st.tuples(*[st.integers(1, 5)] * 5),
    depth=st.integers(1, 3),
    squared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_gradients_are_autograds(act, sizes, depth, squared, seed):
    features, width, outputs, K, batch = sizes
    shape = Mlp(width=width, depth=depth, activation=act)
    source = torch.Generator().manual_seed(seed)
    layers = [features, *[width] * depth, outputs]

    def draw(*size):
        return torch.randn(*size, generator=source, dtype=torch.float64)

    starts = [[t for a, b in pairwise(layers) for t in (draw(b, a), draw(b))] for _ in range(K)]
    stack = Stack(
        shape, features, outputs, starts, batch=batch, squared=squared, dtype=torch.float64
    )
    stack.x.copy_(draw(K, batch, features))
    y = draw(K, batch, outputs) if squared else draw(K, batch, outputs).argmax(2)
    cheap = stack.gradient(y)
    losses = stack.batch_losses(y)
    torch.testing.assert_close(cheap, losses)
    f = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "tanh": torch.tanh}
    for k in range(K):
        own = [t.clone().requires_grad_() for t in starts[k]]
        h = stack.x[k]
        for W, b in zip(own[:-2:2], own[1:-2:2], strict=True):
            h = f.get(act, torch.erf)(h @ W.T + b)
        out = h @ own[-2].T + own[-1]
        if squared:
            loss = ((out - y[k]) ** 2).sum(1).mean()
        else:
            loss = torch.nn.functional.cross_entropy(out, y[k])
        assert float(losses[k]) == pytest.approx(loss.item())
        for slope, value in zip(stack.slopes, torch.autograd.grad(loss, own), strict=True):
            torch.testing.assert_close(slope[k], value)


def test_held_out_loss_is_the_same_in_pieces(monkeypatch):
    data, group = made(), members(steps=30)
    whole = train_batched(group, data, dtype="float64")
    monkeypatch.setattr("isoloss.sweep.stack._AT_ONCE", 4 * 8 * 7)
    parts = train_batched(group, data, dtype="float64")
    for a, b in zip(whole, parts, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-12)
        assert a["error"] == b["error"]
        assert 0 <= a["error"] < 0.7


def test_the_best_is_chosen_on_validation():
    data = made(noise=2.0)
    group = members(choose="best", steps=400, evaluations=20)
    rows = train_batched(group, data, dtype="float64")
    for s, row in zip(group, rows, strict=True):
        tests, *_ = alone(s, data)
        best = min(row["curve"], key=lambda at: at[2])
        assert row["chosen_step"] == best[0]
        assert row["loss"] == pytest.approx(tests[best[0] - 1], rel=1e-9)
        assert row["loss_last"] == pytest.approx(tests[-1], rel=1e-9)
    # The data are so noisy that training on overfits: else nothing was tested.
    assert {row["chosen_step"] for row in rows} - {400}


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_member_that_diverges_leaves_the_others_alone(optimiser):
    data = made()
    tame = members(optimiser=optimiser, clip=math.inf, choose="best")
    wild = [*tame[:2], replace(tame[2], lr=1e30), tame[3]]
    calm, rows = train_batched(tame, data), train_batched(wild, data)
    assert [r["status"] for r in rows] == ["done", "done", "diverged", "done"]
    assert math.isnan(rows[2]["loss"])
    assert math.isnan(rows[2]["error"])
    assert "step" in rows[2]["reason"]
    for k in (0, 1, 3):
        assert rows[k]["loss"] == calm[k]["loss"]
        assert rows[k]["curve"] == calm[k]["curve"]
    json.dumps(rows)


def test_a_finite_loss_far_above_the_first_is_divergence():
    group = members(optimiser="sgd", schedule="constant")
    group[1] = replace(group[1], lr=1e4)
    rows = train_batched(group, made("numbers"))
    assert [r["status"] for r in rows] == ["done", "diverged", "done", "done"]
    found = float(rows[1]["reason"].split()[2])
    assert math.isfinite(found)
    assert rows[1]["steps"] == 50


def test_a_group_of_the_diverged_stops(monkeypatch):
    steps = []
    honest = Stack.gradient
    monkeypatch.setattr(Stack, "gradient", lambda self, y: [steps.append(1), honest(self, y)][1])
    rows = train_batched([replace(s, lr=1e30) for s in members(steps=1000)], made())
    assert {row["status"] for row in rows} == {"diverged"}
    assert {(row["steps"], row["seen"]) for row in rows} == {(50, 800)}
    assert {row["reason"][-7:] for row in rows} == {"step 50"}
    assert len(steps) == 50


def test_it_is_imported_without_torch():
    code = "import sys, isoloss.sweep.batched; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_counts_of_a_row():
    row = train_batched([spec(D=48, steps=0, passes=2.0)], made())[0]
    assert (row["D"], row["seen"], row["steps"]) == (48, 96, 6)
    assert row["N"] == (6 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 3
    assert row["flops_dense"] == 6 * (6 * 8 + 8 * 8) * 96
    assert row["flops_head"] == 6 * 8 * 3 * 96
    assert row["flops"] == row["flops_dense"] + row["flops_head"]
    assert row["data"] == "ab" * 8
    assert row["chosen_step"] == 6
    assert "loss_last" not in row
    assert [at[1] for at in row["curve"]] == [16 * at[0] for at in row["curve"]]


def plain(rows):
    timed = ("seconds", "cpu_seconds", "joules", "started")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("when", [70, 330, 420])
def test_a_killed_group_goes_on_where_it_was(optimiser, when, tmp_path, monkeypatch):
    data = made()
    group = members(optimiser=optimiser, choose="best", steps=160)
    group += [replace(group[0], lr=1e30, seed=9), replace(group[0], seed=10)]
    path = tmp_path / "state"
    expected = train_batched(group, data, at_once=2)
    monkeypatch.setattr("isoloss.sweep.batched_state.SAVE_EVERY", 0.0)
    honest, calls = Stack.gradient, []

    def dying(self, y):
        calls.append(1)
        if len(calls) == when:
            raise KeyboardInterrupt
        return honest(self, y)

    monkeypatch.setattr(Stack, "gradient", dying)
    with pytest.raises(KeyboardInterrupt):
        train_batched(group, data, at_once=2, checkpoint=path)
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    rows = train_batched(group, data, at_once=2, checkpoint=path)
    # NaN of the diverged: compared as text.
    assert json.dumps(plain(rows)) == json.dumps(plain(expected))
    # What was saved was not done again: 160 steps for each of three stacks, and few twice.
    assert 3 * 160 < len(calls) <= 3 * 160 + 51


def test_checkpoints_that_are_not_of_these_runs_count_as_absent(tmp_path, monkeypatch):
    monkeypatch.setattr("isoloss.sweep.batched_state.SAVE_EVERY", 0.0)
    data, path, group = made(), tmp_path / "state", members(steps=60)
    expected = plain(train_batched(group, data))
    train_batched(group, data, checkpoint=path)
    whole = path.read_bytes()
    line, numbers = whole.split(b"\n", 1)
    head = json.loads(line)
    steps, honest = [], Stack.gradient
    monkeypatch.setattr(Stack, "gradient", lambda self, y: [steps.append(1), honest(self, y)][1])

    def trained_afresh(content, group=group, data=data):
        path.write_bytes(content)
        steps.clear()
        rows = train_batched(group, data, checkpoint=path)
        return len(steps) == 60 and plain(rows)

    assert not trained_afresh(whole)
    assert trained_afresh(whole, members(steps=60, beta2=0.9))
    assert trained_afresh(whole, group[:3])
    assert trained_afresh(whole, data=replace(data, digest="cd" * 32))
    for text in (b"", b"[1, 2]\n", b"{}\n", b"[" * 100_000, line, whole[:-1], b"\x80\x04N."):
        assert trained_afresh(text) == expected
    flipped = bytearray(whole)
    flipped[-1000] ^= 64
    assert trained_afresh(bytes(flipped)) == expected
    # A forger knows the digest of the runs.
    record = head["record"]
    for changes in ({"step": 201}, {"step": "x"}, {"curves": []}, {"best": 3}, {"rows": 7}):
        forged = head | {"record": record | changes}
        assert trained_afresh(json.dumps(forged).encode() + b"\n" + numbers) == expected
    short = numbers[:-4]
    forged = head | {"digest": hashlib.sha256(short).hexdigest()}
    assert trained_afresh(json.dumps(forged).encode() + b"\n" + short) == expected


def test_which_runs_share_a_key():
    key = batchable(spec())
    assert key is not None
    assert {batchable(s) for s in members()} == {key}
    assert batchable(spec(steps=0, passes=16.0)) == key
    assert batchable(spec(D=100, steps=0, passes=16.0)) != key
    for change in ({"batch": 8}, {"clip": 2.0}, {"choose": "best"}, {"model": Mlp(width=9)}):
        assert batchable(spec(**change)) not in (key, None)
    assert batchable(spec(model=Cnn(width=8))) is None
    assert batchable(spec(width_rule="mup")) is None
    wide = spec(model=Mlp(width=200))
    assert batchable(wide) is not None
    assert batchable(wide, (1, 28, 28), 10) is None
    assert together(spec(), (6,), 3) == 256
    assert together(wide, (1, 28, 28), 10) == 8
    assert together(spec(model=Cnn(width=8)), (1, 28, 28), 10) == 1


def test_bad_inputs(tmp_path):
    data = made()
    assert train_batched([], data) == []
    for group, words in [
        ([spec(), spec(batch=8)], "group them by batchable"),
        ([spec(width_rule="mup")], "train it alone"),
        ([spec(D=401)], "D = 401"),
    ]:
        with pytest.raises(InputError, match=words):
            train_batched(group, data)
    with pytest.raises(InputError, match="numbers"):
        train_batched([spec(loss="cross-entropy")], made("numbers"))
    with pytest.raises(InputError, match="text"):
        train_batched([spec()], replace(data, kind="text", train_x=np.zeros(9, np.uint8)))
    with pytest.raises(InputError, match="validation"):
        train_batched([spec()], replace(data, valid_x=data.valid_x[:0], valid_y=data.valid_y[:0]))
    for changes in ({"device": "abacus"}, {"dtype": "float16"}, {"at_once": 0}):
        with pytest.raises(InputError, match=next(iter(changes))):
            train_batched([spec()], data, **changes)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_batched([spec(steps=1)], data)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@given(D=st.integers(1, 50), batch=st.integers(1, 20), first=st.integers(0, 20))
def test_a_span_of_steps_is_its_steps(D, batch, first):
    order = Order(spec(D=D, batch=batch), 50)
    span = order.span(first, first + 7)
    assert span.shape == (7, batch)
    assert span.tolist() == [order.at(step).tolist() for step in range(first, first + 7)]


@pytest.mark.gpu
def test_on_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    data = made()
    group = members(choose="best", clip=0.5)
    here = train_batched(group, data, dtype="float64")
    there = train_batched(group, data, dtype="float64", device="cuda")
    for a, b in zip(here, there, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-8)
        assert b["chosen_step"] == a["chosen_step"]


def test_members_of_different_selections_are_the_runs_that_they_are_alone(tmp_path):
    from isoloss.sweep.data.changes import selected, selected_rows
    from isoloss.sweep.train import train

    data = made()
    specs = []
    for number in range(3):
        path = tmp_path / f"{number}.npy"
        np.save(path, np.random.default_rng(number).permutation(400)[:150])
        specs.append(spec(data=DataSpec(name="given", selection=str(path)), D=120, seed=number))
    assert len({batchable(s) for s in specs}) == 1
    chosen = [selected_rows(s.data, data) for s in specs]
    rows = train_batched(specs, data, chosen=chosen)
    for s, row in zip(specs, rows, strict=True):
        alone = train(s, selected(s.data, data))
        assert row["run"] == alone["run"]
        assert row["data"] == alone["data"]
        assert row["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        assert row["class_errors"] == pytest.approx(alone["class_errors"], abs=0.05)
    assert len({row["loss"] for row in rows}) == 3
    with pytest.raises(InputError, match="selection"):
        train_batched(specs, data)


def test_errors_by_class_sum_to_the_error():
    data = made()
    (row,) = train_batched([spec()], data)
    counts = np.bincount(data.test_y)
    assert row["error"] == pytest.approx((np.array(row["class_errors"]) * counts).sum() / 100)
    numbers = made("numbers")
    (row,) = train_batched([spec()], numbers)
    assert "class_errors" not in row
    assert "error" not in row
