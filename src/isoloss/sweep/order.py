"""Which examples each step sees: a function of the step alone, so that a run resumes anywhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoloss.errors import InputError
from isoloss.sweep.data.table import subset_order
from isoloss.sweep.spec import RunSpec


class Order:
    """Indices of the training examples (or text blocks) that each step sees.

    The D examples of the subset pass by one after the other, in the order in which they joined it;
    every later pass has an order of its own. Batches run on over the end of a pass, so each holds
    exactly ``batch`` indices. Runs that differ in D alone share the first pass of the smaller one,
    which is what lets one trunk serve many D.

    Parameters
    ----------
    spec
        The run.
    available
        Training examples, or blocks of ``spec.unit`` bytes, that the data hold.
    rows
        Those examples alone, of the data; their order counts.

    Raises
    ------
    InputError
        When D asks for more than the data hold.
    """

    def __init__(
        self, spec: RunSpec, available: int, rows: npt.NDArray[np.int64] | None = None
    ) -> None:
        available = available if rows is None else rows.size
        self.distinct = max(1, spec.D // spec.unit)
        if self.distinct > available:
            raise InputError(
                f"D = {spec.D}: the data hold {available * spec.unit} training examples; lower D"
            )
        subset = spec.seed if spec.subset is None else spec.subset
        # A copy, so that a small subset does not hold the order of all the data in memory.
        self.members = subset_order(available, subset)[: self.distinct].copy()
        if rows is not None:
            self.members = rows[self.members]
        self.batch = spec.batch
        self.seed = spec.seed
        self._pass: tuple[int, npt.NDArray[np.int64]] = (0, self.members)

    def at(self, step: int) -> npt.NDArray[np.int64]:
        """Return the indices of the examples of one step."""
        return self.span(step, step + 1).reshape(-1)

    def span(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Return the indices of the steps from ``first`` to before ``last``, a row a step."""
        start, stop = first * self.batch, last * self.batch
        parts = []
        while start < stop:
            number, offset = divmod(start, self.distinct)
            length = min(stop - start, self.distinct - offset)
            parts.append(self._of(number)[offset : offset + length])
            start += length
        return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(-1, self.batch)

    def _of(self, number: int) -> npt.NDArray[np.int64]:
        """Order of a pass; the latest is kept."""
        if self._pass[0] != number:
            shuffled = self.members
            if number:
                shuffled = np.random.default_rng([self.seed, number, 2]).permutation(self.members)
            self._pass = (number, shuffled)
        return self._pass[1]
