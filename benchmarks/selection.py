"""CPU seconds and bytes a row of `isoloss.prune.select`, each case in a process of its own.

Usage: python benchmarks/selection.py [ROWS]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from isoloss.prune import select

CASES = (
    ("hard", False, "whole"),
    ("hard", True, "whole"),
    ("random", False, "whole"),
    ("middle", False, "whole"),
    ("middle", True, "whole"),
    ("stratified", True, "whole"),
    ("hard", False, "bytes"),
    ("hard", False, "text"),
    ("hard", False, "pairs"),
)
PART = 1_000_000


def make_ids(rows: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Shuffled whole numbers, 13 letters as bytes or as text, or random pairs of 64 bits."""
    if kind == "pairs":
        return rng.integers(2**64, size=(rows, 2), dtype=np.uint64)
    numbers = rng.permutation(rows) * 3
    if kind == "whole":
        return numbers
    ids = np.empty(rows, dtype="S13" if kind == "bytes" else "U13")
    for low in range(0, rows, PART):
        ids[low : low + PART] = [b"doc-%09d" % v for v in numbers[low : low + PART].tolist()]
    return ids


def measure(rows: int, policy: str, floor: bool, kind: str) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(rows, dtype=np.float32)
    scores.flags.writeable = False
    ids = make_ids(rows, kind, rng)
    labels = rng.integers(10, size=rows).astype(np.int16) if floor else None
    page = resource.getpagesize()
    held = int(Path("/proc/self/statm").read_text().split()[1]) * page
    start = time.process_time()
    found = select(
        scores, 0.3, ids=ids, labels=labels, policy=policy, class_floor=0.5 if floor else 0.0
    )
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held
    print(
        f"{rows:.0e} rows, {policy}{', floor' if floor else ''}, {kind} ids: {seconds:.1f} CPU s, "
        f"{peak / rows:.0f} bytes a row, {len(found)} kept"
    )


def main() -> None:
    rows = sys.argv[1] if len(sys.argv) > 1 else "1e6"
    if len(sys.argv) > 2:
        measure(int(float(rows)), sys.argv[2], sys.argv[3] == "True", sys.argv[4])
        return
    for policy, floor, kind in CASES:
        subprocess.run([sys.executable, __file__, rows, policy, str(floor), kind], check=True)


if __name__ == "__main__":
    main()
