"""Every law by name."""

from __future__ import annotations

from collections.abc import Callable

from isoloss.errors import LawError
from isoloss.laws import information, joint, overtraining, perceptron, repetition, solvable
from isoloss.laws.broken import broken_power
from isoloss.laws.finetuning import rectified
from isoloss.laws.granularity import granularity
from isoloss.laws.kaplan import kaplan_steps
from isoloss.laws.law import Law
from isoloss.laws.mixture import mixture, mixture_additive
from isoloss.laws.parallel import parallel
from isoloss.laws.power import power_floor, power_law, shifted_power, sigmoid_power
from isoloss.laws.precision import precision, precision_post
from isoloss.laws.pruned import pruned_family, pruned_network
from isoloss.laws.reinforcement import reward_sigmoid
from isoloss.laws.rising import bounded_score, growth
from isoloss.laws.routing import routing
from isoloss.laws.sparsity import sparsity
from isoloss.laws.vocabulary import vocabulary

_JOINT: dict[str, Callable[[], Law]] = {
    "chinchilla": joint.chinchilla,
    "coupled": joint.coupled,
    "additive": joint.additive,
    "kaplan": joint.kaplan,
    "farseer": joint.farseer,
    "over_training": overtraining.over_training,
    "random_features": solvable.random_features,
    "random_features_finite": solvable.random_features_finite,
    "gradient_flow": solvable.gradient_flow,
    "gradient_flow_width": solvable.gradient_flow_width,
    "gradient_flow_any": solvable.gradient_flow_any,
    "gradient_flow_unique": solvable.gradient_flow_unique,
    "gradient_flow_unique_width": solvable.gradient_flow_unique_width,
    "scale_time": solvable.scale_time,
    "perceptron": perceptron.perceptron,
    "pruned_perceptron": perceptron.pruned_perceptron,
    "pruned_perceptron_easy": perceptron.pruned_perceptron_easy,
    "information": information.information,
    "repetition": repetition.repetition,
    "repetition_joint": repetition.repetition_joint,
    "kaplan_steps": kaplan_steps,
    "pruned_family": pruned_family,
    "routing": routing,
    "granularity": granularity,
    "sparsity": sparsity,
    "precision": precision,
    "precision_post": precision_post,
    "vocabulary": vocabulary,
    "parallel": parallel,
    "mixture_2": lambda: mixture(2),
    "mixture_3": lambda: mixture(3),
    "mixture_additive_2": lambda: mixture_additive(2),
}
_CURVES: dict[str, Callable[[str], Law]] = {
    "power": power_law,
    "power_floor": power_floor,
    "shifted_power": shifted_power,
    "sigmoid_power": sigmoid_power,
    "broken_power": broken_power,
    "broken_power_2": lambda axis: broken_power(axis, 2),
    "broken_power_3": lambda axis: broken_power(axis, 3),
    "pruned_network": pruned_network,
    "bounded_score": bounded_score,
    "growth": growth,
    "rectified": rectified,
    "reward_sigmoid": reward_sigmoid,
}
_ALIASES = {
    "m1": "power",
    "m2": "power_floor",
    "m3": "shifted_power",
    "m4": "sigmoid_power",
    "bnsl": "broken_power",
    "hoffmann": "chinchilla",
}


_COUNTED: dict[str, Callable[[int], Law]] = {
    "mixture": mixture,
    "mixture_additive": mixture_additive,
}
"""Laws of any number of domains, which ends the name; the catalogue lists the smallest."""


def _counted(key: str) -> tuple[Callable[[int], Law], int] | None:
    stem, _, count = key.rpartition("_")
    if stem in _COUNTED and count.isdecimal() and len(count) < 4:
        return _COUNTED[stem], int(count)
    return None


def law_names() -> tuple[str, ...]:
    """Names that `get_law` knows."""
    return (*_JOINT, *_CURVES)


def is_law_name(text: str) -> bool:
    """Whether `get_law` knows a name, aliases included."""
    key = _key(text)
    return key in (*_JOINT, *_CURVES) or _counted(key) is not None


def _key(name: str) -> str:
    key = name.strip().lower().replace("-", "_")
    return _ALIASES.get(key, key)


def get_law(name: str, *, axis: str = "x") -> Law:
    """Return a law of the catalogue.

    Parameters
    ----------
    name
        One of `law_names`, or M1 to M4, BNSL, or ``mixture_K`` and ``mixture_additive_K`` for K
        domains, up to 20.
    axis
        Resource that a law of one resource is of: ``"D"``, ``"N"``, ``"C"`` or any column.

    Examples
    --------
    >>> get_law("m2", axis="D").formula
    'E + A*D**-alpha'
    """
    key = _key(name)
    if key in _JOINT:
        return _JOINT[key]()
    if key in _CURVES:
        return _CURVES[key](axis)
    if counted := _counted(key):
        make, count = counted
        return make(count)
    raise LawError(
        f"law {name!r} is not known; choose one of {', '.join(law_names())}, or give a formula "
        "such as 'E + A*N**-alpha + B*D**-beta'"
    )
