"""Searching for the batch of runs within a budget that leaves the least error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoloss._core.arrays import Array
from isoloss.plan.next_gain import (
    Indices,
    Laws,
    State,
    Taste,
    after,
    follow,
    merit,
    risks,
    risks_with,
    value,
    without,
)

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of the cost that gains are divided by, tried in turn: the best depends on the budget."""
ROUNDS = 2
"""Times that each run of a batch may be exchanged for a better one."""
PRICES = 8
"""Prices of cost that are tried."""
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """What a batch may cost.

    Attributes
    ----------
    total
        In all.
    most
        Runs, seeds counted.
    free
        Part of the total that candidates off the ray may take.
    on_ray
        Which candidates are on the decision's own ray, (m,).
    seeds
        Most runs of one candidate.
    """

    total: float
    most: int
    free: float
    on_ray: npt.NDArray[np.bool_]
    seeds: int = 1000

    def fresh(self, chosen: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which candidates may have one more seed, (m,)."""
        count = np.bincount(np.asarray(chosen, dtype=np.int64), minlength=len(self.on_ray))
        return np.asarray(count < self.seeds)

    def allowed(self, cost: Array, chosen: Sequence[int]) -> Indices:
        """Candidates that may be added to those chosen."""
        spent = cost[list(chosen)] if chosen else np.zeros(0)
        off = float(np.sum(spent[~self.on_ray[list(chosen)]])) if chosen else 0.0
        left = self.total - float(np.sum(spent))
        most = np.where(self.on_ray, left, min(left, self.free - off))
        return np.flatnonzero((cost <= most * (1 + 1e-9) + _TINY) & self.fresh(chosen))


def greedy(
    laws: Laws, begin: State, budget: Budget, taste: Taste, *, power: float, least: float = 0.0
) -> list[int]:
    """Choose runs one after another by what each still adds, over its cost to a power."""
    first = risks(laws, begin)
    state, chosen = begin, list[int]()
    now = 0.0
    while len(chosen) < budget.most:
        at = budget.allowed(laws.cost, chosen)
        if not len(at):
            break
        gain = now - merit(laws, risks_with(laws, state, at), first, taste)
        score = gain / (laws.cost[at] / laws.cost.min()) ** power
        best = int(np.argmax(np.where(np.isfinite(score), score, -np.inf)))
        if not gain[best] > least:
            break
        chosen.append(int(at[best]))
        state = after(laws, state, chosen[-1])
        now = float(merit(laws, risks(laws, state), first, taste))
    return chosen


def best_batch(
    laws: Laws,
    begin: State,
    budget: Budget,
    taste: Taste,
    *,
    powers: Sequence[float] = POWERS,
    least: float = 0.0,
) -> list[int]:
    """Choose a batch: the best of greedy ones, or of those at a price of cost, then exchanges.

    At a price, every place of the batch takes in turn the candidate, or none, that leaves the least
    merit plus price times cost; the price is halved in until the budget is met. Exchanges within
    the budget follow while they help. Never worse than the greedy batches.
    """
    found = [greedy(laws, begin, budget, taste, power=p, least=least) for p in powers]
    worth = [value(laws, begin, c, taste) for c in found]
    seed = found[int(np.argmin(worth))]
    found += _priced(laws, begin, budget, taste, seed)
    worth = [value(laws, begin, c, taste) for c in found]
    chosen = found[int(np.argmin(worth))]
    return _exchanged(laws, begin, budget, taste, chosen)


def _priced(
    laws: Laws, begin: State, budget: Budget, taste: Taste, seed: Sequence[int]
) -> list[list[int]]:
    """Batches within the budget, at prices that come ever nearer to it."""
    low, high, price = 0.0, np.inf, 1.0
    batch: list[int | None] = [*seed, *[None] * (budget.most - len(seed))]
    good = []
    at = np.flatnonzero(laws.cost <= budget.total * (1 + 1e-9))
    if not len(at):
        return []
    for _ in range(PRICES):
        batch = _at_price(laws, begin, budget, taste, batch, at, price / budget.total)
        chosen = [i for i in batch if i is not None]
        cost = laws.cost[chosen]
        off = float(np.sum(cost[~budget.on_ray[chosen]]))
        if float(np.sum(cost)) <= budget.total * (1 + 1e-9) and off <= budget.free * (1 + 1e-9):
            good.append(chosen)
            high = price
            price = 0.5 * price if low == 0 else float(np.sqrt(low * price))
        else:
            low = price
            price = 2 * price if np.isinf(high) else float(np.sqrt(high * price))
    return good


def _at_price(
    laws: Laws,
    begin: State,
    budget: Budget,
    taste: Taste,
    batch: Sequence[int | None],
    at: Indices,
    price: float,
) -> list[int | None]:
    """Improve every place of a batch in turn at a price of cost."""
    batch = list(batch)
    first = risks(laws, begin)
    for _ in range(ROUNDS):
        before = list(batch)
        # Afresh in every round: places taken back leave rounding.
        state = follow(laws, begin, [i for i in batch if i is not None])
        for place, old in enumerate(batch):
            rest = state if old is None else without(laws, state, old)
            worth = merit(laws, risks_with(laws, rest, at), first, taste) + price * laws.cost[at]
            others = [i for k, i in enumerate(batch) if i is not None and k != place]
            free = np.isfinite(worth) & budget.fresh(others)[at]
            best = int(np.argmin(np.where(free, worth, np.inf)))
            none = float(merit(laws, risks(laws, rest), first, taste))
            batch[place] = int(at[best]) if free[best] and worth[best] < none else None
            state = rest if batch[place] is None else after(laws, rest, int(at[best]))
        if batch == before:
            break
    return batch


def _exchanged(
    laws: Laws, begin: State, budget: Budget, taste: Taste, chosen: Sequence[int]
) -> list[int]:
    """Exchange runs one by one, and fill free places, while that helps."""
    batch = list(chosen)
    first = risks(laws, begin)
    now = value(laws, begin, batch, taste)
    for _ in range(ROUNDS):
        before = now
        for place in range(min(len(batch) + 1, budget.most)):
            others = batch[:place] + batch[place + 1 :]
            at = budget.allowed(laws.cost, others)
            if not len(at):
                continue
            state = follow(laws, begin, others)
            merits = merit(laws, risks_with(laws, state, at), first, taste)
            best = int(np.argmin(np.where(np.isfinite(merits), merits, np.inf)))
            if merits[best] < now - 1e-9:
                batch = [*others[:place], int(at[best]), *others[place:]]
                now = float(merits[best])
        if not now < before - 1e-6:
            break
    return batch
