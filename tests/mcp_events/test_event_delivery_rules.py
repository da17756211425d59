"""What becomes of a message after an attempt, and of a subscription over its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.event_clients import SECRET

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.rows import build_subscription_row
from plex_companion.changes.derive import changes_for
from plex_companion.changes.state import State, advance
from plex_companion.changes.subscriptions import OVERLAP_MS
from plex_companion.events import EventsDelivered, EventSubscribed, EventUnsubscribed, Tick
from plex_companion.mcp_events.callback_client import CallbackAnswer
from plex_companion.mcp_events.delivery_rules import LONGEST_ASKED_MS, SUSPENDED_MS, WAITS_MS, find_due, record_attempt
from plex_companion.models import Connection, DeliveryProgress, Moment, PendingDelivery

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.changes.kinds import Effect
    from plex_companion.events import Event

OK, BUSY, REFUSED = CallbackAnswer(204, None), CallbackAnswer(503, "http_5xx"), CallbackAnswer(410, "http_4xx")
UNREACHABLE = CallbackAnswer(None, "connection_refused")
FIRST = PendingDelivery("k7-4", "k7-5", 0)
AFTER = DeliveryProgress("k7-5")
ANOTHER_SECRET = SECRET[:-4] + "AAA="


def attempt(
    answer: CallbackAnswer, message: PendingDelivery = FIRST, progress: DeliveryProgress = AFTER, at: int = 0
) -> DeliveryProgress:
    return record_attempt(progress, message, answer, at, 0.0)


def test_a_message_that_was_taken_is_settled() -> None:
    after = attempt(OK, at=7)
    assert (after.pending, after.watermark, after.last_delivered_at) == ((), "k7-5", 7)


def test_the_first_retry_comes_within_two_seconds_whatever_chance_says() -> None:
    for chance in (0.0, 1.0):
        (again,) = record_attempt(AFTER, FIRST, BUSY, 0, chance).pending
        assert again.due_at < 2_000


def test_a_message_is_tried_five_times_within_a_quarter_of_an_hour_and_then_given_up() -> None:
    progress, message, at, tries = AFTER, FIRST, 0, 0
    while True:
        progress, tries = attempt(UNREACHABLE, message, progress, at), tries + 1
        if not progress.pending:
            break
        at = progress.pending[0].due_at
        message = replace(progress.pending[0], tries=progress.pending[0].tries + 1)
    assert tries == len(WAITS_MS) + 1 == 5
    assert at <= 15 * 60_000
    assert (progress.watermark, progress.last_error) == ("k7-5", "connection_refused")


@pytest.mark.parametrize("status", [410, 413])
def test_gone_and_too_large_give_up_the_message_and_keep_the_subscription(status: int) -> None:
    after = attempt(CallbackAnswer(status, "http_4xx"), at=10 * SUSPENDED_MS)
    assert (after.pending, after.suspended, after.last_error) == ((), False, "http_4xx")


def test_the_watermark_stays_before_a_message_that_is_tried_again() -> None:
    failed = attempt(BUSY)
    later = attempt(OK, PendingDelivery("k7-8", "k7-9", 0), replace(failed, position="k7-9"))
    assert later.watermark == "k7-4"
    assert attempt(OK, replace(failed.pending[0], tries=2), later).watermark == "k7-9"


def test_a_receiver_may_ask_for_a_longer_wait_within_limits() -> None:
    (again,) = attempt(CallbackAnswer(429, "http_4xx", 30_000)).pending
    assert again.due_at == 30_000
    (again,) = attempt(CallbackAnswer(429, "http_4xx", 10**12)).pending
    assert again.due_at == LONGEST_ASKED_MS


def test_a_message_that_is_given_up_after_an_hour_of_failures_suspends() -> None:
    last = replace(FIRST, tries=len(WAITS_MS) + 1)
    failing = replace(AFTER, failed_since=0)
    assert not attempt(UNREACHABLE, last, failing, SUSPENDED_MS - 1).suspended
    assert attempt(UNREACHABLE, last, failing, SUSPENDED_MS).suspended
    assert not attempt(UNREACHABLE, replace(last, tries=1), failing, SUSPENDED_MS).suspended


def test_the_message_that_waited_longest_is_due_first() -> None:
    waiting = replace(AFTER, pending=(PendingDelivery("a", "1", 30), PendingDelivery("b", "2", 10)))
    assert find_due(waiting, 9) is None
    assert find_due(waiting, 30) == PendingDelivery("b", "2", 10)


ANSWERS = st.sampled_from([OK, BUSY, REFUSED, UNREACHABLE])


@given(st.lists(st.tuples(ANSWERS, st.booleans()), max_size=60))
def test_a_watermark_never_passes_a_message_that_is_neither_taken_nor_given_up(
    steps: list[tuple[CallbackAnswer, bool]],
) -> None:
    progress, number, at = DeliveryProgress("0"), 0, 0
    for answer, again in steps:
        at += 700_000
        due = find_due(progress, at) if again else None
        if due is not None:
            progress = attempt(answer, replace(due, tries=due.tries + 1), progress, at)
            continue
        message = PendingDelivery(str(number), str(number + 1), at)
        number += 1
        progress = attempt(answer, message, replace(progress, position=str(number)), at)
    open_ = [int(one.before) for one in progress.pending]
    assert open_ == sorted(set(open_))
    assert int(progress.watermark) == min([*open_, number])


# Over its life


def subscribed(at: int = 0, **more: Any) -> EventSubscribed:
    return EventSubscribed(
        **{
            "id": "sub_1", "principal": "p", "url": "https://hooks.example/x", "name": "play.started",
            "arguments": "{}", "secret": SECRET, "revision": f"r{at}", "refreshed_at": at, "expires_at": at + 1_000,
            "position": f"k7-{at}", **more,
        }
    )  # fmt: skip


def live_through(*events: tuple[Event, int]) -> State:
    """The state after these events, each at its time."""
    state = State(Connection("live", 0))
    for event, at in events:
        apply(state, event, at)
    return state


def apply(state: State, event: Event, at: int) -> list[Effect]:
    found = changes_for(event, state, Moment(at, at))
    for change in found:
        advance(state, change)  # type: ignore[arg-type]  # none of these orders anything
    return found


def test_a_subscription_begins_where_it_was_asked_to() -> None:
    one = live_through((subscribed(), 0)).event_subscriptions["sub_1"]
    assert (one.progress, one.created_at, one.expires_at) == (DeliveryProgress("k7-0"), 0, 1_000)


def test_a_refresh_goes_on_where_it_is_and_ends_a_suspension() -> None:
    suspended = DeliveryProgress("k7-3", failed_since=1, suspended=True)
    state = live_through((subscribed(), 0), (EventsDelivered("sub_1", 0, suspended), 1), (subscribed(500), 500))
    one = state.event_subscriptions["sub_1"]
    assert (one.progress, one.created_at, one.expires_at) == (DeliveryProgress("k7-3"), 0, 1_500)
    assert one.previous_secret is None


def test_a_new_secret_is_used_beside_the_old_one() -> None:
    state = live_through((subscribed(), 0), (subscribed(500, secret=ANOTHER_SECRET), 500))
    one = state.event_subscriptions["sub_1"]
    assert (one.secret, one.previous_secret, one.previous_until) == (ANOTHER_SECRET, SECRET, 500 + OVERLAP_MS)


def test_a_lapsed_subscription_begins_anew_where_it_was_asked_to() -> None:
    state = live_through((subscribed(), 0), (subscribed(1_000), 1_000))
    assert state.event_subscriptions["sub_1"].progress == DeliveryProgress("k7-1000")


def test_what_was_delivered_of_an_earlier_subscription_of_the_same_id_counts_for_nothing() -> None:
    late = EventsDelivered("sub_1", 0, DeliveryProgress("k7-9"))
    state = live_through((subscribed(), 0), (subscribed(1_000), 1_000), (late, 1_001))
    assert state.event_subscriptions["sub_1"].progress == DeliveryProgress("k7-1000")


@pytest.mark.parametrize("end", [EventUnsubscribed("sub_1"), Tick()])
def test_an_ended_or_expired_subscription_is_gone(end: Event) -> None:
    state = live_through((subscribed(), 0), (end, 1_000))
    assert state.event_subscriptions == {}
    assert apply(state, EventsDelivered("sub_1", 0, DeliveryProgress("k7-9")), 1_001) == []


def test_nothing_of_it_is_journaled() -> None:
    state = live_through((subscribed(), 0))
    for event in (subscribed(1), EventsDelivered("sub_1", 0, AFTER), EventUnsubscribed("sub_1")):
        assert state.next_event == 1
        apply(state, event, 2)
    assert state.next_event == 1


async def test_a_subscription_is_the_same_after_a_restart(tmp_path: Path) -> None:
    state = State(Connection("live", 0))
    progress = replace(attempt(BUSY), last_delivered_at=3)
    changes = [*apply(state, subscribed(), 0), *apply(state, EventsDelivered("sub_1", 0, progress), 1)]
    changes += apply(state, subscribed(500, secret=ANOTHER_SECRET), 500)
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        await cache.write(changes, "s", 0)  # type: ignore[arg-type]  # the same
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        loaded = await load_state(cache, Moment(0, 0))
        rows = [build_subscription_row(one) for one in loaded.event_subscriptions.values()]
        assert rows == [build_subscription_row(one) for one in state.event_subscriptions.values()]
        await cache.write(apply(state, EventUnsubscribed("sub_1"), 501), "s", 0)  # type: ignore[arg-type]  # the same
        assert (await load_state(cache, Moment(0, 0))).event_subscriptions == {}
