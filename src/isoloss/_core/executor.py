"""Where tasks run: here, in supervised processes of one thread each, or on a Dask cluster.

One small interface, so that what is parallel does not know where it runs: ``submit``, ``map``,
``as_completed``, ``scatter``, ``close``. Futures are those of `concurrent.futures`, so what takes a
standard executor takes these too.

A task must not mind being started twice: a worker that dies is replaced, and the task that it held,
and no other, is tried again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import as_completed as as_completed_futures
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from isoloss.errors import InputError, MissingExtra

RETRIES = 2
"""How often a task whose worker died is tried again."""


class Executor(Protocol):
    """What everything parallel asks for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one task."""
        ...

    def map(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> Iterator[Any]:
        """Run a task for each row of arguments; results in order."""
        ...

    def as_completed(self, futures: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
        """Yield futures as they end."""
        ...

    def scatter(self, value: Any) -> Any:
        """Send a large value to the workers once; pass what is returned as an argument."""
        ...

    def close(self) -> None:
        """Stop; what has not ended is given up."""
        ...


@dataclass(frozen=True, slots=True)
class Scattered:
    """Stands for a value that workers hold."""

    key: int


class Base:
    """What executors share: ``map`` over ``submit``, and use as a context."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one task."""
        raise NotImplementedError

    def map(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> Iterator[Any]:
        """Run a task for each row of arguments; results in order."""
        futures = [self.submit(fn, *row) for row in zip(*iterables, strict=True)]
        return (future.result() for future in futures)

    def as_completed(self, futures: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
        """Yield futures as they end."""
        return as_completed_futures(futures)

    def close(self) -> None:
        """Stop; what has not ended is given up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class Here(Base):
    """Run each task at once, in this process.

    Examples
    --------
    >>> with Here() as executor:
    ...     list(executor.map(abs, [-1, 2]))
    [1, 2]
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run one task; its error, if any, is in the future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def scatter(self, value: Any) -> Any:
        """Return the value: nothing has to be sent."""
        return value


class Dask(Base):
    """Tasks on a Dask cluster.

    Parameters
    ----------
    address
        Of a scheduler, ``tcp://host:port``; or a `distributed.Client`.
    retries
        How often a task is tried again when its worker dies or it fails for a passing reason.

    Raises
    ------
    MissingExtra
        Without Dask.
    """

    def __init__(self, address: Any, *, retries: int = RETRIES) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise MissingExtra("distributed", "cluster") from error
        given = isinstance(address, Client)
        self.client = address if given else Client(address)
        self.opened = [] if given else [self.client]
        """What to close at the end."""
        self._pool = self.client.get_executor(pure=False, retries=retries)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one task on the cluster."""
        future: Future[Any] = self._pool.submit(fn, *args, **kwargs)
        return future

    def scatter(self, value: Any) -> Any:
        """Send a value to every worker."""
        return self.client.scatter(value, broadcast=True)

    def close(self) -> None:
        """Give up what has not ended, and leave; a client that was given stays open."""
        self._pool.shutdown(wait=False)
        for part in self.opened:
            part.close()


def open_executor(where: str = "local", *, workers: int | None = None) -> Any:
    """Open an executor by its address.

    Parameters
    ----------
    where
        ``"here"``: this process. ``"local"`` or ``"local:4"``: processes of this machine.
        ``"dask://host:port"``: a Dask scheduler, such as `dask scheduler` or dask-jobqueue starts.
        ``"slurm"``: Dask workers in Slurm jobs, with the settings of dask-jobqueue's own file.
    workers
        Processes or jobs; all cores of this machine, or one job, by default.

    Raises
    ------
    InputError
        For an address of another kind.
    MissingExtra
        When a cluster is asked for and Dask is not installed.

    Examples
    --------
    >>> open_executor("here").submit(max, 1, 2).result()
    2
    """
    kind, _, rest = where.partition(":")
    if kind == "here" and not rest:
        return Here()
    if kind == "local":
        from isoloss._core.local_pool import LocalPool

        if rest and not (rest.isdigit() and int(rest) > 0):
            raise InputError(f"executor = {where!r}: write local:4 for four processes")
        return LocalPool(int(rest) if rest else workers or cores())
    if kind == "dask" and rest.startswith("//") and len(rest) > 2:
        return Dask(f"tcp:{rest}")
    if kind == "slurm" and not rest:
        return _slurm(workers or 1)
    raise InputError(f"executor = {where!r}: write here, local, local:4, dask://host:port or slurm")


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _slurm(jobs: int) -> Dask:
    try:
        from dask_jobqueue import SLURMCluster
        from distributed import Client
    except ImportError as error:
        raise MissingExtra("dask-jobqueue", "cluster") from error
    cluster = SLURMCluster()
    # A fixed number of jobs is not kept up when jobs are cancelled; an adaptive one is.
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    executor = Dask(Client(cluster))
    executor.opened = [executor.client, cluster]
    return executor
