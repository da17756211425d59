"""Both websocket paths, the event source, filters, tokens, and what goes wrong on the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from plexapi.alert import AlertListener
from plexapi.exceptions import Unauthorized
from plexapi.server import PlexServer
from support.deadlines import HANG_SECONDS
from support.demo_clients import FAST, PLURAL, asked, eventually, listening, playing, raw_until, receive_until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from plex_companion.demo import frames, list_scenarios, open_demo, playback, serve_demo
from plex_companion.errors import PortInUse

if TYPE_CHECKING:
    from plex_companion.demo import Demo

SINGULAR = "/:/websocket/notifications"
TOKEN = "t0ken-canary"  # invented for these tests
UNAUTHORIZED = "<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>"


@pytest.mark.parametrize("path", [PLURAL, SINGULAR])
async def test_both_paths_carry_the_recorded_shape(demo: Demo, path: str) -> None:
    async with listening(demo, path) as socket:
        demo.start(player=1)
        entry = json.loads(await socket.recv())["NotificationContainer"]
    (session,) = demo.sessions.values()
    assert entry["type"] == "playing"
    assert entry["size"] == 1
    assert entry["PlaySessionStateNotification"] == [
        {
            "sessionKey": "1", "clientIdentifier": "demo-study-htpc", "guid": "", "ratingKey": session.item.key, "url": "",
            "key": f"/library/metadata/{session.item.key}", "viewOffset": 0, "playQueueItemID": session.queue_item_id,
            "playQueueID": session.queue_id, "state": "playing",
        }
    ]  # fmt: skip


async def test_python_plexapis_own_listener_hears(demo: Demo) -> None:
    received: list[dict[str, Any]] = []
    plex = await anyio.to_thread.run_sync(lambda: PlexServer(demo.url, demo.token))
    listener = AlertListener(plex, received.append)
    listener.start()
    await eventually(lambda: demo.subscribers.sockets == 1)
    demo.announce(frames.build_reachability(reachable=True))
    await eventually(lambda: received)
    # `listener.stop()` lets its thread sleep on for ten seconds; a reset wakes it.
    demo.reset_connections(websockets_only=True)
    await anyio.to_thread.run_sync(listener.join, 5)
    assert received == [{"type": "reachability", "size": 1, "ReachabilityNotification": [{"reachability": True}]}]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", ["playing", "reachability"]),
        ("?filters=", ["playing", "reachability", "log"]),
        ("?filters=playing,log", ["playing", "log"]),
        ("?filter=-playing,-log", ["reachability"]),
    ],
)
async def test_filters_choose_kinds(demo: Demo, query: str, kinds: list[str]) -> None:
    async with listening(demo, PLURAL + query) as socket:
        demo.start()
        demo.announce(frames.build_reachability(reachable=True))
        demo.announce(frames.build_log("a line", "Nov 22, 2026 11:00:09.977"))
        demo.send_raw('{"NotificationContainer":{"type":"end"}}')
        assert [container["type"] for container in await receive_until(socket, "end")][:-1] == kinds


async def test_the_event_source_has_one_object_and_no_container(demo: Demo) -> None:
    def read() -> list[str]:
        with requests.get(f"{demo.url}/:/eventsource/notifications", stream=True, timeout=HANG_SECONDS) as answer:
            lines = answer.iter_lines(decode_unicode=True)
            return [line for line, _ in zip(lines, range(5), strict=False) if line]

    async with anyio.create_task_group() as tasks:

        async def speak() -> None:
            await eventually(lambda: demo.subscribers.listeners == 1)
            demo.announce(frames.build_reachability(reachable=True))

        tasks.start_soon(speak)
        lines = await anyio.to_thread.run_sync(read)
    assert lines == [
        "event: ping",
        "data: {}",
        "event: reachability",
        'data: {"ReachabilityNotification":{"reachability":true}}',
    ]


async def test_a_burst_arrives_whole_and_in_order(demo: Demo) -> None:
    async with listening(demo) as socket, anyio.create_task_group() as tasks:
        session = demo.start()
        tasks.start_soon(demo.burst, 3_000, session)
        offsets = [entry["viewOffset"] for entry in playing(await receive_until(socket, ":30000,"))]
    assert offsets == list(range(0, 30_010, 10))


async def test_a_scan_over_http_announces_its_course(demo: Demo) -> None:
    async with listening(demo) as socket:
        await asked(demo, lambda plex: plex.library.section("Films").update())
        containers = await receive_until(socket, "Library scan complete")
    kinds = [container["type"] for container in containers]
    assert (kinds[0], kinds[1], kinds[-2], kinds[-1]) == ("status", "activity", "activity", "status")
    assert containers[0]["StatusNotification"][0]["title"] == 'Scanning the "Films" section'


async def test_a_scan_can_be_cancelled(demo: Demo) -> None:
    demo.state.speed = 0.1
    async with listening(demo) as socket:
        demo.start_scan("1", files=1_000)
        await eventually(lambda: demo.state.activities)
        assert [row.type for row in await asked(demo, lambda plex: plex.activities)] == ["library.update.section"]
        await asked(demo, lambda plex: plex.library.section("Films").cancelUpdate())
        assert len(await raw_until(socket, "Library scan complete")) < 1_000
    assert not demo.state.activities


async def test_a_deleted_item_is_announced_with_state_nine(demo: Demo) -> None:
    film = demo.get_movie()
    async with listening(demo) as socket:
        demo.delete_item(film.key)
        entry = (await receive_until(socket, "deleted"))[0]["TimelineEntry"][0]
    assert (entry["itemID"], entry["state"], entry["sectionID"]) == (film.key, 9, "1")
    assert film.key not in demo.state.items


async def test_a_clients_timeline_calls_make_move_and_end_a_session(demo: Demo) -> None:
    film = demo.get_movie()
    path = f"{demo.url}/:/timeline?ratingKey={film.key}&key=/library/metadata/{film.key}&identifier=x"
    headers = {"X-Plex-Client-Identifier": "demo-kitchen-web"}

    def report(state: str, time: int) -> None:
        requests.get(f"{path}&state={state}&time={time}", headers=headers, timeout=HANG_SECONDS)

    async with listening(demo) as socket:
        for state, time in (("playing", 0), ("paused", 70_000), ("stopped", 80_000)):
            await anyio.to_thread.run_sync(report, state, time)
        entries = playing(await receive_until(socket, "stopped"))
    assert [(entry["state"], entry["viewOffset"]) for entry in entries] == [
        ("playing", 0),
        ("paused", 70_000),
        ("stopped", 80_000),
    ]
    assert demo.state.get_view(demo.state.owner, film.key).offset == 80_000


@pytest.mark.parametrize("status", [401, 498, 503])
async def test_a_handshake_is_refused_with_any_status(demo: Demo, status: int) -> None:
    demo.answer_with(status)
    with pytest.raises(InvalidStatus) as refused:
        await connect(demo.url.replace("http", "ws") + PLURAL)
    assert refused.value.response.status_code == status


async def test_a_required_token_is_required_by_header_and_query() -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        assert demo.token == TOKEN
        statuses = await anyio.to_thread.run_sync(_statuses, demo.url)
        assert statuses == {"none": 401, "wrong": 401, "header": 200, "query": 200, "identity": 200}
        refused = await anyio.to_thread.run_sync(lambda: requests.get(demo.url, timeout=HANG_SECONDS))
        assert refused.text == UNAUTHORIZED
        assert len(refused.content) == 91
        with pytest.raises(Unauthorized):
            await anyio.to_thread.run_sync(lambda: PlexServer(demo.url, "wrong"))
        address = demo.url.replace("http", "ws") + PLURAL
        with pytest.raises(InvalidStatus) as error:
            await connect(address)
        assert error.value.response.body == UNAUTHORIZED.encode()
        async with (
            connect(f"{address}?X-Plex-Token={TOKEN}"),
            connect(address, additional_headers={"X-Plex-Token": TOKEN}),
        ):
            pass


def _statuses(url: str) -> dict[str, int]:
    def status(path: str, **headers: str) -> int:
        return requests.get(url + path, headers=headers, timeout=HANG_SECONDS).status_code

    return {
        "none": status("/library"),
        "wrong": status("/library", **{"X-Plex-Token": "wrong"}),
        "header": status("/library", **{"X-Plex-Token": TOKEN}),
        "query": status(f"/library?X-Plex-Token={TOKEN}"),
        "identity": status("/identity"),
    }


async def test_a_reset_ends_sockets_without_a_close_frame(demo: Demo) -> None:
    async with listening(demo) as socket:
        demo.reset_connections()
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
    assert closed.value.rcvd is None


async def test_a_cut_ends_a_socket_in_the_middle_of_a_frame(demo: Demo) -> None:
    async with listening(demo) as socket:
        demo.cut_after(40)
        demo.start()
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
    async with listening(demo):
        pass


async def test_a_server_that_was_shut_refuses_and_comes_back_on_its_port(demo: Demo) -> None:
    port = demo.port
    await demo.shut_down()
    with pytest.raises(OSError, match=r"refused|failed"):
        await anyio.connect_tcp("127.0.0.1", port)
    await demo.reopen()
    assert demo.port == port
    async with listening(demo):
        pass


async def test_a_wholly_silent_server_accepts_and_says_nothing(demo: Demo) -> None:
    demo.go_silent(everything=True)
    async with await anyio.connect_tcp("127.0.0.1", demo.port) as stream:
        await stream.send(b"GET /identity HTTP/1.1\r\nHost: x\r\n\r\n")
        with anyio.move_on_after(0.1) as timeouts:
            await stream.receive()
        assert timeouts.cancelled_caught
        demo.speak_again()
        with anyio.fail_after(HANG_SECONDS):
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_a_taken_port_is_named(demo: Demo) -> None:
    with pytest.raises(PortInUse, match=str(demo.port)):
        async with open_demo(port=demo.port, alive=False):
            pass


async def test_an_exception_of_the_caller_comes_out_as_it_was() -> None:
    async def fail() -> None:
        async with open_demo(alive=False):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()


async def test_cancelling_ends_a_served_demo() -> None:
    received: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def serve() -> None:
            await serve_demo(port=0, require_token=True, ready=lambda demo: received.append(demo.token))

        tasks.start_soon(serve)
        await eventually(lambda: received)
        tasks.cancel_scope.cancel()
    assert len(received[0]) >= 20


async def test_closing_ends_the_connections_of_listeners() -> None:
    async with open_demo(alive=False) as demo:
        socket = await connect(demo.url.replace("http", "ws") + PLURAL)
    with pytest.raises(ConnectionClosed):
        await socket.recv()


async def test_a_living_household_watches_by_itself() -> None:
    async with open_demo(speed=10 * FAST) as demo, listening(demo) as socket:
        entries = playing(await receive_until(socket, '"viewOffset":'))
        assert entries[-1]["state"] in {"playing", "paused", "buffering"}
        await eventually(lambda: demo.state.history[-1].viewed_at >= demo.state.now - 60)


async def test_control_calls_drive_the_household_from_outside(demo: Demo) -> None:
    def call(method: str, path: str, **options: Any) -> Any:
        return requests.request(method, f"{demo.url}/demo/{path}", timeout=HANG_SECONDS, **options).json()

    started = await anyio.to_thread.run_sync(lambda: call("POST", "sessions", json={"user": 1, "player": 3}))
    assert started["user"] == "Jasper O'Dell"
    paused = await anyio.to_thread.run_sync(call, "POST", f"sessions/{started['session_key']}/pause")
    assert paused["state"] == "paused"
    played = await anyio.to_thread.run_sync(call, "POST", "scenarios/f")
    assert played["scenario"] == "f"
    listed = await anyio.to_thread.run_sync(call, "GET", "scenarios")
    assert list(listed["scenarios"]) == list(list_scenarios())
    async with listening(demo) as socket:
        sent = await anyio.to_thread.run_sync(lambda: call("POST", "frames", data=b"raw \xff text"))
        assert sent == {"bytes": 10, "listeners": 1}
        assert await socket.recv(decode=False) == b"raw \xff text"
    wrong = await anyio.to_thread.run_sync(call, "POST", "scenarios/z")
    assert wrong["error"].startswith("no scenario 'z'")


async def test_control_calls_refuse_web_pages(demo: Demo) -> None:
    answer = await anyio.to_thread.run_sync(
        lambda: requests.post(
            f"{demo.url}/demo/scenarios/p", headers={"Origin": "http://evil.example"}, timeout=HANG_SECONDS
        )
    )
    assert answer.status_code == 404
    assert not demo.state.faults.revoked


async def test_requests_are_recorded_without_tokens(demo: Demo) -> None:
    await asked(demo, lambda plex: plex.library.sections())
    assert demo.requests.count("/library/sections") == 1
    assert not any("X-Plex-Token" in path for _, path in demo.requests.log)
    demo.requests.clear()
    assert len(demo.requests) == 0


async def test_a_frame_for_live_tv_names_no_play_queue(demo: Demo) -> None:
    item = playback.build_live_item(demo.state, "77777")
    session = playback.start(demo.state, item, demo.get_user(), demo.get_player(), live="a-live-session")
    assert "playQueueID" not in session.build_entry()
    (row,) = await asked(demo, lambda plex: plex.sessions())
    assert (row.live, row.key) == (True, "/livetv/sessions/a-live-session")
