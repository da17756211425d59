"""What a target gets next: everything that is due, in order, within its rate; and when a failed message is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frames import START
from support.outbox import build_delivery, build_message

from plex_companion.app import TICK_SECONDS
from plex_companion.changes.deliveries import GIVEN_UP_MS, DeliveryAttempt
from plex_companion.notify.schedule import (
    BURST_GATHER_MS,
    GATHER_MS,
    MOST_BURST_MS,
    MOST_GATHER_MS,
    QueuedMessage,
    is_given_up,
    plan_send,
    record_answer,
)
from plex_companion.times import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

TAKEN, AWAY, REFUSED = DeliveryAttempt(200, "taken"), DeliveryAttempt(None, "away"), DeliveryAttempt(400, "HTTP 400")
LATER = START + HOUR_MS


def queued(number: int, at: int = START, *, html: str | None = None, **more: object) -> QueuedMessage:
    message = build_message(f"Message {number}", html=html)
    return QueuedMessage(build_delivery(number, message, at, **more), message)


def ids(group: Sequence[QueuedMessage]) -> list[int]:
    return [one.delivery.id for one in group]


def after(group: Sequence[QueuedMessage], answer: DeliveryAttempt, at: int) -> list[QueuedMessage]:
    rows = record_answer(group, answer, at, 1.0)
    return [QueuedMessage(row, one.message) for row, one in zip(rows, group, strict=True) if row.done_at is None]


def test_what_is_due_together_is_one_message() -> None:
    waiting = [queued(number) for number in range(1, 201)]
    assert ids(plan_send(waiting, (), START + GATHER_MS, 5).group) == list(range(1, 201))


def test_a_message_waits_a_moment_for_others_of_the_same_cause() -> None:
    assert plan_send([queued(1)], (), START, 5).wait_until == START + GATHER_MS
    assert plan_send([queued(1), queued(2, START + 200)], (), START + 250, 5).wait_until == START + 450
    assert ids(plan_send([queued(1), queued(2, START + 200)], (), START + 450, 5).group) == [1, 2]


def test_messages_that_keep_coming_hold_the_first_up_for_less_than_a_second() -> None:
    coming = [queued(number, START + 100 * number) for number in range(8)]
    assert plan_send(coming[:-1], (), START + 650, 5).wait_until == START + MOST_GATHER_MS
    assert ids(plan_send(coming, (), START + MOST_GATHER_MS, 5).group) == list(range(8))


def burst(count: int, first: int = 1, at: int = START) -> list[QueuedMessage]:
    """Messages of the same rule."""
    return [queued(number, at, rule_id=1) for number in range(first, first + count)]


def test_many_messages_of_a_rule_wait_for_those_of_the_next_tick() -> None:
    assert BURST_GATHER_MS > TICK_SECONDS * 1_000
    some, rest = burst(21), burst(179, 22, START + 5_000)
    assert plan_send(some, (), START + GATHER_MS, 5).wait_until == START + BURST_GATHER_MS
    assert plan_send([*some, *rest], (), START + BURST_GATHER_MS, 5).wait_until == START + 5_000 + BURST_GATHER_MS
    assert len(plan_send([*some, *rest], (), START + 5_000 + BURST_GATHER_MS, 5).group) == 200


def test_a_burst_that_does_not_end_is_sent_after_half_a_minute_as_far_as_it_has_come() -> None:
    coming = [one for second in range(0, 30, 5) for one in burst(3, second, START + second * 1_000)]
    assert plan_send(coming, (), START + 29_000, 5).wait_until == START + MOST_BURST_MS
    assert len(plan_send(coming, (), START + MOST_BURST_MS, 5).group) == len(coming)


def test_a_burst_holds_up_no_message_of_another_rule_and_goes_with_it() -> None:
    waiting = [*burst(3), queued(4, START + 1_000, rule_id=2)]
    assert plan_send(waiting, (), START + 1_000, 5).wait_until == START + 1_000 + GATHER_MS
    assert ids(plan_send(waiting, (), START + 1_000 + GATHER_MS, 5).group) == [1, 2, 3, 4]


def test_a_message_that_is_held_back_waits_for_its_time_and_holds_up_no_other() -> None:
    held = queued(1, due_at=LATER)
    assert plan_send([held], (), START + 1_000, 5).wait_until == LATER
    assert ids(plan_send([held, queued(2)], (), START + 1_000, 5).group) == [2]
    assert ids(plan_send([held, queued(3, due_at=LATER)], (), LATER, 5).group) == [1, 3]


def test_with_nothing_that_waits_there_is_nothing_to_wait_for() -> None:
    plan = plan_send([], (), START, 5)
    assert (plan.group, plan.wait_until) == ((), None)


def test_after_the_most_messages_a_minute_the_rest_come_as_one_when_the_first_is_a_minute_old() -> None:
    sent = [START + second * 1_000 for second in range(5)]
    waiting = [queued(number, START + 5_000) for number in range(1, 31)]
    assert plan_send(waiting, sent, START + 6_000, 5).wait_until == START + MINUTE_MS
    assert len(plan_send(waiting, sent, START + MINUTE_MS, 5).group) == 30
    assert len(plan_send(waiting, sent[1:], START + 6_000, 5).group) == 30


def test_after_failures_it_is_tried_a_second_five_and_fifteen_seconds_later_and_then_as_webhooks_are() -> None:
    (one,), at, waits = [queued(1)], START, []
    for _ in range(6):
        (one,) = after([one], AWAY, at)
        waits.append(one.delivery.due_at - at)
        at = one.delivery.due_at
    assert waits == [1_000, 5_000, 15_000, 40_000, 80_000, 160_000]


def test_a_message_is_given_up_after_a_day() -> None:
    (row,) = record_answer([queued(1)], AWAY, START + GIVEN_UP_MS, 1.0)
    assert is_given_up(row)
    assert row.outcome == "given up: away"


def test_while_the_target_is_away_everything_waits_for_its_next_attempt_and_comes_in_order() -> None:
    (first,) = after([queued(1)], AWAY, START + 1_000)
    waiting = [first, queued(2, START + 1_100), queued(3, START + 1_200)]
    assert plan_send(waiting, (), START + 1_999, 5).wait_until == START + 2_000
    group = plan_send(waiting, (), START + 2_000, 5).group
    assert ids(group) == [1, 2, 3]
    again = after(group, AWAY, START + 2_000)
    assert {one.delivery.due_at for one in again} == {START + 7_000}


def test_a_message_that_is_refused_holds_up_no_other_and_is_tried_alone() -> None:
    refused = after([queued(1), queued(2)], REFUSED, START + 300)
    assert [one.delivery.outcome for one in refused] == ["refused: HTTP 400"] * 2
    assert ids(plan_send([*refused, queued(3, START + 400)], (), START + 700, 5).group) == [3]
    assert ids(plan_send(refused, (), START + 1_300, 5).group) == [1]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_key_that_is_wrong_or_a_limit_that_is_reached_concerns_every_message(status: int) -> None:
    (one,) = after([queued(1)], DeliveryAttempt(status, f"HTTP {status}"), START)
    assert one.delivery.outcome == f"HTTP {status}"


def test_a_page_of_its_own_is_sent_alone_and_in_its_place() -> None:
    waiting = [queued(1), queued(2), queued(3, html="<p>The week</p>"), queued(4)]
    groups = []
    while waiting:
        group = plan_send(waiting, (), START + 300, 5).group
        groups.append(ids(group))
        waiting = [one for one in waiting if one not in group]
    assert groups == [[1, 2], [3], [4]]


@given(
    arrivals=st.lists(st.integers(0, 180_000), min_size=1, max_size=40),
    answers=st.lists(st.sampled_from([TAKEN, TAKEN, TAKEN, AWAY]), max_size=20),
    rate=st.integers(1, 6),
)
def test_whatever_fails_all_are_taken_once_in_order_and_within_the_rate(
    arrivals: list[int], answers: list[DeliveryAttempt], rate: int
) -> None:
    rows = {n: queued(n, START + at) for n, at in enumerate(sorted(arrivals), 1)}
    now, left = START, iter(answers)
    taken: list[int] = []
    sent_at: list[int] = []
    while rows:
        here = [one for one in rows.values() if one.delivery.created_at <= now]
        plan = plan_send(here, sent_at, now, rate)
        if not plan.group:
            coming = [one.delivery.created_at for one in rows.values() if one.delivery.created_at > now]
            now = min([*coming, *([plan.wait_until] if plan.wait_until is not None else [])])
            continue
        answer = next(left, TAKEN)
        if answer.is_good:
            taken += ids(plan.group)
            sent_at.append(now)
        for row in record_answer(plan.group, answer, now, 1.0):
            if row.done_at is None:
                rows[row.id] = QueuedMessage(row, rows[row.id].message)
            else:
                del rows[row.id]
    assert taken == sorted(taken) == list(range(1, len(arrivals) + 1))
    for at in sent_at:
        assert sum(at - MINUTE_MS < other <= at for other in sent_at) <= rate
