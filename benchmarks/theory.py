"""Time the solvable models beside the obvious way to compute the same, and print ratios.

    python benchmarks/theory.py [--quick]

The obvious way: for each point a bracketing root finder on sums over all modes; for the optimal
ridge a bounded minimiser around that; for gradient flow an inverse transform that finds kappa by
the same sums. It is timed on a few points and scaled up, as whole grids take hours. CPU seconds,
one thread, the least of some rounds; the largest difference of the answers is printed.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from threadpoolctl import threadpool_limits

from isoloss.theory import (
    gradient_flow,
    one_pass_sgd,
    power_law,
    random_features,
    scheduled_sgd,
    sgd_spectrum,
)
from isoloss.theory.schedule import SCHEDULES

B, A, NOISE = 1.5, 1.8, 0.01
GRID = np.geomspace(10, 1e5, 100)


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the largest spectra")
    options = parser.parse_args()
    with threadpool_limits(1):
        for M in (10**4, 10**6) if options.quick else (10**4, 10**6, 10**8):
            grids(M)
        flow(10**4 if options.quick else 10**6)
        sgd()
        schedules()
        memory()


def grids(M: int) -> None:
    """Time 100 x 100 values of N and T."""
    spectrum = power_law(b=B, a=A, M=M)
    modes = Modes(M)
    picks = [(7, 90), (40, 40), (80, 20)][: 1 if M > 10**7 else 3]
    for name, ridge, plain in (
        ("kappa and losses, ridge 1", 1.0, modes.ridged),
        ("no ridge", "ridgeless", modes.ridgeless),
        ("optimal ridge", "optimal", modes.optimal),
    ):
        if name == "optimal ridge" and M > 10**6:
            picks = []
        seconds, found = cpu(
            lambda r=ridge: random_features(spectrum, GRID[:, None], GRID, ridge=r, noise=NOISE)
        )
        start, worst = time.process_time(), 0.0
        for i, j in picks:
            if i == j and ridge == "ridgeless":
                continue
            other = plain(float(GRID[i]), float(GRID[j]))
            worst = max(worst, abs(other / float(found.test_excess[i, j]) - 1))
        # Points at N = T without a ridge are infinite and cost the peer nothing.
        done = sum(i != j or ridge != "ridgeless" for i, j in picks)
        peer = (time.process_time() - start) / max(done, 1) * GRID.size**2 if picks else 0.0
        said = f"largest difference {worst:.0e}" if picks else "peer left out"
        line(f"M = {M:.0e}, 100 x 100, {name}", seconds, peer, said)


def flow(M: int) -> None:
    """Time test and training loss at 100 times."""
    spectrum, times = power_law(b=1.3, a=1.5, M=M), np.geomspace(1, 1e6, 100)
    seconds, found = cpu(lambda: gradient_flow(spectrum, 1000, 2000, times))
    start = time.process_time()
    other = Modes(M, 1.3, 1.5).flow(1000, 2000, float(times[50]))
    peer = (time.process_time() - start) * times.size
    gap = abs(other / float(found.test_excess[50]) - 1)
    line(f"M = {M:.0e}, gradient flow at 100 times", seconds, peer, f"largest difference {gap:.0e}")


def sgd() -> None:
    """Time one late step of SGD against the sum over all steps before."""
    spectrum, last = sgd_spectrum(alpha=0.8, beta=0.6, M=800), 10_000
    seconds, found = cpu(lambda: one_pass_sgd(spectrum, 200, last, lr=0.1))
    from isoloss.theory.sgd import Model

    start = time.process_time()
    other = Model(spectrum, 200.0, 0.1, 1.0, 0.0).volterra(last)[last]
    peer = time.process_time() - start
    gap = abs(other / float(found.risk) - 1)
    line("one-pass SGD at step 10,000", seconds, peer, f"difference {gap:.0e}")


def schedules() -> None:
    """Time 100,000 steps under each schedule beside the recursion of every mode."""
    spectrum = power_law(b=1.6, a=2.8, M=400)
    lam, v2 = (np.concatenate(part) for part in zip(*spectrum.blocks(400), strict=True))
    lr, batch, noise, length = 0.1, 2, 0.05, 100_000
    at = np.unique(np.geomspace(1, length, 60).astype(int))
    for name, schedule in SCHEDULES.items():
        seconds, found = cpu(
            lambda s=schedule: scheduled_sgd(
                spectrum, np.inf, at, lr=lr, schedule=s, batch=batch, noise=noise
            ),
            rounds=2,
        )
        start, rho, risk = time.process_time(), v2 / lam, np.empty(length + 1)
        for k, size in enumerate((*lr * schedule((np.arange(length) + 0.5) / length), 0.0)):
            risk[k] = lam @ rho
            phi = 1 - 2 * size * batch * lam + size**2 * batch * (batch + 1) * lam**2
            rho = phi * rho + size**2 * batch * lam * (risk[k] + noise)
        peer = time.process_time() - start
        worst = np.abs(found.risk / risk[at] - 1).max()
        line(f"{length} steps, {name}", seconds, peer, f"error {worst:.0e}, said {found.error:.0e}")


def memory() -> None:
    """Print peak memory against M."""
    for M in (10**4, 10**8, 10**12, 10**15):
        tracemalloc.start()
        random_features(power_law(b=B, a=A, M=M), GRID[:, None], GRID, ridge=1.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"M = {M:.0e}: peak memory of a grid {peak / 2**20:.1f} MiB")


class Modes:
    """All modes, and the obvious formulas over them."""

    def __init__(self, M: int, b: float = B, a: float = A) -> None:
        index = np.arange(1, M + 1, dtype=np.float64)
        self.lam, self.v2 = index**-b, index**-a

    def ridged(self, N: float, T: float, ghat: float = 1.0) -> float:
        """Test loss at a ridge."""

        def excess(kappa: float) -> float:
            z = np.sum(self.lam / (self.lam + kappa))
            return math.inf if z < 0 else kappa * (N - z) * (T - z) - ghat

        low = self.solve(min(N, T))
        return self.loss(brentq(excess, low, low + ghat + self.lam.sum(), xtol=1e-300), N, T)

    def ridgeless(self, N: float, T: float) -> float:
        """Test loss without a ridge."""
        return self.loss(self.solve(min(N, T)), N, T)

    def optimal(self, N: float, T: float) -> float:
        """Test loss at the best ridge."""
        low = self.solve(min(N, T))
        best = minimize_scalar(
            lambda x: self.loss(low + math.exp(x), N, T), bounds=(-25, 5), method="bounded",
            options={"xatol": 1e-6},
        )  # fmt: skip
        return float(best.fun)

    def solve(self, n: float) -> float:
        """Kappa at which z = n."""
        return float(
            brentq(
                lambda k: np.sum(self.lam / (self.lam + k)) - n, 1e-30, self.lam.sum() / n,
                xtol=1e-300, rtol=1e-14,
            )
        )  # fmt: skip

    def loss(self, kappa: float, N: float, T: float) -> float:
        """Excess at a kappa."""
        t = self.lam / (self.lam + kappa)
        z, q = t.sum(), (t * t).sum()
        S1, S2 = (self.v2 * (1 - t)).sum(), (self.v2 * (1 - t) ** 2).sum()
        rest = S1 - (N - z) / (N - q) * (S1 - S2)
        D = N * T - z * z - q * (N + T) + 2 * q * z
        return float(T * (N - q) / D * (rest + NOISE) - NOISE)

    def flow(self, N: float, T: float, t: float) -> float:
        """Test loss of gradient flow without noise: twelve kappas by turning the ridge."""
        theta = (np.arange(12) + 0.5) * 2 * np.pi / 24
        w = 0.6407 * theta
        s = 24 * (-0.6122 + 0.5017 * theta / np.tan(w) + 0.2645j * theta)
        slope = 24 * (0.5017 / np.tan(w) - 0.5017 * w / np.sin(w) ** 2 + 0.2645j)
        weight = np.exp(s) * slope / (24j * s)
        kappa = np.array([self.turn(v / t, N, T) for v in s])
        kappa, weight = np.r_[kappa, kappa.conj()], np.r_[weight, weight.conj()]
        z = np.array([np.sum(self.lam / (self.lam + k)) for k in kappa])
        S1 = np.array([np.sum(self.v2 * k / (self.lam + k)) for k in kappa])
        one, off = kappa * (1 - z / N), ~np.eye(kappa.size, dtype=bool)
        gap = np.where(off, one - one[:, None], 1)
        num = np.where(off, (one * S1[:, None] - one[:, None] * S1) / gap, 0)
        gam = np.where(off, (one * z - (one * z)[:, None]) / gap, 0) / T
        for i, k in enumerate(kappa):
            t1 = self.lam / (self.lam + k)
            q, d = np.sum(t1**2), np.sum(self.v2 * t1 * (1 - t1))
            num[i, i] = S1[i] - (1 - z[i] / N) * d / (1 - q / N)
            gam[i, i] = (z[i] - (1 - z[i] / N) * (z[i] - q) / (1 - q / N)) / T
        return float((weight @ (num / (1 - gam)) @ weight).real)

    def turn(self, s: complex, N: float, T: float) -> complex:
        """Kappa at a complex ridge, by continuation from the positive axis."""
        low = self.solve(min(N, T))

        def excess(kappa: float) -> float:
            z = np.sum(self.lam / (self.lam + kappa))
            return float(kappa * (1 - z / N) * (1 - z / T) - abs(s))

        kappa: Any = brentq(excess, low, low + abs(s) + self.lam.sum(), xtol=1e-300)
        for j in range(1, 13):
            at = abs(s) * np.exp(1j * np.angle(s) * j / 12)
            for _ in range(4):
                t = self.lam / (self.lam + kappa)
                z, e = t.sum(), (t * (1 - t)).sum()
                x, y = 1 - z / N, 1 - z / T
                kappa = kappa - (kappa * x * y - at) / (x * y + e * (x / T + y / N))
        return complex(kappa)


def cpu(action: Callable[[], Any], rounds: int = 5) -> tuple[float, Any]:
    """Least CPU seconds of some rounds after a first that does not count."""
    best, result = math.inf, action()
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def line(what: str, seconds: float, peer: float, said: str) -> None:
    """Print one line."""
    ratio = f"{peer:10.0f} s {peer / seconds:9.0f} x" if peer else " " * 23
    print(f"{what:<48}{seconds:8.4f} s {ratio}  {said}", flush=True)


if __name__ == "__main__":
    main()
