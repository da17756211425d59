"""Few calls work on Plex's answers at a time, and none waits for another that waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_plex import Pretend, pretend_plex, settings_for

from plex_companion.plex.call import EVENT_LOOP_TURNS, ProcessorTurn
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with pretend_plex() as plex:
        yield plex
        plex.close()


def test_a_slot_is_free_again_while_its_holder_waits() -> None:
    slots = threading.Semaphore(1)
    first, second = ProcessorTurn(slots), ProcessorTurn(slots)
    first.begin(HANG_SECONDS)
    first.begin(HANG_SECONDS)
    assert not slots.acquire(blocking=False)
    first.pause()
    first.pause()
    second.begin(HANG_SECONDS)
    assert not slots.acquire(blocking=False)


def test_a_call_that_gets_no_slot_in_its_time_goes_on_without() -> None:
    slots = threading.Semaphore(0)
    late = ProcessorTurn(slots)
    late.begin(0.0)
    late.begin(-1.0)
    late.pause()
    assert not slots.acquire(blocking=False)


async def test_a_finished_call_keeps_its_slot_until_its_result_is_written_and_takes_none_again() -> None:
    slots = threading.Semaphore(1)
    turn = ProcessorTurn(slots)
    turn.begin(HANG_SECONDS)
    turn.close_soon()
    assert not slots.acquire(blocking=False)
    for _ in range(EVENT_LOOP_TURNS + 1):
        await anyio.lowlevel.checkpoint()
    turn.begin(HANG_SECONDS)
    assert slots.acquire(blocking=False)


async def test_calls_that_need_the_same_cached_answer_do_not_wait_for_each_other(pretend: Pretend) -> None:
    cache, both = TtlCache(), threading.Barrier(2)

    def ask(plex: Any) -> str:
        plex.query("/accounts")  # from here on this call may hold the slot
        return cache.get_or_fetch("name", 60, lambda: str(plex.query("/").get("friendlyName")))

    def meet(plex: Any) -> str:
        both.wait(HANG_SECONDS)
        return ask(plex)

    found: list[str] = []
    async with open_gateway(settings_for(pretend.url)) as gateway:
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as tasks:

                async def call() -> None:
                    found.append(await gateway.call(meet))

                for _ in range(2):
                    tasks.start_soon(call)
    assert found == ["Attic"] * 2


async def test_calls_that_are_abandoned_leave_the_slot_to_the_next(pretend: Pretend) -> None:
    def ask_name(plex: Any) -> str:
        return str(plex.query("/").get("friendlyName"))

    async with open_gateway(settings_for(pretend.url)) as gateway:
        with anyio.fail_after(HANG_SECONDS):
            for _ in range(3):
                with anyio.move_on_after(0.05):
                    await gateway.call(lambda plex: [plex.query("/accounts") for _ in range(10_000)])
            assert await gateway.call(ask_name) == "Attic"
