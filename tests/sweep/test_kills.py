"""Drivers and workers are killed at random points; the ledger stays whole."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sweep import made

DRIVER = Path(made.__file__)
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def rows(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def kill_and_go_on(ledger: Path, kills: int, runs: int, seconds: float, seed: int) -> Counter[str]:
    """Kill a driver, or one of its workers, ``kills`` times; then let the sweep end."""
    dice = random.Random(seed)
    killed: Counter[str] = Counter()
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, str(DRIVER), str(ledger), str(runs), str(seconds)]
    while True:
        driver = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE
        )
        try:
            while driver.poll() is None and killed.total() < kills:
                # Mostly while runs end, at times while the driver or its workers start.
                seen = rows(ledger)
                while driver.poll() is None and rows(ledger) == seen and dice.random() < 0.98:
                    time.sleep(0.01)
                time.sleep(dice.uniform(0, 2 * seconds))
                assert_whole(ledger, torn_end=True)
                workers = children(driver.pid)
                if workers and dice.random() < 0.5:
                    try:
                        os.kill(dice.choice(workers), signal.SIGKILL)
                        killed["worker"] += 1
                    except ProcessLookupError:
                        pass
                elif driver.poll() is None:
                    driver.kill()
                    killed["driver"] += 1
                    driver.wait()
            _, errors = driver.communicate(timeout=300)
        finally:
            driver.kill()
            driver.communicate()
        if driver.returncode == 0:
            return killed
        assert driver.returncode == -signal.SIGKILL, errors.decode()


def assert_whole(ledger: Path, *, torn_end: bool = False) -> None:
    lines = ledger.read_bytes().split(b"\n") if ledger.exists() else [b""]
    # What is after the last newline may be half a line while a driver is at work.
    if not torn_end:
        assert lines[-1] == b""
    found = Counter(json.loads(line)["run"] for line in lines[:-1])
    assert set(found.values()) <= {1}


def check(tmp_path: Path, kills: int, runs: int, seconds: float, least: int) -> None:
    ledger = tmp_path / "ledger.jsonl"
    killed = kill_and_go_on(ledger, kills, runs, seconds, seed=kills)
    assert killed.total() >= least
    assert_whole(ledger)
    found = {r["run"]: r for r in map(json.loads, ledger.read_text().splitlines())}
    specs = [made.spec(seed) for seed in range(runs)]
    assert {name: (r["status"], r["loss"]) for name, r in found.items()} == {
        s.name: ("done", made.loss_of(s)) for s in specs
    }
    assert not ledger.with_name("ledger.jsonl.unfinished").exists()


def test_a_sweep_of_which_driver_and_workers_are_killed(tmp_path):
    check(tmp_path, kills=5, runs=40, seconds=0.02, least=5)


@pytest.mark.slow
def test_a_hundred_kills_of_a_sweep_of_two_hundred_runs(tmp_path):
    check(tmp_path, kills=100, runs=200, seconds=0.1, least=90)
