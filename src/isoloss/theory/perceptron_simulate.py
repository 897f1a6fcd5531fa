"""Pruned perceptrons drawn and trained, beside the theory."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import FitError, InputError
from isoloss.theory.agreement import Agreement
from isoloss.theory.checks import as_numbers
from isoloss.theory.draw import OnStep, each, whole
from isoloss.theory.perceptron import pruned_perceptron, read
from isoloss.theory.perceptron_margin import separate
from isoloss.theory.simulate import Rng, Simulated

QUANTITIES = ("eps", "R", "rho", "kappa", "support_fraction")
_MOST = 4e7
"""Numbers that the inputs of one draw may hold."""


def simulate_perceptron(
    alpha_prune: float, fraction: float = 1.0, theta: float = 0.0, *, keep: str = "hard",
    N: int = 200, draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None,
    executor: Executor | None = None,
) -> Simulated:  # fmt: skip
    """Draw teachers, probes and pools; prune; train students of largest margin.

    A pool of ``kept/fraction`` examples is ranked by the probe's margin and the first ``kept``
    of them stay. Only these are drawn: the margin at the cut is an order statistic of the pool,
    and those below it are independent, so that a pool of any size costs nothing.

    Parameters
    ----------
    alpha_prune, fraction, theta, keep
        As in `isoloss.theory.pruned_perceptron`, one number each, the fraction above zero.
    N
        Dimension; ``round(alpha_prune N)`` examples are kept.
    draws
        Independent repeats, 2 or more.
    rng
        Seed or generator. Draw i is the same whatever the number of draws.
    on_step
        Called with a sentence after each draw.
    executor
        Where draws are made, as in `isoloss.theory.simulate_random_features`.

    Returns
    -------
    Simulated
        ``eps``, ``R``, ``rho``, ``kappa``, ``support_fraction`` and ``converged`` (0 or 1), one
        number a draw.

    Raises
    ------
    InputError
        If a value breaks these rules, or a draw does not fit in memory.

    References
    ----------
    The model of Sorscher et al., arXiv:2206.14486; Mehrotra's interior point method.

    Examples
    --------
    >>> found = simulate_perceptron(2, 0.5, keep="easy", N=50, draws=4)
    >>> found.draws, found.values["converged"].tolist()
    (4, [1.0, 1.0, 1.0, 1.0])
    """
    a, _, f, angle, words = read(alpha_prune, fraction, theta, keep, None)
    if a.ndim:
        raise InputError(f"simulate one point at a time: the arguments have shape {a.shape}")
    if f == 0:
        raise InputError("fraction = 0.0: a pool without end cannot be drawn; give a share above 0")
    N = whole("N", N)
    if N < 2:
        raise InputError(f"N = {N}: must be 2 or more, for a probe beside the teacher")
    kept = round(float(a) * N)
    if kept < 1 or kept * N > _MOST:
        raise InputError(
            f"alpha_prune = {float(a):g}, N = {N}: {kept} kept examples of {N} numbers; "
            f"take N so that there is one, and at most {_MOST:g} numbers"
        )
    word = str(words)
    pool = kept if word == "random" else max(kept, round(kept / float(f)))
    draw = partial(_draw, kept, pool, float(angle), word, N)
    rows = np.array(each(draw, rng, draws, on_step, executor))
    return Simulated(values=dict(zip((*QUANTITIES, "converged"), rows.T, strict=True)))


def agree_perceptron(
    alpha_prune: Any, fraction: float = 1.0, theta: float = 0.0, *, keep: str = "hard",
    N: int = 200, draws: int = 20, rng: Rng = 0, on_step: OnStep | None = None,
    executor: Executor | None = None,
) -> Agreement:  # fmt: skip
    """Solve and simulate pruned perceptrons; rows are numbers of kept examples.

    Near two hard examples a dimension, with a good probe and less than a fifth kept, a finite
    student either finds the teacher or does not: errors spread over 10 to 30 percent there, and
    their mean at N of some hundreds is not that of N without end.

    Parameters
    ----------
    alpha_prune
        A number or several; the theory is that of the whole number that is kept.
    fraction, theta, keep, N, draws, rng, on_step, executor
        As in `isoloss.theory.simulate_perceptron`.

    Raises
    ------
    InputError
        As there.
    FitError
        If a student was not found to full precision.

    References
    ----------
    arXiv:2206.14486.

    Examples
    --------
    >>> agree_perceptron([1, 3], 0.5, np.deg2rad(20), N=100, draws=10).worst < 4
    True
    """
    alphas = np.atleast_1d(as_numbers("alpha_prune", alpha_prune)).ravel()
    words: dict[str, Any] = {
        "keep": keep, "N": N, "draws": draws, "rng": rng, "on_step": on_step, "executor": executor,
    }  # fmt: skip
    made = []
    for alpha in alphas.tolist():
        made.append(simulate_perceptron(alpha, fraction, theta, **words))
        if not made[-1].values["converged"].all():
            raise FitError("NO_SEPARATOR", f"a student at alpha_prune {alpha:g} did not converge")
    real = np.array([round(alpha * N) / N for alpha in alphas.tolist()])
    exact = pruned_perceptron(real, fraction, theta, keep=keep).require()
    # Where next to all examples support the margin, every draw gives one and there is no error bar.
    names = QUANTITIES[:4]
    return Agreement(
        axis="alpha_prune", at=real, theory={k: getattr(exact, k) for k in names},
        mean={k: np.array([float(m.mean(k)) for m in made]) for k in names},
        sem={k: np.array([float(m.sem(k)) for m in made]) for k in names},
        draws=draws,
    )  # fmt: skip


def draw_examples(
    kept: int, pool: int, theta: float, keep: str, N: int, rng: np.random.Generator
) -> Array:
    """Kept inputs times their labels, (kept, N): teacher first axis, probe in the first two."""
    X = rng.standard_normal((kept, N))
    if pool > kept:
        from scipy.special import erfcinv, erfinv

        # Ranks of the pool are uniform; all below the first that is left out are kept.
        ranks = rng.uniform(0.0, rng.beta(kept + 1, pool - kept), kept)
        margin = np.sqrt(2) * (erfinv(ranks) if keep == "hard" else erfcinv(ranks))
        z = margin * rng.choice([-1.0, 1.0], kept)
        across = X[:, 1].copy()
        X[:, 0] = np.cos(theta) * z + np.sin(theta) * across
        X[:, 1] = np.sin(theta) * z - np.cos(theta) * across
    return np.asarray(X * np.sign(X[:, :1]))


def _draw(
    kept: int, pool: int, theta: float, keep: str, N: int, rng: np.random.Generator
) -> tuple[float, ...]:
    """Quantities of one student."""
    found = separate(draw_examples(kept, pool, theta, keep, N, rng))
    length = float(np.sqrt(found.weights @ found.weights))
    J = found.weights / length
    R, rho = float(J[0]), float(np.cos(theta) * J[0] + np.sin(theta) * J[1])
    eps = float(np.arctan2(np.sqrt(J[1:] @ J[1:]), R) / np.pi)
    return eps, R, rho, 1 / length, found.support / kept, float(found.converged)
