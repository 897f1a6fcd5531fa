"""Functional forms that map resources to loss."""

from isoloss.laws.catalogue import get_law, is_law_name, law_names
from isoloss.laws.information import information_values
from isoloss.laws.law import Law, Parameter, law_from_expression
from isoloss.laws.pruned import SmallestPruned, smallest_pruned
from isoloss.laws.published import PUBLISHED, Published

__all__ = [
    "PUBLISHED",
    "Law",
    "Parameter",
    "Published",
    "SmallestPruned",
    "get_law",
    "information_values",
    "is_law_name",
    "law_from_expression",
    "law_names",
    "smallest_pruned",
]
