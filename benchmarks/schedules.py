"""Fit the multi-power law to the published curves, beside the usual optimiser of that law.

``python benchmarks/schedules.py FOLDER [--iterations N]``: FOLDER holds the 27 files
``csv_SIZE__SCHEDULE.csv`` (step, lr, loss) of arXiv:2503.12811's repository. The peer is a short
reimplementation of its way, not its code: torch, Huber loss of 1e-3 on log losses, L-BFGS on the
logarithms of all seven parameters from one start of its kind, and every change of rate summed at
every logged step. It is stopped after N iterations; its time grows with N.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from isoloss.fit.curves import fit_schedule_law, forecast_curve
from isoloss.laws.curve_law import curve_loss
from isoloss.laws.schedule import Schedule, make_schedule
from isoloss.runs.curve import Curve

PLANS = {
    "cosine_24000": "cosine:24000", "constant_24000": "constant:24000",
    "wsdcon_9": "drop:8000:16000:9e-5", "wsdcon_3": "drop:8000:16000:3e-5",
    "wsdcon_18": "drop:8000:16000:1.8e-4", "cosine_72000": "cosine:72000",
    "constant_72000": "constant:72000", "wsd_20000_24000": "wsd:20000:24000",
    "wsdld_20000_24000": "wsd-linear:20000:24000",
}  # fmt: skip
TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
NAMES = ("L0", "A", "alpha", "B", "C", "beta", "gamma")


def read(folder: Path, size: int) -> dict[str, tuple[Curve, Schedule]]:
    found = {}
    for name, text in PLANS.items():
        table = np.loadtxt(folder / f"csv_{size}__{name}.csv", delimiter=",", skiprows=1)
        plan = make_schedule(text, peak=3e-4, floor=3e-5, warmup=2160)
        found[name] = Curve(table[:, 0], table[:, 2], table[:, 1], name=name), plan
    return found


def score(pairs: list[tuple[np.ndarray, Curve]]) -> str:
    r2 = [1 - np.sum((p - c.loss) ** 2) / np.sum((c.loss - c.loss.mean()) ** 2) for p, c in pairs]
    mae = [np.mean(np.abs(p - c.loss)) for p, c in pairs]
    return f"R2 {np.mean(r2):.4f}, mean absolute error {np.mean(mae):.4f}"


def ours(curves: dict[str, tuple[Curve, Schedule]]) -> tuple[float, str, int]:
    start = time.process_time()
    given = {n: curves[n][1] for n in TRAIN}
    found = fit_schedule_law([curves[n][0] for n in TRAIN], schedules=given)
    spent = time.process_time() - start
    ahead = {
        n: forecast_curve(found, p, at=c.step) for n, (c, p) in curves.items() if n not in TRAIN
    }
    held = sum(bool(f.low[-1] <= curves[n][0].loss[-1] <= f.high[-1]) for n, f in ahead.items())
    return spent, score([(f.loss, curves[n][0]) for n, f in ahead.items()]), held


def peer(curves: dict[str, tuple[Curve, Schedule]], iterations: int) -> tuple[float, str]:
    import torch

    torch.set_num_threads(1)
    start = time.process_time()
    parts = []
    for name in TRAIN:
        curve, plan = curves[name]
        rates = torch.tensor(plan.rates.copy())
        parts.append((rates, torch.cumsum(rates, 0), torch.diff(rates), curve.step.astype(int)))
    target = torch.log(torch.tensor(np.concatenate([curves[n][0].loss for n in TRAIN])))
    low = min(float(curves[n][0].loss.min()) for n in TRAIN)
    begin = [0.9 * low, 0.5, 0.5, 300.0, 1.0, 0.5, 0.5]
    theta = torch.log(torch.tensor(begin, dtype=torch.float64)).requires_grad_()

    def predict() -> torch.Tensor:
        L0, A, alpha, B, C, beta, gamma = torch.exp(theta)
        found = []
        for rates, sums, change, steps in parts:
            for t in steps:
                since = sums[t] - sums[:t]
                x = 1 + C * rates[1 : t + 1] ** -gamma * since
                drop = (change[:t] * (1 - x**-beta)).sum()
                found.append(L0 + A * sums[t] ** -alpha + B * drop)
        return torch.stack(found)

    optimiser = torch.optim.LBFGS([theta], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.huber_loss(torch.log(predict()), target, delta=1e-3)
        loss = loss * 1e6
        loss.backward()
        return loss

    optimiser.step(closure)
    spent = time.process_time() - start
    values = dict(zip(NAMES, torch.exp(theta).tolist(), strict=True))
    pairs = [
        (curve_loss("multi-power", values, plan, at=curve.step), curve)
        for name, (curve, plan) in curves.items()
        if name not in TRAIN
    ]
    return spent, score(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 100, 400])
    given = parser.parse_args()
    for size in given.sizes:
        curves = read(given.folder, size)
        spent, text, held = ours(curves)
        print(f"{size}M  isoloss  {spent:7.2f} s of CPU  {text}, {held} of 6 final losses held")
        if given.iterations:
            long, text = peer(curves, given.iterations)
            print(f"{size}M  peer     {long:7.2f} s of CPU  {text}; {long / spent:.0f} times ours")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
