"""Simulated tables of known truth: how often the intervals of the library hold it."""

from isoloss.coverage.check import Verification, read_coverage, shipped_coverage, verify
from isoloss.coverage.result import Coverage, coverage
from isoloss.coverage.tally import wilson

__all__ = [
    "Coverage",
    "Verification",
    "coverage",
    "read_coverage",
    "shipped_coverage",
    "verify",
    "wilson",
]
