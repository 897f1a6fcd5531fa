"""The real runs that ship with the package."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

from isoloss.runs.read import read_runs
from isoloss.runs.table import Conventions, Runs

LEDGER = "stdlib-bytes.csv"


def embedded_runs() -> Runs:
    """Small byte-level transformers trained on the source of Python's standard library.

    One row a run: a grid of sizes and data, some seeds repeated, and a few runs that cost more
    than five times the others. ``isoloss sweep stdlib`` made the table.

    Returns
    -------
    Runs
        N is all parameters (embeddings tied and included), D bytes seen once, C the training
        FLOPs summed over dense layers, output layer and attention, loss in nats a byte on
        held-out files.
    """
    path = files("isoloss") / "data" / LEDGER
    with path.open("rb") as file:
        runs = read_runs(file)
    return replace(
        runs,
        source=LEDGER,
        conventions=Conventions(
            N="all parameters, embeddings tied and included",
            D="bytes seen, each once",
            C="training FLOPs of dense layers, output layer and causal attention",
            loss="nats per byte",
            evaluation="files of the standard library held out by hash",
        ),
    )
