"""Where files lie is in no row and no name; what is in them decides."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from isoloss._core.executor import Here
from isoloss.errors import InputError
from isoloss.sweep import DataSpec, RandomFeatures, RunSpec, grid, ledger_table, run_sweep, tasks
from isoloss.sweep.data.place import kept, without_places
from isoloss.sweep.spec import by_name


@pytest.fixture(autouse=True)
def fresh():
    """Files change under one path here."""
    tasks.data_of.cache_clear()
    tasks.data_form.cache_clear()
    yield
    tasks.data_of.cache_clear()
    tasks.data_form.cache_clear()


def save(path: Path, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, train_x=x, train_y=x[:, :1] * x[:, 1:2])
    return str(path)


def run(path, D=50, **data):
    return RunSpec(
        model=RandomFeatures(width=20), D=D, batch=1, lr=1.0,
        data=DataSpec(name="arrays", path=path, **data),
    )  # fmt: skip


def sweep(specs, ledger):
    return run_sweep(specs, ledger, executor=Here())


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/ann/data/cats.npz", "cats.npz"), ("~/cats/", "cats"), ("data/cats.npz",) * 2,
        ("../cats.npz",) * 2, ("C:\\Users\\ann\\cats", "cats"), ("/", "/"), ("~", "~"),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_path(path, shown):
    assert kept(path) == shown


def test_rows_hold_no_folder_whatever_becomes_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "wilhelmina"))
    ids = tmp_path / "ids.npy"
    np.save(ids, np.arange(100))
    good = save(tmp_path / "some where" / "cats.npz")
    (tmp_path / "damaged.npz").write_bytes(b"PK no archive")
    specs = [
        run(good), run(good, selection=str(ids)), run(good, D=10**6),
        run(str(tmp_path / "absent.npz")), run(str(tmp_path / "damaged.npz")),
        run("~/gone.npz"), run(good, selection=str(tmp_path / "no.npy")),
    ]  # fmt: skip
    ledger = tmp_path / "l.jsonl"
    state = sweep(specs, ledger)
    assert (state.done, state.failed) == (2, 5)
    text = ledger.read_text() + ledger_table(ledger)
    assert str(tmp_path) not in text
    assert "wilhelmina" not in text
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert {row["spec"]["data"]["path"] for row in rows} == {
        "cats.npz", "absent.npz", "damaged.npz", "gone.npz",
    }  # fmt: skip
    # The reason still says which file.
    reasons = " ".join(row["reason"] for row in rows if row["status"] == "failed")
    assert all(name in reasons for name in ("absent.npz", "damaged.npz", "no.npy"))


def test_another_folder_is_the_same_run_and_is_found_again(tmp_path):
    first = save(tmp_path / "a" / "cats.npz")
    ledger = tmp_path / "l.jsonl"
    sweep([run(first)], ledger)
    (tmp_path / "b").mkdir()
    second = shutil.move(first, tmp_path / "b" / "cats.npz")
    before = ledger.read_text()
    assert run(str(second)).name == run(first).name
    assert sweep([run(str(second))], ledger).done == 1
    assert ledger.read_text() == before
    # More runs of the same grid find the file where it is now.
    state = sweep([run(str(second)), run(str(second), D=60)], ledger)
    assert (state.done, state.failed) == (2, 0)


def test_other_content_under_one_name_is_refused_and_a_lost_file_is_not_missed(tmp_path):
    path = save(tmp_path / "cats.npz")
    ledger = tmp_path / "l.jsonl"
    sweep([run(path)], ledger)
    save(tmp_path / "cats.npz", seed=1)
    tasks.data_of.cache_clear()
    before = ledger.read_text()
    with pytest.raises(InputError, match=r"learned from other data than .*give another ledger"):
        sweep([run(path), run(path, D=60)], ledger)
    assert ledger.read_text() == before
    os.unlink(path)  # noqa: PTH108
    tasks.data_of.cache_clear()
    assert sweep([run(path)], ledger).done == 1


def test_two_files_of_one_last_part_are_refused(tmp_path):
    one, other = (save(tmp_path / k / "cats.npz", seed=i) for i, k in enumerate("ab"))
    with pytest.raises(InputError, match="one name in a ledger"):
        sweep([run(one), run(other)], tmp_path / "l.jsonl")
    config = {
        "batch": 1, "lr": 1, "D": 50, "model": {"kind": "random-features", "width": 20},
        "data": {"name": "arrays", "path": [one, other]},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"my\.toml: data: .*write paths relative"):
        grid(config, source="my.toml")
    # Relative paths are kept whole, and so are runs that are equal.
    assert len(by_name([run("a/cats.npz"), run("b/cats.npz"), run("a/cats.npz")])) == 2
    assert len(by_name([run(one), run(one)])) == 1


def test_names_of_runs_without_absolute_paths_are_digests_of_all_fields():
    import hashlib

    for spec in (run("data/cats.npz"), run("cats.npz", selection="ids.npy")):
        text = json.dumps(spec.to_dict(), sort_keys=True)
        assert spec.name.endswith(hashlib.sha256(text.encode()).hexdigest()[:12])
        assert spec.record() == spec.to_dict()


def test_messages_lose_homes_caches_and_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("ISOLOSS_DATA", "/disk/ann/sets")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/ann/.cache")
    monkeypatch.chdir(tmp_path)
    told = without_places(
        f"not in /disk/ann/sets, /home/ann/.cache/isoloss, /home/ann/x, {tmp_path}/y, "
        "/usr/share/datasets; ~/z/cats.npz or /home/ann/z/cats.npz: gone",
        ["~/z/cats.npz", None],
    )
    assert told == (
        "not in $ISOLOSS_DATA, $XDG_CACHE_HOME/isoloss, ~/x, ./y, /usr/share/datasets; "
        "~/z/cats.npz or cats.npz: gone"
    )
