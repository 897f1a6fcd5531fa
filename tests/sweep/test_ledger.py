import errno
import io
import json
import math
import os

import pytest

from isoloss.errors import InputError
from isoloss.runs import read_runs
from isoloss.sweep import append_row, ledger_table, read_ledger
from isoloss.sweep.ledger import unfinished
from isoloss.sweep.table import COLUMNS


def row(name: str, *, D: int = 1000, loss: float = 2.0) -> dict[str, object]:
    """A ledger row with every field that the table needs."""
    return {
        "run": name, "width": 8, "depth": 1, "heads": 1, "N_total": 100 + D, "N_non_embedding": 90,
        "D": D, "flops_dense": 7.0 * D, "flops_head": 2.0 * D, "flops_attention": 1.0 * D,
        "loss": loss, "train_loss": 2.1, "seed": 0, "lr": 0.01, "batch": 4, "warmup": 2,
        "steps": 10, "seconds": 1.5, "torch": "2", "python": "3", "corpus": "abc",
    }  # fmt: skip


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
    append_row(path, row("b"))
    assert [r["run"] for r in read_ledger(path)] == ["b"]


def test_the_table_holds_the_columns_sorted_by_compute(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for name, D in (("big", 3000), ("small", 1000), ("middle", 2000)):
        append_row(path, row(name, D=D, loss=3 - D / 10_000))
    text = ledger_table(path)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    runs = read_runs(io.StringIO(text))
    assert runs.names == ("small", "middle", "big")
    assert runs["C"].tolist() == [10_000.0, 20_000.0, 30_000.0]
    terms = sum(runs[f"flops_{term}"] for term in ("dense", "head", "attention"))
    assert (runs["C"] == terms).all()
    assert runs["N"].tolist() == [1100.0, 2100.0, 3100.0]


def test_a_diverged_run_keeps_its_row_without_a_loss(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_row(path, row("fine"))
    append_row(path, row("gone", loss=math.nan))
    assert unfinished(["gone"], path) == []
    runs = read_runs(io.StringIO(ledger_table(path)))
    assert runs.names == ("fine",)
    assert [r.name for r in runs.refused] == ["gone"]


def test_a_row_of_something_else_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(json.dumps({"run": "x", "loss": 1}) + "\n")
    with pytest.raises(InputError, match="row 'x' has no"):
        ledger_table(path)
