"""Features of a named network on a named data set, trained or not, with the labels beside them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from isoloss._core.arrays import as_seed
from isoloss.errors import InputError, MissingExtra
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data
from isoloss.sweep.shapes import KernelRidge, Model, RandomFeatures, Transformer
from isoloss.sweep.spec import RunSpec

_BATCH, _RATE, _PASSES = 64, 0.001, 3.0


def network_features(
    data: DataSpec | Data,
    model: Model,
    *,
    of: str = "last",
    width: int = 640,
    train: int = 0,
    rows: int = 10_000,
    seed: int = 0,
    on_step: Callable[[str], None] | None = None,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]:
    """Features of examples that the network was not trained on, and their labels.

    Parameters
    ----------
    data
        A data set of classes or numbers, by name or loaded.
    model
        Its shape. `RandomFeatures` are features themselves.
    of
        ``"last"``: the last hidden layer; ``"tangent"``: the gradient in all weights, projected;
        or the name of a layer, as ``layers.0``, whose output is taken.
    width
        Of the projected gradient: a multiple of the outputs.
    train
        Examples that the network is first trained on, three passes of Adam at a rate of 0.001
        that falls to zero; 0 leaves it at its start.
    rows
        Most examples returned: those for test, then those for validation, then, where nothing was
        trained, those for training.
    seed
        Of the weights and of the projection.
    on_step
        Called with a sentence after each piece of work.

    Returns
    -------
    features, labels, kind
        (n, columns), (n,) or (n, outputs), and ``classes`` or ``numbers``.

    Raises
    ------
    InputError
        If data are text, or model, layer or width do not fit.
    MissingExtra
        Without torch, where a network is needed.

    Examples
    --------
    >>> data = DataSpec(name="teacher", dimension=6, teacher_width=8, teacher_depth=1)
    >>> x, y, kind = network_features(data, RandomFeatures(width=30), rows=100)
    >>> x.shape, y.shape, kind
    ((100, 30), (100, 1), 'numbers')
    """
    seed = as_seed(seed)
    for name, value, least in (("rows", rows, 1), ("train", train, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{name} = {value!r}: must be a whole number of at least {least}")
    if isinstance(model, Transformer):
        raise InputError("model = transformer: reads text alone; give an mlp, cnn, random-features")
    if isinstance(model, KernelRidge):
        raise InputError("model = kernel-ridge: has no features; give an mlp, cnn, random-features")
    if isinstance(model, RandomFeatures):
        if train or of != "last":
            raise InputError("model = random-features: are not trained and have one layer alone")
    elif find_spec("torch") is None:
        raise MissingExtra("torch", "train")
    name = data.name if isinstance(data, DataSpec) else "given"
    if isinstance(data, DataSpec):
        from isoloss.sweep.data.load import load_data

        data = load_data(data)
    if data.kind == "text":
        raise InputError(f"data = {name}: are text; features are taken of images and numbers")
    x, y = _examples(data, rows, trained=train > 0)
    if on_step:
        on_step(f"{len(x)} examples of {name}")
    if isinstance(model, RandomFeatures):
        from isoloss.sweep.solve import random_feature_map

        made = random_feature_map(x, width=model.width, activation=model.activation, seed=seed)
        return made, y, data.kind

    from isoloss.sweep.features import activations
    from isoloss.sweep.tangents import tangent_features

    network = _network(data, model, name, train, seed)
    if on_step:
        on_step(f"{model.kind} trained on {train} examples" if train else f"{model.kind} built")
    if of == "tangent":
        return tangent_features(network, x, width=width, rng=seed), y, data.kind
    return activations(network, x, layer=None if of == "last" else of), y, data.kind


def _examples(data: Data, rows: int, *, trained: bool) -> tuple[Any, Any]:
    parts = [(data.test_x, data.test_y), (data.valid_x, data.valid_y)]
    if not trained:
        parts.append((data.train_x, data.train_y))
    x, y = (np.concatenate([p[i] for p in parts if len(p[1])])[:rows] for i in (0, 1))
    return x, y


def _network(data: Data, model: Model, name: str, train: int, seed: int) -> Any:
    spec = RunSpec(
        model=model, data=DataSpec(name=name), D=int(train) or _BATCH,
        batch=min(_BATCH, int(train) or _BATCH), lr=_RATE, passes=_PASSES, seed=seed,
    )  # fmt: skip
    if train:
        from isoloss.sweep.train import trained

        network, row = trained(spec, data)
        if row["status"] != "done":
            raise InputError(f"train = {train}: the network diverged ({row['reason']})")
        return network
    from isoloss.sweep.models.build import build

    return build(spec, data.features, data.outputs)
