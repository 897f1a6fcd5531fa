"""Write the invented logs of this folder: ``python make_logs.py``."""

import json
import math
import random
from pathlib import Path

BATCH, CONTEXT = 512, 1024


def loss(N: float, D: float) -> float:
    """Chinchilla's form with known constants."""
    return 1.8 + 480 * N**-0.35 + 2100 * D**-0.37


def write(folder: Path, N: float, D: float, kind: str = "", *, factor: float = 1.0) -> None:
    """One run; its whole curve is multiplied by a factor."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = round(D / (BATCH * CONTEXT))
    config = {"n_params": N, "global_batch_size": BATCH, "context_length": CONTEXT,
              "max_steps": steps, "tokenizer": "gpt2"}  # fmt: skip
    lines = [json.dumps({"config": config})]
    for k in range(1, 6 if kind == "half" else 11):
        step = round(steps * k / 10)
        rate = 1.0 if kind == "flat" else 0.5 * (1 + math.cos(math.pi * k / 10)) + 0.01
        value = loss(N, step * BATCH * CONTEXT) + {"hot": 0.4 * k, "flat": 0.03}.get(kind, 0.0)
        row = {"step": step, "lr": round(3e-4 * rate, 9), "val_loss": round(factor * value, 6)}
        lines.append(json.dumps(row))
    name = f"gpt-{N / 1e6:g}M-{D / 1e9:g}B{'-' * bool(kind)}{kind}"
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def logs(folder: Path) -> None:
    """Twelve good runs, one that blew up, one that stopped at half, one with a constant rate."""
    for N in (2e7, 8e7, 3.2e8):
        for D in (5e8, 2e9, 8e9, 3.2e10):
            write(folder, N, D)
    for N, D, kind in ((8e7, 8e9, "hot"), (3.2e8, 8e9, "half"), (2e7, 2e9, "flat")):
        write(folder, N, D, kind)


def ladder(folder: Path, more: Path, large: Path) -> None:
    """Twenty-two runs with noise of .3 %, one that blew up; three as advised; the large one."""
    noise = random.Random(0)
    for N in (1e7, 2e7, 4e7, 8e7, 1.6e8):
        for ratio in (5, 20, 80, 160):
            write(folder, N, ratio * N, factor=math.exp(noise.gauss(0, 0.003)))
    for kind in ("seed1", "seed2"):
        write(folder, 2e7, 4e8, kind, factor=math.exp(noise.gauss(0, 0.003)))
    write(folder, 8e7, 1.6e9, "hot")
    for N, D in ((1e7, 5.9e9), (2.7e8, 3.4e8), (5.4e8, 5.9e9)):
        write(more, N, D, factor=math.exp(noise.gauss(0, 0.003)))
    write(large, 1.2e9, 2.4e10, factor=math.exp(noise.gauss(0, 0.003)))


if __name__ == "__main__":
    here = Path(__file__).parent
    logs(here / "logs")
    ladder(here / "ladder", here / "more", here / "large")
