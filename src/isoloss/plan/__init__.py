"""Allocation of compute between model and data, its uncertainty and the price of missing it."""

from isoloss.plan.allocate import allocate
from isoloss.plan.allocation import Allocation, NearOptimal, PriceRow
from isoloss.plan.approaches import Approach, Approaches, compare_approaches
from isoloss.plan.audit import audit_design
from isoloss.plan.audit_result import DesignAudit
from isoloss.plan.budgets import BudgetGroup, group_budgets
from isoloss.plan.by_convention import (
    ConventionEffect,
    SplitRow,
    split_by_convention,
    split_by_table,
)
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
from isoloss.plan.family import FamilyCost, family_cost
from isoloss.plan.frontier import frontier
from isoloss.plan.isoflop import fit_isoflop
from isoloss.plan.isoflop_result import IsoBudget, IsoFLOP
from isoloss.plan.next_arms import plan_next_arms
from isoloss.plan.next_arms_goal import ArmsGoal, parse_arms_goal
from isoloss.plan.next_arms_result import ArmsTie, NextArmRun, NextArms
from isoloss.plan.next_goal import Goal, parse_goal
from isoloss.plan.next_result import Considered, NextRun, NextRuns
from isoloss.plan.next_runs import plan_next_runs
from isoloss.plan.power import power_to_compare
from isoloss.plan.power_result import Power
from isoloss.plan.reason import Reason
from isoloss.plan.recipes import compare_recipes
from isoloss.plan.serving import Served, allocate_served
from isoloss.plan.serving_laws import ServedPlan, allocate_served_over_laws

__all__ = [
    "Allocation",
    "Approach",
    "Approaches",
    "ArmsGoal",
    "ArmsTie",
    "BudgetGroup",
    "Coefficient",
    "ComputeForLoss",
    "Considered",
    "ConventionEffect",
    "Cost",
    "DesignAudit",
    "Envelope",
    "FamilyCost",
    "FromFunction",
    "Goal",
    "IsoBudget",
    "IsoFLOP",
    "NearOptimal",
    "NextArmRun",
    "NextArms",
    "NextRun",
    "NextRuns",
    "PerToken",
    "Power",
    "PriceRow",
    "Reason",
    "Served",
    "ServedPlan",
    "SixND",
    "SplitRow",
    "TransformerFLOPs",
    "WithAttention",
    "allocate",
    "allocate_served",
    "allocate_served_over_laws",
    "audit_design",
    "compare_approaches",
    "compare_recipes",
    "compute_for_loss",
    "family_cost",
    "fit_envelope",
    "fit_isoflop",
    "frontier",
    "group_budgets",
    "parse_arms_goal",
    "parse_goal",
    "plan_next_arms",
    "plan_next_runs",
    "power_to_compare",
    "split_by_convention",
    "split_by_table",
]
