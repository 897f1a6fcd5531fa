import errno
import io
import json
import math
import os

import pytest

from isoloss._core.append import repair_end
from isoloss._core.executor import Here
from isoloss.errors import InputError
from isoloss.runs import read_runs
from isoloss.sweep import append_row, ledger_runs, ledger_table, read_ledger, run_sweep, tasks
from isoloss.sweep.ledger import unfinished
from sweep import made


def row(name: str, **changes: object) -> dict[str, object]:
    return made.row(made.spec(), run=name, **changes)


def test_rows_come_back_in_order_and_the_last_of_a_name_wins(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert read_ledger(path) == []
    for name, loss in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        append_row(path, row(name, loss=loss))
    assert [(r["run"], r["loss"]) for r in read_ledger(path)] == [("a", 3.0), ("b", 2.0)]
    assert unfinished(["c", "b", "d"], path) == ["c", "d"]


def test_a_half_written_last_line_costs_itself_alone(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_row(path, row("a"))
    whole = path.read_bytes()
    append_row(path, row("b"))
    for cut in (1, 10, len(path.read_bytes()) - len(whole) - 1):
        broken = tmp_path / f"cut{cut}.jsonl"
        broken.write_bytes(path.read_bytes()[: len(whole) + cut])
        append_row(broken, row("c"))
        names = [r["run"] for r in read_ledger(broken)]
        assert names in (["a", "c"], ["a", "b", "c"])
        assert ("b" in names) == (cut > 10)


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[1, 2]\n", b'"text"\n', b"{}\n", b"\n\n"])
def test_lines_that_are_no_rows_are_skipped(tmp_path, junk):
    path = tmp_path / "ledger.jsonl"
    append_row(path, row("a"))
    with path.open("ab") as file:
        file.write(junk)
    append_row(path, row("b"))
    assert [r["run"] for r in read_ledger(path)] == ["a", "b"]


def test_a_disk_that_fills_within_a_row_is_an_error_not_a_lost_row(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    write, calls = os.write, []

    def full(handle, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        append_row(path, row("a"))
    monkeypatch.undo()
    assert path.read_bytes() == b""
    append_row(path, row("b"))
    assert [r["run"] for r in read_ledger(path)] == ["b"]


def test_a_failure_never_takes_the_place_of_a_result(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for status in ("failed", "done", "failed"):
        append_row(path, row("a", status=status))
    append_row(path, {"run": "b", "status": "failed", "loss": math.nan})
    assert {r["run"]: r["status"] for r in read_ledger(path)} == {"a": "done", "b": "failed"}
    assert unfinished(["a", "b"], path) == ["b"]


def test_lines_are_json_for_everybody_and_a_loss_that_is_none_is_nan(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_row(path, row("a", loss=math.nan, curve=[[1, 2, math.inf]]))
    json.loads(path.read_text(), parse_constant=lambda text: pytest.fail(text))
    (found,) = read_ledger(path)
    assert math.isnan(found["loss"])
    assert found["curve"] == [[1, 2, None]]


def test_a_torn_end_is_cut_and_nothing_else(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert not repair_end(path)
    for content, kept in (
        (b"", b""), (b"torn", b""), (b"a\n", b"a\n"), (b"a\ntorn", b"a\n"),
        (b"a\n" + b"x" * 200_000, b"a\n"), (b"x" * 70_000 + b"\ny", b"x" * 70_000 + b"\n"),
    ):  # fmt: skip
        path.write_bytes(content)
        assert repair_end(path) == (content != kept)
        assert path.read_bytes() == kept


def sweep(tmp_path, specs):
    path = tmp_path / "ledger.jsonl"
    for spec in specs:
        append_row(path, made.row(spec))
    return path


def test_the_table_holds_the_runs_by_compute_with_the_fields_of_their_specs(tmp_path):
    specs = [made.spec(seed, width=w, subset=3) for w in (16, 8) for seed in (0, 1)]
    path = sweep(tmp_path, specs)
    runs = ledger_runs(path)
    assert runs["width"].tolist() == [8.0, 8.0, 16.0, 16.0]
    assert sorted(runs.names) == sorted(s.name for s in specs)
    terms = sum(runs[f"flops_{term}"] for term in ("dense", "head", "attention"))
    assert (runs["C"] == terms).all()
    assert runs["N"].tolist() == [80.0, 80.0, 160.0, 160.0]
    assert runs["seed"].tolist() == [float(n.partition("-s")[2][0]) for n in runs.names]
    assert runs["loss"] == pytest.approx(
        [made.loss_of({s.name: s for s in specs}[n]) for n in runs.names], rel=1e-7
    )
    assert runs.conventions.N == "all parameters"
    head = ledger_table(path).splitlines()[0].split(",")
    assert head[:5] == ["name", "N", "D", "C", "loss"]
    assert {"model", "data", "lr", "batch", "depth", "subset", "optimiser"} <= set(head)
    # What no run has is no column; nothing stands there twice.
    assert not {"dimension", "path", "heads", "weight_decay", "data_seed"} & set(head)
    assert len(set(head)) == len(head)


def test_seeds_of_runs_and_of_data_are_told_apart(tmp_path):
    other = made.spec().data.from_dict({"name": "mnist-5k", "seed": 7})
    path = sweep(tmp_path, [made.spec(), made.spec(1, data=other)])
    runs = ledger_runs(path)
    assert sorted(runs["seed"].tolist()) == [0.0, 1.0]
    assert sorted(runs["data_seed"].tolist()) == [0.0, 7.0]


def test_runs_without_a_result_keep_their_row_and_readers_refuse_it(tmp_path, monkeypatch):
    made.install(monkeypatch.setattr)
    monkeypatch.setattr(tasks, "do_task", made.do_task)
    specs = [made.spec(seed) for seed in range(4)]
    monkeypatch.setenv("MADE_FAILS", specs[0].name)
    monkeypatch.setenv("MADE_DIVERGES", specs[1].name)
    path = tmp_path / "ledger.jsonl"
    run_sweep(specs, path, executor=Here())
    runs = read_runs(io.StringIO(ledger_table(path)))
    assert set(runs.names) == {s.name for s in specs[2:]}
    assert {r.name for r in runs.refused} == {s.name for s in specs[:2]}
    assert len(ledger_table(path).splitlines()) == 5


@pytest.mark.parametrize(
    ("line", "piece"),
    [
        ({"run": "x", "loss": 1}, "row 'x' has no N"),
        ({"run": "x", "status": "failed"}, "row 'x' has no spec"),
        ({"run": "x", "status": "failed", "spec": {"model": 3}}, "no description of a run"),
    ],
)
def test_a_row_of_something_else_is_named(tmp_path, line, piece):
    path = tmp_path / "ledger.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=piece):
        ledger_table(path)
