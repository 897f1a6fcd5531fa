"""Training runs: the table, its readers, and parameter and FLOP conventions."""

from isoloss.runs.embedded import embedded_runs
from isoloss.runs.flops import TransformerCounts, transformer_counts
from isoloss.runs.read import read_runs
from isoloss.runs.table import Conventions, Note, Refusal, Runs

__all__ = [
    "Conventions",
    "Note",
    "Refusal",
    "Runs",
    "TransformerCounts",
    "embedded_runs",
    "read_runs",
    "transformer_counts",
]
