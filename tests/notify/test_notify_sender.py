"""Messages sent to real receivers: in order, once, at their pace, whatever fails and whenever the program ends."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.outbox import PICTURE, build_delivery, build_message, chat_server, sending, silent_server

from plex_companion.events import DeliveryReport
from plex_companion.models import Poster
from plex_companion.notify.sender import CLOSING_SECONDS, SenderTimeouts
from plex_companion.times import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from pathlib import Path

    from support.outbox import Outbox


async def test_a_message_arrives_with_title_and_text_and_is_marked_delivered(tmp_path: Path) -> None:
    async with chat_server() as chat, sending(tmp_path, {"chat": chat.url}) as it:
        await it.queue_messages(build_message("Pip is watching", "Sunset Harbour"))
        (got,) = await chat.until(1)
        assert (got["title"], got["message"]) == ("Pip is watching", "Sunset Harbour")
        (row,) = await it.until_delivered()
        assert (row["tries"], row["rule_id"]) == (1, 1)


async def test_two_hundred_messages_at_once_are_one_message_for_each_target(tmp_path: Path) -> None:
    async with (
        chat_server() as chat,
        chat_server() as phone,
        sending(tmp_path, {"chat": chat.url, "phone": phone.url}) as it,
    ):
        films = [build_message("New in Films", f"Film {number}") for number in range(200)]
        await it.queue_messages(*films)
        await it.queue_messages(*films, target="phone")
        await it.until_delivered()
        assert chat.titles == phone.titles == ["New in Films (200 messages)"]
        assert chat.texts[0].splitlines() == [f"Film {number}" for number in range(200)]
        assert (it.counts["chat"].sent, it.counts["chat"].failed) == (200, 0)


async def test_after_the_most_messages_a_minute_the_rest_come_as_one_digest_with_their_number(tmp_path: Path) -> None:
    async with chat_server() as chat, sending(tmp_path, {"chat": chat.url}, rate=3) as it:
        for number in range(3):
            await it.queue_messages(build_message("Told", f"{number}"))
            await chat.until(number + 1)
        for number in range(3, 40):
            await it.queue_messages(build_message("Told", f"{number}"))
        await it.until(lambda rows: len(rows) == 40)
        it.jump(MINUTE_MS)
        await it.until_delivered()
        assert chat.titles == ["Told", "Told", "Told", "Told (37 messages)"]
        assert [line[-2:].strip() for line in chat.texts[3].splitlines()] == [str(number) for number in range(3, 40)]


async def test_the_rate_holds_over_a_restart(tmp_path: Path) -> None:
    async with chat_server() as chat:
        async with sending(tmp_path, {"chat": chat.url}, rate=1) as it:
            await it.queue_messages(build_message("First"))
            await it.until_delivered()
        async with sending(tmp_path, {"chat": chat.url}, rate=1, begin_at=10_000) as it:
            await it.queue_messages(build_message("Second"))
            await it.queue_messages(build_message("Third"))
            await it.until(lambda rows: len(rows) == 3)
            it.jump(MINUTE_MS)
            await it.until_delivered()
    assert chat.titles == ["First", "2 messages"]


async def test_a_target_that_is_down_for_an_hour_gets_everything_in_order_digested(tmp_path: Path) -> None:
    async with chat_server("503 Down") as chat, sending(tmp_path, {"chat": chat.url}, speed=10) as it:
        for number in range(12):
            await it.queue_messages(build_message(f"Play {number}"))
            await it.until(lambda rows, count=number: len(rows) > count and rows[0]["tries"] > 0)
            it.jump(HOUR_MS // 12)
        chat.receiver.answers[:] = ["200 OK"]
        await jump_until_delivered(it)
        accepted = [one.message for one in chat.receiver.accepted]
        lines = [line.split("  ")[-1] for one in accepted for line in one["message"].splitlines()]
        assert lines == [f"Play {number}" for number in range(12)]
        assert len(accepted) <= 2, "what waited came as one, and what was queued meanwhile with it or after it"
        assert it.counts["chat"].sent == 12


async def test_what_is_not_taken_is_tried_again_soon_and_arrives_once(tmp_path: Path) -> None:
    async with (
        chat_server("500 Oops", "502 Oops", "204 No Content") as chat,
        sending(tmp_path, {"chat": chat.url}, speed=50) as it,
    ):
        await it.queue_messages(build_message("Once"))
        (row,) = await it.until_delivered()
        assert row["tries"] == 3
        assert chat.titles == ["Once"] * 3
        assert (it.counts["chat"].sent, it.counts["chat"].failed) == (1, 2)


async def test_a_message_that_is_refused_is_not_joined_by_others_and_arrives_later(tmp_path: Path) -> None:
    async with (
        chat_server("400 No", "200 OK") as chat,
        sending(tmp_path, {"chat": chat.url}, speed=5) as it,
    ):
        await it.queue_messages(build_message("Refused"))
        rows = await it.until(lambda rows: rows[0]["tries"] == 1)
        assert rows[0]["outcome"] == "refused: HTTP 400"
        await it.queue_messages(build_message("Next"))
        await it.until_delivered()
        assert sorted(chat.titles) == ["Next", "Refused", "Refused"]


async def test_a_target_that_never_answers_holds_up_no_other(tmp_path: Path) -> None:
    async with (
        silent_server() as silent,
        chat_server() as chat,
        sending(tmp_path, {"silent": silent, "chat": chat.url}, timeouts=SenderTimeouts(0.2, HANG_SECONDS)) as it,
    ):
        await it.queue_messages(build_message("Unheard"), target="silent")
        await it.queue_messages(build_message("First"))
        late = ("notify:silent", "no answer within 0 s")  # on a busy machine the other one may be late as well
        await it.until(lambda rows: late in [(row["target"], row["outcome"]) for row in rows])
        await it.queue_messages(build_message("Second"))
        await chat.until(2)
        assert chat.titles == ["First", "Second"]
        assert it.counts["silent"].failed == 1


async def test_an_attempt_that_hangs_and_is_taken_late_is_not_repeated(tmp_path: Path) -> None:
    async with (
        chat_server() as chat,
        sending(tmp_path, {"chat": chat.url}, speed=100, timeouts=SenderTimeouts(0.1, HANG_SECONDS)) as it,
    ):
        chat.receiver.delay = anyio.Event()
        await it.queue_messages(build_message("Slow"))
        await it.until(lambda rows: rows[0]["tries"] == 1 and rows[0]["done_at"] is None)
        chat.receiver.delay.set()
        await it.until_delivered()
        await it.queue_messages(build_message("Next"))
        await chat.until(2)
        assert chat.titles == ["Slow", "Next"]


@pytest.mark.slow
async def test_a_service_that_takes_longer_than_apprise_waits_gets_a_message_once(tmp_path: Path) -> None:
    async with (
        chat_server() as chat,
        sending(tmp_path, {"chat": chat.url}, speed=100, timeouts=SenderTimeouts(5.0, HANG_SECONDS)) as it,
    ):
        chat.receiver.delay = anyio.Event()
        await it.queue_messages(build_message("Slow"))
        await it.until(lambda rows: rows[0]["tries"] == 1 and rows[0]["done_at"] is None)
        chat.receiver.delay.set()
        await it.until_delivered()
        assert chat.titles == ["Slow"]


async def test_what_waits_when_the_program_ends_is_sent_by_the_next_one_in_order(tmp_path: Path) -> None:
    async with chat_server("503 Down") as chat:
        async with sending(tmp_path, {"chat": chat.url}) as it:
            await it.queue_messages(build_message("First"))
            await it.until(lambda rows: rows[0]["tries"] == 1)
            await it.queue_messages(build_message("Second"))
            await it.until(lambda rows: len(rows) == 2)
        chat.receiver.answers[:] = ["204 No Content"]
        async with sending(tmp_path, {"chat": chat.url}, begin_at=MINUTE_MS) as it:
            await it.until_delivered()
    assert chat.titles[-1] == "2 messages"
    assert [line.split("  ")[-1] for line in chat.texts[-1].splitlines()] == ["First", "Second"]


async def test_a_message_that_was_taken_is_not_sent_again_by_the_next_program(tmp_path: Path) -> None:
    async with chat_server() as chat:
        async with sending(tmp_path, {"chat": chat.url}) as it:
            await it.queue_messages(build_message("Once"))
            await chat.until(1)  # and end at once, while its acceptance is on its way into the database
        async with sending(tmp_path, {"chat": chat.url}, begin_at=MINUTE_MS) as it:
            await it.queue_messages(build_message("After"))
            await chat.until(2)
    assert chat.titles == ["Once", "After"]


async def test_what_quiet_hours_held_back_comes_as_one_when_they_end(tmp_path: Path) -> None:
    async with chat_server() as chat, sending(tmp_path, {"chat": chat.url}, speed=10) as it:
        await it.queue_messages(build_message("At eleven"), after_ms=8 * HOUR_MS)
        it.jump(2 * HOUR_MS)
        await it.queue_messages(build_message("At one"), after_ms=6 * HOUR_MS)
        await it.queue_messages(build_message("Loud"))
        await chat.until(1)
        it.jump(7 * HOUR_MS)
        await it.until_delivered()
        assert chat.titles == ["Loud", "2 messages"]
        assert [line.split("  ")[1] for line in chat.texts[1].splitlines()] == ["At eleven", "At one"]


async def test_a_poster_is_sent_as_bytes_and_one_that_cannot_be_fetched_is_left_out(tmp_path: Path) -> None:
    async with chat_server() as chat, sending(tmp_path, {"chat": chat.url}) as it:
        await it.queue_messages(build_message("With", poster=Poster("den", "1")))
        await chat.until(1)
        await it.queue_messages(build_message("Without", poster=Poster("den", "2")))
        first, second = await chat.until(2)
        (attached,) = first["attachments"]
        assert base64.b64decode(attached["base64"]) == PICTURE
        assert not second["attachments"]
        assert "den" not in json.dumps([first["message"], second["message"]])


async def test_a_picture_that_the_service_refuses_is_left_out_of_the_next_attempt(tmp_path: Path) -> None:
    async with (
        chat_server("413 Too Large", "200 OK") as chat,
        sending(tmp_path, {"chat": chat.url}, speed=20) as it,
    ):
        await it.queue_messages(build_message("With", poster=Poster("den", "1")))
        first, second = await chat.until(2)
        assert [len(one["attachments"]) for one in (first, second)] == [1, 0]
        await it.until_delivered()


async def test_a_picture_is_sent_again_where_the_service_was_away(tmp_path: Path) -> None:
    async with chat_server("503 Down", "200 OK") as chat, sending(tmp_path, {"chat": chat.url}, speed=20) as it:
        await it.queue_messages(build_message("With", poster=Poster("den", "1")))
        first, second = await chat.until(2)
        assert [len(one["attachments"]) for one in (first, second)] == [1, 1]


async def test_a_row_that_is_no_message_is_given_up_and_holds_up_no_other(tmp_path: Path) -> None:
    async with chat_server() as chat, sending(tmp_path, {"chat": chat.url}) as it:
        broken = build_delivery(it.next_id, build_message("x"), it.now().at, body='{"title": 1}')
        it.next_id += 1
        await it.report(DeliveryReport((broken,)))
        await it.queue_messages(build_message("Well"))
        rows = await it.until(lambda rows: len(rows) == 2 and all(row["done_at"] for row in rows))
        assert [row["outcome"] for row in rows] == ["given up: it is not a message", "delivered"]
        assert chat.titles == ["Well"]


async def test_a_target_that_left_the_settings_keeps_its_messages_and_gets_them_when_it_returns(tmp_path: Path) -> None:
    async with chat_server() as chat:
        async with sending(tmp_path, {}) as it:
            await it.queue_messages(build_message("Kept"))
            await it.until(lambda rows: len(rows) == 1)
        async with sending(tmp_path, {"chat": chat.url}, begin_at=MINUTE_MS) as it:
            await it.until_delivered()
    assert chat.titles == ["Kept"]


async def test_the_end_of_the_program_does_not_wait_for_a_target_that_hangs(tmp_path: Path) -> None:
    with anyio.fail_after(HANG_SECONDS):
        async with silent_server() as silent, sending(tmp_path, {"chat": silent}, closing=CLOSING_SECONDS) as it:
            await it.queue_messages(build_message("Unheard"))
            await until_sending(it)


async def jump_until_delivered(it: Outbox) -> None:
    """Let hours pass: an attempt that was under way may have failed, and the next one is an hour later.

    While one is under way none does, or what it fails to deliver could be too old to be tried again.
    """
    with anyio.fail_after(HANG_SECONDS):
        while any(row["outcome"] != "delivered" for row in await it.read_rows()):
            if not it.end.is_sending:
                it.jump(HOUR_MS)
            await anyio.sleep(0.05)


async def until_sending(it: Outbox) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not it.end.is_sending:  # noqa: ASYNC110 - a thread begins the call, and tells nobody
            await anyio.sleep(0.01)
