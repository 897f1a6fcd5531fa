"""Hugging Face Trainer: ``trainer_state.json``, whose history mixes training and evaluation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isoloss.errors import InputError
from isoloss.runs.logs.record import Log, LoggedRun, Wanted, as_number

MAX_BYTES = 256 * 2**20
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,12})")
_MAX_HEADER = 64 * 2**20
_ALWAYS = ("max_steps", "num_train_epochs", "train_batch_size", "logging_steps", "eval_steps")


def checkpoint_number(folder: Path) -> int | None:
    """Return the number in the name of a checkpoint's folder."""
    match = _CHECKPOINT.fullmatch(folder.name)
    return int(match[1]) if match else None


def read_trainer_state(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read the newest state of a run: of all checkpoints in one folder, that of the most steps.

    Raises
    ------
    InputError
        No state can be read.
    """
    states = []
    for path in log.paths:
        state, whole = _load(path)
        if state is not None:
            states.append((as_number(state.get("global_step")) or 0.0, whole, path, state))
    if not states:
        raise InputError("the state is no JSON with a log_history; copy it again")
    _, whole, path, state = max(states, key=lambda s: (s[0], s[1], str(s[2])))
    folder = path.parent
    base = folder.parent if checkpoint_number(folder) is not None else folder
    run = LoggedRun(name=base.name, kind=log.kind, source=log.label)
    if not whole:
        run.note(
            "TRUNCATED",
            "warning",
            f"{path.name} is cut short; the logs before that are used",
            "copy the file again if it is whole elsewhere",
        )
    if len(log.paths) > 1:
        run.note(
            "OLDER_CHECKPOINTS",
            "info",
            f"{folder.name}/{path.name} was taken of {len(log.paths)} states of this run",
        )
    for name in _ALWAYS:
        run.set(name, state.get(name))
    for name in ("total_flos", "num_input_tokens_seen"):
        if as_number(state.get(name)):  # zero where it was not counted
            run.summary[name] = state[name]
    count = count_parameters(folder / "model.safetensors")
    if count:
        run.config["n_params"] = count
        run.note("COUNTED", "info", f"N = {count:,} counted in the header of model.safetensors")
    _history(run, state["log_history"], wanted)
    yield run


def _history(run: LoggedRun, rows: list[Any], wanted: Wanted) -> None:
    for row in rows:
        step = as_number(row.get("step")) if isinstance(row, dict) else None
        if step is None or not math.isfinite(step):
            continue
        closing = "train_runtime" in row
        for key, value in row.items():
            number = as_number(value)
            if number is None or key == "step":
                continue
            # The last row holds the mean of the training loss over all steps: not a point.
            if closing and key == "train_loss":
                run.summary["mean_train_loss"] = number
                continue
            run.log(str(key), step, number, wanted)


def _load(path: Path) -> tuple[dict[str, Any] | None, bool]:
    """Return the state, and whether it is whole."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"the state is larger than {MAX_BYTES:,} bytes")
    text = data.decode("utf8", "replace")
    try:
        state = json.loads(text)
    except RecursionError:
        return None, False
    except ValueError:
        return _cut(text), False
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        return None, False
    return state, True


def _cut(text: str) -> dict[str, Any] | None:
    """Read the whole rows of a history that is cut short."""
    place = text.find('"log_history"')
    place = text.find("[", place) if place >= 0 else -1
    if place < 0:
        return None
    head = text[:place]
    state: dict[str, Any] = {}
    for key, value in re.findall(r'"([a-z_]{1,40})": ([0-9.eE+-]{1,40}),', head[:100_000]):
        state[key] = as_number(value)
    rows, decoder = [], json.JSONDecoder()
    at = place + 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] != "{":
            break
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        rows.append(row)
    state["log_history"] = rows
    return state


def count_parameters(path: Path) -> int | None:
    """Parameters of a checkpoint, from the shapes in its header; no tensor is read."""
    if not path.is_file() or path.is_symlink():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER, path.stat().st_size - 8):
            return None
        data = file.read(length)
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        return None
    total = 0
    for name, entry in header.items() if isinstance(header, dict) else ():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if name == "__metadata__" or not isinstance(shape, list):
            continue
        if not all(type(size) is int and 0 <= size < 2**40 for size in shape):
            return None
        total += math.prod(shape)
    return total or None
