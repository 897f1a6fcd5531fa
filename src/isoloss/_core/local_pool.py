"""Watched processes that run tasks: one that dies costs one attempt of one task."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from isoloss._core.executor import RETRIES, Base, Scattered
from isoloss.errors import FitError, InputError

_LIBRARIES = ("omp", "openblas", "mkl")


@dataclass(slots=True)
class _Task:
    """A task until its future is settled."""

    call: Any
    needs: tuple[int, ...]
    future: Future[Any]
    attempts: int = 0
    running: bool = False


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the pipe to it, what it holds, and the pipe whose end tells it to stop."""

    process: Any
    pipe: Connection
    lifeline: Connection
    held: set[int] = field(default_factory=set)
    task: _Task | None = None


class LocalPool(Base):
    """Supervised processes of one thread each.

    Parameters
    ----------
    workers
        Processes.
    retries
        How often a task is tried again after its worker died. After that its future holds a
        `FitError` with code ``WORKER_DIED``; the other tasks go on.

    Notes
    -----
    Each process is given one task at a time, so a death is the fault of a known task. Functions and
    arguments must be importable or made of plain data. Processes end with the one that made them,
    also when that is killed.

    Examples
    --------
    >>> with LocalPool(1) as pool:
    ...     pool.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, workers: int, *, retries: int = RETRIES) -> None:
        if not (isinstance(workers, int) and workers > 0):
            raise InputError(f"workers = {workers!r}: must be a whole number above zero")
        if not (isinstance(retries, int) and retries >= 0):
            raise InputError(f"retries = {retries!r}: must be a whole number, zero or more")
        self._most, self._retries = workers, retries
        self._lock = threading.Lock()
        self._queue: deque[_Task] = deque()
        self._values: dict[int, Any] = {}
        self._workers: list[_Worker] = []
        self._closed = False
        self.deaths = 0
        """Processes that died so far."""
        self._wake, self._bell = get_context("spawn").Pipe(duplex=False)
        self._manager = threading.Thread(target=self._manage, name="isoloss pool", daemon=True)
        self._manager.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue one task."""
        needs = tuple(a.key for a in (*args, *kwargs.values()) if isinstance(a, Scattered))
        task = _Task(ForkingPickler.dumps((fn, args, kwargs)), needs, Future())
        with self._lock:
            if self._closed:
                raise InputError("the pool is closed; open another")
            self._queue.append(task)
        self._ring()
        return task.future

    def scatter(self, value: Any) -> Scattered:
        """Keep a value; it is sent to each worker once, when a task there first needs it."""
        data = ForkingPickler.dumps((None, value))
        with self._lock:
            key = len(self._values)
            self._values[key] = data
        return Scattered(key)

    def close(self) -> None:
        """Stop all processes; tasks that have not ended are cancelled."""
        with self._lock:
            self._closed = True
        self._ring()
        self._manager.join()

    def _ring(self) -> None:
        try:
            self._bell.send_bytes(b"!")
        except OSError:  # closed already
            return

    def _manage(self) -> None:
        """Hand out tasks, take results, replace the dead; the only thread that touches workers."""
        try:
            while True:
                with self._lock:
                    if self._closed:
                        return
                self._hand_out()
                busy = [w for w in self._workers if w.task]
                ready = wait([self._wake, *(w.pipe for w in busy),
                              *(w.process.sentinel for w in self._workers)])  # fmt: skip
                if self._wake in ready:
                    self._wake.recv_bytes()
                for worker in list(self._workers):
                    # A result may have arrived before its sender died.
                    if worker.task and worker.pipe in ready:
                        self._take(worker)
                    elif worker.process.sentinel in ready:
                        self._bury(worker)
        finally:
            self._stop()

    def _hand_out(self) -> None:
        idle = [w for w in self._workers if not w.task]
        while idle or len(self._workers) < self._most:
            with self._lock:
                if not self._queue:
                    return
                task = self._queue.popleft()
            if not task.running and not task.future.set_running_or_notify_cancel():
                continue  # cancelled by its owner
            task.running = True
            worker = idle.pop() if idle else self._hire()
            task.attempts += 1
            worker.task = task
            try:
                for key in task.needs:
                    if key not in worker.held:
                        worker.pipe.send(("hold", key))
                        worker.pipe.send_bytes(self._values[key])
                        worker.held.add(key)
                worker.pipe.send(("run", 0))
                worker.pipe.send_bytes(task.call)
            except OSError:
                self._bury(worker)

    def _hire(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        end, lifeline = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(theirs, end), daemon=True)
        process.start()
        theirs.close()
        end.close()
        worker = _Worker(process, ours, lifeline)
        self._workers.append(worker)
        return worker

    def _take(self, worker: _Worker) -> None:
        task = worker.task
        assert task is not None
        try:
            good, value = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        worker.task = None
        if good:
            task.future.set_result(value)
        else:
            task.future.set_exception(value)

    def _bury(self, worker: _Worker) -> None:
        """Forget a dead worker; its task is tried again, first of all, or given up."""
        worker.process.join(timeout=5)
        code = worker.process.exitcode
        worker.pipe.close()
        worker.lifeline.close()
        self._workers.remove(worker)
        self.deaths += 1
        task, worker.task = worker.task, None
        if task is None:
            return
        if task.attempts > self._retries:
            task.future.set_exception(
                FitError(
                    "WORKER_DIED",
                    f"the process of this task died {task.attempts} times, the last time with code "
                    f"{code} (-9: killed, often for memory); use fewer workers, or a smaller task",
                )
            )
        else:
            with self._lock:
                self._queue.appendleft(task)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
            worker.lifeline.close()
        with self._lock:
            left = [w.task for w in self._workers if w.task] + list(self._queue)
            self._queue.clear()
        self._workers.clear()
        for task in left:
            if not task.future.cancel():
                task.future.set_exception(
                    FitError("WORKER_DIED", "the pool was closed before this task ended")
                )
        self._bell.close()
        self._wake.close()


def _serve(pipe: Connection, end: Connection) -> None:
    """Run tasks until the pipe closes."""
    for library in _LIBRARIES:
        os.environ.setdefault(f"{library}_num_threads".upper(), "1")
    # An interrupt is for the process that made this one; it says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, args=(end,), daemon=True).start()
    held: dict[int, Any] = {}
    while True:
        try:
            what, key = pipe.recv()
            if what == "hold":
                held[key] = pipe.recv()[1]
                continue
            answer = _answer(pipe, held)
            pipe.send(answer)
        except (EOFError, OSError):
            return


def _answer(pipe: Connection, held: dict[int, Any]) -> tuple[bool, Any]:
    data = pipe.recv_bytes()
    try:
        fn, args, kwargs = ForkingPickler.loads(data)
        _one_thread()
        args = [held[a.key] if isinstance(a, Scattered) else a for a in args]
        kwargs = {k: held[a.key] if isinstance(a, Scattered) else a for k, a in kwargs.items()}
        answer = True, fn(*args, **kwargs)
        ForkingPickler.dumps(answer)
    except Exception as error:
        return False, _portable(error)
    return answer


def _portable(error: Exception) -> Exception:
    """Return the error with its trace in a note, as one that can be sent."""
    trace = "".join(traceback.format_exception(error))
    error.add_note(f"in a worker process:\n{trace}")
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _one_thread() -> None:
    """Pin the thread pools of libraries that the task has brought in."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def _leave_with_parent(end: Connection) -> None:
    """Wait for the parent's end of the pipe to close, and go at once."""
    try:
        end.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
