"""Pilots from data to table: pools, selections, resuming, the table, the command."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss._core.executor import open_executor
from isoloss.errors import InputError
from isoloss.study.pilot_table import PILOT_COLUMNS, pilot_csv, pilot_means, read_pilots
from isoloss.study.pilots import Network, data_label, train_pilots
from isoloss.sweep import DataSpec, Mlp, load_data
from isoloss.sweep.data.table import subset_order
from isoloss.sweep.ledger import read_ledger
from isoloss.sweep.train import train
from study.pilots_made import NETWORK, SCORING, blobs

torch = pytest.importorskip("torch")

CALL = {
    "metrics": ("el2n", "memorization", "density", "moderate"), "keeps": (0.25, 0.5),
    "pools": (128, 400), "seeds": (0, 1), "scoring": SCORING, "network": NETWORK,
}  # fmt: skip


def run(data, out, **changes):
    with open_executor("here", workers=1) as executor:
        return train_pilots(data, out, **(CALL | {"executor": executor} | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pilots")
    data = blobs(folder)
    return data, folder / "out", run(data, folder / "out")


def test_the_table_has_every_cell_once_and_reads_back(made):
    _, out, found = made
    assert not found.failed
    rows = read_pilots(out / "pilots.csv")
    with (out / "pilots.csv").open() as file:
        assert tuple(next(csv.reader(file))) == PILOT_COLUMNS
    cells = {(r["metric"], r["policy"]) for r in rows}
    assert cells == {
        ("", "random"), ("el2n", "hard"), ("el2n", "easy"), ("memorization", "hard"),
        ("memorization", "easy"), ("density", "cluster"), ("moderate", "middle"),
    }  # fmt: skip
    keys = [(r["metric"], r["policy"], r["keep"], r["pool"], r["seed"]) for r in rows]
    assert len(set(keys)) == len(keys) == 2 * 2 * (7 * 2 + 1)
    for row, kept in zip(rows, found.rows, strict=True):
        for name in PILOT_COLUMNS:
            assert row[name] == (pytest.approx(kept[name], rel=1e-5)
                                 if isinstance(kept[name], float) else kept[name])  # fmt: skip
        assert row["D"] == round(row["keep"] * row["pool"])
        assert row["worst_error"] >= row["error"] - 1e-6
        assert (row["score_flops"] > 0) == (row["metric"] != "")
        assert row["keep"] < 1 or (row["policy"], row["metric"]) == ("random", "")


def test_selections_lie_in_their_pool_and_pools_are_nested(made):
    data, out, found = made
    n = load_data(data).examples
    for row in read_ledger(out / "ledger.jsonl"):
        path = out / "selections" / Path(row["spec"]["data"]["selection"]).name
        about = json.loads(path.with_name(path.name + ".json").read_text())
        seed, size = row["spec"]["seed"], about["pool"]
        pool = subset_order(n, seed)[:size]
        kept = np.load(path)
        assert np.isin(kept, pool).all()
        assert kept.size == row["D"]
        assert np.isin(subset_order(n, seed)[:128], subset_order(n, seed)[:400]).all()
    for path in out.glob("scores/*/pool128-seed1/*/ids-00000.npy"):
        assert np.load(path).tolist() == np.sort(subset_order(n, 1)[:128]).tolist()
    assert len(list(out.glob("scores/*/pool128-seed1/*"))) == 4
    assert len(found.rows) == len(read_ledger(out / "ledger.jsonl"))


def test_a_pilot_is_the_run_that_it_says_alone(made):
    given, out, _ = made
    rows = [r for r in read_ledger(out / "ledger.jsonl") if r.get("together", 1) > 1]
    assert rows
    from isoloss.sweep.spec import spec_from

    for row in (rows[0], rows[-1]):
        spec = spec_from(row["spec"])
        path = out / "selections" / Path(row["spec"]["data"]["selection"]).name
        data = load_data(replace(given, selection=str(path)))
        alone = train(spec, data)
        assert alone["data"] == row["data"]
        assert alone["loss"] == pytest.approx(row["loss"], rel=2e-3)
        assert alone["class_errors"] == pytest.approx(row["class_errors"], abs=0.03)
        counts = np.bincount(data.test_y)
        assert row["error"] == pytest.approx(
            (np.array(row["class_errors"]) * counts).sum() / counts.sum(), abs=1e-5
        )


def test_a_second_start_scores_and_trains_nothing_again(made, monkeypatch):
    data, out, found = made
    before = (out / "ledger.jsonl").read_bytes()
    monkeypatch.setattr("isoloss.study.pilot_store.score_pool", None)
    again = run(data, out)
    assert (out / "ledger.jsonl").read_bytes() == before
    assert again.rows == found.rows


def test_more_of_it_later_keeps_what_is_there(tmp_path):
    data = blobs(tmp_path)
    few = run(data, tmp_path / "out", metrics=("el2n",), seeds=(0,), name="few")
    more = run(data, tmp_path / "out", metrics=("el2n", "prototypes"), seeds=(0,))
    known = {tuple(r[n] for n in PILOT_COLUMNS) for r in more.rows}
    assert {tuple(r[n] for n in PILOT_COLUMNS) for r in few.rows} <= known
    other = run(data, tmp_path / "out", metrics=("el2n",), seeds=(0,),
                scoring=replace(SCORING, epochs=2))  # fmt: skip
    assert len(list((tmp_path / "out/scores").iterdir())) == 2
    assert not other.failed


@pytest.mark.slow
def test_killed_at_any_time_it_goes_on(tmp_path):
    data = blobs(tmp_path)
    code = (
        "import sys; sys.path.insert(0, 'tests'); from study.test_pilots import *\n"
        f"print(len(run(DataSpec(name='arrays', path={data.path!r}), {str(tmp_path / 'out')!r}, "
        "metrics=('el2n', 'prototypes'), pools=(128, 200, 400)).rows))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    for file, count in (("scores/*/*/el2n", 2), ("ledger.jsonl", 1)):
        child = subprocess.Popen([sys.executable, "-c", code], cwd=root, env=environment)
        end = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < end:
            if len(list((tmp_path / "out").glob(file))) >= count:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        child.wait()
    whole = run(data, tmp_path / "out", metrics=("el2n", "prototypes"), pools=(128, 200, 400))
    clean = run(data, tmp_path / "clean", metrics=("el2n", "prototypes"), pools=(128, 200, 400))
    told = [
        [[r[n] for n in PILOT_COLUMNS if n != "cpu_seconds"] for r in found.rows]
        for found in (whole, clean)
    ]
    assert [row[:7] for row in told[0]] == [row[:7] for row in told[1]]
    for one, two in zip(whole.rows, clean.rows, strict=True):
        assert one["error"] == pytest.approx(two["error"], abs=0.05)
    files = [
        sorted(p.name for p in (tmp_path / place / "selections").iterdir())
        for place in ("out", "clean")
    ]
    assert files[0] == files[1]


def test_equal_steps_are_those_of_the_pool(tmp_path):
    found = run(blobs(tmp_path), tmp_path / "out", metrics=(), pools=(400,), seeds=(0,),
                network=replace(NETWORK, match="steps"))  # fmt: skip
    assert {r["seen"] for r in found.rows} == {400 * 3 // 16 * 16}
    assert {r["D"] for r in found.rows} == {100, 200, 400}


def test_floors_and_guards_reach_the_selection(tmp_path):
    data = blobs(tmp_path)
    run(data, tmp_path / "out", metrics=("el2n",), pools=(400,), seeds=(0,), class_floor=0.9,
        noise_guard=0.1)  # fmt: skip
    (path,) = (tmp_path / "out/selections").glob("*el2n-hard-keep0.25*.npy")
    labels = load_data(data).train_y[np.load(path)]
    assert np.bincount(labels, minlength=3).min() >= int(0.9 * 100 / 3)
    (place,) = (tmp_path / "out/scores").glob("*/pool400-seed0/el2n")
    scores, ids = np.load(place / "scores-00000.npy"), np.load(place / "ids-00000.npy")
    assert not np.isin(ids[np.argsort(scores)[-40:]], np.load(path)).any()
    assert "floor0.9-guard0.1" in path.name


def test_means_pair_seeds_and_leave_out_what_has_no_pair():
    base = dict.fromkeys(PILOT_COLUMNS, 1.0) | {"data": "a", "metric": "", "policy": "random"}
    rows = [base | {"keep": 0.5, "seed": s, "error": e} for s, e in ((0, 0.3), (1, 0.5))]
    rows += [
        base | {"metric": "m", "policy": "hard", "keep": 0.5, "seed": s, "error": e}
        for s, e in ((0, 0.2), (1, 0.3), (2, 0.9))
    ]
    mean = next(m for m in pilot_means(rows) if m["metric"] == "m")
    assert mean["gain"] == pytest.approx(0.15)
    assert mean["gain_se"] == pytest.approx(0.05)
    assert mean["error"] == pytest.approx(1.4 / 3)


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"metrics": ("el3n",)}, "did you mean 'el2n'"), ({"policies": ("hardest",)}, "policy"),
        ({"keeps": (1.5,)}, "keep = 1.5"), ({"keeps": ()}, "one share"),
        ({"pools": (500,)}, "pool = 500"), ({"seeds": ()}, "seeds"), ({"seeds": (1, 1)}, "twice"),
        ({"name": "../a"}, "name"), ({"class_floor": 2.0}, "class_floor"),
        ({"noise_guard": 1.0}, "noise_guard"),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused_before_anything_is_made(tmp_path, change, piece):
    with pytest.raises(InputError, match=piece):
        run(blobs(tmp_path), tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_data_that_pilots_cannot_use_are_refused(tmp_path):
    teacher = DataSpec(name="teacher", dimension=2, teacher_width=4, teacher_depth=1, examples=500)
    with pytest.raises(InputError, match="need classes"):
        run(teacher, tmp_path / "out")
    with pytest.raises(InputError, match="selection already"):
        run(replace(blobs(tmp_path), selection="a.npy"), tmp_path / "out")
    with pytest.raises(InputError, match="is a file"):
        run(blobs(tmp_path), tmp_path / "blobs.npz")
    for wrong, piece in (
        ({"network": replace(NETWORK, lr=-1.0)}, "lr"), ({"keeps": (0.001,)}, "gives 0 steps"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=piece):
            run(blobs(tmp_path), tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="match"):
        Network(match="time")
    with pytest.raises(InputError, match="epochs"):
        Network(model=Mlp(width=4), epochs=0.0)


def test_scores_that_were_damaged_are_told_of(tmp_path):
    data = blobs(tmp_path)
    run(data, tmp_path / "out", metrics=("el2n",), pools=(128,), seeds=(0,))
    (cost,) = (tmp_path / "out").glob("scores/*/pool128-seed0/el2n/cost.json")
    cost.write_text("{")
    with pytest.raises(InputError, match="delete"):
        run(data, tmp_path / "out", metrics=("el2n",), pools=(128,), seeds=(0,))


@pytest.mark.parametrize(
    ("name", "value", "piece"),
    [
        ("error", "many", "is not a number"), ("loss", "nan", "finite"), ("pool", "1.5", "whole"),
        ("keep", "0", "keep"), ("D", "9", "D = 9"), ("seed", "-1", "zero or more"),
    ],
)  # fmt: skip
def test_tables_with_bad_cells_are_refused_by_line(tmp_path, name, value, piece):
    row = dict.fromkeys(PILOT_COLUMNS, 1.0) | {"data": "a", "metric": "", "policy": "random"}
    path = tmp_path / "pilots.csv"
    path.write_text(pilot_csv([row, row | {name: value}]))
    with pytest.raises(InputError, match=f"line 3.*{piece}"):
        read_pilots(path)


def test_files_that_are_no_table_are_refused(tmp_path):
    for content, piece in ((b"a,b\n1,2\n", "no column"), (b"\xff\xfe", "is no table")):
        (tmp_path / "x.csv").write_bytes(content)
        with pytest.raises(InputError, match=piece):
            read_pilots(tmp_path / "x.csv")
    with pytest.raises(InputError, match="is no file"):
        read_pilots(tmp_path / "absent.csv")


def test_labels_of_data_say_what_was_done():
    assert data_label(DataSpec(name="mnist1d")) == "mnist1d"
    assert data_label(DataSpec(name="mnist1d", label_noise=0.25)) == "mnist1d label_noise=0.25"


def test_the_command_trains_and_goes_on(tmp_path):
    data = blobs(tmp_path)
    words = ["prune", "pilots", "arrays", "--path", data.path, "--out", tmp_path / "out",
             "--metric", "prototypes", "--keep", 0.5, "--pool", 400, "--seeds", 1, "--epochs", 2,
             "--width", 4]  # fmt: skip
    first = call(*words)
    assert first.exit_code == 0
    assert "prototypes hard" in first.stderr
    second = call(*words, "--json")
    assert json.loads(second.stdout)["pilots"] == 4
    assert "scores of pool" not in second.stderr


@pytest.mark.parametrize(
    ("words", "code", "piece"),
    [
        (["prune", "pilots", "fashion", "--out", "x"], 1, "did you mean"),
        (["prune", "pilots", "mnist1d", "--out", "x", "--keep", "2"], 1, "keep = 2"),
        (["prune", "pilots", "mnist1d", "--out", "x", "--metric", "el"], 1, "metric"),
        (["prune", "pilots", "mnist1d"], 2, "--out"),
        (["prune", "study"], 2, "--out"),
        (["prune", "study", "--read", ".", "--only", "all"], 2, "must be one of"),
        (["prune", "study", "--read", "."], 1, "holds no table"),
    ],
)
def test_the_command_refuses_in_a_sentence(tmp_path, monkeypatch, words, code, piece):
    monkeypatch.chdir(tmp_path)
    found = call(*words)
    assert found.exit_code == code
    assert piece in found.stderr
    assert "Traceback" not in found.stderr
