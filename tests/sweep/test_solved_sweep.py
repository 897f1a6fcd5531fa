"""Sweeps of solved runs, from the grid to the table: no torch is needed."""

import csv
import io
import json

import pytest

from isoloss._core.executor import Here
from isoloss.sweep import grid, ledger_runs, ledger_table, make_tasks, run_sweep, spec_cost, tasks
from isoloss.sweep.solve import solve, solve_runs

FEATURES = {"kind": "random-features", "width": [10, 60], "ridge": [0.1, 1.0]}
KERNEL = {"kind": "kernel-ridge", "kernel": "laplace", "ridge": [0.01, 0.1, 1.0]}
COMMON = {
    "batch": 1, "lr": 1, "D": [30, 60],
    "data": {"name": "teacher", "dimension": 4, "teacher_width": 8, "teacher_depth": 1,
             "examples": 300},
}  # fmt: skip


def rows_of(ledger):
    return [json.loads(line) for line in ledger.read_text().splitlines()]


@pytest.mark.parametrize("model", [FEATURES, KERNEL], ids=["features", "kernel"])
def test_groups_give_what_runs_alone_give(model, tmp_path):
    specs = grid(COMMON | {"model": model})
    plan = make_tasks(specs, {s.name: spec_cost(s) for s in specs})
    assert {(task.kind, len(task.specs)) for task in plan} == {("solved", len(specs) // 2)}
    state = run_sweep(specs, tmp_path / "l.jsonl", executor=Here())
    assert (state.done, state.failed, state.total) == (len(specs), 0, len(specs))
    data = tasks.data_of(specs[0].data)
    by_name = {row["run"]: row for row in rows_of(tmp_path / "l.jsonl")}
    for spec in specs:
        row, alone = by_name[spec.name], solve(spec, data)
        assert row["loss"] == pytest.approx(alone["loss"], rel=1e-10)
        assert row["flops"] == spec_cost(spec) == alone["flops"]


@pytest.mark.parametrize("model", [FEATURES, KERNEL], ids=["features", "kernel"])
def test_a_half_finished_group_keeps_what_is_finished(model, tmp_path, monkeypatch):
    ledger = tmp_path / "l.jsonl"
    specs = grid(COMMON | {"D": 60, "model": model})
    run_sweep(specs[1:2], ledger, executor=Here())
    first = ledger.read_text()
    solved = []

    def counted(given, data):
        solved.extend(spec.name for spec in given)
        return solve_runs(given, data)

    monkeypatch.setattr("isoloss.sweep.solve.solve_runs", counted)
    run_sweep(specs, ledger, executor=Here())
    assert sorted(solved) == sorted(s.name for s in specs if s != specs[1])
    assert ledger.read_text().startswith(first)
    whole = ledger.read_text()
    assert run_sweep(specs, ledger, executor=Here()).done == len(specs)
    assert ledger.read_text() == whole


def test_one_bad_member_does_not_take_the_group_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("isoloss.sweep.solve._MOST", 60 * 30)
    specs = grid(COMMON | {"D": 60, "model": FEATURES})
    state = run_sweep(specs, tmp_path / "l.jsonl", executor=Here())
    assert (state.done, state.failed) == (2, 2)
    failed = [row for row in rows_of(tmp_path / "l.jsonl") if row["status"] == "failed"]
    assert {row["spec"]["model"]["width"] for row in failed} == {60}
    assert all("lower one of them" in row["reason"] for row in failed)


def test_the_table_and_the_picture_know_kernels(tmp_path):
    ledger = tmp_path / "l.jsonl"
    specs = grid(COMMON | {"model": KERNEL}) + grid(COMMON | {"model": FEATURES})
    run_sweep(specs, ledger, executor=Here())
    runs = ledger_runs(ledger)
    assert set(runs["ridge"]) == {0.01, 0.1, 1.0}
    table = list(csv.DictReader(io.StringIO(ledger_table(ledger))))
    kernels = [row for row in table if row["kernel"]]
    assert {(r["model"], r["kernel"], r["bandwidth"]) for r in kernels} == {
        ("kernel-ridge", "laplace", "1")
    }
    assert (len(kernels), len(table)) == (6, 14)
    from isoloss.plot.sweep import sweep_series

    labels = {line["label"] for line in sweep_series(rows_of(ledger))["C"]}
    assert labels == {"laplace", "width 10", "width 60"}
