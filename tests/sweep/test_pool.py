import signal
import sys
from pathlib import Path

import pytest

from isoloss._core.local_pool import LocalPool
from isoloss.errors import InputError, MissingExtra
from isoloss.sweep import RunSpec, ledger_table, read_ledger, run_sweep
from isoloss.sweep import pool as pool_module
from sweep import dying

SPECS = [
    RunSpec(width=8, depth=1, heads=1, D=10_240, lr=0.01, warmup=5, batch=4, seed=s)
    for s in range(4)
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    for i in range(60):
        (folder / f"f{i}.py").write_text("".join(f"x{i}_{j} = {j}\n" for j in range(60)))
    return folder


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Workers that die and fail where they are told."""
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setattr(pool_module, "_work", dying.work)
    monkeypatch.setattr(pool_module, "_check", lambda *_: None)
    monkeypatch.setenv("ISOLOSS_TEST_NOTES", str(notes))
    for kind in ("DIES", "DIES_ONCE", "FAILS"):
        monkeypatch.setenv(f"ISOLOSS_TEST_{kind}", "")
    return notes


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")


@needs_kill
def test_a_run_that_kills_its_workers_fails_and_no_other(stand_in, tmp_path, monkeypatch):
    bad = SPECS[0].name
    monkeypatch.setenv("ISOLOSS_TEST_DIES", bad)
    failed = run_sweep(SPECS, tmp_path / "ledger.jsonl", workers=2)
    assert len(failed) == 1
    assert failed[0].startswith(f"{bad}: the process of this task died 2 times")
    done = {r["run"] for r in read_ledger(tmp_path / "ledger.jsonl")}
    assert done == {s.name for s in SPECS[1:]}
    assert len(list(stand_in.glob(f"{bad}.*"))) == 2


@needs_kill
def test_a_run_whose_worker_died_once_is_trained(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOLOSS_TEST_DIES_ONCE", SPECS[1].name)
    assert run_sweep(SPECS[:2], tmp_path / "ledger.jsonl", workers=2) == []
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == 2


@needs_kill
def test_a_sweep_runs_where_it_is_told(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOLOSS_TEST_DIES_ONCE", SPECS[1].name)
    with LocalPool(2) as pool:
        assert run_sweep(SPECS, tmp_path / "ledger.jsonl", executor=pool) == []
        assert pool.deaths == 1
        # The executor is the caller's, and stays open.
        assert pool.submit(len, "abc").result() == 3
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == len(SPECS)


def test_an_error_in_a_run_is_reported_and_the_others_finish(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOLOSS_TEST_FAILS", SPECS[2].name)
    seen = []
    failed = run_sweep(
        [*SPECS, SPECS[0]],
        tmp_path / "ledger.jsonl",
        workers=1,
        on_row=lambda row, done, total: seen.append((row["run"], done, total)),
    )
    assert failed == [f"{SPECS[2].name}: diverged on purpose"]
    assert [s[1:] for s in seen] == [(1, 4), (2, 4), (3, 4)]


def test_a_sweep_is_trained_once_and_goes_on_where_it_was(text, tmp_path):
    pytest.importorskip("torch")
    ledger = tmp_path / "ledger.jsonl"
    seen = []

    def sweep(specs, path=ledger):
        return run_sweep(
            specs, path, workers=1, corpus_root=text, on_row=lambda r, *_: seen.append(r["run"])
        )

    too_long = RunSpec(width=8, depth=1, heads=1, D=10**7, lr=0.01)
    failed = sweep([*SPECS[:2], too_long])
    assert len(failed) == 1
    assert "lower D" in failed[0]
    assert sorted(seen) == sorted(s.name for s in SPECS[:2])
    before = ledger.read_bytes()

    seen.clear()
    assert sweep(SPECS[:2]) == []
    assert seen == []
    assert ledger.read_bytes() == before

    # Equal seeds give equal losses; other seeds do not.
    other = tmp_path / "other.jsonl"
    assert sweep(SPECS[:2], other) == []
    first, again = ({r["run"]: r["loss"] for r in read_ledger(p)} for p in (ledger, other))
    assert first == again
    assert len(set(first.values())) == 2
    assert all(0 < v < 5.6 for v in first.values())
    assert len(ledger_table(ledger).splitlines()) == 3


def test_a_sweep_without_text_stops_before_it_starts(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"no \.py files"):
        run_sweep(SPECS, tmp_path / "ledger.jsonl", corpus_root=tmp_path / "nowhere")


def test_a_sweep_without_torch_stops_before_it_starts(text, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"isoloss\[train\]"):
        run_sweep(SPECS, tmp_path / "ledger.jsonl", corpus_root=text)
    assert not (tmp_path / "ledger.jsonl").exists()
