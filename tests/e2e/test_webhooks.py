"""Alerts delivered to a web server of one's own: signed, at least once, and never with a secret left behind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute
from msgspec.structs import replace
from pydantic import SecretStr
from support.deadlines import HANG_SECONDS
from support.event_clients import Callback, read_callback
from support.frames import DEN, START

from plex_companion.app import open_companion
from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.queries.read import read_delivery_status, read_newest_alerts
from plex_companion.changes.deliveries import WebhookRules
from plex_companion.companion import read_clock
from plex_companion.events import Connecting, DeliveryReport, Disconnected, ReceivedEvent, Snapshot, StorageReport
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import EventQueue, EventQueues
from plex_companion.models import Moment
from plex_companion.resources.server import read_server
from plex_companion.serialize import build_alert_message
from plex_companion.settings import Settings
from plex_companion.text import SecretFilter
from plex_companion.webhooks import DeliveryContext, WakeUp, Webhook, deliver_alerts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import pytest
    from anyio.abc import SocketStream

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.companion import Companion

WEBHOOKS_PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
KEY = b"a key of twenty-four bytes"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
PATH = "/hook/canary-4815162342?key=canary-2342"


@dataclass
class Receiver:
    """A web server that answers with these statuses, one a request, the last one for ever."""

    answers: list[str]
    url: str = ""
    got: list[Callback] = field(default_factory=list)
    come: anyio.Event = field(default_factory=anyio.Event)

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):  # who delivers may end in the middle of it
                await self._answer(stream)

    async def _answer(self, stream: SocketStream) -> None:
        got = await read_callback(stream)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.got.append(got)
        self.come.set()
        await stream.send(f"HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())

    async def until(self, count: int) -> list[Callback]:
        with anyio.fail_after(HANG_SECONDS):
            while len(self.got) < count:
                self.come = anyio.Event()
                await self.come.wait()
        return self.got


@asynccontextmanager
async def receiver(*answers: str) -> AsyncIterator[Receiver]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        it = Receiver(list(answers) or ["204 No Content"])
        it.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}{PATH}"  # noqa: S610 - anyio's, not Django's
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, it.serve)
            yield it
            tasks.cancel_scope.cancel()


def settings_of(folder: Path, *urls: str, **more: Any) -> Settings:
    """A companion whose Plex cannot be reached, which is an alert at once."""
    given = {"plex_url": "http://127.0.0.1:1", "database": folder / "cache.sqlite3", **more}
    hooks = {"plex_token": SecretStr("a-token-of-the-owner"), "webhook_urls": tuple(SecretStr(url) for url in urls)}
    return Settings.load(given).model_copy(update={**hooks, "webhook_secret": SecretStr(SECRET)})


async def until(companion: Companion, fact: Callable[[], Any]) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not await fact():
            await companion.live.wait_for_commit()


async def test_an_alert_arrives_signed_as_it_is_on_the_wire(tmp_path: Path) -> None:
    async with receiver() as hook, open_companion(settings_of(tmp_path, hook.url), lambda _: None) as companion:
        (got, *_) = await hook.until(1)
        (alert,) = await read_newest_alerts(companion.cache, 1)
        assert got.path == PATH
        assert got.message["type"] == "alert.opened"
        assert (got.message["data"]["id"], got.message["data"]["title"]) == (str(alert.id), alert.title)
        # https://www.standardwebhooks.com: id, timestamp and body, joined by full stops
        signed = b".".join([got.id.encode(), got.headers["webhook-timestamp"].encode(), got.body])
        digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert got.headers["webhook-signature"] == f"v1,{digest}"
        assert abs(int(got.headers["webhook-timestamp"]) - read_clock().at // 1000) < 60

        async def answer() -> bool:
            return (await read_delivery_status(companion.cache)).last_delivered_at is not None

        await until(companion, answer)
        shown = (await read_server(companion))["webhooks"]
        assert (shown["waiting"], shown["failed"]) == (0, 0)
        assert shown["last_delivered_at"].endswith("Z")


async def test_the_way_to_verify_that_the_documentation_shows_accepts_ours_and_no_other(tmp_path: Path) -> None:
    async with receiver() as hook, open_companion(settings_of(tmp_path, hook.url), lambda _: None):
        (got, *_) = await hook.until(1)
    shown = re.search(r"```python\n(.*?)```", WEBHOOKS_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    names: dict[str, Any] = {}
    exec(shown[1], names)  # noqa: S102 - our own page
    verified = names["verified"]
    assert verified(SECRET, got.headers, got.body)
    assert not verified(SECRET, got.headers, got.body + b" ")
    assert not verified("another", got.headers, got.body)
    assert not verified(SECRET, {**got.headers, "webhook-timestamp": "1700000000"}, got.body)


async def test_a_restart_loses_none_and_one_that_nobody_took_comes_with_the_same_id(tmp_path: Path) -> None:
    def later() -> Moment:
        now = read_clock()
        return replace(now, at=now.at + 600_000)

    async with receiver("503 Busy") as hook:
        settings = settings_of(tmp_path, hook.url)
        async with open_companion(settings, lambda _: None) as companion:

            async def tried() -> bool:
                rows = await companion.cache.reader.execute_fetchall("SELECT 1 FROM deliveries WHERE tries > 0")
                return bool(list(rows))

            await until(companion, tried)
            assert (await read_delivery_status(companion.cache)).waiting == 1
        hook.answers[:] = ["204 No Content"]
        async with open_companion(settings, lambda _: None, now=later):
            first, *_, again = await hook.until(len(hook.got) + 1)
            assert first.message["type"] == "alert.opened"
            assert (again.id, again.body) == (first.id, first.body)


async def test_nothing_is_queued_or_sent_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with receiver() as hook, open_companion(settings_of(tmp_path), lambda _: None) as companion:

        async def alerted() -> bool:
            return bool(await read_newest_alerts(companion.cache, 1))

        await until(companion, alerted)
        assert list(await companion.cache.reader.execute_fetchall("SELECT 1 FROM deliveries")) == []
        assert (await read_server(companion))["webhooks"] is None
        assert hook.got == []


async def test_address_and_key_are_in_no_row_no_line_of_the_log_and_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plex_companion")
    settings = settings_of(tmp_path, "http://127.0.0.1:1/canary-4815162342")
    async with open_companion(settings, lambda _: None) as companion:

        async def tried() -> bool:
            rows = await companion.cache.reader.execute_fetchall("SELECT outcome FROM deliveries WHERE tries > 0")
            return [row[0] for row in rows] == ["cannot be reached"]

        await until(companion, tried)
        said = f"{caplog.text} {await read_server(companion)} {settings!r} {settings}"
        files = [file.read_bytes() for file in tmp_path.iterdir()]  # noqa: ASYNC240 - what is tested
    assert "does not accept alerts" in said
    for secret in ("canary-4815162342", SECRET, KEY.decode()):
        assert secret not in said
        assert not any(secret.encode() in content for content in files)


# Faster than life


@dataclass
class Post:
    """Ingest and delivery on a real file, under a clock that runs too fast."""

    live: Live
    inbox: EventQueue
    speed: float
    began: float = field(default_factory=anyio.current_time)

    def now(self) -> Moment:
        passed = int((anyio.current_time() - self.began) * 1_000 * self.speed)
        return Moment(START + passed, passed)

    async def say(self, *events: Any) -> None:
        await self.inbox.put([ReceivedEvent(event, self.now()) for event in events])

    async def alert(self, subject: str) -> None:
        """Raise an alert of this subject."""
        await self.say(StorageReport(subject, ok=False, words=f"{subject} failed"))


@asynccontextmanager
async def delivering(folder: Path, *urls: str, speed: float = 1_000) -> AsyncIterator[Post]:
    hooks = tuple(Webhook(f"hook{number}", url, KEY) for number, url in enumerate(urls))
    async with open_cache(folder / "cache.sqlite3") as cache, anyio.create_task_group() as tasks:
        state = await load_state(cache, Moment(START, 0))
        live = Live(
            state, webhooks=WebhookRules(tuple(hook.name for hook in hooks), build_alert_message, hold_ms=5_000)
        )
        queues = EventQueues(live.states, 1_000, live.counters)
        it, wake_up = Post(live, queues.first, speed), WakeUp()

        def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
            wake_up.wake()

        async def report(result: DeliveryReport) -> None:
            await it.say(result)

        async def sleep(seconds: float) -> None:
            await anyio.sleep(seconds / speed)

        context = DeliveryContext(cache, wake_up, report, lambda: it.now().at, lambda: 1.0, SecretFilter(()), sleep)
        tasks.start_soon(ingest, queues, live, cache, announce)
        tasks.start_soon(deliver_alerts, hooks, context)
        snapshot = Snapshot(1, first=True, requested=it.now(), server=DEN, sessions=(), activities=())
        await it.say(Connecting(), snapshot)
        yield it
        tasks.cancel_scope.cancel()


def subjects(got: Sequence[Callback]) -> list[tuple[str, str]]:
    return [(one.message["type"], one.message["data"]["subject"]) for one in got]


async def test_after_an_error_it_is_tried_again_with_the_same_id_and_a_new_timestamp(tmp_path: Path) -> None:
    async with receiver("500 Oops", "503 Busy", "200 OK") as hook, delivering(tmp_path, hook.url) as it:
        await it.alert("backup")
        first, second, third = await hook.until(3)
        assert first.id == second.id == third.id
        assert first.body == third.body
        assert int(third.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"]) + 15
        assert first.headers["webhook-signature"] != third.headers["webhook-signature"]


async def test_what_waits_while_nobody_is_there_arrives_in_order(tmp_path: Path) -> None:
    async with receiver("500 Oops", "200 OK") as hook, delivering(tmp_path, hook.url) as it:
        for subject in ("one", "two", "three"):
            await it.alert(subject)
        got = await hook.until(4)
        assert [subject for _, subject in subjects(got)] == ["one", "one", "two", "three"]


async def test_a_message_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    async with receiver("400 No", "200 OK") as hook, delivering(tmp_path, hook.url, speed=10) as it:
        await it.alert("one")
        await it.alert("two")
        got = await hook.until(3)
        assert [subject for _, subject in subjects(got)] == ["one", "two", "one"]


async def test_a_webhook_that_fails_holds_up_no_other(tmp_path: Path) -> None:
    async with (
        receiver("500 Oops") as broken,
        receiver() as well,
        delivering(tmp_path, broken.url, well.url) as it,
    ):
        await it.alert("one")
        await it.alert("two")
        assert [subject for _, subject in subjects(await well.until(2))] == ["one", "two"]
        await broken.until(2)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with (
        receiver() as elsewhere,
        receiver(f"302 Found\r\nlocation: {elsewhere.url}", "200 OK") as hook,
        delivering(tmp_path, hook.url) as it,
    ):
        await it.alert("one")
        await hook.until(2)
        assert elsewhere.got == []


async def test_an_alert_that_comes_back_soon_is_told_once_and_its_end_once(tmp_path: Path) -> None:
    async with receiver() as hook, delivering(tmp_path, hook.url) as it:
        await it.say(Disconnected("refused"))
        await hook.until(1)
        snapshot = Snapshot(2, first=True, requested=it.now(), server=DEN, sessions=(), activities=())
        await it.say(Connecting(), snapshot)
        got = await hook.until(2)
        kinds = [one.message["type"] for one in got if one.message["data"]["kind"] == "connection_lost"]
        while kinds != ["alert.opened", "alert.resolved"]:
            got = await hook.until(len(got) + 1)
            kinds = [one.message["type"] for one in got if one.message["data"]["kind"] == "connection_lost"]
        opened, resolved = (one.message for one in got if one.message["data"]["kind"] == "connection_lost")
        assert opened["data"]["id"] == resolved["data"]["id"]
        assert resolved["data"]["resolved_at"] is not None
