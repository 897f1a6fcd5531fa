"""How rates change with width, so that one rate serves every width."""

from __future__ import annotations

from typing import Any

from torch import nn

from isoloss.sweep.spec import RunSpec

_POWERS = {
    "adamw": {"input": 0, "hidden": -1, "readout": -1, "finite": 0},
    "sgd": {"input": 1, "hidden": 0, "readout": -1, "finite": 0},
}
"""Power of (width / base width) in the rate of a parameter, by what it joins: a size that stays to
one that grows (``input``: first weights, hidden biases, norms, embeddings), two that grow
(``hidden``), one that grows to one that stays (``readout``), two that stay (``finite``)."""


def factors(model: nn.Module, spec: RunSpec) -> dict[str, float]:
    """Return the factor of each parameter's learning rate; 1 under the standard rule.

    Maximal-update scaling, where no multiplier stands before the last layer of perceptrons and
    convolutional networks. A transformer's last layer is its embedding, so it takes the row
    ``input`` and its logits are divided by the ratio of widths.

    References
    ----------
    Yang and Hu 2021, arXiv:2011.14522; Yang et al. 2022, arXiv:2203.03466, table 3.
    """
    names = [name for name, _ in model.named_parameters()]
    if spec.width_rule == "standard":
        return dict.fromkeys(names, 1.0)
    ratio = spec.model.width / spec.base_width
    powers = _POWERS[spec.optimiser]
    return {name: ratio ** powers[model.role(name)] for name in names}


def groups(model: nn.Module, spec: RunSpec) -> list[dict[str, Any]]:
    """Parameters by factor, as an optimiser takes them.

    Decay acts at the rate of its parameter, and is divided by the factor: how much of a weight
    decays in a step then does not depend on the width.
    """
    by_factor: dict[float, list[nn.Parameter]] = {}
    named = dict(model.named_parameters())
    for name, factor in factors(model, spec).items():
        by_factor.setdefault(factor, []).append(named[name])
    return [
        {"params": params, "factor": factor, "weight_decay": spec.weight_decay / factor}
        for factor, params in by_factor.items()
    ]
