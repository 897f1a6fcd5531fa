"""Small networks trained as one program, beside plain loops that train the same networks alone.

    python benchmarks/batched.py [--quick] [--clip 1] [--only 0 1 2] [--steps 500]
    python benchmarks/batched.py --shape 784 128 64 10
    python benchmarks/batched.py --workers [--quick]

For each shape 64 networks are trained four ways: a plain PyTorch loop, one network after the other
(autograd, fused AdamW, eager); `torch.func`, vmap over gradients; and `train_batched` with 16, 32,
64 and 256 members. Every way takes the same steps on the same examples from the same weights.
Numbers are network-steps per second of CPU time on one core, the best of ``--repeats`` tries taken
in turns, so that all ways meet the same neighbours on the machine; the ratio is to the plain loop.
The loop trains four of the 64 networks: each costs the same. Its losses are compared with those of
the members: the largest relative difference of test losses is printed, of these four.

``--workers`` runs one sweep of 8 groups with one process and with two, and prints the ratio of
wall times; it needs an idle machine with two cores.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from isoloss.sweep import Data, DataSpec, Mlp, RunSpec
from isoloss.sweep.batched import together, train_batched
from isoloss.sweep.models.build import build
from isoloss.sweep.order import Order
from isoloss.sweep.schedule import rate

SHAPES = ((16, 16, 32, 1), (16, 64, 64, 1), (784, 64, 64, 10))
NETWORKS, ALONE = 64, 4


def make(features: int, outputs: int) -> Data:
    """Labels of a random linear teacher, or for one output a smooth number."""
    rng = np.random.default_rng(0)
    n = 8192 + 2048
    x = rng.standard_normal((n, features), dtype=np.float32)
    score = x @ rng.standard_normal((features, outputs), dtype=np.float32) / features**0.5
    y = score.argmax(1) if outputs > 1 else np.tanh(score)
    train, valid = slice(0, 8192), slice(8192, 9216)
    return Data(
        kind="classes" if outputs > 1 else "numbers",
        train_x=x[train], train_y=y[train], valid_x=x[valid], valid_y=y[valid],
        test_x=x[9216:], test_y=y[9216:], outputs=outputs, digest="0" * 64,
    )  # fmt: skip


def grid(width: int, batch: int, steps: int, clip: float, members: int) -> list[RunSpec]:
    """Members that differ in seed, subset, D and learning rate."""
    return [
        RunSpec(
            model=Mlp(width=width), data=DataSpec(name="given"), D=(1024, 2048, 4096, 8192)[k % 4],
            batch=batch, lr=0.002 * 2 ** (k % 3 - 1), steps=steps, clip=clip, seed=k,
            evaluations=1,
        )
        for k in range(members)
    ]  # fmt: skip


def network(spec: RunSpec, data: Data) -> nn.Module:
    """Build the network of a run with its initial weights."""
    sizes = [data.features[0], *[spec.model.width] * spec.model.depth, data.outputs]
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        starts = [p.detach() for p in build(spec, data.features, data.outputs).parameters()]
        for own, given in zip(model.parameters(), starts, strict=True):
            own.copy_(given)
    return model


def loss_of(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if y.dtype == torch.int64:
        return F.cross_entropy(out, y)
    return F.mse_loss(out, y)


def plain(specs: Sequence[RunSpec], data: Data) -> list[float]:
    """One network after the other, as anyone would write it."""
    x, y = torch.from_numpy(data.train_x), torch.from_numpy(data.train_y)
    losses = []
    for spec in specs:
        model, order = network(spec, data), Order(spec, data.examples)
        factors = [rate(spec, step) / spec.lr for step in range(spec.updates)]
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=spec.lr, betas=(spec.beta1, spec.beta2), weight_decay=0,
            fused=True,
        )  # fmt: skip
        indices = torch.from_numpy(order.span(0, spec.updates))
        for step in range(spec.updates):
            optimiser.param_groups[0]["lr"] = spec.lr * factors[step]
            loss = loss_of(model(x[indices[step]]), y[indices[step]])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if math.isfinite(spec.clip):
                nn.utils.clip_grad_norm_(model.parameters(), spec.clip)
            optimiser.step()
        with torch.no_grad():
            test = model(torch.from_numpy(data.test_x))
            losses.append(float(loss_of(test, torch.from_numpy(data.test_y))))
    return losses


def mapped(specs: Sequence[RunSpec], data: Data) -> None:
    """Map over stacked parameters by torch.func, all at the rate of the first; not clipped."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    models = [network(spec, data) for spec in specs]
    values, _ = stack_module_state(models)
    x, y = torch.from_numpy(data.train_x), torch.from_numpy(data.train_y)

    def loss(values: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss_of(functional_call(models[0], values, (x,)), y)

    slopes = vmap(grad(loss))
    optimiser = torch.optim.AdamW(values.values(), lr=specs[0].lr, fused=True)
    orders = [Order(spec, data.examples).span(0, spec.updates) for spec in specs]
    indices = torch.from_numpy(np.stack(orders, 1))
    for step in range(specs[0].updates):
        found = slopes(values, x[indices[step]], y[indices[step]])
        for name, value in values.items():
            value.grad = found[name]
        optimiser.step()


def spent(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(shape: tuple[int, int, int, int], steps: int, clip: float, repeats: int) -> None:
    """Print the lines of one shape."""
    features, width, batch, outputs = shape
    data = make(features, outputs)
    sizes = (16, 32, 64, 256)
    all_specs = {K: grid(width, batch, steps, clip, K) for K in (ALONE, *sizes)}
    ways: dict[str, tuple[int, Callable[[], Any]]] = {
        "plain loop": (ALONE, lambda: plain(all_specs[ALONE], data)),
        "torch.func, 64": (64, lambda: mapped(all_specs[64], data)),
    }
    for K in sizes:
        ways[f"batched, {K}"] = (K, lambda K=K: train_batched(all_specs[K], data, at_once=K))
    ways["64, by default"] = (64, lambda: train_batched(all_specs[64], data))
    best = dict.fromkeys(ways, math.inf)
    for _ in range(repeats):
        for name, (K, run) in ways.items():
            best[name] = min(best[name], spent(run) / (K * steps))
    apart = plain(all_specs[ALONE], data)
    rows = train_batched(all_specs[64], data)
    off = max(abs(r["loss"] / a - 1) for r, a in zip(rows, apart, strict=False))
    chunk = together(all_specs[64][0], (features,), outputs)
    print(f"in {features}, width {width}, batch {batch}: {rows[0]['N']:,} parameters, "
          f"{steps} steps, by default at most {chunk} at a time")  # fmt: skip
    for name, cost in best.items():
        print(f"  {name:16} {1 / cost:9,.0f} network-steps a core-second, "
              f"{best['plain loop'] / cost:6.1f} x")  # fmt: skip
    print(f"  largest relative difference of test losses: {off:.1e}", flush=True)


def _group(seed: int, steps: int) -> None:
    torch.set_num_threads(1)
    specs = grid(64, 64, steps, 1.0, 64)
    train_batched(
        [RunSpec(**{**_fields(s), "seed": s.seed + 64 * seed}) for s in specs], make(16, 1)
    )


def _fields(spec: RunSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def workers(steps: int) -> None:
    """Print how much faster two processes finish the same sweep than one."""
    wall = {}
    context = multiprocessing.get_context("spawn")
    for count in (1, 2):
        with context.Pool(count) as pool:
            pool.starmap(_group, [(0, 1)] * count, chunksize=1)
            start = time.perf_counter()
            pool.starmap(_group, [(seed, steps) for seed in range(8)], chunksize=1)
            wall[count] = time.perf_counter() - start
        print(
            f"  {count} worker(s): {wall[count]:6.1f} s for 8 groups of 64 networks, {steps} steps"
        )
    print(f"  ratio {wall[1] / wall[2]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    parser.add_argument("--clip", type=float, default=math.inf, help="limit of gradients' norms")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", default=[0, 1, 2], help="shapes")
    parser.add_argument(
        "--shape", type=int, nargs=4, help="one other shape: inputs, width, batch, outputs"
    )
    parser.add_argument("--steps", type=int, help="steps of each network")
    parser.add_argument("--workers", action="store_true", help="one process against two")
    given = parser.parse_args()
    torch.set_num_threads(1)
    share = 10 if given.quick else 1
    print(f"torch {torch.__version__}, one thread, clip {given.clip}")
    if given.workers:
        workers(given.steps or 5000 // share)
        return
    chosen = [(SHAPES[i], (2000, 1000, 300)[i]) for i in given.only]
    for shape, steps in [(tuple(given.shape), 300)] if given.shape else chosen:
        compare(shape, given.steps or steps // share, given.clip, given.repeats)


if __name__ == "__main__":
    main()
