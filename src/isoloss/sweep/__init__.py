"""Grids of small real networks, trained and kept in a ledger."""

from isoloss.sweep.corpus import Corpus, read_corpus
from isoloss.sweep.data.load import load_data
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.ledger import append_row, read_ledger
from isoloss.sweep.shapes import Cnn, Mlp, RandomFeatures, Transformer
from isoloss.sweep.spec import RunSpec, spec_from
from isoloss.sweep.student_optima import StudentOptima, student_optima, student_table
from isoloss.sweep.students import StudentSpec, run_students, student_grid

__all__ = [
    "Cnn",
    "Corpus",
    "Data",
    "DataSpec",
    "Mlp",
    "RandomFeatures",
    "RunSpec",
    "StudentOptima",
    "StudentSpec",
    "Transformer",
    "append_row",
    "load_data",
    "read_corpus",
    "read_ledger",
    "run_students",
    "spec_from",
    "student_grid",
    "student_optima",
    "student_table",
]
