"""Each scenario sends what PLEX.md 1.4 promises, and leaves the server in the state it announced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from support.deadlines import HANG_SECONDS
from support.demo_clients import eventually, everything_of, listening, playing, raw_until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from plex_companion.demo import list_scenarios

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.demo import Demo

Entries = list[dict[str, Any]]


def containers(frames: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame)["NotificationContainer"] for frame in frames]


def test_there_is_a_scenario_for_every_letter_with_a_sentence() -> None:
    assert list(list_scenarios())[:20] == list("abcdefghijklmnopqrst")
    assert all(sentence.endswith(".") for sentence in list_scenarios().values())


def states(entries: Entries) -> list[str]:
    return [entry["state"] for entry in entries]


def an_ordinary_play(entries: Entries) -> None:
    assert states(entries) == ["playing"] * 4 + ["paused"] * 2 + ["playing"] * 2 + ["paused"] + ["playing"] * 2 + [
        "stopped"
    ]
    assert [entry["viewOffset"] for entry in entries[:4]] == [0, 10_000, 20_000, 30_000]


def the_next_episode_under_a_new_key(entries: Entries) -> None:
    stop = states(entries).index("stopped")
    assert int(entries[stop + 1]["sessionKey"]) == int(entries[stop]["sessionKey"]) + 1
    assert entries[stop + 1]["viewOffset"] == 0
    assert "transcodeSession" not in entries[stop + 1]
    assert "transcodeSession" in entries[stop + 2]


def a_stop_without_a_key(entries: Entries) -> None:
    assert "sessionKey" not in entries[-1]
    assert (entries[-1]["ratingKey"], entries[-1]["key"], entries[-1]["state"]) == ("", "", "stopped")


def a_stop_under_a_new_key(entries: Entries) -> None:
    assert states(entries)[-2:] == ["paused", "stopped"]
    assert entries[-1]["sessionKey"] != entries[-2]["sessionKey"]
    assert entries[-1]["ratingKey"] == entries[-2]["ratingKey"]


def no_stop(entries: Entries) -> None:
    assert states(entries) == ["playing", "playing"]


def the_same_stop_twice(entries: Entries) -> None:
    assert entries[-1] == entries[-2]
    assert entries[-1]["state"] == "stopped"


def twelve_bufferings(entries: Entries) -> None:
    assert states(entries) == ["playing", *["buffering"] * 12, "playing"]


def an_error_at_zero(entries: Entries) -> None:
    assert states(entries) == ["playing", "error", "stopped"]
    assert entries[1]["viewOffset"] == 0


def a_guid_for_a_rating_key(entries: Entries) -> None:
    assert all(entry["ratingKey"].startswith("tv.demo.guide://") for entry in entries)
    assert all(entry["key"].startswith("/livetv/sessions/") for entry in entries)


def a_clip_and_then_the_film(entries: Entries) -> None:
    keys = list(dict.fromkeys((entry["sessionKey"], entry["ratingKey"]) for entry in entries))
    assert [key for key, _ in keys] == ["1", "2"]


def one_report_a_second(entries: Entries) -> None:
    assert [entry["viewOffset"] for entry in entries] == [n * 1000 for n in range(31)]


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("a", an_ordinary_play), ("b", the_next_episode_under_a_new_key), ("c", a_stop_without_a_key),
        ("d", a_stop_under_a_new_key), ("e", no_stop), ("f", the_same_stop_twice), ("g", twelve_bufferings),
        ("h", an_error_at_zero), ("i", a_guid_for_a_rating_key), ("j", a_clip_and_then_the_film), ("t", one_report_a_second),
    ],
)  # fmt: skip
async def test_a_playing_scenario_sends_what_it_promises(
    demo: Demo, name: str, promise: Callable[[Entries], None]
) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, name)
    promise(playing(containers(frames)))


@pytest.mark.parametrize(
    ("name", "left"), [("a", 0), ("b", 1), ("c", 0), ("d", 0), ("f", 0), ("g", 1), ("h", 0), ("j", 1), ("t", 1)]
)
async def test_the_sessions_left_over_are_those_announced(demo: Demo, name: str, left: int) -> None:
    await demo.play(name)
    assert len(demo.sessions) == left


async def test_a_ghost_stays_in_the_sessions_and_then_goes_without_a_word(demo: Demo) -> None:
    async with listening(demo) as socket:
        done = await demo.play("e", ghost_seconds=300)
        assert done["session_key"] in demo.sessions
        demo.send_raw("the mark")
        await eventually(lambda: not demo.sessions)
        demo.send_raw("the end")
        assert (await raw_until(socket, "the end"))[-2:] == [b"the mark", b"the end"]


async def test_a_transcode_ends_and_starts_with_the_same_key(demo: Demo) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, "k")
    seen = [
        (c["type"], c["TranscodeSession"][0]["key"])
        for c in containers(frames)
        if c["type"].startswith("transcodeSession")
    ]
    kinds = [kind.rpartition(".")[2] for kind, _ in seen]
    assert kinds == ["start", "update", "end", "start", "update"]
    assert len({key for _, key in seen}) == 1
    assert len(demo.sessions) == 1


async def test_an_added_film_has_seven_entries_and_its_extra_is_in_section_minus_one(demo: Demo) -> None:
    async with listening(demo) as socket:
        done, frames = await everything_of(demo, socket, "l")
    entries = [entry for c in containers(frames) for entry in c["TimelineEntry"]]
    own = [entry for entry in entries if entry["itemID"] == done["rating_key"]]
    assert [entry["state"] for entry in own] == [0, 2, 3, 4, 5, 5, 5]
    assert own[0]["metadataState"] == "created"
    assert set(own[4]) == {"identifier", "sectionID", "itemID", "type", "title", "state", "updatedAt"}
    assert {(e["sectionID"], e["type"]) for e in entries if e["itemID"] == done["extra"]} == {("-1", 12)}
    assert any(entry["identifier"].startswith("tv.plex.providers.epg") for entry in entries)
    assert demo.state.items[done["rating_key"]].title == done["title"]


async def test_a_scan_floods_and_leaves_no_activity(demo: Demo) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, "m")
    events = [c["ActivityNotification"][0]["event"] for c in containers(frames) if c["type"] == "activity"]
    assert (events.count("started"), events.count("updated"), events.count("ended")) == (1, 1556, 1)
    assert [c["type"] for c in containers(frames)][:: len(frames) - 1] == ["status", "status"]
    assert not demo.state.activities


async def test_a_restart_resets_sockets_and_counts_session_keys_from_one(demo: Demo) -> None:
    demo.start(player=2)
    port = demo.port
    async with listening(demo) as socket:
        done = await demo.play("n")
        with pytest.raises(ConnectionClosed):
            await raw_until(socket, "what never comes")
    assert (demo.port, done["session_key"], done["previous_session_key"]) == (port, "1", "2")
    async with listening(demo):
        assert list(demo.sessions) == ["1"]


async def test_a_silent_server_answers_no_ping_but_lets_others_in(demo: Demo) -> None:
    async with listening(demo) as socket:
        await demo.play("o")
        pong = await socket.ping()
        with anyio.move_on_after(0.2) as timeouts:
            await pong
        assert timeouts.cancelled_caught
        async with listening(demo) as other:
            demo.send_raw("hello")
            assert await other.recv() == "hello"
        demo.speak_again()
        with anyio.fail_after(HANG_SECONDS):
            await (await socket.ping())


async def test_a_revoked_token_is_401_everywhere_until_restored(demo: Demo) -> None:
    async with listening(demo) as socket:
        await demo.play("p")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    with pytest.raises(InvalidStatus) as refused:
        await connect(demo.url.replace("http", "ws") + "/:/websockets/notifications")
    assert refused.value.response.status_code == 401
    assert (await anyio.to_thread.run_sync(requests.get, f"{demo.url}/library")).status_code == 401
    demo.restore_token()
    async with listening(demo):
        pass


async def test_nonsense_is_sent_as_it_is(demo: Demo) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, "q")
    _, cut, no_json, no_container, unknown, two, lying, _ = frames
    with pytest.raises(UnicodeDecodeError):
        cut.decode()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(no_json)
    assert "NotificationContainer" not in json.loads(no_container)
    assert containers([unknown])[0]["type"] == "provider.content.change"
    assert len(containers([two])[0]["PlaySessionStateNotification"]) == 2
    assert (containers([lying])[0]["size"], len(containers([lying])[0]["ReachabilityNotification"])) == (7, 1)


async def test_a_legacy_frame_has_children_and_no_container(demo: Demo) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, "r")
    assert json.loads(frames[1])["_children"][0]["_elementType"] == "PlaySessionStateNotification"


async def test_ids_can_be_integers(demo: Demo) -> None:
    async with listening(demo) as socket:
        done, frames = await everything_of(demo, socket, "s")
    entries = playing(containers(frames))
    assert entries[-1]["sessionKey"] == int(done["session_key"])
    assert containers(frames)[-1]["TimelineEntry"][0]["itemID"] == int(done["rating_key"])
