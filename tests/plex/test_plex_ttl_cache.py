"""What was told lately is not asked again."""

from __future__ import annotations

from typing import Any

from plex_companion.plex.ttl_cache import TtlCache


class Oracle:
    """Tells a new answer each time, and whose clock stands still."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def clock(self) -> float:
        return self.now

    def __call__(self) -> int:
        self.asked += 1
        return self.asked


def known_of(oracle: Oracle) -> Any:
    return TtlCache(oracle.clock)


def test_an_answer_is_kept_for_its_seconds_and_each_name_has_its_own() -> None:
    oracle = Oracle()
    known = known_of(oracle)
    assert [
        known.get_or_fetch("a", 10, oracle),
        known.get_or_fetch("a", 10, oracle),
        known.get_or_fetch("b", 10, oracle),
    ] == [1, 1, 2]
    oracle.now = 10.0
    assert known.get_or_fetch("a", 10, oracle) == 3


def test_an_answer_for_another_version_is_old() -> None:
    oracle = Oracle()
    known = known_of(oracle)
    told = [known.get_or_fetch("a", 10, oracle, version=version) for version in (1, 1, 2, 1)]
    assert told == [1, 1, 2, 3]


def test_what_is_too_old_is_let_go_when_something_else_is_kept() -> None:
    oracle = Oracle()
    known = known_of(oracle)
    known.get_or_fetch("large", 10, oracle)
    oracle.now = 11.0
    known.get_or_fetch("other", 10, oracle)
    assert set(known._entries) == {"other"}
