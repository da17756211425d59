"""A recent answer is not fetched again."""

from __future__ import annotations

from typing import Any

from plex_companion.plex.ttl_cache import TtlCache


class CountingFetch:
    """Tells a new answer each time, and whose clock stands still."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def clock(self) -> float:
        return self.now

    def __call__(self) -> int:
        self.asked += 1
        return self.asked


def make_cache(fetch: CountingFetch) -> Any:
    return TtlCache(fetch.clock)


def test_an_answer_is_kept_for_its_seconds_and_each_name_has_its_own() -> None:
    fetch = CountingFetch()
    cache = make_cache(fetch)
    assert [
        cache.get_or_fetch("a", 10, fetch),
        cache.get_or_fetch("a", 10, fetch),
        cache.get_or_fetch("b", 10, fetch),
    ] == [1, 1, 2]
    fetch.now = 10.0
    assert cache.get_or_fetch("a", 10, fetch) == 3


def test_an_answer_for_another_version_is_old() -> None:
    fetch = CountingFetch()
    cache = make_cache(fetch)
    shown = [cache.get_or_fetch("a", 10, fetch, version=version) for version in (1, 1, 2, 1)]
    assert shown == [1, 1, 2, 3]


def test_what_is_too_old_is_let_go_when_something_else_is_kept() -> None:
    fetch = CountingFetch()
    cache = make_cache(fetch)
    cache.get_or_fetch("large", 10, fetch)
    fetch.now = 11.0
    cache.get_or_fetch("other", 10, fetch)
    assert set(cache._entries) == {"other"}
