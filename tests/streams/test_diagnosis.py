"""Why a play buffered or failed: the first cause that the facts support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.catalogue import CatalogueHome, catalogue_home

from plex_companion.models import Transcode
from plex_companion.streams.diagnosis import PlayFacts, find_cause, list_evidence
from plex_companion.tools.catalogue.diagnose import hide_paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from plex_companion.models import Session

AHEAD = Transcode("1", video_decision="transcode", speed=0.0, throttled=True)
SLOW = Transcode("1", video_decision="transcode", speed=0.6)
CASES = [
    ("unknown", PlayFacts("direct play", None, "wan", 8_000)),
    ("network", PlayFacts("direct play", None, "wan", 8_000, buffered_at=(1,))),
    ("network", PlayFacts("transcode", AHEAD, "wan", 4_000, buffered_at=(1,))),
    ("unknown", PlayFacts("transcode", AHEAD, "lan", 4_000, buffered_at=(1,))),
    ("network", PlayFacts("direct play", None, "lan", 42_000, buffered_at=(1,))),
    ("transcoder_slow", PlayFacts("transcode", SLOW, "wan", 4_000, buffered_at=(1,))),
    ("transcoder_slow", PlayFacts("transcode", AHEAD, "lan", 4_000, buffered_at=(1,), slow_at=1, slow_speed=0.5)),
    ("transcoder_slow", PlayFacts("transcode", SLOW, "lan", 4_000, cpu=99, plex_cpu=95)),
    ("server_busy", PlayFacts("transcode", SLOW, "lan", 4_000, other_transcodes=2)),
    ("server_busy", PlayFacts("transcode", SLOW, "lan", 4_000, cpu=99, plex_cpu=20)),
    ("player", PlayFacts("direct play", None, "lan", 8_000, failed_at=(1,))),
    ("disk", PlayFacts("direct play", None, "lan", 8_000, buffered_at=(1,), others_buffered=2)),
    (
        "disk",
        PlayFacts("transcode", SLOW, "lan", 8_000, buffered_at=(1,), log_lines=("write: No space left on device",)),
    ),
]


@pytest.mark.parametrize(("cause", "facts"), CASES)
def test_the_first_cause_that_the_facts_support_is_named(cause: str, facts: PlayFacts) -> None:
    assert find_cause(facts) == cause
    assert list_evidence(facts)


def test_a_throttled_transcoder_is_said_not_to_be_the_cause() -> None:
    facts = PlayFacts("transcode", AHEAD, "lan", 4_000, buffered_at=(1,))
    assert any("throttled" in one.text for one in list_evidence(facts))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('opening "/media/My Films/Salt (1989)/Salt.mkv" failed', 'opening "(path)" failed'),
        ("Transcoder error: /srv/My Films/a.mkv: Invalid data", "Transcoder error: (path)"),
        (r'reading "D:\Films\a.mkv" stalled', 'reading "(path)" stalled'),
        ("GET /library/metadata/12 took 40/60 ms", "GET /library/metadata/12 took 40/60 ms"),
        (
            "GET /video/:/transcode/universal/session/1/base/index.m3u8",
            "GET /video/:/transcode/universal/session/1/base/index.m3u8",
        ),
        ("http://host.example/x is slow", "http://host.example/x is slow"),
    ],
)
def test_no_path_of_a_file_is_shown_from_plexs_log(line: str, shown: str) -> None:
    assert hide_paths(line) == shown


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueHome]:
    async with catalogue_home(tmp_path_factory.mktemp("diagnosis")) as opened:
        yield opened


async def play(it: CatalogueHome, *, player: int, buffers: int, state: str = "", **more: Any) -> dict[str, Any]:
    """Play a film that buffers, and return what the diagnosis of the session says."""
    session = it.demo.start(player=player, **more)

    async def until(fact: Callable[[Session], object]) -> None:
        async def holds() -> bool:
            known = it.application.companion.state.sessions.get(session.key)
            return known is not None and bool(fact(known))

        await it.until(holds)

    await until(lambda known: known.user and known.decision)
    for _ in range(buffers):
        it.demo.buffer(session)
        await until(lambda known: known.state == "buffering")
        it.demo.resume(session)
        await until(lambda known: known.state == "playing")
    if state:
        session.state = state
        it.demo.move(session, 0)
        await until(lambda known: known.state == state)
    found = await it.tools.well("play_diagnose", session_key=session.key)
    assert found["play"]["id"] == str(it.application.companion.state.sessions[session.key].play_id)
    it.demo.stop(session)
    return found


async def test_direct_play_over_the_internet_buffers_because_of_the_network(it: CatalogueHome) -> None:
    found = await play(it, player=5, buffers=3)
    assert found["cause"] == "network"
    texts = [one["text"] for one in found["evidence"]]
    assert "It buffered 3 times." in texts
    assert any("over the internet" in text for text in texts)
    assert any("processor" in text for text in texts), "the load is asked of Plex while it is recent"
    assert any("disks" in text for text in found["not_checked"])


async def test_a_slow_transcoder_is_the_cause_and_the_play_can_be_asked_for_later(it: CatalogueHome) -> None:
    found = await play(it, player=0, buffers=1, delivery={"speed": 0.5, "progress": 1.0})
    assert found["cause"] == "transcoder_slow"
    later = await it.tools.well("play_diagnose", play_id=found["play"]["id"])
    assert later["play"]["id"] == found["play"]["id"]


async def test_an_error_of_the_player_is_named(it: CatalogueHome) -> None:
    assert (await play(it, player=1, buffers=0, state="error"))["cause"] == "player"


async def test_exactly_one_argument_is_needed_and_unknown_ones_are_named(it: CatalogueHome) -> None:
    for arguments in ({}, {"play_id": "1", "session_key": "1"}):
        assert (await it.tools.refused("play_diagnose", **arguments))["code"] == "invalid"
    assert (await it.tools.refused("play_diagnose", play_id="x"))["code"] == "invalid"
    assert (await it.tools.refused("play_diagnose", play_id="999999"))["code"] == "not_found"
    assert (await it.tools.refused("play_diagnose", session_key="999"))["code"] == "not_found"
