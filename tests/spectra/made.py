"""Features of known spectrum and target."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoloss.theory import Spectrum, from_modes


def known(
    n: int, p: int, *, b: float = 1.4, a: float = 1.6, noise: float = 0.05, seed: int = 0
) -> tuple[Any, Any, Spectrum]:
    """Gaussian rows with eigenvalues k^-b, turned, and a target of power k^-a with noise."""
    rng = np.random.default_rng([seed, n, p])
    k = np.arange(1, p + 1.0)
    lam, v2 = k**-b, k**-a
    z = rng.standard_normal((n, p))
    y = z @ (np.sqrt(v2) * rng.choice([-1.0, 1.0], p)) + np.sqrt(noise) * rng.standard_normal(n)
    turn = np.linalg.qr(rng.standard_normal((p, p)))[0]
    return (z * np.sqrt(lam)) @ turn, y, from_modes(lam, v2)
