"""Files of items as nodes of an answer: media, parts and streams, chosen streams and uploaded subtitles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.demo.household.model import DemoItem, DemoMedia, DemoUser
    from plex_companion.demo.server_state import ServerState, UploadedSubtitle
    from plex_companion.demo.sessions import DemoSession

PART_ID_BASE = 1_000_000
"""The base of part ids."""
CHANNELS = {1: "Mono", 2: "Stereo", 6: "5.1", 8: "7.1"}
TRANSFERS = {"HDR10": "smpte2084", "DoVi": "smpte2084", "HLG": "arib-std-b67"}
"""The `colorTrc` of a video stream by its kind of HDR."""


@dataclass(frozen=True, slots=True)
class StreamChoices:
    """The streams that a user chose for a file, and the subtitles that were uploaded for it."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    uploaded: Sequence[UploadedSubtitle] = ()


def read_stream_choices(server: ServerState, user: DemoUser, item: DemoItem, media: DemoMedia) -> StreamChoices:
    """Return the chosen streams and the uploaded subtitles of a file."""
    sent = [row for row in server.uploaded_subtitles.values() if row.rating_key == item.key]
    return StreamChoices(server.chosen_streams.get((user.id, build_part_id(media)), {}), sent)


def build_part_id(media: DemoMedia, number: int = 0) -> int:
    """Return the id of a part of a version, by its position."""
    return media.id + PART_ID_BASE * (number + 1)


def build_media_node(
    item: DemoItem,
    media: DemoMedia,
    *,
    full: bool = False,
    session: DemoSession | None = None,
    streams: StreamChoices | None = None,
) -> Node:
    """Build a version with its parts. Plex sends streams only in full answers and in sessions."""
    node = Node("Media", {**_describe_media(media), "id": media.id, "duration": item.duration})
    if session:
        node.attributes |= _describe_delivery(session)
    choices = streams or StreamChoices()
    node.children = [
        _build_part(item, media, number, full=full, session=session, streams=choices)
        for number in range(1 if session else len(media.parts))
    ]
    return node


def _describe_media(media: DemoMedia) -> dict[str, Value]:
    video = bool(media.video_codec)
    return {
        "bitrate": media.bitrate or None, "width": media.width or None, "height": media.height or None,
        "aspectRatio": round(media.width / media.height, 2) if media.height else None,
        "audioChannels": media.audio_channels if media.audio_codec else None, "audioCodec": media.audio_codec or None,
        "videoCodec": media.video_codec or None, "videoResolution": media.resolution or None, "container": media.container,
        "videoFrameRate": "24p" if video else None, "videoProfile": choose_profile(media) if video else None,
    }  # fmt: skip


def _describe_delivery(session: DemoSession) -> dict[str, Value]:
    """Return what a session's Media says instead of the file: the recorded one describes what is delivered."""
    work = session.transcode
    if work is None:
        return {"selected": True}
    facts: dict[str, Value] = {
        "selected": True,
        "protocol": work.protocol,
        "container": work.container,
        "optimizedForStreaming": True,
    }
    if work.video_decision == "transcode":
        facts |= {"videoCodec": work.video_codec, "bitrate": work.bitrate, "width": work.width, "height": work.height,
                  "videoResolution": f"{work.height}p", "videoProfile": "high"}  # fmt: skip
    if work.audio_decision == "transcode":
        facts |= {"audioCodec": work.audio_codec, "audioChannels": work.audio_channels}
    return facts


def choose_profile(media: DemoMedia) -> str:
    """Return the profile of the video codec: ten bits for HDR."""
    return "main 10" if media.hdr else "main" if media.video_codec == "hevc" else "high"


def _build_part(
    item: DemoItem, media: DemoMedia, number: int, *, full: bool, session: DemoSession | None, streams: StreamChoices
) -> Node:
    file, parts, id_ = media.parts[number], len(media.parts), build_part_id(media, number)
    work = session.transcode if session else None
    part = Node("Part", {
        "id": id_, "key": f"/library/parts/{id_}/{item.added_at}/file.{file.file.rpartition('.')[2]}",
        "duration": item.duration // parts if item.duration else None, "file": file.file,
        "size": None if work else file.size, "container": work.container if work else media.container,
        "decision": (("transcode" if work else "directplay") if session else None),
        "protocol": work.protocol if work else None, "selected": True if session else None,
        "accessible": True if full else None, "exists": True if full else None,
    })  # fmt: skip
    if full or session:
        part.children += _build_streams(media, session, streams)
    return part


def _build_streams(media: DemoMedia, session: DemoSession | None, choices: StreamChoices) -> list[Node]:
    number, streams = media.id * 10 + 10_000_000, []
    if media.video_codec:
        streams.append(_build_video_stream(media, number, session))
    if media.audio_codec:
        streams += _build_audio_streams(media, number, session, choices)
    if media.video_codec and media.container != "mp4" and media.subtitle:
        streams.append(_build_inner_subtitle(media, number + 3, session, choices))
    return streams + _build_subtitle_streams(session, choices)


def _build_video_stream(media: DemoMedia, number: int, session: DemoSession | None) -> Node:
    """Build the picture. In a session `codec` and the size are those delivered, the title is the file's."""
    size = media.resolution.upper() if media.resolution in {"4k", "sd"} else f"{media.resolution}p"
    profile = " Main 10" if media.hdr else ""
    title = f"{size}{f' {media.hdr}' if media.hdr else ''} ({media.video_codec.upper()}{profile})"
    node = Node("Stream", {
        "id": number, "streamType": 1, "default": True, "codec": media.video_codec, "index": 0, "bitrate": media.bitrate,
        "bitDepth": 10 if media.hdr else 8, "colorPrimaries": "bt2020" if media.hdr else "bt709",
        "colorSpace": "bt2020nc" if media.hdr else "bt709", "colorTrc": TRANSFERS.get(media.hdr, "bt709"),
        "DOVIPresent": True if media.hdr == "DoVi" else None, "width": media.width, "height": media.height, "frameRate": 23.976,
        "profile": choose_profile(media), "displayTitle": title, "extendedDisplayTitle": title,
    })  # fmt: skip
    work = session.transcode if session else None
    if session:
        node.attributes["location"] = "segments-video" if work else "direct"
    if work:
        node.attributes["decision"] = work.video_decision
    if work and work.video_decision == "transcode":
        kept = {
            "id",
            "streamType",
            "default",
            "index",
            "frameRate",
            "displayTitle",
            "extendedDisplayTitle",
            "location",
            "decision",
        }
        node.attributes = {name: value for name, value in node.attributes.items() if name in kept}
        node.attributes |= {
            "codec": work.video_codec, "bitrate": work.bitrate, "width": work.width, "height": work.height,
        }  # fmt: skip
    return node


def _build_inner_subtitle(media: DemoMedia, number: int, session: DemoSession | None, choices: StreamChoices) -> Node:
    work, chosen = session.transcode if session else None, _choose_subtitle(session, choices) == str(number)
    title = f"English ({media.subtitle.upper()})"
    return Node("Stream", {
        "id": number, "streamType": 3, "codec": media.subtitle, "index": 3, "language": "English", "languageTag": "en",
        "languageCode": "eng", "displayTitle": title, "extendedDisplayTitle": title, "selected": True if chosen else None,
        "decision": work.subtitle_decision or None if work and chosen else None,
    })  # fmt: skip


def _choose_subtitle(session: DemoSession | None, choices: StreamChoices) -> str:
    return (session.subtitle_stream if session else None) or choices.chosen.get("subtitleStreamID", "")


def _build_subtitle_streams(session: DemoSession | None, choices: StreamChoices) -> list[Node]:
    """Build the uploaded subtitles. They alone have a path, by which they can be fetched and deleted."""
    return [
        Node("Stream", {
            "id": row.id, "key": f"/library/streams/{row.id}", "streamType": 3, "codec": row.codec, "format": row.codec,
            "title": row.title, "languageTag": row.language or None, "displayTitle": f"{row.title} ({row.codec.upper()} External)",
            "extendedDisplayTitle": f"{row.title} ({row.codec.upper()} External)",
            "selected": True if _choose_subtitle(session, choices) == str(row.id) else None,
        })
        for row in choices.uploaded
    ]  # fmt: skip


def _build_audio_streams(
    media: DemoMedia, number: int, session: DemoSession | None, choices: StreamChoices
) -> list[Node]:
    work, layout = session.transcode if session else None, CHANNELS.get(media.audio_channels, "5.1")
    chosen = (session.audio_stream if session else None) or choices.chosen.get("audioStreamID") or str(number + 1)
    codec, channels = media.audio_codec, media.audio_channels
    if work and work.audio_decision == "transcode":  # the title stays the file's, as recorded
        codec, channels = work.audio_codec, work.audio_channels
    spoken = media.video_codec and media.container != "mp4"
    languages = (("English", "en", "eng"), ("Français", "fr", "fra")) if spoken else (("", "", ""),)
    return [
        Node("Stream", {
            "id": number + 1 + n, "streamType": 2, "selected": True if chosen == str(number + 1 + n) else None,
            "default": True if n == 0 else None, "codec": codec, "index": n + 1, "channels": channels,
            "bitrate": 448, "language": name or None, "languageTag": tag or None, "languageCode": code or None,
            "audioChannelLayout": layout.lower(), "displayTitle": f"{name or 'Unknown'} ({media.audio_codec.upper()} {layout})",
            "extendedDisplayTitle": f"{name or 'Unknown'} ({media.audio_codec.upper()} {layout})",
            "decision": work.audio_decision if work else None,
        })
        for n, (name, tag, code) in enumerate(languages)
    ]  # fmt: skip
