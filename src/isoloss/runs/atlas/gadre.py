"""Over-trained models of Gadre et al. 2024, with losses on eight sets and 46 benchmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isoloss.errors import InputError
from isoloss.runs.atlas.table import (
    ReleasedTable,
    Task,
    number,
    read_objects,
    read_rows,
    refuse_link,
)
from isoloss.runs.table import Conventions, Runs

FAMILY = "gadre"
DATASETS = {"c4_original": "c4", "rpj": "rpj", "rw_original": "rw"}
_VALIDATION = {
    "c4_val": "loss",
    "val_tok_mult/openlm": "loss_openlm",
    "paloma_c4_en": "loss_paloma_c4",
    "paloma_dolma_100": "loss_code",
    "paloma_falcon": "loss_refinedweb",
    "paloma_ptb": "loss_ptb",
    "paloma_redpajama": "loss_rpj",
    "val_de-en": "loss_de_en",
}
"""Part of the path of a set of text to the column of its loss."""
SMALL = re.compile(r"d=\d+_l=\d+_h=\d+-")
"""In the names of the models that forecasts are made from; the others are the targets."""
FIVE = ("d=96_l=8_h=4-1.0", "d=512_l=8_h=4-1.0", "d=576_l=24_h=8-1.0", "d=1024_l=24_h=8-1.0",
        "d=96_l=8_h=4-16.0")  # fmt: skip
"""Configurations that the paper forecasts losses from."""


def read(folder: Path) -> list[ReleasedTable]:
    """One table for each training set: N, D, losses, standard errors, and accuracies.

    Reads ``models.jsonl`` and ``evals.jsonl``, or the folders ``models`` and ``evals`` with a file
    for each model, beside ``eval_metadata.csv``.
    """
    if not (folder / "eval_metadata.csv").is_file():
        return []
    models, evals = _objects(folder, "models"), _objects(folder, "evals")
    if not models:
        return []
    tasks = _tasks(folder / "eval_metadata.csv")
    accuracies = {_model_of(e): _accuracies(e) for e in evals}
    found = []
    for dataset, short_name in DATASETS.items():
        chosen = [m for m in models if m.get("dataset_name") == dataset]
        if not chosen:
            continue
        rows = [_row(m, accuracies) for m in chosen]
        # What is not known of every model is no column.
        kept = [c for c in rows[0] if all(c in row for row in rows)]
        runs = Runs(
            columns={c: np.array([row[c] for row in rows]) for c in kept},
            names=tuple(str(m.get("name")) for m in chosen),
            conventions=Conventions(N="all parameters", evaluation="C4 validation"),
            source=f"{folder.name}, {dataset}",
        )
        found.append(
            ReleasedTable(
                family=FAMILY,
                name=f"gadre-{short_name}",
                runs=runs,
                source="mlfoundations/scaling, exp_data; arXiv:2403.08540",
                licence="MIT licence",
                tasks={f"acc_{k}": v for k, v in tasks.items() if f"acc_{k}" in runs},
            )
        )
    return found


def _objects(folder: Path, kind: str) -> list[dict[str, Any]]:
    if (folder / f"{kind}.jsonl").is_file():
        return read_objects(folder / f"{kind}.jsonl")
    refuse_link(folder / kind)
    found = []
    for path in sorted((folder / kind).glob("*.json")):
        found += [{"file": path.name} | value for value in read_objects(path)]
    return found


def _tasks(path: Path) -> dict[str, Task]:
    names = ("Eval Task", "Random baseline", "#datapoints")
    return {
        row["Eval Task"]: Task(
            chance=number(row["Random baseline"], path.name, positive=False) / 100,
            items=int(number(row["#datapoints"], path.name)),
        )
        for row in read_rows(path, names)
    }


def _model_of(evaluation: Mapping[str, Any]) -> str:
    name = str(evaluation.get("file", ""))
    return name.removeprefix("evaluation_").removesuffix(".json").removesuffix("_heavy")


def _accuracies(evaluation: Mapping[str, Any]) -> dict[str, float]:
    metrics = evaluation.get("eval_metrics")
    values = metrics.get("icl") if isinstance(metrics, dict) else None
    if not isinstance(values, dict):
        raise InputError(f"{_model_of(evaluation)}: no eval_metrics.icl")
    return {f"acc_{k}": number(v, str(k), positive=False) for k, v in values.items()}


def _row(model: Mapping[str, Any], accuracies: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    name, settings = str(model.get("name")), model.get("hyperparameters")
    results = model.get("results")
    if not isinstance(settings, dict) or not isinstance(results, list):
        raise InputError(f"{name}: no hyperparameters or results")
    row = {
        "N": number(settings.get("params"), f"{name}, params"),
        "D": number(settings.get("tokens"), f"{name}, tokens"),
    }
    for result in results:
        data = result.get("val_data") if isinstance(result, dict) else None
        text = str(data[0]) if isinstance(data, list) and data else ""
        column = next((c for part, c in _VALIDATION.items() if part in text), None)
        if column is not None:
            row[column] = number(result.get("loss"), f"{name}, loss")
            low, high = (result.get(f"loss_sequences_{end}_95") for end in ("lower", "upper"))
            if column == "loss" and low is not None and high is not None:
                # The end points are those of 95 %, 1.96 standard errors away on either side.
                row["loss_se"] = (number(high, name) - number(low, name)) / 3.92
    return row | dict(accuracies.get(name, {}))
