"""Terms of a formula that may change places: which names an optimum's parameters should carry."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from isoloss._core.arrays import Array
from isoloss.laws import Law
from isoloss.laws.expression import Node, leaves, parameter, substitute

MOST_ORDERS = 720
"""Orders of the parameters that are tried; where there are more, none is."""
MOST_OWN = 4
"""Parameters of a term up to which it is compared with others."""


def nearest_images(law: Law, ends: Array, first: Array) -> Array:
    """Give each end, (k, p), the order of its alike terms that is nearest a start, (p,).

    The terms of ``a*exp(-b*x) + c*exp(-d*x)`` may change places, and no end need have come out
    in the order that the start says.
    """
    images = ends[:, np.array(exchanges(law))]
    gap = np.abs(images - first) / np.maximum(np.abs(images) + np.abs(first), 1e-300)
    # Squares: of the ways to match two rates with two, they favour the one that keeps order.
    total = np.nan_to_num(np.sum(gap**2, axis=2), nan=np.inf)
    return np.asarray(images[np.arange(len(ends)), np.argmin(total, axis=1)])


def exchanges(law: Law) -> list[list[int]]:
    """List the orders of the parameters that leave the formula as it is, their own first.

    Examples
    --------
    >>> from isoloss.laws import law_from_expression
    >>> law = law_from_expression("a*exp(-b*x) + c*exp(-d*x) + e")
    >>> law.names
    ('a', 'b', 'c', 'd', 'e')
    >>> exchanges(law)
    [[0, 1, 2, 3, 4], [2, 3, 0, 1, 4]]
    """
    groups = _alike(law)
    own = list(range(len(law.names)))
    ways = [list(permutations(g)) for g in groups]
    if np.prod([float(len(w)) for w in ways]) > MOST_ORDERS:
        return [own]
    found = []
    for choice in product(*ways):
        order = own.copy()
        for group, shuffled in zip(groups, choice, strict=True):
            for old, new in zip(group, shuffled, strict=True):
                for i, j in zip(old, new, strict=True):
                    order[i] = j
        found.append(order)
    return found


def _alike(law: Law) -> list[list[tuple[int, ...]]]:
    """Group blocks of terms that are each other with other parameters: of each, the parameters."""
    groups: list[tuple[set[Node], list[tuple[int, ...]]]] = []
    for terms, own in _blocks(law):
        for model, members in groups:
            match = _renamed(law, model, members[0], terms, own)
            if match:
                members.append(match)
                break
        else:
            groups.append((terms, [own]))
    return [members for _, members in groups if len(members) > 1]


def _blocks(law: Law) -> list[tuple[set[Node], tuple[int, ...]]]:
    """Split a formula into sums of terms that share no parameter with the others."""
    names = {parameter(n): i for i, n in enumerate(law.names)}
    blocks: list[tuple[set[Node], set[int]]] = []
    for term in _addends(law.expression):
        terms, own = {term}, {names[n] for n in leaves(term) if n in names}
        for block in [b for b in blocks if b[1] & own]:
            blocks.remove(block)
            terms, own = terms | block[0], own | block[1]
        blocks.append((terms, own))
    found = [(terms, tuple(sorted(own))) for terms, own in blocks if own]
    return sorted(found, key=lambda block: block[1])


def _addends(node: Node) -> list[Node]:
    return [a for n in node.args for a in _addends(n)] if node.op == "add" else [node]


def _renamed(
    law: Law, model: set[Node], old: tuple[int, ...], terms: set[Node], own: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Find which parameters of a block stand where those of another do, if it is the same."""
    if len(model) != len(terms) or len(old) != len(own) or len(own) > MOST_OWN:
        return None
    bounds = [(p.lower, p.upper) for p in law.parameters]
    for order in permutations(own):
        if [bounds[i] for i in old] != [bounds[i] for i in order]:
            continue
        pairs = zip(old, order, strict=True)
        values = {parameter(law.names[i]): parameter(law.names[j]) for i, j in pairs}
        if {substitute(term, values) for term in model} == terms:
            return order
    return None
