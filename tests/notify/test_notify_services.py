"""Services as Apprise knows them, on real receivers: what they get, what they refuse, and that no URL is ever shown."""

from __future__ import annotations

import asyncio
import email
import logging
from email.policy import default
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest
from support.outbox import PICTURE, build_message, chat_server, post_office

from plex_companion.errors import SettingsError
from plex_companion.models import Poster
from plex_companion.notify.message_texts import CUT
from plex_companion.notify.services import NotifyService, open_services

if TYPE_CHECKING:
    from email.message import EmailMessage

    from plex_companion.changes.deliveries import DeliveryAttempt
    from plex_companion.models import Message

SECRET = "canary-4815162342"


class LineHandler(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def open_service(url: str) -> NotifyService:
    (service,) = open_services({"family": url})
    return service


async def send(service: NotifyService, message: Message, picture: bytes | None = None) -> DeliveryAttempt:
    return await anyio.to_thread.run_sync(partial(service.send, message, picture))


def read_mail(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=default)


async def test_a_mail_arrives_with_title_text_and_the_poster_attached() -> None:
    async with post_office(asyncio.get_running_loop()) as office:
        service = open_service(office.url)
        assert service.kind == "E-Mail"
        assert (await send(service, build_message("New episode", "Harbour Street, S2 E1"), PICTURE)).is_good
        mail = read_mail((await office.until(1))[0])
        assert mail["subject"] == "New episode"
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        assert parts["text/plain"].strip() == "Harbour Street, S2 E1"
        assert parts["image/jpeg"] == PICTURE


async def test_what_is_no_picture_is_not_attached() -> None:
    async with chat_server() as chat:
        assert (await send(open_service(chat.url), build_message("New"), b"<html>Not here</html>")).is_good
        assert (await send(open_service(chat.url), build_message("New"), b"\x89PNG\r\n\x1a\n picture")).is_good
        first, second = await chat.until(2)
        assert first["attachments"] == []
        assert [one["mimetype"] for one in second["attachments"]] == ["image/png"]


async def test_a_page_is_sent_as_html_with_its_text_beside_it() -> None:
    async with post_office(asyncio.get_running_loop()) as office:
        message = build_message("Your week", "3 films", html="<h1>Your week</h1><p>3 films &amp; more</p>")
        assert (await send(open_service(office.url), message)).is_good
        mail = read_mail((await office.until(1))[0])
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        assert "<h1>Your week</h1>" in parts["text/html"]
        assert "3 films" in parts["text/plain"]


async def test_a_page_shows_the_pictures_that_there_are_and_no_place_for_those_that_there_are_not() -> None:
    async with post_office(asyncio.get_running_loop()) as office:
        html = "<h1>New</h1>" + "".join(f'<img alt="" src="cid:picture-{number}.jpg">' for number in (1, 2))
        message = build_message("Your week", "2 films", html=html, inline=(Poster("den", "1"), Poster("den", "2")))
        service = open_service(office.url)
        inline = {"picture-2.jpg": PICTURE}
        assert (await anyio.to_thread.run_sync(partial(service.send, message, None, inline))).is_good
        mail = read_mail((await office.until(1))[0])
    parts = [part for part in mail.walk() if not part.is_multipart()]
    (page,) = (part.get_content() for part in parts if part.get_content_type() == "text/html")
    (picture,) = (part for part in parts if part.get_content_type() == "image/jpeg")
    assert "cid:picture-1.jpg" not in page
    assert 'src="cid:picture-2.jpg"' in page
    assert picture["content-id"] == "<picture-2.jpg>"
    assert picture.get_content() == PICTURE


async def test_a_long_page_reaches_a_mailbox_whole_and_a_title_of_two_lines_is_one() -> None:
    async with post_office(asyncio.get_running_loop()) as office:
        page = f"<p>{'x' * 100} </p>" * 500
        message = build_message("Your\nBcc: everyone@example.org\r\nweek", "3 films", html=page)
        assert (await send(open_service(office.url), message)).is_good
        mail = read_mail((await office.until(1))[0])
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        assert parts["text/html"].count("<p>") == 500
        assert mail["subject"] == "Your Bcc: everyone@example.org week"
        assert mail["bcc"] is None


async def test_a_service_without_html_gets_the_text_of_a_page() -> None:
    async with chat_server() as chat:
        message = build_message("Your week", "3 films", html="<h1>Your week</h1>")
        assert (await send(open_service(f"ntfy://{chat.address}/{SECRET}"), message)).is_good
        (got,) = await chat.until(1)
        assert got["message"] == "3 films"


async def test_ten_thousand_characters_are_cut_to_what_the_service_takes_with_a_sign() -> None:
    async with chat_server() as chat:
        service = open_service(f"mmost://{chat.address}/{SECRET}")
        assert (await send(service, build_message("Long" * 500, "word " * 2_000))).is_good
        (got,) = await chat.until(1)
        title, text = got["text"].split("\r\n")
        assert service.most - 10 < len(text) <= service.most < 4_000
        assert title.endswith(CUT)
        assert text.endswith(CUT)


async def test_ten_thousand_characters_come_in_several_messages_where_the_url_asks_for_it() -> None:
    async with chat_server() as chat:
        words = " ".join(f"word{number}" for number in range(1_200))
        assert (
            await send(open_service(f"mmost://{chat.address}/{SECRET}?overflow=split"), build_message("Long", words))
        ).is_good
        got = await chat.until(3)
        assert " ".join(one["text"] for one in got).split() == ["Long", *words.split()]


async def test_ten_thousand_characters_arrive_whole_where_the_service_takes_them() -> None:
    async with chat_server() as chat:
        await send(open_service(chat.url), build_message("Long", "x" * 10_000))
        (got,) = await chat.until(1)
        assert got["message"] == "x" * 10_000


async def test_a_message_without_a_text_says_its_title() -> None:
    async with chat_server() as chat:
        await send(open_service(chat.url), build_message("Pip is watching"))
        (got,) = await chat.until(1)
        assert (got["title"], got["message"]) == ("Pip is watching", "Pip is watching")


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "500 Oops"])
async def test_what_the_service_answers_is_said_without_any_part_of_the_url(status: str) -> None:
    async with chat_server(status) as chat:
        answer = await send(open_service(f"json://user:{SECRET}-pass@{chat.address}/{SECRET}"), build_message("x"))
        assert (answer.status, answer.words) == (int(status[:3]), f"HTTP {status[:3]}")
        assert f"error={status[:3]}" in answer.detail
        for part in (SECRET, "127.0.0.1", chat.address, "user:"):
            assert part not in answer.detail


async def test_where_nothing_answers_that_is_said_without_the_host() -> None:
    answer = await send(open_service(f"json://{SECRET}.invalid/"), build_message("x"))
    assert (answer.status, answer.words) == (None, "cannot be reached")
    assert SECRET not in answer.detail


@pytest.mark.parametrize("url", ["discord://", f"nonsense://{SECRET}", f"discord://{SECRET}", "mailto://"])
def test_a_url_that_no_service_can_use_is_refused_by_the_name_of_its_target(url: str) -> None:
    with pytest.raises(SettingsError, match="the URL of family is not one that Apprise can use") as refused:
        open_services({"family": url, "well": "json://127.0.0.1"})
    assert SECRET not in refused.value.message
    assert "well" not in refused.value.message


def test_every_wrong_target_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        open_services({"one": "nonsense://a", "two": "nonsense://b"})
    assert [line.split()[4] for line in refused.value.message.splitlines()] == ["one", "two"]


async def test_lines_of_apprise_stay_out_of_our_log() -> None:
    lines: list[str] = []
    handler = LineHandler(lines)
    logging.getLogger().addHandler(handler)
    async with chat_server("500 Oops") as chat:
        await send(open_service(f"json://{chat.address}/{SECRET}"), build_message("x"))
    logging.getLogger().removeHandler(handler)
    assert [line for line in lines if SECRET in line or "notification" in line] == []
