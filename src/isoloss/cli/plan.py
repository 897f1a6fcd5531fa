"""``isoloss plan``."""

from __future__ import annotations

from typing import Any

import click

from isoloss.cli.common import (
    DOUBT,
    OK,
    Positive,
    emphasis_option,
    fitting_options,
    guarded,
    is_mixed,
    json_option,
    left_out,
    notes,
    outliers_option,
    print_json,
    read_and_fit,
    reading_options,
    refusals,
    runs_argument,
    say,
)


@click.command("plan")
@runs_argument()
@click.option("--budget", type=Positive(), multiple=True, help="FLOPs; repeatable.")
@click.option("--loss", type=Positive(), help="To reach at least cost, in place of a budget.")
@click.option(
    "--served", type=Positive(), help="Tokens to serve: least cost of the model's whole life."
)
@click.option(
    "--serving-price",
    type=Positive(),
    help="Price of a served FLOP over that of a training FLOP; 1 by default.",
)
@click.option("--law", "laws", multiple=True, help="Law of the set; may be repeated.")
@click.option("--objective", default="auto", show_default=True, help="As in forecast.")
@click.option("--unique", type=Positive(), help="Unique examples at hand.")
@click.option(
    "--flops-per-nd",
    type=Positive(),
    help="Training FLOPs per parameter and example; that of the runs by default (6 without C).",
)
@click.option(
    "--tolerance",
    type=Positive(),
    default=0.01,
    show_default=True,
    help="Relative excess loss that is still near-optimal.",
)
@emphasis_option
@outliers_option
@fitting_options
@reading_options
@json_option
@guarded
def command(
    runs: str,
    budget: tuple[float, ...],
    loss: float | None,
    served: float | None,
    serving_price: float | None,
    laws: tuple[str, ...],
    unique: float | None,
    flops_per_nd: float | None,
    tolerance: float,
    columns: Any,
    units: Any,
    where: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Split a compute budget between model size and data, from RUNS."""
    from isoloss.plan import Coefficient
    from isoloss.study import plan_runs, plan_served_runs

    if bool(budget) == (loss is not None):
        raise click.UsageError("give --budget, or --loss; one of them")
    if serving_price is not None and served is None:
        raise click.UsageError("--serving-price needs --served")
    table, fitted = read_and_fit(runs, columns, units, where, laws, as_json, **options)
    same: dict[str, Any] = {
        "laws": fitted,
        "unique": unique,
        "cost": Coefficient(flops_per_nd) if flops_per_nd else None,
    }
    plan = plan_runs(table, budget, tolerance=tolerance, **same) if budget else None
    wanted = [{"budget": b} for b in budget] if served else []
    life = [
        plan_served_runs(table, tokens=served or 0.0, price=serving_price or 1.0, **same, **quality)
        for quality in (wanted if budget else [{"loss": loss}])
    ]
    if as_json:
        rows = _rows(plan, life, len(budget))
        shared = {
            "laws_sentence": fitted.sentence,
            "left_out": left_out(table, fitted),
            "refused": refusals(table),
            "notes": notes(table),
        }
        print_json(rows[0] | shared if len(rows) == 1 else {"plans": rows} | shared)
    else:
        for part in ([plan] if plan else []) + life:
            say(part.summary())
        if fitted.left_out_sentence:
            say(fitted.left_out_sentence)
        say(fitted.sentence)
    warned = bool(plan and plan.warnings) or any(one.warnings for one in life)
    good = not warned and fitted.best.status == "ok" and not is_mixed(table)
    good = good and not fitted.left_out.any()
    return OK if good else DOUBT


def _rows(plan: Any, life: list[Any], count: int) -> list[dict[str, Any]]:
    """One dictionary a budget, or one for a loss; what serves is under its own key."""
    rows = [plan.to_dict(i) for i in range(count)] if plan else [{}]
    if not life:
        return rows
    return [row | {"served": one.to_dict()} for row, one in zip(rows, life, strict=True)]
