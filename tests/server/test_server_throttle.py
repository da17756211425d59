"""How often one thing is said, with the time as a number."""

from __future__ import annotations

from math import inf

import pytest

from plex_companion.server.mcp.throttle import MERGE, PROGRESS, NotificationThrottle

URI = "plex://sessions/1"


@pytest.fixture
def pacing() -> NotificationThrottle:
    return NotificationThrottle()


def test_the_first_change_is_said_at_once(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, MERGE, 10.0)
    assert pacing.pop_due(10.0) == [URI]


def test_the_first_progress_is_said_at_once(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, PROGRESS, 10.0)
    assert pacing.pop_due(10.0) == [URI]


def test_a_second_change_waits_for_the_window_and_is_not_lost(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, MERGE, 10.0)
    pacing.pop_due(10.0)
    pacing.schedule(URI, MERGE, 10.01)
    assert pacing.pop_due(10.01) == []
    assert pacing.find_next_time() == pytest.approx(10.05)
    assert pacing.pop_due(10.05) == [URI]
    assert pacing.find_next_time() == inf


def test_progress_waits_a_second(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, PROGRESS, 10.0)
    pacing.pop_due(10.0)
    pacing.schedule(URI, PROGRESS, 10.2)
    assert pacing.pop_due(10.9) == []
    assert pacing.pop_due(11.0) == [URI]


def test_a_state_change_does_not_wait_for_the_progress_before_it(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, PROGRESS, 10.0)
    pacing.pop_due(10.0)
    pacing.schedule(URI, PROGRESS, 10.2)
    pacing.schedule(URI, MERGE, 10.3)
    assert pacing.pop_due(10.3) == [URI]
    assert pacing.find_next_time() == inf


def test_progress_after_a_state_change_does_not_delay_it(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, MERGE, 10.0)
    pacing.pop_due(10.0)
    pacing.schedule(URI, MERGE, 10.01)
    pacing.schedule(URI, PROGRESS, 10.02)
    assert pacing.pop_due(10.05) == [URI]


def test_each_thing_has_its_own_window(pacing: NotificationThrottle) -> None:
    pacing.schedule(URI, MERGE, 10.0)
    pacing.pop_due(10.0)
    pacing.schedule("plex://server", MERGE, 10.01)
    assert pacing.pop_due(10.01) == ["plex://server"]


def test_what_waits_longest_is_said_first(pacing: NotificationThrottle) -> None:
    pacing.schedule("b", MERGE, 10.0)
    pacing.schedule("a", MERGE, 10.01)
    assert pacing.pop_due(10.02) == ["b", "a"]


def test_what_was_said_long_ago_is_forgotten(pacing: NotificationThrottle) -> None:
    for number in range(1000):
        pacing.schedule(str(number), MERGE, float(number))
        pacing.pop_due(float(number))
    assert len(pacing._sent) < 5
