"""How often one thing is said, with the time as a number."""

from __future__ import annotations

from math import inf

import pytest

from plex_companion.server.pacing import MERGE, PROGRESS, Pacing

URI = "plex://sessions/1"


@pytest.fixture
def pacing() -> Pacing:
    return Pacing()


def test_the_first_change_is_said_at_once(pacing: Pacing) -> None:
    pacing.want(URI, MERGE, 10.0)
    assert pacing.take(10.0) == [URI]


def test_the_first_progress_is_said_at_once(pacing: Pacing) -> None:
    pacing.want(URI, PROGRESS, 10.0)
    assert pacing.take(10.0) == [URI]


def test_a_second_change_waits_for_the_window_and_is_not_lost(pacing: Pacing) -> None:
    pacing.want(URI, MERGE, 10.0)
    pacing.take(10.0)
    pacing.want(URI, MERGE, 10.01)
    assert pacing.take(10.01) == []
    assert pacing.next_at() == pytest.approx(10.05)
    assert pacing.take(10.05) == [URI]
    assert pacing.next_at() == inf


def test_progress_waits_a_second(pacing: Pacing) -> None:
    pacing.want(URI, PROGRESS, 10.0)
    pacing.take(10.0)
    pacing.want(URI, PROGRESS, 10.2)
    assert pacing.take(10.9) == []
    assert pacing.take(11.0) == [URI]


def test_a_state_change_does_not_wait_for_the_progress_before_it(pacing: Pacing) -> None:
    pacing.want(URI, PROGRESS, 10.0)
    pacing.take(10.0)
    pacing.want(URI, PROGRESS, 10.2)
    pacing.want(URI, MERGE, 10.3)
    assert pacing.take(10.3) == [URI]
    assert pacing.next_at() == inf


def test_progress_after_a_state_change_does_not_delay_it(pacing: Pacing) -> None:
    pacing.want(URI, MERGE, 10.0)
    pacing.take(10.0)
    pacing.want(URI, MERGE, 10.01)
    pacing.want(URI, PROGRESS, 10.02)
    assert pacing.take(10.05) == [URI]


def test_each_thing_has_its_own_window(pacing: Pacing) -> None:
    pacing.want(URI, MERGE, 10.0)
    pacing.take(10.0)
    pacing.want("plex://server", MERGE, 10.01)
    assert pacing.take(10.01) == ["plex://server"]


def test_what_waits_longest_is_said_first(pacing: Pacing) -> None:
    pacing.want("b", MERGE, 10.0)
    pacing.want("a", MERGE, 10.01)
    assert pacing.take(10.02) == ["b", "a"]


def test_what_was_said_long_ago_is_forgotten(pacing: Pacing) -> None:
    for number in range(1000):
        pacing.want(str(number), MERGE, float(number))
        pacing.take(float(number))
    assert len(pacing._said) < 5
