"""Allocation of compute between model and data, its uncertainty and the price of missing it."""

from isoloss.plan.allocate import allocate
from isoloss.plan.allocation import Allocation, NearOptimal, PriceRow
from isoloss.plan.approaches import Approach, Approaches, compare_approaches
from isoloss.plan.budgets import BudgetGroup, group_budgets
from isoloss.plan.cheapest import ComputeForLoss, compute_for_loss
from isoloss.plan.cost import (
    Coefficient,
    Cost,
    FromFunction,
    PerToken,
    SixND,
    TransformerFLOPs,
    WithAttention,
)
from isoloss.plan.envelope import Envelope, fit_envelope
from isoloss.plan.frontier import frontier
from isoloss.plan.isoflop import fit_isoflop
from isoloss.plan.isoflop_result import IsoBudget, IsoFLOP
from isoloss.plan.reason import Reason

__all__ = [
    "Allocation",
    "Approach",
    "Approaches",
    "BudgetGroup",
    "Coefficient",
    "ComputeForLoss",
    "Cost",
    "Envelope",
    "FromFunction",
    "IsoBudget",
    "IsoFLOP",
    "NearOptimal",
    "PerToken",
    "PriceRow",
    "Reason",
    "SixND",
    "TransformerFLOPs",
    "WithAttention",
    "allocate",
    "compare_approaches",
    "compute_for_loss",
    "fit_envelope",
    "fit_isoflop",
    "frontier",
    "group_budgets",
]
