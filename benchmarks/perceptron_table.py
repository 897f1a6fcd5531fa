"""Make, or check, the tables of the laws ``pruned_perceptron`` and ``pruned_perceptron_easy``.

    python benchmarks/perceptron_table.py            # checks both against the theory
    python benchmarks/perceptron_table.py --write    # solves for them again, a few minutes

The tables are errors of `isoloss.theory.pruned_perceptron` at places that
`isoloss.laws.margin_pruned` chooses, held as a sum of products of one function a direction.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from isoloss.laws import get_law
from isoloss.laws.chebyshev import Array
from isoloss.laws.margin_pruned import KEPT, LEAST_ANGLE, LEAST_SHARE, RIGHT, Kept
from isoloss.theory import few_examples, many_examples, pruned_perceptron

FEWEST, MOST = 1e-5, 1e6
"""Examples a dimension that the theory solves for; beyond are its limits."""
LOSS = 1e-6
"""What is dropped of the values, beside errors of the polynomial that they are."""


def errors(a: Array, f: Array, theta: Array, keep: str) -> Array:
    """Errors of the theory, its limits where it does not solve."""
    a, f, theta = np.broadcast_arrays(a, f, theta)
    found = pruned_perceptron(np.clip(a, FEWEST, MOST), f, theta, keep=keep).require()
    eps = np.array(found.eps)
    low, high = a < FEWEST, a > MOST
    if low.any():
        R = few_examples(f[low], theta[low], keep=keep) * np.sqrt(a[low])
        eps[low] = np.arccos(R) / np.pi
    if high.any():
        eps[high] = many_examples(f[high], theta[high], keep=keep) / a[high]
    return eps


def solve(name: str, kept: Kept) -> Array:
    """Values of the table at its nodes."""
    a, f, theta = kept.places()
    values = np.empty(kept.sizes)
    for i, angle in enumerate(theta):
        values[:, :, i] = np.log(errors(a[:, None], f, angle, name)) + kept.lifted(a)[:, None]
    return values


def compress(values: Array) -> dict[str, Array]:
    """Leading functions in each direction, and the core between them."""
    core, found = values, {}
    for axis in range(values.ndim):
        flat = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        left, size, _ = np.linalg.svd(flat, full_matrices=False)
        rest = np.sqrt(np.cumsum(size[::-1] ** 2)[::-1] / values.size)
        base = left[:, rest > LOSS]
        core = np.moveaxis(np.tensordot(base.T, core, (1, axis)), 0, axis)
        found[f"base{axis}"] = np.ascontiguousarray(base)
    return found | {"core": core.astype(np.float32)}


def check(name: str, kept: Kept, count: int, rng: np.random.Generator) -> None:
    """Print how far a law is from the theory at random places in its box."""
    a = np.exp(rng.uniform(np.log(1e-3), np.log(min(kept.most, 1e4)), count))
    f = LEAST_SHARE ** rng.uniform(0, 1, count)
    theta = LEAST_ANGLE * (RIGHT / LEAST_ANGLE) ** rng.uniform(0, 1, count)
    exact = pruned_perceptron(a, f, theta, keep=name).require().eps
    found = np.array([
        get_law(kept.law)({"E": 0.0, "A": 1.0, "M": 1.0, "theta": t}, {"D": x, "fraction": g})[0]
        for x, g, t in zip(a, f, theta, strict=True)
    ])  # fmt: skip
    off = np.abs(found / exact - 1)
    worst = np.argsort(off)[-3:]
    print(
        f"{kept.law}: {count} places, median {np.median(off):.1e}, "
        f"99 % {np.quantile(off, 0.99):.1e}"
    )
    for i in worst:
        print(f"  {off[i]:.1e} at {a[i]:.3g}, {f[i]:.3f}, {np.degrees(theta[i]):.1f} degrees")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--places", type=int, default=1000)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    for name, kept in KEPT.items():
        if given.write:
            start = time.perf_counter()
            parts = compress(solve(name, kept))
            np.savez(kept.path, allow_pickle=False, **parts)
            size = kept.path.stat().st_size
            print(f"{kept.path.name}: core {parts['core'].shape}, {size} bytes")
            print(f"  {time.perf_counter() - start:.0f} s")
        check(name, kept, given.places, rng)


if __name__ == "__main__":
    main()
