"""What a ladder sees of a difference, and what other ways to spend runs see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from isoloss.plan.cost import Cost
from isoloss.plan.power_arms import TwoArms, ratio_for, t_power
from isoloss.plan.power_designs import Spending, least_times, spend, target_alone
from isoloss.plan.power_ladder import Ladder, price_of, same_twins
from isoloss.plan.power_result import Now, PowerDesign
from isoloss.plan.power_view import View


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What is asked of a ladder."""

    places: Ladder
    delta: float
    goal: float
    level: float

    def now(
        self, view: View, arms: TwoArms, tied: tuple[str, ...], *, effect: float | None = None
    ) -> Now:
        """Say what one ladder sees, and how many see the effect."""
        delta = self.delta if effect is None else view.effect(effect, None)
        block = arms.block(self.places.a, self.places.b, self.places.twins)
        g = arms.contrast(view.columns(view.a), view.columns(view.b))

        def power(times: float) -> float:
            error, freedom = arms.error(g, None, block, times)
            return t_power(delta / error if error > 0 else math.inf, freedom, self.level)

        error, freedom = arms.error(g, block)
        smallest = ratio_for(self.goal, freedom, self.level) * error
        return Now(
            shared=tied,
            error=error,
            freedom=freedom,
            power=power(1),
            smallest_loss=smallest,
            smallest=view.multiplier(smallest) if math.isfinite(smallest) else math.inf,
            times=least_times(power, self.goal),
        )

    def designs(self, view: View, arms: TwoArms, cost: Cost) -> tuple[PowerDesign, ...]:
        """Spend runs in several ways, the cheapest that works first."""
        places = self.places
        g = arms.contrast(view.columns(view.a), view.columns(view.b))
        ladder = arms.block(places.a, places.b, places.twins)
        high = places.upper()
        upper = arms.block(high.a, high.b, high.twins)
        x, y = view.columns(view.a), view.columns(view.b)
        one = same_twins(1)
        price = float(price_of(x, view.a.law, cost)[0] + price_of(y, view.a.law, cost)[0])
        shared: dict[str, Any] = {"base_runs": places.runs, "base_cost": places.cost}
        ways = (
            Spending(
                name="ladder", title="the ladder again", base=None, extra=ladder,
                base_runs=(0, 0), extra_runs=places.runs, base_cost=0.0, extra_cost=places.cost,
            ),
            Spending(
                name="upper", title="one ladder, its upper third again", base=ladder, extra=upper,
                extra_runs=high.runs, extra_cost=high.cost, **shared,
            ),
            Spending(
                name="target", title="one ladder, and runs at the target", base=ladder,
                extra=arms.block(x, y, one), extra_runs=(1, 1), extra_cost=price, **shared,
            ),
        )  # fmt: skip
        options = {"goal": self.goal, "level": self.level}
        found = [spend(arms, g, self.delta, way, **options) for way in ways]
        text = "runs at the target alone, no law"
        found.append(target_alone(arms, self.delta, text, price, **options))
        return tuple(sorted(found, key=lambda d: math.inf if d.cost is None else d.cost))
