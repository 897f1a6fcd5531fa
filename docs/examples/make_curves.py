"""Train the curves of ``docs/data/curves``: a small transformer under five schedules.

``python docs/examples/make_curves.py FOLDER`` needs torch, takes about a minute of one core and
reads nothing but Python's own standard library.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from isoloss.sweep import DataSpec, RunSpec, Transformer, load_data
from isoloss.sweep.schedule import rate
from isoloss.sweep.train import train

STEPS, WARMUP, BATCH, CONTEXT = 2400, 100, 8, 64
SCHEDULES = {
    "constant": {"schedule": "constant"},
    "cosine": {"schedule": "cosine"},
    "wsd": {"schedule": "wsd", "decay": 0.2},
    "wsd-early": {"schedule": "wsd", "decay": 0.5},
    "linear": {"schedule": "linear"},
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for width in (16,):
        base = RunSpec(
            model=Transformer(width=width, depth=2, heads=width // 16, context=CONTEXT),
            data=DataSpec(name="stdlib"), D=STEPS * BATCH * CONTEXT, batch=BATCH,
            lr=0.256 / width, warmup=WARMUP, evaluations=96,
        )  # fmt: skip
        data = load_data(base.data)
        for name, change in SCHEDULES.items():
            spec = replace(base, **change)
            row = train(spec, data)
            lines = [
                f"{step:.0f},{rate(spec, max(int(step) - 1, 0)):.8g},{loss:.6f}"
                for step, _, loss in row["curve"]
            ]
            text = "step,lr,valid_loss\n" + "\n".join(lines) + "\n"
            (folder / f"w{width}-{name}.csv").write_text(text)
            print(width, name, row["status"], row["loss"], row["cpu_seconds"], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
