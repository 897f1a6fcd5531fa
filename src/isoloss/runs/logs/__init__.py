"""Logs of training, read where they lie, to a table of runs."""

from isoloss.runs.logs.importing import import_logs
from isoloss.runs.logs.record import Finding
from isoloss.runs.logs.result import ImportedRuns

__all__ = ["Finding", "ImportedRuns", "import_logs"]
