"""Functional forms that map resources to loss."""

from isoloss.laws.catalogue import get_law, law_names
from isoloss.laws.law import Law, Parameter, law_from_expression
from isoloss.laws.published import PUBLISHED, Published

__all__ = [
    "PUBLISHED",
    "Law",
    "Parameter",
    "Published",
    "get_law",
    "law_from_expression",
    "law_names",
]
