"""When a URI is due, with the time as a number, and what a subscriber that reads, or does not, is handed."""

from __future__ import annotations

from math import inf

import anyio
import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.server.mcp.merging import (
    MERGE_SECONDS,
    PROGRESS_SECONDS,
    WINDOW_GROWTH,
    MergeWindows,
    PendingUpdates,
)

URI = "plex://sessions/1"


@pytest.fixture
def windows() -> MergeWindows:
    return MergeWindows()


@pytest.mark.parametrize("progress_only", [False, True])
def test_the_first_change_is_due_at_once(windows: MergeWindows, progress_only: bool) -> None:
    windows.schedule(URI, 10.0, progress_only=progress_only)
    assert windows.pop_due(10.0) == [URI]


def test_a_second_change_waits_for_the_window_and_is_not_lost(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.01)
    assert windows.pop_due(10.01) == []
    assert windows.find_next_time() == pytest.approx(10.0 + MERGE_SECONDS)
    assert windows.pop_due(10.0 + MERGE_SECONDS) == [URI]
    assert windows.find_next_time() == inf


@pytest.mark.parametrize("progress_only", [False, True])
def test_progress_waits_a_second_after_either(windows: MergeWindows, progress_only: bool) -> None:
    windows.schedule(URI, 10.0, progress_only=progress_only)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.2, progress_only=True)
    assert windows.pop_due(10.9) == []
    assert windows.pop_due(10.0 + PROGRESS_SECONDS) == [URI]


@pytest.mark.parametrize("later", [0.0, 0.001, 0.02, 0.3, 2.0])
def test_a_change_of_state_does_not_wait_for_the_progress_before_it(windows: MergeWindows, later: float) -> None:
    windows.schedule(URI, 10.0, progress_only=True)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.0 + later)
    assert windows.pop_due(10.0 + later) == [URI]
    assert windows.find_next_time() == inf


def test_progress_that_waits_is_merged_into_a_change_of_state(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0, progress_only=True)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.2, progress_only=True)
    windows.schedule(URI, 10.3)
    assert windows.pop_due(10.3) == [URI]
    assert windows.find_next_time() == inf


def test_progress_between_two_changes_of_state_moves_neither(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.01, progress_only=True)
    windows.schedule(URI, 10.02)
    windows.schedule(URI, 10.03, progress_only=True)
    assert windows.pop_due(10.04) == []
    assert windows.pop_due(10.0 + MERGE_SECONDS) == [URI]


def test_progress_sent_between_them_does_not_make_the_second_wait_longer(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0, progress_only=True)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.98)
    windows.pop_due(10.98)
    windows.schedule(URI, 11.0, progress_only=True)
    windows.schedule(URI, 11.0)
    assert windows.find_next_time() == pytest.approx(10.98 + MERGE_SECONDS)


def test_a_change_of_state_overtakes_a_round_that_delivers_progress_and_no_other(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0, progress_only=True)
    windows.pop_due(10.0)
    assert not windows.is_overtaken(URI, 10.01)
    windows.schedule(URI, 10.02)
    assert windows.is_overtaken(URI, 10.02)
    windows.pop_due(10.02)
    windows.schedule(URI, 10.03)
    assert not windows.is_overtaken(URI, 10.2)


def test_each_uri_has_its_own_window(windows: MergeWindows) -> None:
    windows.schedule(URI, 10.0)
    windows.pop_due(10.0)
    windows.schedule("plex://server", 10.01)
    assert windows.pop_due(10.01) == ["plex://server"]


def test_the_uri_that_has_waited_longest_is_first(windows: MergeWindows) -> None:
    windows.schedule("b", 10.0)
    windows.schedule("a", 10.01)
    assert windows.pop_due(10.02) == ["b", "a"]


def test_what_was_sent_long_ago_is_forgotten(windows: MergeWindows) -> None:
    for number in range(1000):
        windows.schedule(str(number), float(number))
        windows.pop_due(float(number))
    assert len(windows._sent) < 5


@pytest.mark.parametrize(
    ("seconds", "window"),
    [
        (0.0, MERGE_SECONDS),
        (MERGE_SECONDS / WINDOW_GROWTH / 2, MERGE_SECONDS),
        (0.06, 0.06 * WINDOW_GROWTH),
        (0.2, 0.2 * WINDOW_GROWTH),
        (30.0, PROGRESS_SECONDS),
    ],
)
def test_the_window_grows_with_the_round_from_its_least_to_that_of_progress(
    windows: MergeWindows, seconds: float, window: float
) -> None:
    windows.schedule(URI, 10.0)
    windows.pop_due(10.0)
    windows.record_round(seconds)
    windows.schedule(URI, 10.01)
    assert windows.find_next_time() == pytest.approx(10.0 + window)


def test_the_window_shrinks_again_after_a_short_round(windows: MergeWindows) -> None:
    windows.record_round(0.4)
    windows.record_round(0.001)
    windows.schedule(URI, 10.0)
    windows.pop_due(10.0)
    windows.schedule(URI, 10.01)
    assert windows.find_next_time() == pytest.approx(10.0 + MERGE_SECONDS)


def test_changes_without_end_leave_half_of_the_time_to_others_however_long_a_round_takes(windows: MergeWindows) -> None:
    for took in (0.03, 0.08, 0.3):
        windows.record_round(took)
        now, rounds = 100.0, 0
        while now < 110.0:
            windows.schedule(URI, now)
            rounds += bool(windows.pop_due(now))
            now += 0.001
        assert rounds * took <= 5.0 + took


async def _rest(pending: PendingUpdates) -> list[str]:
    pending.close()
    with anyio.fail_after(HANG_SECONDS):
        return [key async for key in pending]


async def test_what_is_due_twice_is_read_once() -> None:
    pending = PendingUpdates()
    for key in ("a", "b", "a"):
        pending.add(key)
    assert await _rest(pending) == ["a", "b"]


async def test_what_is_removed_is_not_read() -> None:
    pending = PendingUpdates()
    pending.add("a")
    pending.remove("a")
    assert await _rest(pending) == []


async def test_a_reader_waits_for_the_next_update() -> None:
    pending = PendingUpdates()
    heard: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            heard.extend([key async for key in pending])

        tasks.start_soon(read)
        await anyio.lowlevel.checkpoint()
        pending.add("a")
        await anyio.lowlevel.checkpoint()
        pending.close()
    assert heard == ["a"]


async def test_what_is_closed_takes_nothing_more() -> None:
    pending = PendingUpdates()
    pending.close()
    pending.add("a")
    assert await _rest(pending) == []
