"""Small sweeps by the real trainers: every kind of task, on made data."""

import json

import pytest

from isoloss._core.executor import Here
from isoloss.errors import InputError
from isoloss.sweep import grid, ledger_runs, read_grid, read_ledger, run_sweep

pytest.importorskip("torch")

COMMON = {
    "batch": 16,
    "lr": 0.01,
    "model": {"kind": "mlp", "width": 8},
    "data": {"name": "teacher", "dimension": 4, "teacher_width": 16, "teacher_depth": 1},
}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("single", {"width_rule": "mup", "D": 512}),
        ("trunk", {"schedule": "wsd", "D": [256, 512, 1024]}),
        ("batched", {"D": 512, "seed": [0, 1, 2]}),
        ("solved", {"model": {"kind": "random-features", "width": 20}, "D": [50, 100]}),
    ],
)
def test_each_kind_of_task_gives_the_same_row(kind, changes, tmp_path):
    from isoloss.sweep import make_tasks, spec_cost

    specs = grid(COMMON | changes)
    tasks = make_tasks(specs, {s.name: spec_cost(s) for s in specs})
    assert {task.kind for task in tasks} == {kind}
    ledger = tmp_path / "ledger.jsonl"
    state = run_sweep(specs, ledger, executor=Here())
    assert (state.done, state.diverged, state.failed) == (len(specs), 0, 0), state.to_dict()
    rows = read_ledger(ledger)
    assert {r["run"] for r in rows} == {s.name for s in specs}
    needed = {
        "run", "status", "spec", "N", "D", "seen", "steps", "flops", "flops_dense", "flops_head",
        "flops_attention", "loss", "seconds", "cpu_seconds", "joules", "device", "numpy", "python",
        "isoloss", "data", "started",
    }  # fmt: skip
    for row in rows:
        assert needed <= set(row), needed - set(row)
        assert row["loss"] > 0
    runs = ledger_runs(ledger)
    assert len(runs.names) == len(specs)
    assert not ledger.with_name("ledger.jsonl.unfinished").exists()


def test_what_goes_wrong_is_in_the_ledger_and_the_sweep_goes_on(tmp_path):
    blown = COMMON | {"lr": 1e9, "optimiser": "sgd", "clip": 1e30, "D": 512}
    specs = [
        *grid(COMMON | {"D": 512}),
        *grid(blown),
        *grid(COMMON | {"D": 10**9, "width_rule": "mup"}),
        *grid(COMMON | {"D": 512, "data": {"name": "arrays", "path": str(tmp_path / "none")}}),
    ]
    ledger = tmp_path / "ledger.jsonl"
    state = run_sweep(specs, ledger, executor=Here())
    rows = {r["run"]: r for r in map(json.loads, ledger.read_text().splitlines())}
    assert [rows[s.name]["status"] for s in specs] == [
        "done", "diverged", "failed", "failed",
    ]  # fmt: skip
    assert (state.done, state.diverged, state.failed) == (2, 1, 2)
    assert "lower D" in rows[specs[2].name]["reason"]
    for spec in specs[2:]:
        # Mistakes of the caller, told in a sentence.
        assert "where" not in rows[spec.name], rows[spec.name]


def test_the_quick_grid_falls_with_width_and_data(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    state = run_sweep(read_grid("quick"), ledger, executor=Here())
    assert state.done == state.total == 18
    runs = ledger_runs(ledger)
    small, large = (
        [v for v, w, D in zip(runs["loss"], runs["width"], runs["D"], strict=True) if (w, D) == at]
        for at in ((4, 2048), (16, 8192))
    )
    assert max(large) < min(small)


def test_a_grid_of_a_model_that_does_not_fit_its_data_is_refused_in_a_sentence(tmp_path):
    (spec,) = grid(COMMON | {"D": 512, "model": {"kind": "cnn", "width": 4}})
    from isoloss.sweep import spec_cost

    with pytest.raises(InputError, match="cnn"):
        spec_cost(spec)
