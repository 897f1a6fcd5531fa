"""Write shapes to score: ``python make_shapes.py FOLDER``; discs, squares and rings in noise.

Images ``shapes.npy``, their classes ``classes.npy``, and ``pixels.npy``, rows to cluster.
"""

import sys
from pathlib import Path

import numpy as np

ROWS, SIDE = 1200, 16


def main(folder: str) -> None:
    """Draw shapes of three classes, each hidden in noise by an amount of its own."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(3, size=ROWS)
    noise = rng.uniform(0, 1, ROWS) ** 2
    grid = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    images = np.empty((ROWS, SIDE, SIDE), dtype=np.float32)
    for i, kind in enumerate(kinds):
        away = grid - rng.uniform(-2, 2, 2)[:, None, None]
        radius, size = np.hypot(*away), rng.uniform(3, 5)
        shape = (radius < size, np.abs(away).max(0) < size, np.abs(radius - size) < 1.3)[kind]
        images[i] = shape * (1 - noise[i]) + noise[i] * rng.random((SIDE, SIDE))
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "shapes.npy", images)
    np.save(out / "classes.npy", np.array(["disc", "square", "ring"])[kinds])
    np.save(out / "pixels.npy", images.reshape(ROWS, -1) - images.mean())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "shapes")
