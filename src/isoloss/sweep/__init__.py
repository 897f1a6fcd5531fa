"""Grids of small real networks, trained and kept in a ledger."""

from isoloss.sweep.corpus import Corpus, read_corpus
from isoloss.sweep.grid import spec_cost, spec_for, stdlib_grid
from isoloss.sweep.ledger import append_row, read_ledger
from isoloss.sweep.pool import run_sweep
from isoloss.sweep.spec import RunSpec
from isoloss.sweep.student_optima import StudentOptima, student_optima, student_table
from isoloss.sweep.students import StudentSpec, run_students, student_grid
from isoloss.sweep.table import ledger_table

__all__ = [
    "Corpus",
    "RunSpec",
    "StudentOptima",
    "StudentSpec",
    "append_row",
    "ledger_table",
    "read_corpus",
    "read_ledger",
    "run_students",
    "run_sweep",
    "spec_cost",
    "spec_for",
    "stdlib_grid",
    "student_grid",
    "student_optima",
    "student_table",
]
