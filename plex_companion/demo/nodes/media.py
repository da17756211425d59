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
CHANNELS = {1: "Mono", 2: "Stereo", 6: "5.1"}


@dataclass(frozen=True, slots=True)
class StreamChoices:
    """The streams that a user chose for a file, and the subtitles that were uploaded for it."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    uploaded: Sequence[UploadedSubtitle] = ()


def read_stream_choices(server: ServerState, user: DemoUser, item: DemoItem, media: DemoMedia) -> StreamChoices:
    """Return the chosen streams and the uploaded subtitles of a file."""
    sent = [row for row in server.uploaded_subtitles.values() if row.rating_key == item.key]
    return StreamChoices(server.chosen_streams.get((user.id, media.id + PART_ID_BASE), {}), sent)


def build_media_node(
    item: DemoItem,
    media: DemoMedia,
    *,
    full: bool = False,
    session: DemoSession | None = None,
    streams: StreamChoices | None = None,
) -> Node:
    """Build a file with its part. Plex sends streams only in full answers and in sessions."""
    facts: dict[str, Value] = {
        "id": media.id, "duration": item.duration, "bitrate": media.bitrate or None, "width": media.width or None,
        "height": media.height or None, "audioChannels": media.audio_channels if media.audio_codec else None,
        "audioCodec": media.audio_codec or None, "videoCodec": media.video_codec or None,
        "videoResolution": media.resolution or None, "container": media.container,
        "videoFrameRate": "24p" if media.video_codec else None, "selected": True if session else None,
    }  # fmt: skip
    node = Node("Media", facts)
    node.children.append(_build_part(item, media, full=full, session=session, streams=streams or StreamChoices()))
    return node


def _build_part(
    item: DemoItem, media: DemoMedia, *, full: bool, session: DemoSession | None, streams: StreamChoices
) -> Node:
    suffix = media.file.rpartition(".")[2]
    part = Node("Part", {
        "id": media.id + PART_ID_BASE, "key": f"/library/parts/{media.id + PART_ID_BASE}/{item.added_at}/file.{suffix}",
        "duration": item.duration, "file": media.file, "size": media.size, "container": media.container,
        "decision": (("transcode" if session.transcode else "directplay") if session else None),
        "selected": True if session else None, "accessible": True if full else None, "exists": True if full else None,
    })  # fmt: skip
    if full or session:
        part.children += _build_streams(media, session, streams)
    return part


def _build_streams(media: DemoMedia, session: DemoSession | None, choices: StreamChoices) -> list[Node]:
    number, streams = media.id * 10 + 10_000_000, []
    work = session.transcode if session else None
    if media.video_codec:
        title = f"{media.resolution.upper() if media.resolution == '4k' else media.resolution + 'p'} ({media.video_codec.upper()})"
        streams.append(Node("Stream", {
            "id": number, "streamType": 1, "default": True, "codec": media.video_codec, "index": 0, "bitrate": media.bitrate,
            "width": media.width, "height": media.height, "frameRate": 23.976, "displayTitle": title,
            "extendedDisplayTitle": title, "decision": work.video_decision if work else None,
            "location": ("segments-video" if work else "direct") if session else None,
        }))  # fmt: skip
    if media.audio_codec:
        streams += _build_audio_streams(media, number, session, choices)
    if media.video_codec and media.container != "mp4":
        streams.append(Node("Stream", {
            "id": number + 3, "streamType": 3, "codec": "srt", "index": 3, "language": "English", "languageTag": "en",
            "languageCode": "eng", "displayTitle": "English (SRT)", "extendedDisplayTitle": "English (SRT)",
            "selected": True if _choose_subtitle(session, choices) == str(number + 3) else None,
        }))  # fmt: skip
    return streams + _build_subtitle_streams(session, choices)


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
    spoken = media.video_codec and media.container != "mp4"
    languages = (("English", "en", "eng"), ("Français", "fr", "fra")) if spoken else (("", "", ""),)
    return [
        Node("Stream", {
            "id": number + 1 + n, "streamType": 2, "selected": True if chosen == str(number + 1 + n) else None,
            "default": True if n == 0 else None, "codec": media.audio_codec, "index": n + 1, "channels": media.audio_channels,
            "bitrate": 448, "language": name or None, "languageTag": tag or None, "languageCode": code or None,
            "audioChannelLayout": layout.lower(), "displayTitle": f"{name or 'Unknown'} ({media.audio_codec.upper()} {layout})",
            "extendedDisplayTitle": f"{name or 'Unknown'} ({media.audio_codec.upper()} {layout})",
            "decision": work.audio_decision if work else None,
        })
        for n, (name, tag, code) in enumerate(languages)
    ]  # fmt: skip
