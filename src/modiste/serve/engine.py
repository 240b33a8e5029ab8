"""Work off the event loop: a few threads, a queue that has an end, and a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from modiste.serve.limits import Limits
from modiste.serve.problem import Problem

T = TypeVar("T")


class Deadline:
    """When an answer is of no use any more."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds, never negative."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Stop work nobody waits for; a thread cannot be stopped from outside.

        Raises:
            Problem: ``took_too_long``, if it has passed.
        """
        if not self.remaining:
            raise self.passed()

    def passed(self) -> Problem:
        """What to say then."""
        return Problem(
            "took_too_long",
            f"the answer was not ready after {self._seconds:g} seconds. Send fewer or smaller "
            "images.",
        )


class Engine:
    """The threads, and how many jobs wait for them.

    All methods belong to the event loop's thread.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="modiste")
        self._num_jobs = 0

    @property
    def num_jobs(self) -> int:
        """At work or waiting."""
        return self._num_jobs

    def need_room(self) -> None:
        """Say that there is none before a body is read in vain.

        Raises:
            Problem: ``busy``.
        """
        if self._num_jobs >= self._limits.workers + self._limits.queued:
            raise Problem(
                "busy",
                f"{self._num_jobs} requests are being answered already; come again.",
                {"retry-after": str(self._limits.retry_seconds)},
            )

    async def run(self, job: Callable[[Deadline], T]) -> T:
        """The result of a job that runs in a thread.

        Args:
            job: Looks at the deadline between its steps.

        Raises:
            Problem: ``busy``, ``took_too_long``, or what the job raises.
        """
        self.need_room()
        deadline = Deadline(self._limits.answer_seconds)
        self._num_jobs += 1
        future = self._threads.submit(_unless_late, job, deadline)
        loop = asyncio.get_running_loop()
        # Counted until the thread has really left it, whoever still waits.
        future.add_done_callback(lambda done: _tell(loop, self._ended, done))
        waited = asyncio.wrap_future(future)
        done, _ = await asyncio.wait({waited}, timeout=deadline.remaining)
        if not done:
            waited.cancel()
            raise deadline.passed()
        return await waited

    def close(self) -> None:
        """Let the threads go, after the jobs that are left."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ended(self, _: Future[T]) -> None:
        self._num_jobs -= 1


def _unless_late(job: Callable[[Deadline], T], deadline: Deadline) -> T:
    deadline.check()
    return job(deadline)


def _tell(
    loop: asyncio.AbstractEventLoop, what: Callable[[Future[T]], None], done: Future[T]
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, done)
