"""Write the invented logs of this folder: ``python make_logs.py logs``."""

import json
import math
import sys
from pathlib import Path

BATCH, CONTEXT = 512, 1024


def loss(N: float, D: float) -> float:
    """Chinchilla's form with known constants."""
    return 1.8 + 480 * N**-0.35 + 2100 * D**-0.37


def main(folder: Path) -> None:
    """Twelve good runs, one that blew up, one that stopped at half, one with a constant rate."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [(N, D, "") for N in (2e7, 8e7, 3.2e8) for D in (5e8, 2e9, 8e9, 3.2e10)]
    runs += [(8e7, 8e9, "hot"), (3.2e8, 8e9, "half"), (2e7, 2e9, "flat")]
    for N, D, kind in runs:
        steps = round(D / (BATCH * CONTEXT))
        config = {"n_params": N, "global_batch_size": BATCH, "context_length": CONTEXT,
                  "max_steps": steps, "tokenizer": "gpt2"}  # fmt: skip
        lines = [json.dumps({"config": config})]
        for k in range(1, 6 if kind == "half" else 11):
            step = round(steps * k / 10)
            rate = 1.0 if kind == "flat" else 0.5 * (1 + math.cos(math.pi * k / 10)) + 0.01
            value = loss(N, step * BATCH * CONTEXT) + {"hot": 0.4 * k, "flat": 0.03}.get(kind, 0.0)
            row = {"step": step, "lr": round(3e-4 * rate, 9), "val_loss": round(value, 6)}
            lines.append(json.dumps(row))
        name = f"gpt-{N / 1e6:g}M-{D / 1e9:g}B{'-' * bool(kind)}{kind}"
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
