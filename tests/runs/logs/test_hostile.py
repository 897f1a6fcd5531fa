"""Files of strangers: cut, damaged, enormous by their own words, and names that attack."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss.errors import InputError, IsolossError
from isoloss.runs import read_runs
from isoloss.runs.logs import import_logs
from isoloss.runs.logs.flat_yaml import read_flat_yaml
from isoloss.runs.logs.read import read_log
from isoloss.runs.logs.record import Log, LoggedRun
from runs.logs.make_logs import TOOLS
from runs.logs.writers import (
    MLFLOW_TABLES,
    message,
    record,
    scalar,
    wandb_file,
    wandb_history,
    wandb_run,
    write_csv,
    write_jsonl,
)

FIXTURES = Path(__file__).parent / "fixtures"
KINDS = {
    "run-abcd1234.wandb": "wandb",
    "events.out.tfevents.1700000000.host": "tensorboard",
    "mlflow.db": "mlflow database",
    "trainer_state.json": "trainer",
    "metrics.csv": "lightning",
    "run.jsonl": "table",
    "run.csv": "table",
}


def small_files(folder: Path) -> Iterator[Path]:
    rows = [{"step": k, "tokens": 10 * k, "eval_loss": 3.0 + 1 / k} for k in range(1, 6)]
    write_csv(folder, "run", {"n_params": 5}, rows)
    write_jsonl(folder, "run", {"n_params": 5}, rows)
    yield folder / "run.csv"
    yield folder / "run.jsonl"
    for tool in TOOLS:
        for path in sorted((FIXTURES / tool).rglob("*")):
            if path.name in KINDS:
                yield path
                break


def points(runs: list[LoggedRun]) -> int:
    return sum(sum(run.counts.values()) for run in runs)


def survive(path: Path) -> tuple[list[LoggedRun], bool]:
    """Read whatever is there; only errors made on purpose may come out."""
    try:
        runs = list(read_log(Log(KINDS[path.name], (path,), path.name), lambda name: True))
    except IsolossError:
        return [], True
    return runs, any(note[1] != "info" for run in runs for note in run.notes)


EVERY_BYTE = [
    pytest.param(which, stride, marks=pytest.mark.slow if stride == 1 else ())
    for which in range(8)
    for stride in (0, 1)
]


@pytest.mark.parametrize(("which", "stride"), EVERY_BYTE)
def test_cut_anywhere_gives_a_part_and_a_note(which: int, stride: int, tmp_path: Path) -> None:
    """Some 120 cuts always; every byte of files up to 6,000 where there is time."""
    (tmp_path / "whole").mkdir()
    source = list(small_files(tmp_path / "whole"))[which]
    data = source.read_bytes()
    path = tmp_path / source.name
    whole, _ = survive(source)
    most = 0
    if not stride or len(data) > 6000:
        stride = max(1, len(data) // 120)
    for length in range(0, len(data), stride):
        path.write_bytes(data[:length])
        runs, said = survive(path)
        count = points(runs)
        most = max(most, count)
        assert count <= points(whole)
        if 0 < count < points(whole) and source.suffix in (".jsonl", ".csv"):
            ends_a_line = data[length - 1 : length] == b"\n" or data[length : length + 1] == b"\n"
            assert said or ends_a_line, length
        for run, full in zip(runs, whole, strict=False):
            for name, curve in run.curves.items():  # what is read is true
                expected = full.curves[name].arrays()[1][: len(curve)]
                assert np.array_equal(curve.arrays()[1], expected, equal_nan=True), (length, name)
    assert most > points(whole) / 2


@pytest.mark.parametrize("which", range(8))
def test_flipped_bytes_never_end_in_a_traceback(which: int, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    source = list(small_files(tmp_path / "whole"))[which]
    data = source.read_bytes()
    path = tmp_path / source.name
    for place in range(0, len(data), max(1, len(data) // 60)):
        for value in (0, 255, data[place] ^ 0x40):
            path.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
            survive(path)


def test_cut_file_through_the_command_line(tmp_path: Path) -> None:
    for tool, name in (("wandb", "run-abcd1234.wandb"), ("tensorboardx", None)):
        (source,) = [p for p in (FIXTURES / tool).iterdir() if name in (None, p.name)]
        (tmp_path / tool).mkdir()
        (tmp_path / tool / source.name).write_bytes(source.read_bytes()[:-9])
        done = call("import", tmp_path / tool, "--columns", "N=1e6")
        assert done.exit_code == 3
        assert "TRUNCATED" in done.output


HUGE = struct.pack("<Q", 2**60)


@pytest.mark.parametrize(
    "data",
    [
        record(b"x")[:0] + HUGE + b"\0\0\0\0",
        HUGE + struct.pack("<I", 0) + b"brain.Event:2",
        record(b"\x1a\x0dbrain.Event:2") + HUGE + b"abcd" + bytes(100),
        record(b"\x2a" + b"\xff" * 9 + b"\x01"),
        record(message(5, message(1, b"\x0a\xff\xff\xff\xff\x0f"))),
        record(
            message(
                5, message(1, message(8, message(2, message(2, b"\x08" + b"\xff" * 9 + b"\x01"))))
            )
        ),
    ],
)
def test_claims_of_enormous_events_cost_nothing(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    # A length whose checksum holds, so that only the size of the file can refuse it.
    path.write_bytes(data)
    tracemalloc.start()
    with contextlib.suppress(IsolossError):
        list(read_log(Log("tensorboard", (path,), "x"), lambda name: True))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_length_of_2_to_60_with_a_right_checksum(tmp_path: Path) -> None:
    from isoloss.runs.logs.tensorboard import masked_crc

    good = scalar("eval_loss", 2.0, 1)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(good + HUGE + struct.pack("<I", masked_crc(HUGE)) + bytes(50))
    (run,) = read_log(Log("tensorboard", (path,), "x"), lambda name: True)
    assert (run.counts, run.notes[0][0]) == ({"eval_loss": 1}, "TRUNCATED")


def test_safetensors_header_of_2_to_60(tmp_path: Path) -> None:
    from isoloss.runs.logs.trainer_state import count_parameters

    path = tmp_path / "model.safetensors"
    for head in (HUGE, struct.pack("<Q", 30), b"", b"\0\0"):
        path.write_bytes(head + b'{"a":{"shape":[1e9]}}')
        assert count_parameters(path) is None
    body = b'{"a":{"shape":[3,4]},"__metadata__":{},"b":{"shape":[5]}}'
    path.write_bytes(struct.pack("<Q", len(body)) + body)
    assert count_parameters(path) == 17


def test_wandb_record_without_end_is_bounded(tmp_path: Path) -> None:
    whole = wandb_file([wandb_run("r", "id", {}), bytes(70_000)])
    path = tmp_path / "run-id.wandb"
    path.write_bytes(whole[:-10])
    runs, said = survive_as(path, "wandb")
    assert said
    assert runs[0].name == "r"


def survive_as(path: Path, kind: str) -> tuple[list[LoggedRun], bool]:
    runs = list(read_log(Log(kind, (path,), path.name), lambda name: True))
    return runs, any(note[1] != "info" for run in runs for note in run.notes)


def test_wandb_record_of_several_blocks_is_whole(tmp_path: Path) -> None:
    config = {"n_params": 7, "text": "x" * 100_000}
    path = tmp_path / "run-id.wandb"
    path.write_bytes(
        wandb_file([wandb_run("r", "id", config), wandb_history({"val_loss": 2.0}, 3)])
    )
    runs, said = survive_as(path, "wandb")
    assert not said
    assert runs[0].config["n_params"] == 7
    assert runs[0].last == {"val_loss": 2.0}


def test_wandb_damage_is_found_by_the_checksum(tmp_path: Path) -> None:
    rows = [wandb_history({"val_loss": 3.0 + k / 8}, k) for k in range(3)]
    path = tmp_path / "run-id.wandb"
    path.write_bytes(wandb_file([wandb_run("r", "id", {}), *rows]).replace(b"3.125", b"3.725"))
    runs, said = survive_as(path, "wandb")
    assert said
    assert list(runs[0].curves["val_loss"].values) == [3.0]


@pytest.mark.parametrize("left", range(9))
def test_wandb_blocks_may_end_in_any_rest(left: int, tmp_path: Path) -> None:
    """Fewer than seven bytes at the end of a block hold no record."""
    head = wandb_run("r", "id", {})
    padding = message(4, bytes(32768 - 7 - 7 - len(head) - 7 - 3 - 4 - left))
    data = wandb_file([head, padding, wandb_history({"val_loss": 2.0}, 1)])
    path = tmp_path / "run-id.wandb"
    path.write_bytes(data)
    runs, said = survive_as(path, "wandb")
    assert not said
    assert runs[0].last == {"val_loss": 2.0}


NAMES = ["=cmd|'/c calc'!A0", "../../etc/passwd", "\x1b[31mred\x07", "<script>alert(1)</script>",
         "a\nb", "\u202eevil", "@SUM(1)", "n" * 5000, ""]  # fmt: skip


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    for i, name in enumerate(NAMES):
        rows = [wandb_history({"val_loss": 3.0 - i / 50, "tokens": 10 * k}, k) for k in (1, 2)]
        path = tmp_path / "logs" / f"r{i}" / f"run-{i}.wandb"
        path.parent.mkdir(parents=True)
        path.write_bytes(wandb_file([wandb_run(name, str(i), {"n_params": 10 + i}), *rows]))
    out = tmp_path / "out" / "runs.csv"
    done = call("import", tmp_path / "logs", "--out", out, "--curves", tmp_path / "out" / "c.csv")
    assert done.exit_code == 3  # none of them says that it ended
    assert "\x1b" not in done.output
    assert sorted(p.name for p in out.parent.iterdir()) == ["c.csv", "runs.csv", "runs.import.json"]
    for path in out.parent.iterdir():
        text = path.read_text("utf8")
        assert all(c.isprintable() or c == "\n" for c in text)
    cells = [line.split(",")[0].lstrip('"') for line in out.read_text().splitlines()]
    assert not any(cell.startswith(("=", "@", "+", "-")) for cell in cells)
    assert len(read_runs(out)) == len(NAMES)


def test_sqlite_without_tables_or_with_views_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    base = sqlite3.connect(path)
    base.execute(MLFLOW_TABLES[0])
    base.commit()
    with pytest.raises(InputError, match="no table 'metrics'"):
        list(read_log(Log("mlflow database", (path,), "x"), lambda name: True))
    done = call("import", path)
    assert done.exit_code == 1
    assert "no table 'metrics'" in done.output
    # A view can run for ever; it is no table.
    base.execute("CREATE VIEW metrics AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT "
                 "key + 1 FROM n) SELECT key, key AS value, key AS run_uuid FROM n")  # fmt: skip
    base.commit()
    base.close()
    with pytest.raises(InputError, match="no table 'metrics'"):
        list(read_log(Log("mlflow database", (path,), "x"), lambda name: True))


def test_sqlite_without_params_and_tags_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    base = sqlite3.connect(path)
    for table in MLFLOW_TABLES[:2]:
        base.execute(table)
    base.execute("INSERT INTO runs VALUES ('u', 'r', 'FINISHED', 'active')")
    base.execute("INSERT INTO metrics VALUES ('val_loss', 2.5, 1, 'u', 3, 0)")
    base.execute("INSERT INTO metrics VALUES ('val_loss', 'text', 1, 'u', 'x', 0)")
    base.commit()
    base.close()
    (run,) = read_log(Log("mlflow database", (path,), "x"), lambda name: True)
    assert run.counts == {"val_loss": 1}


def test_deleted_runs_of_mlflow_are_dropped(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "mlflow_files", tmp_path / "store")
    (meta,) = tmp_path.glob("store/*/*/meta.yaml")
    meta.write_text(meta.read_text().replace("active", "deleted"))
    with pytest.raises(InputError, match="DELETED 1"):
        import_logs(tmp_path)
    assert len(import_logs(tmp_path, keep=["DELETED"]).runs) == 1


def test_links_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval_loss": 3.0} for k in (1, 2)]
    write_jsonl(tmp_path / "a", "run", {"n_params": 5}, rows)
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "again.jsonl").symlink_to(tmp_path / "a" / "run.jsonl")
    (tmp_path / "a" / "self").symlink_to("self")
    found = import_logs(tmp_path)
    assert found.found == 1
    assert "LINK" in {f.code for f in found.findings}


def test_folders_beyond_the_depth_are_said(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval_loss": 3.0} for k in (1, 2)]
    write_jsonl(tmp_path, "run", {"n_params": 5}, rows)
    tmp_path.joinpath(*["d"] * 40).mkdir(parents=True)
    assert [f.code for f in import_logs(tmp_path).findings] == ["TOO_DEEP"]


def test_nothing_there(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "no log found"), (tmp_path / "none", "no such file")):
        done = call("import", path)
        assert (done.exit_code, words in done.output) == (1, True)
    (tmp_path / "empty.csv").touch()
    assert call("import", tmp_path / "empty.csv").exit_code == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert call("import", pipe).exit_code == 1


def test_tables_that_are_no_logs_are_passed_over_in_folders_alone(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval_loss": 3.0} for k in (1, 2)]
    write_jsonl(tmp_path, "run", {"n_params": 5}, rows)
    (tmp_path / "prices.csv").write_text("city,price\nx,1\n")
    found = import_logs(tmp_path)
    assert [(f.code, f.severity) for f in found.findings] == [("NOT_A_LOG", "info")]
    done = call("import", tmp_path / "prices.csv")
    assert (done.exit_code, "isoloss fit" in done.output) == (1, True)


def test_pickles_and_archives_are_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for head in (b"\x80\x04\x95", b"PK\x03\x04", b"\x1f\x8b\x08"):
        path.write_bytes(head + bytes(100))
        done = call("import", path)
        assert done.exit_code == 1
        assert "seems to be" in done.output


def test_settings_are_read_without_running_anything(tmp_path: Path) -> None:
    text = (
        "a: !!python/object/apply:os.system ['touch " + str(tmp_path / "ran") + "']\n"
        "b: &x 1\nc: *x\nd: |\n  e: 2\nf: [1, 2]\ng: {h: 1}\n'k l': 3\nn:\n  o: 1e-3\n  p: '4'\n"
        "- q: 5\nr: 6 # seven\ns: 'it: is'\n"
    )
    assert read_flat_yaml(text) == {
        "k l": 3, "n.o": 1e-3, "n.p": "4", "r": 6, "s": "it: is",
    }  # fmt: skip
    assert not (tmp_path / "ran").exists()


def test_yaml_takes_linear_time() -> None:
    for text in (
        "a" * 10**6,
        "a: " + "[" * 10**5,
        ": " * 10**5,
        "'" * 10**5,
        ("x: " * 600 + "\n") * 300,
    ):
        read_flat_yaml(text)


def test_output_never_lands_on_a_log(tmp_path: Path) -> None:
    rows = [{"step": k, "tokens": k, "eval_loss": 3.0} for k in (1, 2)]
    write_csv(tmp_path / "logs", "run", {"n_params": 5}, rows)
    path = tmp_path / "logs" / "run.csv"
    before = path.read_bytes()
    done = call("import", path, "--out", path)
    assert done.exit_code == 1
    assert path.read_bytes() == before
    # A second import of the same folder does not read the first one's table.
    for _ in range(2):
        done = call("import", tmp_path / "logs", "--out", tmp_path / "logs" / "table.csv", "--json")
        assert json.loads(done.stdout)["n_found"] == 1


def test_deep_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("[" * 100_000 + "\n" + '{"a":' * 100_000 + "\n")
    assert call("import", path).exit_code == 1
    state = tmp_path / "trainer_state.json"
    state.write_text('{"log_history": ' + "[" * 100_000)
    assert call("import", state).exit_code == 1


def test_many_metrics_are_bounded(tmp_path: Path) -> None:
    rows = [{"step": 1, "tokens": 1, "eval_loss": 3.0} | {f"m{i}": 1.0 for i in range(25_000)}]
    write_jsonl(tmp_path, "run", {"n_params": 5}, rows)
    assert "MANY_METRICS" in {f.code for f in import_logs(tmp_path).findings}


MILLION = """
import resource, sys
from isoloss.runs.logs import import_logs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = import_logs(sys.argv[1], columns={"N": "1e6"})
assert found.runs["D"].tolist() == [999_999 * 512]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_million_steps_in_bounded_memory(tmp_path: Path) -> None:
    """A curve costs 16 bytes a point; copies while it is cleaned a few times that."""
    path = tmp_path / "run.csv"
    with path.open("w") as file:
        file.write("step,tokens,val_loss,grad_norm,other\n")
        for i in range(1_000_000):
            file.write(f"{i},{i * 512},{3 + 1 / (i + 1):.6f},1.0,2.0\n")
    # A process of its own, as the most memory that one had is never forgotten.
    done = subprocess.run(
        [sys.executable, "-c", MILLION, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 300_000  # kB
