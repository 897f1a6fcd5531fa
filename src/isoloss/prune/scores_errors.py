"""Scores of outputs at one time: EL2N, GraNd, margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.prune.scores_checks import Of, as_labels, as_outputs, finite, parts, probable
from isoloss.prune.scores_result import Scores


def score_el2n(probabilities: Any, labels: Any) -> Scores:
    """Score by the length of the error vector, ``mean over runs of |p - onehot(y)|``.

    From 0 to sqrt(2); with two classes it is ``sqrt(2) (1 - p_y)``. Meant for outputs of several
    networks early in training, in evaluation mode and without augmentation.

    Parameters
    ----------
    probabilities
        Outputs after the softmax, (n, classes) or (runs, n, classes); may be mapped from a file.
    labels
        Classes, whole numbers from 0, (n,).

    Raises
    ------
    InputError
        If rows do not sum to one (logits were given) or labels name no column.

    References
    ----------
    arXiv:2107.07075 and the code that goes with it.

    Examples
    --------
    >>> score_el2n([[0.8, 0.2], [0.5, 0.5]], [0, 1]).values.round(6).tolist()
    [0.282843, 0.707107]
    """
    p = as_outputs(probabilities)
    runs, n, classes = p.shape
    y = as_labels(labels, n, classes)

    def one(part: npt.NDArray[Any], rows: slice) -> Array:
        return error_length(probable(part, rows.start), y[rows])

    values, columns = _over_runs(p, one)
    return Scores(
        metric="el2n", definition=f"mean over {runs} runs of |softmax - onehot(label)|_2",
        source="arXiv:2107.07075", values=values, labels=y, columns=columns,
    )  # fmt: skip


def score_grand(probabilities: Any, labels: Any, *, hidden: Any, bias: bool = True) -> Scores:
    """Score by the length of the loss's gradient by the last layer's weights.

    In closed form ``|p - onehot(y)| sqrt(b + |h|^2)`` with ``h`` what enters the layer and b one
    where it has a bias: EL2N weighted by the features. The full gradient of all layers is
    another number.

    Parameters
    ----------
    probabilities, labels
        As `score_el2n`.
    hidden
        What enters the last layer, (n, width) or (runs, n, width), or its lengths ``|h|`` as
        (n, 1) or (runs, n, 1).
    bias
        Whether the layer has a bias.

    Raises
    ------
    InputError
        As `score_el2n`; or if the features are not finite or of another number.

    References
    ----------
    arXiv:2107.07075; the last layer alone as in arXiv:2204.08499.

    Examples
    --------
    >>> score_grand([[0.8, 0.2]], [0], hidden=[[3.0, 4.0]], bias=False).values.round(6).tolist()
    [1.414214]
    """
    p = as_outputs(probabilities)
    runs, n, classes = p.shape
    y = as_labels(labels, n, classes)
    h = np.asarray(hidden)
    h = h[None] if h.ndim == 2 else h
    if h.ndim != 3 or h.shape[:2] != (runs, n) or h.dtype.kind not in "biuf":
        raise InputError(
            f"hidden: shape {np.shape(hidden)} of {h.dtype} for {runs} runs of {n} examples; give "
            "(runs, n, width)"
        )
    total, square = np.zeros(n), np.zeros(n)
    for run in range(runs):
        for rows in parts(n, max(classes, h.shape[2])):
            entering = np.asarray(h[run, rows], dtype=np.float64)
            if not np.isfinite(entering).all():
                raise InputError(f"hidden of run {run}: is not finite; train that run again")
            length = np.sqrt(float(bias) + (entering**2).sum(axis=1))
            part = length * error_length(probable(p[run, rows], rows.start), y[rows])
            total[rows] += part
            square[rows] += part**2
    values, columns = _mean(total, square, runs)
    return Scores(
        metric="grand", source="arXiv:2107.07075, arXiv:2204.08499",
        definition=f"mean over {runs} runs of the length of the gradient by the last layer's "
        f"weights{' and bias' if bias else ''}",
        values=values, labels=y, columns=columns,
    )  # fmt: skip


def margin(outputs: Any, labels: Any) -> Array:
    """Give the label's output less the largest other, (n,) or (runs, n); low is hard.

    Parameters
    ----------
    outputs
        Logits or probabilities, (n, classes) or (runs, n, classes).
    labels
        Classes, (n,).

    Examples
    --------
    >>> margin([[2.0, 0.5, 1.0], [0.0, 3.0, 1.0]], [0, 2]).tolist()
    [1.0, -2.0]
    """
    z = as_outputs(outputs)
    runs, n, classes = z.shape
    y = as_labels(labels, n, classes)
    found = np.empty((runs, n))
    for run in range(runs):
        for rows in parts(n, classes):
            found[run, rows] = margin_of(finite(z[run, rows], rows.start), y[rows])
    return found if np.ndim(outputs) == 3 else found[0]


def score_margin(outputs: Any, labels: Any, *, of: Of) -> Scores:
    """Score by minus the margin at one time, a mean over runs: above 0 is misclassified.

    Parameters
    ----------
    outputs, labels
        As `margin`.
    of
        ``"logits"`` or ``"probabilities"``: the two rank differently, and the score records which.

    Examples
    --------
    >>> score_margin([[2.0, 0.5, 1.0], [0.0, 3.0, 1.0]], [0, 2], of="logits").values.tolist()
    [-1.0, 2.0]
    """
    z = as_outputs(outputs)
    runs, n, classes = z.shape
    y, take = as_labels(labels, n, classes), _reader(of)

    def one(part: npt.NDArray[Any], rows: slice) -> Array:
        return -margin_of(take(part, rows.start), y[rows])

    values, columns = _over_runs(z, one)
    return Scores(
        metric="margin", source="arXiv:2107.07075, code",
        definition=f"mean over {runs} runs of the largest other of the {of} less the label's",
        values=values, labels=y, columns=columns,
    )  # fmt: skip


def _reader(of: str) -> Callable[[npt.NDArray[Any], int], Array]:
    if of not in ("logits", "probabilities"):
        raise InputError(f"of = {of!r}: write 'logits' or 'probabilities'")
    return finite if of == "logits" else probable


def error_length(p: Array, y: npt.NDArray[np.int64]) -> Array:
    """Give |p - onehot(y)| of each row."""
    block = p.copy()
    block[np.arange(y.size), y] -= 1.0
    return np.asarray(np.sqrt((block**2).sum(axis=1)))


def margin_of(z: Array, y: npt.NDArray[np.int64]) -> Array:
    """Give the label's output less the largest other, of each row."""
    block, each = z.copy(), np.arange(y.size)
    own = block[each, y]
    block[each, y] = -np.inf
    return np.asarray(own - block.max(axis=1))


def _over_runs(
    outputs: npt.NDArray[Any], one: Callable[[npt.NDArray[Any], slice], Array]
) -> tuple[Array, dict[str, Array]]:
    runs, n, classes = outputs.shape
    total, square = np.zeros(n), np.zeros(n)
    for run in range(runs):
        for rows in parts(n, classes):
            part = one(outputs[run, rows], rows)
            total[rows] += part
            square[rows] += part**2
    return _mean(total, square, runs)


def _mean(total: Array, square: Array, runs: int) -> tuple[Array, dict[str, Array]]:
    """Mean over runs, and its standard error where there are several."""
    mean = total / runs
    if runs == 1:
        return mean, {}
    variance = np.maximum(square - runs * mean**2, 0.0) / (runs - 1)
    return mean, {"se": np.sqrt(variance / runs)}
