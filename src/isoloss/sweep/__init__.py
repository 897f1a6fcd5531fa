"""Grids of small real networks, trained and kept in a ledger."""

from isoloss.sweep.data.load import load_data
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.frozen import FrozenLosses, frozen_losses, teacher_targets
from isoloss.sweep.frozen_curves import FrozenRegimes, RegimeCurve
from isoloss.sweep.frozen_regimes import frozen_regimes
from isoloss.sweep.gridfile import built_in_grids, grid, read_grid
from isoloss.sweep.kernel_ridge import kernel_matrix
from isoloss.sweep.ledger import append_row, read_ledger
from isoloss.sweep.pool import Sweep, run_sweep
from isoloss.sweep.recorded import Look, Recorded, train_recorded
from isoloss.sweep.shapes import Cnn, KernelRidge, Mlp, RandomFeatures, Transformer
from isoloss.sweep.solve import random_feature_map, solve_runs
from isoloss.sweep.spec import RunSpec, spec_from
from isoloss.sweep.student_optima import StudentOptima, student_optima, student_table
from isoloss.sweep.students import StudentSpec, run_students, student_grid
from isoloss.sweep.table import ledger_runs, ledger_table
from isoloss.sweep.tasks import Task, make_tasks, spec_cost

__all__ = [
    "Cnn",
    "Data",
    "DataSpec",
    "FrozenLosses",
    "FrozenRegimes",
    "KernelRidge",
    "Look",
    "Mlp",
    "RandomFeatures",
    "Recorded",
    "RegimeCurve",
    "RunSpec",
    "StudentOptima",
    "StudentSpec",
    "Sweep",
    "Task",
    "Transformer",
    "append_row",
    "built_in_grids",
    "frozen_losses",
    "frozen_regimes",
    "grid",
    "kernel_matrix",
    "ledger_runs",
    "ledger_table",
    "load_data",
    "make_tasks",
    "random_feature_map",
    "read_grid",
    "read_ledger",
    "run_students",
    "run_sweep",
    "solve_runs",
    "spec_cost",
    "spec_from",
    "student_grid",
    "student_optima",
    "student_table",
    "teacher_targets",
    "train_recorded",
]
