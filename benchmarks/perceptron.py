"""Time the pruned perceptron beside the obvious way to solve it, and print ratios.

    python benchmarks/perceptron.py [--simulate]

The obvious way: the equations as printed in arXiv:2206.14486, appendix A, by a root finder with
adaptive quadrature for a perfect probe, and by one with a fixed rule in two dimensions for another,
started next to the answer. It is timed on a few points and scaled up. CPU seconds, one thread; the
largest difference of the answers is printed. With --simulate, 61 points are also drawn and trained:
40 students of 200 dimensions each.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root
from scipy.special import erfinv, ndtr
from threadpoolctl import threadpool_limits

from isoloss.theory import agree_perceptron, frontier, pruned_perceptron, version_space

ALPHA, FRACTION = np.geomspace(0.1, 30, 50), np.geomspace(0.02, 1, 50)
KEEP = np.array(["hard", "easy", "random"])
ROOT = math.sqrt(2 * math.pi)


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulate", action="store_true", help="also draw and train students")
    options = parser.parse_args()
    with threadpool_limits(1):
        grid(0.0, [(1.0, 0.5), (3.0, 0.5), (5.0, 0.2)], straight)
        grid(math.radians(20), [(1.0, 0.5), (3.0, 0.2), (5.0, 0.5)], tilted)
        theta, at = math.radians(20), np.geomspace(0.3, 100, 25)
        seconds, _ = cpu(lambda: frontier(at, theta))
        line("frontier of one probe, 25 points", seconds)
        seconds, _ = cpu(lambda: version_space(np.geomspace(0.1, 20, 20), 0.2))
        line("volume of students, 20 points", seconds)
        if options.simulate:
            simulation()


def grid(theta: float, points: list[tuple[float, float]], peer: Callable[..., float]) -> None:
    """Time 50 x 50 x 3 points at one angle."""
    seconds, found = cpu(
        lambda: pruned_perceptron(
            ALPHA[:, None, None], FRACTION[:, None], theta, keep=KEEP
        ).require()
    )
    start, worst = time.process_time(), 0.0
    for alpha, fraction in points:
        exact = pruned_perceptron(alpha, fraction, theta)
        other = peer(alpha, fraction, theta, float(exact.R), float(exact.rho), float(exact.kappa))
        worst = max(worst, abs(other / float(exact.eps) - 1))
    each = (time.process_time() - start) / len(points)
    said = f"{np.degrees(theta):g} degrees, 50 x 50 x 3"
    line(said, seconds, each * found.eps.size, f"largest difference {worst:.0e}")


def straight(alpha: float, f: float, _: float, R: float, __: float, kappa: float) -> float:
    """Error of a perfect probe that keeps hard examples, from the two printed equations."""
    g = math.sqrt(2) * float(erfinv(f))

    def miss(v: Any) -> list[float]:
        R, kappa = math.tanh(v[0]), math.exp(v[1])
        s2 = 1 - R * R
        s = math.sqrt(s2)

        def one(t: float) -> float:
            cut = 1 - math.exp(-g * (g - 2 * R * t) / (2 * s2))
            return math.exp(-t * t / 2 - R * R * t * t / (2 * s2)) * cut * (kappa - t) / ROOT

        def two(t: float) -> float:
            inside = ndtr(R * t / s) - ndtr((R * t - g) / s)
            return math.exp(-t * t / 2) * inside * (kappa - t) ** 2 / ROOT

        first, second = (quad(h, -9, kappa, epsabs=1e-12, limit=200)[0] for h in (one, two))
        return [2 * alpha / (f * ROOT * s) * first - R, 2 * alpha / f * second - s2]

    start = [math.atanh(R) + 0.05, math.log(kappa) + 0.05]
    return math.acos(math.tanh(root(miss, start, tol=1e-10).x[0])) / math.pi


def tilted(alpha: float, f: float, theta: float, R: float, rho: float, kappa: float) -> float:
    """Error of an imperfect probe that keeps hard examples, from the three printed equations."""
    s, c = math.sin(theta), math.cos(theta)
    g = math.sqrt(2) * float(erfinv(f))
    x, weight = np.polynomial.legendre.leggauss(200)
    z, wz = g * x[:, None], g * weight[:, None] * np.exp(-((g * x[:, None]) ** 2) / 2) / ROOT / f

    def miss(v: Any) -> list[float]:
        R, rho, kappa = math.tanh(v[0]), math.tanh(v[1]), math.exp(v[2])
        t = (kappa + 9) / 2 * (x + 1) - 9
        w = wz * weight * (kappa + 9) / 2
        L2 = s * s - R * R - rho * rho + 2 * rho * R * c
        if L2 <= 0:
            return [1.0, 1.0, 1.0]
        L, one = math.sqrt(L2), 1 - rho * rho
        delta = z**2 * (rho**2 + c**2 - 2 * rho * R * c) + 2 * t * z * (R * c - rho) + t**2 * s**2
        bell = np.exp(-delta / (2 * L2))
        gamma = z * (rho * R - c) - t * (R - rho * c)
        density = np.exp(-((t - rho * z) ** 2) / (2 * one)) / math.sqrt(2 * math.pi * one)
        half, short = ndtr(-gamma / (math.sqrt(one) * L)), kappa - t
        mixed = density * half * (z - rho * t) / one
        mixed += bell * (rho * R - c) / (2 * math.pi * L * one)
        return [
            alpha / (math.pi * L) * float((w * bell * short).sum()) - (R - rho * c) / s**2,
            2 * alpha * float((w * density * half * short**2).sum()) - L2 / s**2,
            2 * alpha * float((w * mixed * short).sum()) - (rho - R * c) / s**2,
        ]

    start = [math.atanh(R) + 0.02, math.atanh(rho) + 0.02, math.log(kappa) + 0.02]
    return math.acos(math.tanh(root(miss, start, tol=1e-10).x[0])) / math.pi


def simulation() -> None:
    """Draw and train 61 points and print how far they are from the theory."""
    shares = ((0.8, 2.0), (0.5, 1.0), (0.5, 2.0), (0.5, 4.0), (0.2, 1.0), (0.2, 3.0), (0.1, 5.0))
    cases = [(k, f, d, a) for k in KEEP[:2] for d in (0, 10, 20, 45) for f, a in shares]
    cases += [("random", 1.0, 0, a) for a in (0.5, 1.0, 2.0, 4.0, 8.0)]
    start, z = time.process_time(), []
    for seed, (keep, f, degrees, alpha) in enumerate(cases):
        found = agree_perceptron(
            alpha, f, math.radians(degrees), keep=str(keep), N=200, draws=40, rng=seed
        )
        z.append(float(found.z["eps"][0]))
    seconds = time.process_time() - start
    rms, worst = float(np.sqrt(np.mean(np.square(z)))), max(map(abs, z))
    line(f"{len(z)} points, 40 students each", seconds, 0, f"rms z {rms:.2f}, largest {worst:.1f}")


def cpu(action: Callable[[], Any], rounds: int = 3) -> tuple[float, Any]:
    """Least CPU seconds of some rounds."""
    best, result = math.inf, None
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def line(what: str, seconds: float, peer: float = 0, said: str = "") -> None:
    """Print one line."""
    ratio = f"{peer:10.0f} s {peer / seconds:9.0f} x" if peer else " " * 23
    print(f"{what:<40}{seconds:8.3f} s {ratio}  {said}", flush=True)


if __name__ == "__main__":
    main()
