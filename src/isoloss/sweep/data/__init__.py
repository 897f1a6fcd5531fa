"""What networks learn from: real sets, texts, folders, and generators of known truth."""

from isoloss.sweep.data.load import Named, load_data, names
from isoloss.sweep.data.spec import DataSpec
from isoloss.sweep.data.table import Data, subset_order

__all__ = ["Data", "DataSpec", "Named", "load_data", "names", "subset_order"]
