"""Read a log of any kind, one run after the other."""

from __future__ import annotations

from collections.abc import Iterator

from isoloss.errors import InputError
from isoloss.runs.logs.mlflow_files import read_mlflow_files
from isoloss.runs.logs.mlflow_sqlite import read_mlflow_sqlite
from isoloss.runs.logs.record import Log, LoggedRun, Wanted
from isoloss.runs.logs.tables import read_table, run_name, settings_beside
from isoloss.runs.logs.tensorboard import read_tensorboard
from isoloss.runs.logs.trainer_state import read_trainer_state
from isoloss.runs.logs.weights_biases import read_wandb

_READERS = {
    "wandb": read_wandb,
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow_files,
    "mlflow database": read_mlflow_sqlite,
    "trainer": read_trainer_state,
    "lightning": read_table,
    "table": read_table,
}
KINDS = tuple(_READERS)


def read_log(log: Log, wanted: Wanted) -> Iterator[LoggedRun]:
    """Read the runs of a log; those told by their path get their name here.

    Raises
    ------
    InputError
        The file as a whole cannot be read; says why.
    """
    try:
        for run in _READERS[log.kind](log, wanted):
            if log.kind in ("tensorboard", "trainer"):
                run.name = run_name(log)
                settings_beside(run, log.paths[-1].parent)
            yield run
    except OSError as error:
        raise InputError(f"{error.strerror or error}") from None
