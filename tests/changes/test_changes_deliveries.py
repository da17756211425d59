"""Which alerts are sent on their way, what is called back, and when a try is followed by another."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from support.frames import START

from plex_companion.changes.deliveries import (
    GIVEN_UP_MS,
    LONGEST_WAIT_MS,
    DeliveryAttempt,
    WebhookRules,
    queue_deliveries,
    record_attempt,
)
from plex_companion.changes.kinds import AlertMuteChanged, AlertOpened, AlertReopened, AlertResolved, DeliveryChanged
from plex_companion.changes.state import State, advance
from plex_companion.events import Tick
from plex_companion.models import Alert, Connection, Delivery, Moment
from plex_companion.occurrences.derivation import derive_occurrences
from plex_companion.serialize import build_alert_message

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change

HOLD = 60_000
TWO = WebhookRules(("one", "two"), build_alert_message, hold_ms=HOLD)
ALERT = Alert(7, START, "buffering", "warning", "Keeps buffering", {}, "1")
OVER = structs.replace(ALERT, resolved_at=START + 1_000)
WAITING = Delivery(1, "one", 7, "{}", START, START)


def sent(*changes: Change, state: State | None = None, webhooks: WebhookRules = TWO, at: int = START) -> list[Delivery]:
    """The deliveries that changes mean; the state has advanced by all of it afterwards."""
    state = state or State(Connection("live", START))
    occurred = derive_occurrences(Tick(), changes, state, Moment(at, at))
    found = queue_deliveries(occurred, state, Moment(at, at), webhooks)
    for change in [*changes, *occurred, *found]:
        advance(state, change)
    return [change.delivery for change in found if isinstance(change, DeliveryChanged)]


def test_an_alert_that_opens_goes_to_every_webhook_at_once_as_it_is_on_the_wire() -> None:
    first, second = sent(AlertOpened(ALERT))
    assert (first.target, second.target) == ("one", "two")
    assert first.id != second.id
    assert first.due_at == START
    message = json.loads(first.body)
    assert (message["type"], message["data"]["id"], message["data"]["kind"]) == ("alert.opened", "7", "buffering")


def test_only_the_kinds_that_are_wanted_are_sent() -> None:
    assert sent(AlertOpened(ALERT), webhooks=replace(TWO, kinds=frozenset({"storage"}))) == []
    assert sent(AlertOpened(ALERT), webhooks=replace(TWO, kinds=frozenset({"buffering"})))


def test_an_alert_of_a_muted_kind_is_not_sent_and_neither_is_its_end() -> None:
    state = State(Connection("live", START), muted_kinds={"buffering": START})
    assert sent(AlertOpened(ALERT), state=state) == []
    assert sent(AlertResolved(OVER, 0), state=state) == []
    assert sent(AlertOpened(structs.replace(ALERT, id=8, kind="storage")), state=state)


def test_receivers_get_the_end_of_an_alert_that_opened_before_its_kind_was_muted() -> None:
    state = State(Connection("live", START))
    assert sent(AlertOpened(ALERT), state=state)
    advance(state, AlertMuteChanged("buffering", muted=True, at=START + 1))
    assert sent(AlertResolved(OVER, 0), state=state)
    advance(state, AlertMuteChanged("buffering", muted=False, at=START + 2))
    assert sent(AlertOpened(structs.replace(ALERT, id=8)), state=state)


def test_that_an_alert_resolved_is_sent_when_it_can_no_longer_open_again() -> None:
    state = State(Connection("live", START))
    sent(AlertOpened(ALERT), state=state)
    first, _ = sent(AlertResolved(OVER, 0), state=state)
    assert first.due_at > START + HOLD
    assert json.loads(first.body)["type"] == "alert.resolved"


def test_an_alert_that_opens_again_meanwhile_is_not_sent_again_and_its_end_is_called_back() -> None:
    state = State(Connection("live", START))
    sent(AlertOpened(ALERT), state=state)
    ends = sent(AlertResolved(OVER, 0), state=state)
    again = sent(AlertReopened(structs.replace(ALERT, detail={"times": 2})), state=state, at=START + 9_000)
    assert [one.id for one in again] == [one.id for one in ends]
    assert {(one.outcome, one.done_at) for one in again} == {("withdrawn", START + 9_000)}
    later = sent(AlertResolved(OVER, 0), state=state, at=START + 20_000)
    assert [one.tries for one in later] == [0, 0]
    assert not {one.id for one in later} & {one.id for one in ends}


def test_what_happened_and_is_over_at_once_is_sent_once() -> None:
    assert [json.loads(one.body)["type"] for one in sent(AlertOpened(OVER))] == ["alert.opened"] * 2


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_answer_of_success_ends_it(status: int) -> None:
    done = record_attempt(WAITING, DeliveryAttempt(status, "fine"), START + 5, 0.5)
    assert (done.done_at, done.outcome, done.tries) == (START + 5, "delivered", 1)


@pytest.mark.parametrize("status", [None, 302, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status: int | None) -> None:
    again = record_attempt(WAITING, DeliveryAttempt(status, "no"), START, 1.0)
    assert (again.done_at, again.due_at, again.outcome) == (None, START + 5_000, "no")


def test_waits_double_up_to_an_hour_and_end_after_a_day() -> None:
    delivery, at, waits = WAITING, START, []
    while delivery.done_at is None:
        delivery = record_attempt(delivery, DeliveryAttempt(500, "HTTP 500"), at, 1.0)
        waits.append(delivery.due_at - at)
        at = delivery.due_at
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000]
    assert max(waits) == LONGEST_WAIT_MS
    assert delivery.outcome == "given up: HTTP 500"
    assert at - START <= GIVEN_UP_MS


def test_gone_is_given_up_at_once() -> None:
    gone = record_attempt(WAITING, DeliveryAttempt(410, "HTTP 410"), START, 0.5)
    assert (gone.outcome, gone.done_at) == ("given up: HTTP 410", START)


def test_a_wait_that_is_asked_for_is_kept() -> None:
    assert record_attempt(WAITING, DeliveryAttempt(429, "HTTP 429", 120_000), START, 0.5).due_at == START + 120_000
    assert record_attempt(WAITING, DeliveryAttempt(503, "HTTP 503", 1), START, 1.0).due_at == START + 5_000
    assert record_attempt(WAITING, DeliveryAttempt(503, "HTTP 503", 2 * GIVEN_UP_MS), START, 1.0).done_at is not None


@given(tries=st.integers(0, 10_000), chance=st.floats(0, 1), at=st.integers(0, GIVEN_UP_MS))
def test_a_next_try_is_never_before_four_seconds_nor_after_an_hour(tries: int, chance: float, at: int) -> None:
    again = record_attempt(structs.replace(WAITING, tries=tries), DeliveryAttempt(500, "x"), START + at, chance)
    assert again.done_at is not None or 3_750 <= again.due_at - START - at <= LONGEST_WAIT_MS
