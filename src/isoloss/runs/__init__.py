"""Training runs: the table, its readers, and parameter and FLOP conventions."""

from isoloss.runs.combine import combine_runs
from isoloss.runs.curve import Curve
from isoloss.runs.embedded import embedded_runs
from isoloss.runs.flops import TransformerCounts, transformer_counts
from isoloss.runs.read import read_runs
from isoloss.runs.table import Conventions, Note, Refusal, Runs

__all__ = [
    "Conventions",
    "Curve",
    "Note",
    "Refusal",
    "Runs",
    "TransformerCounts",
    "combine_runs",
    "embedded_runs",
    "read_runs",
    "transformer_counts",
]
