"""One BLAS thread inside: small problems lose forty-fold to the default threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin BLAS to one thread within the block, and restore it after."""
    with _controller().limit(limits=1):
        yield
