"""The cookie a browser is given: signed, ending, never the token."""

from __future__ import annotations

import pytest

from plex_companion.server.auth.cookie import LIFETIME, MOST_ENDED, BrowserSession, Cookies
from plex_companion.times import DAY_SECONDS

TOKEN = "canary-token"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cookies(clock: Clock) -> Cookies:
    return Cookies(TOKEN, now=clock)


def _open_session(cookies: Cookies, value: str) -> BrowserSession:
    session = cookies.find_session({cookies.name: value})
    assert session is not None
    return session


def test_a_cookie_is_known_again_also_after_a_restart(cookies: Cookies, clock: Clock) -> None:
    value = cookies.issue()
    assert _open_session(cookies, value) == _open_session(Cookies(TOKEN, now=clock), value)


def test_another_token_knows_neither_the_cookie_nor_its_name(cookies: Cookies, clock: Clock) -> None:
    other = Cookies(f"{TOKEN}2", now=clock)
    assert other.find_session({other.name: cookies.issue()}) is None
    assert other.name != cookies.name


def test_two_cookies_differ_and_neither_holds_the_token(cookies: Cookies) -> None:
    one, two = cookies.issue(), cookies.issue()
    assert one != two
    assert TOKEN not in one + two + cookies.name


def test_it_ends_by_itself(cookies: Cookies, clock: Clock) -> None:
    value = cookies.issue()
    clock.now += LIFETIME - 1
    assert cookies.find_session({cookies.name: value}) is not None
    clock.now += 1
    assert cookies.find_session({cookies.name: value}) is None


def test_whoever_lengthens_it_breaks_its_signature(cookies: Cookies) -> None:
    expires, session, signature = cookies.issue().split(".")
    for forged in (
        f"{int(expires) + 1}.{session}.{signature}",
        f"{expires}.{session}x.{signature}",
        f"{expires}.{session}.",
        f"{expires}.{session}",
        f".{signature}",
        signature,
        "",
        "ü.ü.ü",
        "....",
    ):
        assert cookies.find_session({cookies.name: forged}) is None, forged


def test_it_is_renewed_once_a_day_and_the_visit_stays_the_same(cookies: Cookies, clock: Clock) -> None:
    first = _open_session(cookies, cookies.issue())
    assert not cookies.is_due(first)
    clock.now += DAY_SECONDS + 1
    assert cookies.is_due(first)
    second = _open_session(cookies, cookies.issue(first))
    assert second.id == first.id
    assert second.expires > first.expires
    assert not cookies.is_due(second)


def test_logging_out_ends_every_cookie_of_the_visit_and_no_other(cookies: Cookies) -> None:
    mine, other = cookies.issue(), cookies.issue()
    renewed = cookies.issue(_open_session(cookies, mine))
    cookies.end(_open_session(cookies, mine))
    assert cookies.find_session({cookies.name: mine}) is None
    assert cookies.find_session({cookies.name: renewed}) is None
    assert cookies.find_session({cookies.name: other}) is not None


def test_what_was_logged_out_is_remembered_within_bounds(cookies: Cookies, clock: Clock) -> None:
    for number in range(MOST_ENDED + 10):
        cookies.end(BrowserSession(str(number), int(clock.now) + 1))
    assert len(cookies._ended) == MOST_ENDED
    clock.now += LIFETIME + 1
    cookies.end(BrowserSession("last", int(clock.now) + 1))
    assert len(cookies._ended) == 1


def test_scripts_and_other_sites_do_not_get_it(cookies: Cookies) -> None:
    for https in (False, True):
        header = cookies.build_header(cookies.issue(), https=https)
        for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFETIME}"):
            assert word in header
        assert ("Secure" in header) is header.startswith("__Host-") is https
    assert "Max-Age=0" in cookies.build_expired_header(https=False)


def test_the_cookie_of_https_is_known_under_its_longer_name(cookies: Cookies) -> None:
    value = cookies.issue()
    name = cookies.build_header(value, https=True).partition("=")[0]
    assert cookies.find_session({name: value}) is not None
