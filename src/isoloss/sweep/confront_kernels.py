"""Learning curves of kernels on a data set: predicted from a spectrum, and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isoloss._core.arrays import Array
from isoloss.errors import InputError
from isoloss.spectra import measure_spectrum, mlp_kernel, predict_curve
from isoloss.sweep.data.table import Data, subset_order
from isoloss.sweep.network_kernel import Layers, perceptron_tangent_kernel
from isoloss.sweep.shapes import Mlp
from isoloss.sweep.spec import RunSpec

Kernel = Callable[[Any, Any], Array]
"""From inputs x and z, or None for x itself, to the matrix (n, m)."""
OnStep = Callable[[str], None]

_ROUNDING = 1e-11
"""Eigenvalues of a kernel's matrix below this share of the first are rounding."""
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""First looked at, in units of the mean of the diagonal."""
_CURVE = 24
_TRUSTED = 0.5
"""Share of the sample's rows up to which D is predicted where modes are not known to the end.

Nearer to all rows the prediction rests on no ridge at all, and features of networks, heavy-tailed
as they are, then look better than they prove to be."""
_FIRST_D = 64.0
_TEST, _VALID = 4000, 1000
_LARGEST = 10_000
"""Samples up to which a regression with a kernel is solved."""
_Z = 1.6448536269514722
"""Of a normal interval at 90 %."""


def kernel_curve(
    kernel: Kernel, x: Any, y: Any, *, most: float, groups: int = 8, level: float = 0.9
) -> list[dict[str, Any]]:
    """Predict the learning curve of regression with a kernel from its spectrum on a sample.

    Nothing is trained. The best ridge is taken at each number of samples.

    Parameters
    ----------
    kernel
        Of inputs.
    x, y
        The sample: inputs (n, ...) and targets (n, outputs), or classes (n,).
    most
        Largest D asked for; what the sample does not reach is left out, as is what is more than
        half its rows where the kernel has more features than that.
    groups, level
        Of the jackknife over rows.

    Returns
    -------
    list of dict
        ``kind`` ``spectrum``, ``D``, ``loss``, ``low``, ``high``.

    References
    ----------
    Simon et al., arXiv:2110.03922; Wei, Hu and Steinhardt, arXiv:2203.06176.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 30)) * np.arange(1, 31) ** -0.75
    >>> y = x[:, :1] + 0.1 * rng.standard_normal((300, 1))
    >>> rows = kernel_curve(lambda a, b: a @ (a if b is None else b).T, x, y, most=200)
    >>> rows[0]["kind"], rows[0]["D"], rows[0]["loss"] > rows[-1]["loss"]
    ('spectrum', 38.0, True)
    """
    inputs = np.asarray(x)
    K = kernel(inputs, None)
    K = (K + K.T) / 2
    # Any root serves: products of rows are all that a regression sees. Of a kernel of few features
    # it has few columns, and their spectrum is then known to its end.
    lam, vectors = np.linalg.eigh(K)
    if not lam[-1] > 0:
        raise InputError("kernel: its matrix has no positive eigenvalue")
    keep = lam > _ROUNDING * lam[-1]
    root = vectors[:, keep] * np.sqrt(lam[keep])
    measured = measure_spectrum(root, y, groups=groups)
    first = max(4.0, min(_FIRST_D, len(root) / 8))
    D = np.unique(np.round(np.geomspace(first, max(most, first), _CURVE)))
    if 2 * root.shape[1] > len(root):
        D = D[len(root) * _TRUSTED >= D]
    curve = predict_curve(measured, D, level=level)
    found = []
    for d, loss, low, high in zip(curve.D, curve.loss, curve.low, curve.high, strict=True):
        if np.isfinite(loss) and loss > 0:
            # An interval that reaches zero is taken in logarithms, by its upper end.
            least = low if low > 0 else loss * loss / high
            found.append(
                {"kind": "spectrum", "D": float(d), "loss": float(loss), "low": float(least),
                 "high": float(high)}
            )  # fmt: skip
    return found


def kernel_regressions(
    kernel: Kernel, data: Data, rows: Any, D: Sequence[int]
) -> list[dict[str, Any]]:
    """Measure the learning curve: ridge regression with a kernel on the first D of some rows.

    The mean of the targets is taken out first; a constant beyond it is the kernel's to learn. The
    ridge is the best on the validation part, of a few at the first D and of fewer near the one
    before at the next; the loss is that on the test part.

    Returns
    -------
    list of dict
        ``kind`` ``regression``, ``D``, ``loss``, ``low``, ``high``: the interval over test rows.

    Raises
    ------
    InputError
        If D exceeds the rows or 10,000.
    """
    from scipy.linalg import cho_factor, cho_solve

    members = np.asarray(rows)
    if max(D) > min(len(members), _LARGEST):
        raise InputError(
            f"D = {max(D)}: at most {min(len(members), _LARGEST)} samples are solved; take fewer"
        )
    judged = [(data.valid_x[:_VALID], _targets(data, data.valid_y[:_VALID])),
              (data.test_x[:_TEST], _targets(data, data.test_y[:_TEST]))]  # fmt: skip
    found, ridges = [], list(_RIDGES)
    for d in sorted(D):
        x, y = data.train_x[members[:d]], _targets(data, data.train_y[members[:d]])
        middle = y.mean(axis=0)
        K = kernel(x, None)
        unit = float(np.trace(K)) / d
        others = [kernel(z, x) for z, _ in judged]
        best: tuple[float, float, Array] | None = None
        for ridge in ridges:
            A = K.copy()
            A[np.diag_indices_from(A)] += ridge * unit
            weights = cho_solve(
                cho_factor(A, lower=True, overwrite_a=True, check_finite=False), y - middle
            )
            valid, test = (
                ((k @ weights + middle - truth) ** 2).sum(axis=1)
                for k, (_, truth) in zip(others, judged, strict=True)
            )
            if best is None or valid.mean() < best[0]:
                best = float(valid.mean()), ridge, test
        assert best is not None
        loss, half = float(best[2].mean()), _Z * float(best[2].std(ddof=1)) / len(best[2]) ** 0.5
        found.append(
            {"kind": "regression", "D": float(d), "loss": loss, "low": loss - half,
             "high": loss + half}
        )  # fmt: skip
        ridges = [best[1] * f for f in (0.25, 1.0, 4.0)]
    return found


def kernel_rows(
    specs: Sequence[RunSpec], data: Data, *, small_D: float, sample: int = 2000, groups: int = 8,
    regress: Sequence[int] = (512, 2048, 8192), on_step: OnStep | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Curves of four kernels of the widest perceptron of a grid, from data of its small runs.

    ``infinite tangent``: of the gradient of a network of endless width. ``tangent, start``: of the
    widest network at its first weights. ``tangent, trained`` and ``last layer, trained``: of the
    same network after training on the largest small D, the second of its last hidden layer alone.
    Spectra are measured on rows of the small runs that this network was not trained on.

    Parameters
    ----------
    specs
        The grid.
    data
        Its data.
    small_D
        Largest D of the small runs.
    sample, groups
        Most rows of a spectrum, and its groups of rows.
    regress
        Numbers of samples of the regressions that measure each kernel's curve; they take training
        examples beyond the small runs and are no forecasts.
    on_step
        Called with a sentence after each piece of work.

    Raises
    ------
    InputError
        If the widest network is no ReLU perceptron, or the small runs are of one subset.
    MissingExtra
        Without torch.
    """
    from importlib.util import find_spec

    from isoloss.errors import MissingExtra

    if find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    small = [s for s in specs if small_D >= s.D]
    if not small:
        raise InputError(f"small_D = {small_D:g}: no run of the grid has so few examples")
    widest = max(small, key=lambda s: (s.model.width, s.D, -s.seed))
    model = widest.model
    if not isinstance(model, Mlp) or model.activation != "relu":
        raise InputError("model: kernels are computed of perceptrons with relu alone")
    start, trained = _networks(widest, data)
    if on_step:
        on_step(f"network of width {model.width} trained on {widest.D} examples")
    own = set(_members(widest, data).tolist())
    others = [s for s in small if s.model == model and _subset(s) != _subset(widest)]
    seen = list(dict.fromkeys(int(i) for s in others for i in _members(s, data)))
    rows = np.array([i for i in seen if i not in own][:sample])
    if len(rows) < 100:
        raise InputError(
            f"seed: {len(rows)} examples of small runs of width {model.width} are of another "
            "subset than the first; give several seeds"
        )
    depth = model.depth
    kernels: dict[str, Kernel] = {
        "infinite tangent": lambda x, z: mlp_kernel(
            _flat(x), None if z is None else _flat(z), kind="ntk", depth=depth
        ),
        "tangent, start": lambda x, z: perceptron_tangent_kernel(start, x, z),
        "tangent, trained": lambda x, z: perceptron_tangent_kernel(trained, x, z),
        "last layer, trained": lambda x, z: _last_layer(trained, x, z),
    }
    rest = [i for i in subset_order(data.examples, _subset(others[0])).tolist() if i not in own]
    most = max(s.D for s in specs if s.model == model)
    found = []
    for name, kernel in kernels.items():
        x, y = data.train_x[rows], _targets(data, data.train_y[rows])
        curve = kernel_curve(kernel, x, y, most=most, groups=groups)
        if on_step:
            on_step(f"{name}: predicted up to D = {curve[-1]['D']:g}")
        measured = kernel_regressions(kernel, data, rest, list(regress)) if len(regress) else []
        if on_step and measured:
            on_step(f"{name}: measured")
        found += [{"kernel": name} | point for point in (*curve, *measured)]
    return found


def _networks(spec: RunSpec, data: Data) -> tuple[Layers, Layers]:
    """Weights at the start and after training."""
    from isoloss.sweep.models.build import build
    from isoloss.sweep.train import trained

    first = _layers(build(spec, data.features, data.outputs))
    network, row = trained(replace(spec), data)
    if row["status"] != "done":
        raise InputError(f"run {spec.name}: diverged ({row['reason']}); lower lr")
    return first, _layers(network)


def _layers(network: Any) -> Layers:
    return [
        (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
        for layer in network.layers
    ]


def _last_layer(layers: Layers, x: Any, z: Any) -> Array:
    def hidden(inputs: Any) -> Array:
        h = _flat(inputs)
        for weight, bias in layers[:-1]:
            h = np.maximum(h @ np.asarray(weight, dtype=np.float64).T + bias, 0.0)
        return h

    left = hidden(x)
    return np.asarray(left @ (left if z is None else hidden(z)).T)


def _flat(x: Any) -> Array:
    return np.asarray(x, dtype=np.float64).reshape(len(x), -1)


def _targets(data: Data, y: Any) -> Array:
    if data.kind == "classes":
        return np.asarray(np.eye(data.outputs)[y])
    return np.asarray(y, dtype=np.float64).reshape(len(y), data.outputs)


def _subset(spec: RunSpec) -> int:
    return spec.seed if spec.subset is None else spec.subset


def _members(spec: RunSpec, data: Data) -> Any:
    return subset_order(data.examples, _subset(spec))[: spec.D]
