"""Who subscribed what: ids, names of callers, grants and the limits of challenges."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.mcp_events.event_errors import EventError, EventErrorCode, build_callback_error, build_error_body
from plex_companion.mcp_events.grants import DEFAULT_MS, LONGEST_MS, SHORTEST_MS, grant_ms
from plex_companion.mcp_events.principals import is_revoked, name_issuer_principal, name_token_principal
from plex_companion.mcp_events.subscription_keys import canonicalize_arguments, derive_subscription_id
from plex_companion.mcp_events.verification import MOST_PER_HOST, MOST_TOGETHER, VerificationLimiter

HOUR_MS = 3_600_000
TOKEN, ISSUER = "a-token-of-the-companion", "https://login.example"
WORDS = st.text(max_size=20)


def test_an_id_is_the_same_whatever_the_order_of_the_arguments() -> None:
    one, two = {"user": "ann", "library": "Movies"}, {"library": "Movies", "user": "ann"}
    ids = {derive_subscription_id("p", "u", "n", canonicalize_arguments(given)) for given in (one, two)}
    assert len(ids) == 1
    assert re.fullmatch(r"sub_[0-9a-f]{32}", ids.pop())


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS, WORDS))
def test_two_subscriptions_have_one_id_only_if_every_part_is_the_same(
    one: tuple[str, str, str, str], two: tuple[str, str, str, str]
) -> None:
    assert (derive_subscription_id(*one) == derive_subscription_id(*two)) == (one == two)


def test_the_name_of_a_caller_holds_neither_token_nor_address() -> None:
    names = name_token_principal(TOKEN), name_issuer_principal(ISSUER, "ann@example.org")
    assert not any(word in name for name in names for word in (TOKEN, "ann", "login.example"))
    assert len(set(names)) == 2
    assert name_issuer_principal(f"{ISSUER}/", "ann@example.org") == names[1]


def test_a_caller_is_revoked_by_another_token_or_issuer_and_never_by_none() -> None:
    holder, user = name_token_principal(TOKEN), name_issuer_principal(ISSUER, "ann")
    assert not is_revoked(holder, TOKEN, None)
    assert is_revoked(holder, "another-token-of-it", None)
    assert not is_revoked(holder, None, ISSUER)
    assert not is_revoked(user, TOKEN, f"{ISSUER}/")
    assert is_revoked(user, TOKEN, "https://other.example")
    assert not is_revoked(user, TOKEN, None)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(None, LONGEST_MS), (1, SHORTEST_MS), (HOUR_MS, HOUR_MS), (365 * 24 * HOUR_MS, LONGEST_MS)],
)
def test_a_grant_is_what_was_asked_for_within_limits(asked: Any, granted: int) -> None:
    assert grant_ms(asked, given=True) == granted


def test_a_grant_without_a_wish_is_the_default() -> None:
    assert grant_ms(None, given=False) == DEFAULT_MS


@pytest.mark.parametrize("asked", [0, -1, 1.5, "60000", True, [], {}])
def test_a_grant_that_is_no_time_is_refused(asked: Any) -> None:
    with pytest.raises(EventError) as refused:
        grant_ms(asked, given=True)
    assert refused.value.code == EventErrorCode.INVALID_PARAMS


def test_a_host_gets_so_many_challenges_a_minute_and_then_again() -> None:
    limiter = VerificationLimiter()
    for _ in range(MOST_PER_HOST):
        limiter.count("one.example", 0)
    with pytest.raises(EventError) as refused:
        limiter.count("one.example", 59_999)
    assert refused.value.code == EventErrorCode.RESOURCE_EXHAUSTED
    assert refused.value.facts == {"limit": "verifications", "max": MOST_PER_HOST}
    limiter.count("two.example", 59_999)
    limiter.count("one.example", 60_000)


def test_all_hosts_together_get_so_many_challenges_a_minute() -> None:
    limiter = VerificationLimiter()
    for number in range(MOST_TOGETHER):
        limiter.count(f"{number}.example", 0)
    with pytest.raises(EventError):
        limiter.count("another.example", 1)


def test_the_codes_are_those_of_the_draft() -> None:
    assert {code.name: int(code) for code in EventErrorCode} == {
        "INVALID_PARAMS": -32602,
        "INTERNAL": -32603,
        "NOT_FOUND": -32023,
        "FORBIDDEN": -32024,
        "RESOURCE_EXHAUSTED": -32025,
        "UNSUPPORTED": -32026,
        "CALLBACK_ENDPOINT": -32027,
    }


def test_a_failed_callback_says_its_category_and_no_more() -> None:
    body = build_error_body(build_callback_error("http_4xx"))
    assert body == {
        "code": -32027,
        "message": "The callback URL cannot be used: http_4xx.",
        "data": {"reason": "http_4xx"},
    }
