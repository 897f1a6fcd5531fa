"""What networks learn from: real sets, texts, folders, and generators of known truth."""

from isoloss.sweep.data.load import Named, names

__all__ = ["Named", "names"]
