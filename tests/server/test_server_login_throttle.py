"""Wrong tokens: the answer comes later and later, and nobody else waits."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from plex_companion.server.auth.login_throttle import (
    FORGOTTEN_SECONDS,
    KNOWN_SECONDS,
    MOST_ADDRESSES,
    MOST_KNOWN,
    MOST_SECONDS,
    TOGETHER,
    WAITING_ALL,
    WAITING_EACH,
    LoginThrottle,
)

HOME = "192.168.1.7"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> LoginThrottle:
    return LoginThrottle(clock)


def _fail(failures: LoginThrottle, address: str = HOME, times: int = 1) -> list[float]:
    waits = []
    for _ in range(times):
        with failures.count_failure(address) as seconds:
            waits.append(seconds)
    return waits


def test_two_slips_cost_nothing_and_then_every_wait_is_twice_the_last_up_to_a_limit(failures: LoginThrottle) -> None:
    assert _fail(failures, times=9) == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert _fail(failures, times=2_000)[-1] == MOST_SECONDS


def test_others_do_not_wait(failures: LoginThrottle) -> None:
    _fail(failures, times=50)
    assert _fail(failures, "192.168.1.8") == [0.0]


def test_who_has_been_quiet_begins_anew(failures: LoginThrottle, clock: Clock) -> None:
    _fail(failures, times=9)
    clock.now += FORGOTTEN_SECONDS
    assert _fail(failures) == [0.0]


def test_whole_networks_of_ipv6_count_as_one(failures: LoginThrottle) -> None:
    _fail(failures, "2001:db8:1:2::1", times=2)
    assert _fail(failures, "2001:db8:1:2:ffff::9%eth0") == [0.5]
    assert _fail(failures, "2001:db8:1:3::1") == [0.0]


def test_an_address_that_tries_in_parallel_is_not_looked_at_until_its_answers_are_out(failures: LoginThrottle) -> None:
    with ExitStack() as held:
        for _ in range(WAITING_EACH):
            assert not failures.is_throttled(HOME)
            held.enter_context(failures.count_failure(HOME))
        assert failures.is_throttled(HOME)
        assert not failures.is_throttled("192.168.1.8")
    assert not failures.is_throttled(HOME)


def test_while_many_addresses_hold_answers_back_nobody_new_is_looked_at(failures: LoginThrottle) -> None:
    with ExitStack() as held:
        for number in range(WAITING_ALL):
            held.enter_context(failures.count_failure(f"10.0.0.{number}"))
        assert [failures.is_throttled(one) for one in ("10.0.0.1", "10.1.1.1", HOME, "2001:db8::1", "")] == [True] * 5
    assert not failures.is_throttled(HOME)


def test_an_address_that_has_shown_the_right_token_within_an_hour_is_looked_at(
    failures: LoginThrottle, clock: Clock
) -> None:
    failures.reset(HOME)
    failures.reset("2001:db8:1:2::1")
    with ExitStack() as held:
        for number in range(WAITING_ALL):
            held.enter_context(failures.count_failure(f"10.0.0.{number}"))
        clock.now += KNOWN_SECONDS - 1
        assert not failures.is_throttled(HOME)
        assert not failures.is_throttled("2001:db8:1:2:3::4"), "a whole network of IPv6 counts as one"
        clock.now += 1
        assert failures.is_throttled(HOME)


def test_an_address_that_is_known_cannot_guess_freely_while_others_do(failures: LoginThrottle) -> None:
    failures.reset(HOME)
    with ExitStack() as held:
        for number in range(WAITING_ALL):
            held.enter_context(failures.count_failure(f"10.0.0.{number}"))
        waits = [held.enter_context(failures.count_failure(HOME)) for _ in range(WAITING_EACH)]
        assert waits == [0.0, 0.0, 0.5, 1.0]
        assert failures.is_throttled(HOME)


def test_the_addresses_that_are_known_are_bounded(failures: LoginThrottle) -> None:
    for number in range(MOST_KNOWN + 1):
        failures.reset(f"10.0.{number >> 8}.{number & 255}")
    with ExitStack() as held:
        for number in range(WAITING_ALL):
            held.enter_context(failures.count_failure(f"10.9.0.{number}"))
        assert failures.is_throttled("10.0.0.0"), "the one seen longest ago made room"
        assert not failures.is_throttled("10.0.0.1")


def test_many_addresses_together_slow_down_everyone_who_gives_a_wrong_token(failures: LoginThrottle) -> None:
    for number in range(TOGETHER):
        _fail(failures, f"10.0.0.{number}")
    assert _fail(failures, "10.9.9.9") == [0.5]


def test_memory_is_bounded_whoever_tries(failures: LoginThrottle) -> None:
    for number in range(MOST_ADDRESSES + 100):
        _fail(failures, f"10.{number >> 8}.{number & 255}.1")
    assert len(failures) == MOST_ADDRESSES
