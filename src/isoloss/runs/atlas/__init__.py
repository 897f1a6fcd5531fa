"""Tables of runs that papers released, read as their repositories lay them out."""

from isoloss.runs.atlas.find import find_tables
from isoloss.runs.atlas.table import ReleasedTable, Task

__all__ = ["ReleasedTable", "Task", "find_tables"]
