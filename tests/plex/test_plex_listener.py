"""The listener on real websockets that close, break, lie, fall silent and come back."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.running_listener import FAST, listening, quickly
from support.scripted_plex import (
    STARTING,
    TOKEN,
    Answer,
    Pretend,
    everything_logged,
    playing_frame,
    pretend_plex,
    raw_server,
    until,
)

from plex_companion.events import Connecting, Disconnected, Malformed, Playing, SessionsUnread, Snapshot, Unknown
from plex_companion.plex.disconnects import Backoff, Disconnect, ListenerTimeouts, generate_backoff
from plex_companion.plex.refresh import RefreshRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream
    from websockets.asyncio.server import ServerConnection


@pytest.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with pretend_plex() as plex:
        yield plex
        plex.close()


async def test_connect_then_snapshot_then_frames(pretend: Pretend) -> None:
    asked, go_on = anyio.Event(), anyio.Event()

    async def slow() -> Answer:
        asked.set()
        await go_on.wait()
        return Answer()

    pretend.answers["/status/sessions"] = slow
    async with listening(pretend.url) as output:
        socket = await pretend.socket()
        assert isinstance(await output.next(), Connecting)
        await asked.wait()
        for key in range(100):
            await socket.send(playing_frame(str(key)))
        assert output.nothing()
        go_on.set()
        snapshot = await output.snapshot()
        assert (snapshot.first, snapshot.epoch) == (True, 5)
        keys: list[str | None] = []
        while len(keys) < 100:  # a snapshot of the libraries may come in between
            event = await output.next()
            keys += [event.session_key] if isinstance(event, Playing) else []
        assert keys == [str(key) for key in range(100)]


async def test_the_token_is_a_header_of_the_handshake(pretend: Pretend) -> None:
    async with listening(pretend.url):
        request = (await pretend.socket()).request
    assert request is not None
    assert request.path == "/:/websockets/notifications"
    assert request.headers["X-Plex-Token"] == TOKEN


async def test_a_clean_close_starts_again_at_once_as_a_new_epoch(pretend: Pretend) -> None:
    async with listening(pretend.url, ListenerTimeouts(closing=0.1)) as output:
        await output.live()
        socket = await pretend.socket()
        await socket.send(playing_frame())
        await socket.close()
        assert isinstance(await output.next(), Playing)
        assert await output.disconnected() == Disconnected("closed by Plex")
        assert isinstance(await output.next(), Connecting)
        assert (await output.snapshot()).epoch == 6


async def test_a_reset_in_the_middle_of_a_frame(pretend: Pretend) -> None:
    async with listening(pretend.url, ListenerTimeouts(closing=0.1)) as output:
        await output.live()
        socket = await pretend.socket()
        socket.transport.write(b"\x81\x7e\x04\x00" + b'{"Notif')
        socket.transport.abort()
        assert (await output.disconnected()).detail.startswith("connection ")
        assert (await output.live()).epoch == 6


async def test_a_silent_peer_is_noticed_by_its_missing_pong(pretend: Pretend) -> None:
    timeouts = ListenerTimeouts(closing=0.1, ping=0.1, pong=0.2, waits=quickly)
    async with listening(pretend.url, timeouts) as output:
        await output.live()
        socket = await pretend.socket()
        socket.transport.pause_reading()  # what a cut cable looks like from here
        assert await output.disconnected() == Disconnected("no pong for 0.2 s")
        assert (await output.live()).epoch > 5  # on a busy machine a pong is late now and then


def count_handshakes(pretend: Pretend) -> int:
    """How often a websocket was asked for. A request for a snapshot may still arrive when its listener has ended."""
    return sum("Upgrade" in headers for headers in pretend.headers)


async def test_a_refused_handshake_is_said_once_and_tried_rarely(pretend: Pretend) -> None:
    pretend.handshake = Answer(401, b"<html>401</html>")
    async with listening(pretend.url) as output:
        assert await output.disconnected() == Disconnected("HTTP 401: the token was refused", unauthorized=True)
        await until(lambda: len(pretend.headers) > 2)
        assert output.nothing()
        pretend.handshake = None
        assert isinstance(await output.next(), Connecting)
    tries = count_handshakes(pretend)
    async with listening(pretend.url, ListenerTimeouts(refused=60)) as output:
        pretend.handshake = Answer(401)
        await output.disconnected()
        await anyio.wait_all_tasks_blocked()
    assert count_handshakes(pretend) == tries + 1


async def test_a_token_refused_by_the_first_snapshot(pretend: Pretend) -> None:
    pretend.answers = dict.fromkeys(pretend.answers, Answer(401))
    async with listening(pretend.url, ListenerTimeouts(refused=60)) as output:
        assert isinstance(await output.next(), Connecting)
        assert (await output.disconnected()).unauthorized


async def test_a_token_revoked_while_live(pretend: Pretend) -> None:
    async with listening(pretend.url, ListenerTimeouts(refused=60)) as output:
        await output.live()
        pretend.answers = dict.fromkeys(pretend.answers, Answer(401))
        output.refresh.request_snapshot()
        assert (await output.disconnected()).unauthorized


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(503, STARTING), "HTTP 503: Plex is starting"),
        (Answer(502, b"<html>"), "HTTP 502 instead of a websocket"),
        (Answer(200, b"<html>"), "HTTP 200 instead of a websocket"),
        (Answer(400, b""), "HTTP 400 instead of a websocket: the server may want https"),
    ],
)
async def test_another_answer_to_the_handshake_is_said_once(pretend: Pretend, answer: Answer, detail: str) -> None:
    pretend.handshake = answer
    async with listening(pretend.url) as output:
        assert await output.disconnected() == Disconnected(detail)
        await until(lambda: len(pretend.headers) > 2)
        assert output.nothing()
        pretend.handshake = None
        await output.live()


async def test_a_first_snapshot_that_says_starting(pretend: Pretend) -> None:
    working = pretend.answers
    pretend.answers = dict.fromkeys(working, Answer(503, STARTING))
    async with listening(pretend.url) as output:
        assert isinstance(await output.next(), Connecting)
        assert await output.disconnected() == Disconnected("HTTP 503: Plex is starting")
        pretend.answers = working
        await output.live()


async def test_plex_that_is_down_at_the_start_is_found_when_it_appears() -> None:
    plex = Pretend()
    async with pretend_plex(plex):
        pass
    async with listening(plex.url) as output:
        assert await output.disconnected() == Disconnected("connection refused")
        async with pretend_plex(plex):
            assert isinstance(await output.next(), Connecting)
            assert (await output.live()).epoch == 5  # with the libraries: nothing that could fail is under way
        assert (await output.disconnected()).detail == "closed by Plex"
        assert await output.disconnected() == Disconnected("connection refused")
        async with pretend_plex(plex):
            assert (await output.live()).epoch == 6
    plex.close()


@pytest.mark.parametrize(
    ("host", "detail"),
    [("no-such-host.invalid", "the host name is not known"), ("a..b", "the host name is not valid")],
)
async def test_a_name_nobody_knows(host: str, detail: str) -> None:
    async with listening(f"http://{host}:32400") as output:
        assert await output.disconnected() == Disconnected(detail)


async def test_what_does_not_speak_http() -> None:
    async def babble(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"220 mail.example ESMTP\r\n\r\n")

    async with raw_server(babble) as url, listening(url) as output:
        assert await output.disconnected() == Disconnected("the server does not speak the websocket protocol")


async def test_what_does_not_answer_the_handshake() -> None:
    async def mute(_: SocketStream) -> None:
        await anyio.sleep_forever()

    async with raw_server(mute) as url, listening(url, ListenerTimeouts(opening=0.1)) as output:
        assert await output.disconnected() == Disconnected("no answer within 0.1 s")


async def test_a_redirected_handshake_does_not_take_the_token_along(pretend: Pretend) -> None:
    seen: list[bytes] = []

    async def elsewhere(stream: SocketStream) -> None:
        seen.append(await stream.receive())

    async with raw_server(elsewhere) as other:
        pretend.handshake = Answer(302, b"", {"Location": other.replace("http", "ws")})
        async with listening(pretend.url) as output:
            assert await output.disconnected() == Disconnected("HTTP 302 instead of a websocket")
    assert seen == []


BROKEN = b'{"NotificationContainer":{"type":"progress","size":1,"ProgressNotification":[{"message":"K\xc3"}]}}'
LEGACY = '{"_elementType":"NotificationContainer","type":"status","_children":[{"title":"Scanning"}]}'


@pytest.mark.parametrize(
    "frame",
    [
        "not JSON",
        "[]",
        '{"NotificationContainer":{}}',
        LEGACY,
        b"\xff\xfe",
        '{"NotificationContainer":{"type":"new.kind","size":1,"Thing":[{"a":1}]}}',
        "[" * 200_000,
        '{"a":NaN}',
        '{"a":' + "9" * 5000 + "}",
    ],
)
async def test_a_strange_frame_is_passed_on_as_such_and_the_connection_kept(
    pretend: Pretend, frame: str | bytes
) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        await socket.send(frame)
        await socket.send(playing_frame())
        assert not isinstance(await output.next(), Playing | Disconnected)
        assert isinstance(await output.next(), Playing)


async def test_half_a_character_does_not_end_the_connection(pretend: Pretend) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        await socket.send(BROKEN, text=True)
        event = await output.next()
        assert not isinstance(event, Malformed | Unknown | Disconnected)


async def test_binary_frames_and_a_flood_of_pings_are_fine(pretend: Pretend) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        for _ in range(500):
            await socket.ping()
        await socket.send(playing_frame().encode())
        assert isinstance(await output.next(), Playing)


async def test_several_entries_are_several_events_of_one_moment(pretend: Pretend) -> None:
    frame = json.loads(playing_frame())
    frame["NotificationContainer"]["PlaySessionStateNotification"] *= 3
    async with listening(pretend.url) as output:
        await output.live()
        await (await pretend.socket()).send(json.dumps(frame))
        for _ in range(3):
            assert isinstance(await output.next(), Playing)


async def test_a_frame_of_10_mb_ends_the_connection_with_1009(pretend: Pretend) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        await socket.send("x" * 10_000_000)
        await _closed(socket)
        assert await output.disconnected() == Disconnected("a frame larger than 4 MB")
        assert socket.close_code == 1009
        assert (await output.live()).epoch == 6


async def _closed(socket: ServerConnection) -> None:
    with anyio.fail_after(HANG_SECONDS):
        await socket.wait_closed()


async def test_a_wish_is_a_snapshot_without_the_library(pretend: Pretend) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        output.refresh.request_snapshot()
        snapshot = await output.snapshot()
        assert (snapshot.first, snapshot.epoch, snapshot.sections) == (False, 5, None)
        output.refresh.request_library()
        assert (await output.snapshot()).sections is not None


async def test_wishes_merge(pretend: Pretend) -> None:
    async with listening(pretend.url, ListenerTimeouts(merge=0.2)) as output:
        await output.live()
        pretend.asked.clear()
        started = time.monotonic()
        output.refresh.request_snapshot()
        await output.snapshot()
        for _ in range(100):
            output.refresh.request_snapshot()
        await output.snapshot()
        assert time.monotonic() - started >= 0.2
        assert len(pretend.asked) == 4


async def test_the_library_is_not_read_for_every_episode_that_comes_in(pretend: Pretend) -> None:
    async with listening(pretend.url, ListenerTimeouts(merge=0.01, library=60)) as output:
        await output.live()
        output.refresh.request_library()
        output.refresh.request_snapshot()
        assert (await output.snapshot()).sections is None
        await anyio.wait_all_tasks_blocked()
        assert output.nothing()


async def test_notes_are_compared_from_time_to_time(pretend: Pretend) -> None:
    async with listening(pretend.url, reconcile_seconds=1) as output:
        await output.live()
        assert not (await output.snapshot()).first


async def test_frames_flow_while_a_snapshot_is_under_way(pretend: Pretend) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        pretend.answers["/status/sessions"] = pretend.never
        asked = pretend.asked.count("/status/sessions")
        output.refresh.request_snapshot()
        await until(lambda: pretend.asked.count("/status/sessions") > asked)
        await socket.send(playing_frame())
        assert isinstance(await output.next(), Playing)


@pytest.mark.parametrize("answer", [Answer(503, STARTING), Answer(500)])
async def test_a_snapshot_that_fails_does_not_end_the_connection(pretend: Pretend, answer: Answer) -> None:
    async with listening(pretend.url) as output:
        await output.live()
        working = pretend.answers
        pretend.answers = dict.fromkeys(working, answer)
        asked = len(pretend.asked)
        output.refresh.request_snapshot()
        event = await output.next()
        assert isinstance(event, SessionsUnread)
        assert f"HTTP {answer.status}" in event.detail
        await until(lambda: len(pretend.asked) >= asked + 3)
        assert output.nothing(), "the same reason is told once"
        pretend.answers = working
        assert (await output.snapshot()).sessions


async def test_an_answer_that_takes_long_is_told_of_before_it_comes(pretend: Pretend) -> None:
    async with listening(pretend.url, replace(FAST, late=0.05)) as output:
        await output.live()
        await pretend.socket()
        at_once: Answer = pretend.answers["/status/sessions"]
        comes = anyio.Event()

        async def late() -> Answer:
            await comes.wait()
            return at_once

        pretend.answers["/status/sessions"] = late
        output.refresh.request_snapshot()
        assert isinstance(await output.next(), SessionsUnread)
        comes.set()
        assert (await output.snapshot()).sessions


@pytest.mark.parametrize("answer", [Answer(500), Answer(body=b"\x01\x02"), Answer(body=b"")])
async def test_a_first_answer_that_is_no_good_does_not_make_it_deaf(pretend: Pretend, answer: Answer) -> None:
    working = pretend.answers["/status/sessions"]
    pretend.answers["/status/sessions"] = answer
    async with listening(pretend.url) as output:
        assert isinstance(await output.next(), Connecting)
        first = await output.snapshot()
        assert (first.first, first.sessions, first.is_unreadable) == (True, None, True)
        assert "GET /status/sessions: " in (first.detail or "")
        await (await pretend.socket()).send(playing_frame())
        while not isinstance(await output.next(), Playing):
            pass
        pretend.answers["/status/sessions"] = working
        while not isinstance(event := await output.next(), Snapshot):
            pass
        assert event.sessions
        assert event.detail is None


async def test_where_something_else_answers_it_is_not_taken_for_plex(pretend: Pretend) -> None:
    pretend.answers["/status/sessions"] = Answer(500)
    pretend.answers["/"] = Answer(body=b"<html/>")
    async with listening(pretend.url) as output:
        assert isinstance(await output.next(), Connecting)
        assert "HTTP 500" in (await output.disconnected()).detail


async def test_every_frame_of_a_burst_arrives(pretend: Pretend) -> None:
    count, frame = 10_000, playing_frame()
    async with listening(pretend.url) as output:
        await output.live()
        socket = await pretend.socket()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_send_all, socket, frame, count)
            for _ in range(count):
                assert isinstance(await output.next(), Playing)


async def _send_all(socket: ServerConnection, frame: str, count: int) -> None:
    for _ in range(count):
        await socket.send(frame)


@pytest.mark.parametrize("status", [101, 200, 302, 401, 403, 404, 498, 500, 503])
async def test_neither_token_nor_address_is_told_or_logged(pretend: Pretend, status: int) -> None:
    echo = f"<html>{TOKEN} {pretend.url}</html>".encode()
    with everything_logged() as lines:
        if status != 101:
            pretend.handshake = Answer(status, echo)
            pretend.answers = dict.fromkeys(pretend.answers, Answer(status, echo))
        async with listening(pretend.url) as output:
            shown = repr(await output.next())
            await anyio.wait_all_tasks_blocked()
    assert TOKEN not in shown
    assert "127.0.0.1" not in shown
    assert not [line for line in lines if TOKEN in line]
    ours = [line for line in lines if "Can't reach Plex" in line]
    assert not [line for line in ours if "127.0.0.1" in line]


def test_waiting_doubles_up_to_a_minute_with_some_jitter() -> None:
    waits = generate_backoff(lambda: 0.0)
    assert [next(waits) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    shortest = generate_backoff(lambda: 1.0)
    assert [next(shortest) for _ in range(4)] == [0, 0.75, 1.5, 3]


def test_after_a_while_without_plex_its_first_hanging_up_is_forgiven_at_once() -> None:
    backoff = Backoff(ListenerTimeouts(waits=lambda: generate_backoff(lambda: 0)))
    away, brief, long = Disconnect("away"), Disconnect("closed", lived_ms=500), Disconnect("closed", lived_ms=20_000)
    assert [backoff.compute_delay(away) for _ in range(5)] == [0, 1, 2, 4, 8]
    assert [backoff.compute_delay(brief) for _ in range(4)] == [0, 1, 2, 4]
    assert [backoff.compute_delay(long) for _ in range(3)] == [0, 0, 0]


def test_what_is_too_large_is_never_asked_for_again_at_once() -> None:
    backoff = Backoff(ListenerTimeouts(waits=lambda: generate_backoff(lambda: 0)))
    assert backoff.compute_delay(Disconnect("", too_large=True, lived_ms=20_000)) == 1


def test_a_refused_token_is_tried_every_five_minutes() -> None:
    assert Backoff(ListenerTimeouts()).compute_delay(Disconnect("", unauthorized=True)) == 300


async def test_a_wish_is_kept_until_it_is_taken() -> None:
    requests = RefreshRequests()
    requests.request_snapshot()
    requests.request_snapshot()
    with anyio.fail_after(HANG_SECONDS):
        await requests.sessions.wait()
    requests.sessions.clear()
    with anyio.move_on_after(0.01) as scope:
        await requests.sessions.wait()
    assert scope.cancelled_caught
