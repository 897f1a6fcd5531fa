"""Tasks that worker processes can import."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from isoloss.errors import FitError, MissingExtra


def square(x):
    return x * x


def die(folder, name, often):
    """Note the attempt, and kill this process the first times."""
    notes = Path(folder)
    attempt = len(list(notes.glob(f"{name}.*")))
    (notes / f"{name}.{attempt}").touch()
    if attempt < often:
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def fail():
    raise ValueError("no")


def fail_of_ours(kind):
    raise FitError("TOO_FEW_RUNS", "three are needed") if kind else MissingExtra("torch", "train")


class Stubborn(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, a, b):
        super().__init__(f"{a} {b}")


def fail_stubbornly():
    raise Stubborn(1, 2)


def unportable():
    return lambda: None


def total(array, k):
    return float(np.sum(array)) + k


def identity():
    return os.getpid()


def wait_for(path, note):
    """Say that the task runs, then wait for a file."""
    Path(note).write_text(str(os.getpid()))
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


def threads():
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info()]
