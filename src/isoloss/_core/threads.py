"""One BLAS thread inside: small problems lose forty-fold to the default threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _controller(modules: int) -> Any:
    """Find the thread pools that are loaded; again whenever modules have been imported since."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin BLAS to one thread within the block, and restore it after."""
    with _controller(len(sys.modules)).limit(limits=1):
        yield
