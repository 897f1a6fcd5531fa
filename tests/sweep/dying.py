"""Stand-ins for what a worker of a sweep does, importable in a spawned process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from isoloss.sweep import RunSpec


def work(spec: RunSpec, root: str | None) -> dict[str, Any]:
    """Die on some runs, fail on others, and note every attempt in a folder."""
    notes = Path(os.environ["ISOLOSS_TEST_NOTES"])
    earlier = len(list(notes.glob(f"{spec.name}.*")))
    (notes / f"{spec.name}.{earlier}").touch()
    if spec.name in os.environ["ISOLOSS_TEST_DIES"].split():
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.name in os.environ["ISOLOSS_TEST_DIES_ONCE"].split() and not earlier:
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.name in os.environ["ISOLOSS_TEST_FAILS"].split():
        raise ValueError("diverged on purpose")
    return {"run": spec.name, "loss": 1.0}
