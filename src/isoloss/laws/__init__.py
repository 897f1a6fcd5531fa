"""Functional forms that map resources to loss."""

from isoloss.laws.catalogue import get_law, is_law_name, law_names
from isoloss.laws.curve_law import CurveLaw, curve_law_names, curve_loss, get_curve_law
from isoloss.laws.information import information_values
from isoloss.laws.law import Law, Parameter, law_from_expression
from isoloss.laws.pruned import SmallestPruned, smallest_pruned
from isoloss.laws.published import PUBLISHED, Published
from isoloss.laws.schedule import Schedule, make_schedule

__all__ = [
    "PUBLISHED",
    "CurveLaw",
    "Law",
    "Parameter",
    "Published",
    "Schedule",
    "SmallestPruned",
    "curve_law_names",
    "curve_loss",
    "get_curve_law",
    "get_law",
    "information_values",
    "is_law_name",
    "law_from_expression",
    "law_names",
    "make_schedule",
    "smallest_pruned",
]
