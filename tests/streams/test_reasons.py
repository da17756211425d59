"""Why something is transcoded: from the facts of the file and of what is delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from support.catalogue import catalogue_home

from plex_companion.models import SourceFile, Transcode
from plex_companion.streams.reasons import DeliveredStream, choose_source, derive_reasons

if TYPE_CHECKING:
    from pathlib import Path

FILE = SourceFile("mkv", "4k", None, "hevc", "dca", 6, 42_000, exact=True)
JOB = Transcode("1", video_decision="copy", audio_decision="copy", container="mp4", source_video_codec="hevc", source_audio_codec="dca",
                video_codec="hevc", audio_codec="dca", audio_channels=6, width=3840, height=2160)  # fmt: skip


@dataclass(frozen=True)
class Case:
    job: dict[str, Any]
    file: dict[str, Any]
    found: list[tuple[str, Any, Any, str, bool]]
    location: str = "lan"


H264 = {"video_decision": "transcode", "video_codec": "h264"}
SMALLER = {**H264, "width": 1280, "height": 534}
CASES = {
    "the codec of the picture": Case(H264, {}, [("video", "hevc", "h264", "codec", True)]),
    "a lower resolution, of which another codec may follow": Case(
        SMALLER, {}, [("video", "4k", "720", "resolution", True), ("video", "hevc", "h264", "codec", False)]
    ),
    "a lower resolution over the internet": Case(
        {**SMALLER, "video_codec": "hevc"}, {},
        [("video", "4k", "720", "resolution", True), ("bandwidth", 42_000, 4_000, "remote quality limit", False)], "wan",
    ),
    "a lower bitrate": Case({**H264, "video_codec": "hevc"}, {}, [("video", 42_000, 4_000, "bitrate limit", True)]),
    "a lower bitrate over the internet": Case(
        {**H264, "video_codec": "hevc"}, {},
        [("video", 42_000, 4_000, "bitrate limit", False), ("bandwidth", 42_000, 4_000, "remote quality limit", False)], "wan",
    ),
    "HDR": Case(H264, {"hdr": True}, [("video", "hevc", "h264", "codec", False), ("video", "HDR", "SDR", "HDR tone mapping", True)]),
    "subtitles in the picture": Case(
        {**H264, "subtitle_decision": "burn"}, {}, [("subtitle", None, None, "burned-in subtitles", True)]
    ),
    "the codec of the sound": Case({"audio_decision": "transcode", "audio_codec": "aac"}, {}, [("audio", "dca", "aac", "codec", True)]),
    "fewer channels": Case({"audio_decision": "transcode", "audio_channels": 2}, {}, [("audio", 6, 2, "audio channels", True)]),
    "another sound stream than the file's first": Case(
        {"audio_decision": "transcode", "audio_codec": "aac", "source_audio_codec": "ac3"}, {}, [("audio", "ac3", "aac", "codec", False)]
    ),
    "the container, where nothing is encoded again": Case({}, {}, [("container", "mkv", "mp4", "container", True)]),
    "a file that is not known": Case(H264, {"exact": False}, [("video", "hevc", "h264", "codec", False)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_converted_because_of(name: str) -> None:
    case = CASES[name]
    job, file = structs.replace(JOB, **case.job), structs.replace(FILE, **case.file)
    found = derive_reasons(DeliveredStream(job.decision, job, file, None, 4_000, case.location))
    assert [(one.stream, one.before, one.after, one.reason, one.certain) for one in found] == case.found
    assert all(one.sentence.endswith(".") and one.past.endswith(".") for one in found)


def test_direct_play_needs_no_reason_and_a_conversion_always_has_one() -> None:
    assert derive_reasons(DeliveredStream("direct play", None, FILE)) == ()
    for decision in ("transcode", "direct stream"):
        (reason,) = derive_reasons(DeliveredStream(decision, None, None))
        assert not reason.certain


def test_nothing_is_certain_of_a_file_that_only_the_session_tells_of_but_that_subtitles_are_burned_in() -> None:
    titled = structs.replace(FILE, exact=False, hdr=True)
    for case in CASES.values():
        job = structs.replace(JOB, **case.job)
        found = derive_reasons(DeliveredStream(job.decision, job, titled, None, 4_000, case.location))
        assert {one.reason for one in found if one.certain} <= {"burned-in subtitles"}


def test_the_version_that_plays_is_found_by_its_media() -> None:
    small, titled = (
        structs.replace(FILE, resolution="480", audio_codec="aac", channels=2),
        SourceFile(audio_codec="dca", channels=6),
    )
    assert choose_source(titled, {"1": FILE, "2": small}, "2") == structs.replace(small, channels=6)
    assert choose_source(titled, {"1": FILE, "2": small}, None) == titled
    assert choose_source(titled, {"1": FILE}, "9") == FILE
    assert choose_source(titled, {}, "1") == titled


async def test_sessions_and_plays_say_why_from_the_catalogue(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as it:
        await it.until_complete()
        film = next(
            film
            for film in it.demo.state.list_section("1", "movie")
            if film.media[0].resolution == "1080" and film.media[0].audio_codec == "dca"
        )
        session = it.demo.start(film, delivery={"video_decision": "copy"})

        async def is_explained() -> bool:
            body = await it.tools.well("live_sessions")
            return any(reason["certain"] for one in body["sessions"] for reason in one["reasons"])

        await it.until(is_explained)
        (live,) = (await it.tools.well("live_sessions"))["sessions"]
        assert [(one["stream"], one["from"], one["to"], one["reason"], one["certain"]) for one in live["reasons"]] == [
            ("audio", "dca", "aac", "codec", True), ("audio", 6, 2, "audio channels", True),
        ]  # fmt: skip
        assert live["reasons"][0]["sentence"] == "Transcoding audio (DTS → AAC): the player can't play DTS."
        it.demo.stop(session)

        async def is_over() -> bool:
            return not it.application.companion.state.sessions

        await it.until(is_over)
        (play,) = (await it.tools.well("history_query", limit=1))["plays"]
        assert play["reasons"] == live["reasons"]
