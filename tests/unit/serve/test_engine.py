"""Jobs off the event loop: bounded in number and in time, and never lost count of."""

from __future__ import annotations

import asyncio
import threading

import pytest

from modiste.serve.engine import Deadline, Engine
from modiste.serve.limits import Limits
from modiste.serve.problem import Problem


def test_a_job_runs_beside_the_event_loop_and_gives_its_result() -> None:
    async def one() -> int:
        return await Engine(Limits()).run(lambda _: threading.get_ident())

    assert asyncio.run(one()) != threading.get_ident()


def test_no_more_jobs_are_taken_than_have_room() -> None:
    async def many() -> tuple[int, int, int]:
        engine, gate = Engine(Limits(workers=1, queued=2)), threading.Event()
        waiting = [asyncio.create_task(engine.run(lambda _: gate.wait(10))) for _ in range(3)]
        await asyncio.sleep(0)
        full = engine.num_jobs
        with pytest.raises(Problem) as refused:
            await engine.run(lambda _: True)
        assert refused.value.code == "busy"
        gate.set()
        await asyncio.gather(*waiting)
        await asyncio.sleep(0)
        return full, engine.num_jobs, await engine.run(lambda _: 7)

    assert asyncio.run(many()) == (3, 0, 7)


def test_a_job_that_nobody_waits_for_keeps_its_place_until_its_thread_is_free() -> None:
    async def late() -> tuple[str, int, int]:
        engine, gate = Engine(Limits(workers=1, answer_seconds=0.05)), threading.Event()
        with pytest.raises(Problem) as refused:
            await engine.run(lambda _: gate.wait(10))
        during = engine.num_jobs
        gate.set()
        engine.close()
        await asyncio.sleep(0)
        return refused.value.code, during, engine.num_jobs

    assert asyncio.run(late()) == ("took_too_long", 1, 0)


def test_a_job_whose_time_ran_out_while_it_waited_is_not_begun() -> None:
    async def late() -> list[str]:
        engine, gate = Engine(Limits(workers=1, answer_seconds=0.05)), threading.Event()
        begun: list[str] = []
        first = asyncio.create_task(engine.run(lambda _: gate.wait(10)))
        second = asyncio.create_task(engine.run(lambda _: begun.append("second")))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [Problem, Problem]
        gate.set()
        engine.close()
        return begun

    assert asyncio.run(late()) == []


def test_what_a_job_raises_reaches_who_asked() -> None:
    def bad(_: Deadline) -> None:
        raise Problem("bad_image", "no")

    async def one() -> None:
        await Engine(Limits()).run(bad)

    with pytest.raises(Problem, match="no"):
        asyncio.run(one())
