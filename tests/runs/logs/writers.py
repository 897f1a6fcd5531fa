"""Small writers of each log format, apart from the readers: bytes as the tools define them.

What the tools themselves write is in ``fixtures``; these make as many runs as a test wants.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, float]]
"""One mapping a log, ``step`` among its keys."""


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(number: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def wandb_file(records: Sequence[bytes]) -> bytes:
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, first = record, True
        while rest or first:
            left = 32768 - len(out) % 32768
            if left < 7:
                out += bytes(left)
                left = 32768
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[
                (first, not rest)
            ]
            crc = zlib.crc32(bytes([kind]) + part)
            out += struct.pack("<IHB", crc, len(part), kind) + part
            first = False
    return bytes(out)


def wandb_run(name: str, run_id: str, config: Mapping[str, Any], tags: Sequence[str] = ()) -> bytes:
    update = b"".join(
        message(1, message(1, k) + message(16, json.dumps(v))) for k, v in config.items()
    )
    body = message(1, run_id) + message(4, update) + message(8, name)
    return message(17, body + b"".join(message(10, tag) for tag in tags))


def wandb_history(row: Mapping[str, Any], step: int, *, nested: bool = True) -> bytes:
    def item(key: str, value: object) -> bytes:
        head = message(2, key) if nested else message(1, key)
        return message(1, head + message(16, json.dumps(value)))

    body = b"".join(item(k, v) for k, v in {**row, "_step": step}.items())
    return message(2, body + message(2, integer(1, step)))


def write_wandb(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    run_id = f"{zlib.crc32(name.encode()):08x}"
    records = [wandb_run(name, run_id, config)]
    for i, row in enumerate(rows):
        values = {k: v for k, v in row.items() if k != "step"} | {"global_step": row["step"]}
        records.append(wandb_history(values, i))
    records.append(message(18, integer(1, 0)))
    path = folder / f"offline-run-1-{run_id}" / f"run-{run_id}.wandb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wandb_file(records))


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def record(data: bytes) -> bytes:
    def masked(raw: bytes) -> bytes:
        crc = crc32c(raw)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    size = struct.pack("<Q", len(data))
    return size + masked(size) + data + masked(data)


def scalar(tag: str, value: float, step: int, *, kind: str = "simple") -> bytes:
    if kind == "simple":
        body = b"\x15" + struct.pack("<f", value)
    elif kind == "content":
        body = message(8, integer(1, 2) + message(2, b"") + message(4, struct.pack("<d", value)))
    else:
        body = message(8, integer(1, 1) + message(5, struct.pack("<f", value)))
    event = b"\x09" + struct.pack("<d", 1.7e9 + step) + integer(2, step)
    return record(event + message(5, message(1, message(1, tag) + body)))


def write_tensorboard(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    out = record(b"\x09" + struct.pack("<d", 1.7e9) + message(3, "brain.Event:2"))
    constant = {k: v for k, v in config.items() if isinstance(v, (int, float))}
    for key, value in constant.items():
        out += scalar(key, float(value), 0, kind="content")
    for row in rows:
        for key, value in row.items():
            if key != "step":
                out += scalar(key, value, int(row["step"]), kind="content")
    path = folder / name / "events.out.tfevents.1700000000.host"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)


def write_mlflow_files(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    run = folder / "0" / f"{zlib.crc32(name.encode()):032x}"
    (run / "metrics").mkdir(parents=True)
    (run / "params").mkdir()
    (run / "meta.yaml").write_text(
        f"lifecycle_stage: active\nrun_id: {run.name}\nrun_name: {name}\nstatus: 3\n"
    )
    for key, value in config.items():
        (run / "params" / key).write_text(str(value))
    for row in rows:
        for key, value in row.items():
            if key != "step":
                path = run / "metrics" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a") as file:
                    file.write(f"1700000000000 {value!r} {int(row['step'])}\n")


MLFLOW_TABLES = (
    "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, lifecycle_stage TEXT)",
    "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INT, run_uuid TEXT, step INT, "
    "is_nan INT)",
    "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT)",
    "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT)",
)


def write_mlflow_sqlite(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    path = folder / "mlflow.db"
    new = not path.exists()
    base = sqlite3.connect(path)
    for table in MLFLOW_TABLES if new else ():
        base.execute(table)
    uuid = f"{zlib.crc32(name.encode()):032x}"
    base.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 'active')", (uuid, name))
    base.executemany(
        "INSERT INTO params VALUES (?, ?, ?)", [(k, str(v), uuid) for k, v in config.items()]
    )
    base.executemany(
        "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)",
        [
            (k, float(v), i, uuid, int(row["step"]))
            for i, row in enumerate(rows)
            for k, v in row.items()
            if k != "step"
        ],
    )
    base.commit()
    base.close()


def write_trainer(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    history = [{("loss" if k == "train/loss" else k): v for k, v in row.items()} for row in rows]
    last = int(rows[-1]["step"])
    path = folder / name / f"checkpoint-{last}" / "trainer_state.json"
    path.parent.mkdir(parents=True)
    state = {"global_step": last, "log_history": history, "max_steps": last, "total_flos": 0.0}
    path.write_text(json.dumps(state, indent=2))
    (path.parent / "config.json").write_text(json.dumps(dict(config)))


def write_lightning(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    run = folder / name / "version_0"
    run.mkdir(parents=True)
    (run / "hparams.yaml").write_text("".join(f"{k}: {v}\n" for k, v in config.items()))
    names = list(dict.fromkeys(key for row in rows for key in row))
    with (run / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            for key in row:
                if key != "step":  # train and evaluation lie on rows of their own
                    writer.writerow({"step": row["step"], key: row[key]})


def write_csv(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [*dict.fromkeys(key for row in rows for key in row), *config]
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **config} for row in rows)


def write_jsonl(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"config": dict(config)}), *(json.dumps(dict(row)) for row in rows)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def write_parquet(folder: Path, name: str, config: Mapping[str, Any], rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(key for row in rows for key in row)
    columns = {k: [row.get(k) for row in rows] for k in names}
    columns |= {k: [v] * len(rows) for k, v in config.items()}
    columns["_step"] = columns.pop("step")
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


WRITERS: dict[str, Callable[[Path, str, Mapping[str, Any], Rows], None]] = {
    "wandb": write_wandb,
    "tensorboard": write_tensorboard,
    "mlflow files": write_mlflow_files,
    "mlflow database": write_mlflow_sqlite,
    "trainer": write_trainer,
    "lightning": write_lightning,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def law(N: float, D: float) -> float:
    """The known law of the tests."""
    return 1.8 + 480 * N**-0.35 + 2100 * D**-0.37


def grid() -> list[tuple[str, dict[str, Any], list[dict[str, float]]]]:
    """Thirty runs of a known law: a curve over tokens, ending where the law is exact."""
    runs = []
    for N in (1e7, 2e7, 4e7, 8e7, 1.6e8):
        for D in (2e8, 5e8, 1e9, 2e9, 5e9, 1e10):
            name = f"lm-{N / 1e6:g}M-{D / 1e6:g}M"
            rows = []
            for k in range(1, 21):
                seen = D * k / 20
                row = {
                    "step": 50 * k,
                    "train/loss": law(N, seen) + 0.02 * (-1) ** k,
                    "tokens": seen,
                }
                if k % 4 == 0:
                    row["eval_loss"] = law(N, seen)
                rows.append(row)
            runs.append((name, {"n_params": int(N)}, rows))
    return runs
