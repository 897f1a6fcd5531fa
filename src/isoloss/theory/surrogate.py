"""Random teachers and their width-n surrogates, drawn and compared with what is exact for them."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.theory.agreement import Agreement
from isoloss.theory.checks import as_above_zero, as_numbers
from isoloss.theory.draw import OnStep, each, whole
from isoloss.theory.information import distinct_atoms
from isoloss.theory.teacher import Rng, draw_teacher, logit_divergence


def agree_surrogate(
    n: Any, *, d: int, K: float, draws: int = 20, inputs: int = 2000, rng: Rng = 0,
    on_step: OnStep | None = None, executor: Executor | None = None,
) -> Agreement:  # fmt: skip
    r"""Draw teachers and their surrogates of n neurons; rows are n.

    Quantities: ``squared_error``, the mean of :math:`(F-F_n)^2`, exactly K/(2n); ``divergence``,
    the mean of :math:`\mathrm{KL}(\sigma(F)\|\sigma(F_n))`, **at most** K/(16n), so its z is
    negative; ``distinct``, the atoms of the surrogate, exactly U(n); ``power``, the mean of
    :math:`F^2`, exactly 1/2.

    Parameters
    ----------
    n
        Neurons, whole numbers.
    d, K
        Dimension of the inputs, concentration.
    draws
        Teachers, each with a surrogate of every n.
    inputs
        Gaussian inputs that each is judged on.
    rng, on_step, executor
        Seed or generator; called after each draw; runs the draws.

    Raises
    ------
    InputError
        If a value breaks these rules.

    References
    ----------
    The process of Jeon and Van Roy, arXiv:2407.01456.

    Examples
    --------
    >>> found = agree_surrogate([5, 50], d=5, K=10, draws=200, inputs=200)
    >>> bool(abs(found.z["squared_error"]).max() < 4), bool(found.z["divergence"].max() < 0)
    (True, True)
    """
    sizes = np.atleast_1d(as_numbers("n", n)).ravel()
    widths = [whole("n", size) for size in sizes.tolist()]
    dims, K = whole("d", d), as_above_zero("K", K)
    if max(widths) > 1 << 62:
        raise InputError(f"n = {max(widths):g}: too many neurons to draw")
    points = whole("inputs", inputs)
    found = np.stack(
        each(partial(_compare, widths, dims, K, points), rng, draws, on_step, executor)
    )
    width = np.array(widths, dtype=np.float64)
    theory = {
        "squared_error": K / (2 * width),
        "divergence": K / (16 * width),
        "distinct": distinct_atoms(width, K),
        "power": np.full(width.shape, 0.5),
    }
    mean, sem = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(draws)
    names = list(theory)
    return Agreement(
        axis="n", at=width, theory=theory,
        mean={k: mean[i] for i, k in enumerate(names)},
        sem={k: sem[i] for i, k in enumerate(names)}, draws=draws,
    )  # fmt: skip


def _compare(widths: list[int], d: int, K: float, inputs: int, rng: np.random.Generator) -> Array:
    """One teacher beside its surrogates: quantities by width."""
    # Atoms too rare to be seen in n draws are left out.
    teacher = draw_teacher(d, K, rng, left=min(1e-12, 1e-4 / max(widths)))
    X = rng.standard_normal((inputs, d))
    F = teacher.logit(X)
    rows = np.empty((4, len(widths)))
    for i, n in enumerate(widths):
        small = teacher.surrogate(n, rng)
        F_n = small.logit(X)
        rows[:, i] = (
            np.mean((F - F_n) ** 2), np.mean(logit_divergence(F, F_n)), small.weights.size,
            np.mean(F**2),
        )  # fmt: skip
    return rows
