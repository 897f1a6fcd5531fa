"""Logs of a known law in every format: import, write, read, fit, and the law is there again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import call
from isoloss import fit, read_runs
from isoloss.runs import Runs
from isoloss.runs.logs import import_logs
from runs.logs.writers import WRITERS, grid, law

TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}


def write(kind: str, folder: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    for name, config, rows in grid():
        WRITERS[kind](folder, name, config, rows)


@pytest.mark.parametrize("kind", WRITERS)
def test_law_is_recovered(kind: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write(kind, logs) if kind != "mlflow database" else (logs.mkdir(), write(kind, logs))
    out = tmp_path / "runs.csv"
    done = call("import", logs, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["n_found"], answer["n_imported"], answer["n_dropped"]) == (30, 30, 0)
    side = json.loads((tmp_path / "runs.import.json").read_text())
    assert side == answer
    result = fit(read_runs(out), "chinchilla", draws=0)
    for name, value in TRUTH.items():
        assert abs(result.parameters[name] / value - 1) < 1e-6, name


def test_fit_reads_the_table_at_once(tmp_path: Path) -> None:
    write("wandb", tmp_path / "logs")
    assert call("import", tmp_path / "logs", "--out", tmp_path / "runs.csv").exit_code == 0
    done = call("fit", tmp_path / "runs.csv", "--draws", "0", "--json")
    assert done.exit_code == 0, done.output
    assert abs(json.loads(done.stdout)["parameters"]["alpha"] - 0.35) < 1e-6


def test_formats_agree_to_the_last_digit(tmp_path: Path) -> None:
    tables = []
    for kind in WRITERS:
        if kind == "parquet":
            pytest.importorskip("pyarrow")
        (tmp_path / kind).mkdir()
        write(kind, tmp_path / kind)
        runs = import_logs(tmp_path / kind).runs
        order = np.lexsort([runs["D"], runs["N"]])
        tables.append(np.stack([runs[axis][order] for axis in ("N", "D", "loss")]))
    for table in tables[1:]:
        assert np.array_equal(table, tables[0])


def test_training_loss_is_averaged_and_close_to_the_law(tmp_path: Path) -> None:
    write("csv", tmp_path)
    found = import_logs(tmp_path, metric="train", final="last:2")
    expected = [law(n, d) for n, d in zip(found.runs["N"], found.runs["D"], strict=True)]
    assert np.allclose(found.runs["loss"], expected, rtol=0.02)
    assert {row.metric for row in found.rows} == {"train/loss"}


def test_json_table_keeps_what_the_axes_mean(tmp_path: Path) -> None:
    write("jsonl", tmp_path / "logs")
    out = tmp_path / "runs.json"
    done = call("import", tmp_path / "logs", "--out", out, "--columns", "N=n_params")
    assert done.exit_code == 0, done.output
    runs = read_runs(out)
    assert isinstance(runs, Runs)
    assert runs.conventions.D == "tokens seen"
    assert runs.conventions.evaluation == "eval_loss"


def test_wide_export_of_a_chart(tmp_path: Path) -> None:
    runs = grid()[:12]
    head = ["Step"]
    for name, _, _ in runs:
        head += [f"{name} - eval_loss", f"{name} - eval_loss__MIN", f"{name} - eval_loss__MAX"]
    lines = [",".join(f'"{h}"' for h in head)]
    for k in range(3, 20, 4):
        cells = [f'"{50 * (k + 1)}"']
        for _, _, rows in runs:
            cells += [f'"{rows[k]["eval_loss"]!r}"', '"0"', '"9"']
        lines.append(",".join(cells))
    (tmp_path / "wandb_export.csv").write_text("\n".join(lines))  # no line break at the end
    found = import_logs(tmp_path, pattern="lm-{N}-{D}")
    assert len(found.runs) == 12
    assert found.runs["loss"].tolist() == [rows[-1]["eval_loss"] for _, _, rows in runs]
    assert found.runs["D"].tolist() == [rows[-1]["tokens"] for _, _, rows in runs]


def test_long_table_of_several_runs(tmp_path: Path) -> None:
    lines = ["run,step,tokens,params,val_loss"]
    for name, config, rows in grid():
        for row in rows:
            if "eval_loss" in row:
                lines.append(
                    f"{name},{row['step']},{row['tokens']!r},{config['n_params']},{row['eval_loss']!r}"
                )
    path = tmp_path / "history.csv"
    path.write_text("\n".join(lines) + "\n")
    found = import_logs(path)
    assert len(found.runs) == 30
    assert found.runs.names[0] == "lm-10M-200M"


def test_curves_are_written_clean(tmp_path: Path) -> None:
    write("jsonl", tmp_path / "logs")
    curves = tmp_path / "curves.csv"
    done = call("import", tmp_path / "logs", "--curves", curves, "--metric", "train/loss")
    assert done.exit_code in (0, 3), done.output
    lines = curves.read_text().splitlines()
    assert lines[0] == "name,step,tokens,loss,lr"
    assert len(lines) == 1 + 30 * 20
    rows = {name: rows for name, _, rows in grid()}
    name, step, tokens, loss, lr = lines[1].split(",")
    assert (step, lr) == ("50", "")
    assert float(tokens) == rows[name][0]["tokens"]
    assert float(loss) == rows[name][0]["train/loss"]


def test_curves_of_runs_of_one_name_stay_apart(tmp_path: Path) -> None:
    paths = []
    for folder, end in (("a", 3.0), ("b", 2.5)):
        rows = [{"step": k, "tokens": k, "eval_loss": end + 1 / k} for k in (1, 2)]
        WRITERS["jsonl"](tmp_path / folder, "run", {"n_params": 5}, rows)
        paths.append(tmp_path / folder / "run.jsonl")
    curves = list(import_logs(paths).curves())
    assert [(name, loss) for name, _, _, loss, _ in curves] == [
        ("run", "4"), ("run", "3.5"), ("run (2)", "3.5"), ("run (2)", "3"),
    ]  # fmt: skip
