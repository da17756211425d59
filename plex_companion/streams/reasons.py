"""Why an item is transcoded. Plex gives no reason, so it follows from what the file is and what is delivered.

A reason is certain where the file is known and the difference has one explanation. The Media of a session describes what is
delivered (PLEX.md 2.3), so the file comes from the catalogue; the titles of the streams and the transcode session, which name
the source, are taken where the catalogue does not have it, and then nothing inferred from them is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from plex_companion.models import Decision, SourceFile, Transcode
from plex_companion.streams.names import find_resolution, format_bandwidth, format_codec, format_resolution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.models import Session

Stream = Literal["video", "audio", "subtitle", "container", "bandwidth"]
Cause = Literal[
    "codec", "resolution", "bitrate limit", "audio channels", "burned-in subtitles", "HDR tone mapping", "container",
    "remote quality limit",
]  # fmt: skip
REMOTE = frozenset({"wan", "cellular"})


class Reason(Struct, frozen=True):
    """One reason, with a sentence for people; `past` is the sentence for when only the last state is known."""

    stream: Stream
    before: str | int | None
    after: str | int | None
    reason: Cause
    certain: bool
    sentence: str
    past: str


def describe_reason(of: Reason) -> dict[str, Any]:
    """Return a reason as JSON."""
    return {
        "stream": of.stream,
        "from": of.before,
        "to": of.after,
        "reason": of.reason,
        "certain": of.certain,
        "sentence": of.sentence,
    }


class DeliveredStream(Struct, frozen=True):
    """The facts from which the reasons of a session or a finished play are derived."""

    decision: Decision | None
    transcode: Transcode | None
    source: SourceFile | None
    video_resolution: str | None = None
    bitrate_kbps: int | None = None
    location: str | None = None


def derive_reasons(of: Session | DeliveredStream) -> tuple[Reason, ...]:
    """Return why something is transcoded or repackaged, the main reason of each stream first. Direct play has no reasons."""
    decision = of.transcode.decision if of.transcode else of.decision
    if decision in {None, "direct play"}:
        return ()
    transcode = of.transcode or Transcode("")
    found = (*_explain_video(of, transcode), *_explain_audio(of, transcode), *_explain_subtitles(transcode))
    return found or (_explain_container(of, transcode) if decision == "direct stream" else _NO_FACTS,)


_NO_FACTS = Reason(
    "video", None, None, "codec", certain=False, sentence="Transcoding: Plex does not say what is converted.",
    past="Was transcoding: Plex did not say what was converted.",
)  # fmt: skip


def _explain_video(of: Session | DeliveredStream, transcode: Transcode) -> Iterator[Reason]:
    """Yield the reasons for a converted picture: the one that explains it, then what else was changed."""
    if transcode.video_decision != "transcode":
        return
    source = of.source or SourceFile()
    before, after = source.resolution or of.video_resolution, find_resolution(transcode)
    codec = source.video_codec or transcode.source_video_codec
    scaled = bool(before and after and before != after)
    burned, recoded = transcode.subtitle_decision == "burn", bool(codec and codec != transcode.video_codec)
    head = _describe_conversion(before, codec, after, transcode)
    if burned:
        yield Reason("subtitle", None, None, "burned-in subtitles", certain=True,
                     **_phrase_conversion(head, "subtitles are being burned in", "subtitles were being burned in"))  # fmt: skip
    if scaled:
        yield Reason("video", before, after, "resolution", certain=source.exact and not burned,
                     **_phrase_conversion(head, "the player wants a lower resolution, or the connection is too slow",
                                          "the player wanted a lower resolution, or the connection was too slow"))  # fmt: skip
    if recoded and not burned:
        alone = source.exact and not scaled and not source.hdr
        name = format_codec(codec)
        phrases = _phrase_conversion(head, f"the player can't play {name}", f"the player couldn't play {name}")
        if scaled:
            phrases = {
                "sentence": f"The player may be unable to play {name}.",
                "past": f"Perhaps the player couldn't play {name}.",
            }
        yield Reason("video", codec, transcode.video_codec, "codec", certain=alone, **phrases)
    if not burned and not scaled and not recoded:
        yield _explain_bitrate(of, "video", head)
    if source.hdr:
        yield Reason("video", "HDR", "SDR", "HDR tone mapping", certain=source.exact and transcode.video_codec == "h264",
                     sentence="HDR converted to SDR.", past="HDR was converted to SDR.")  # fmt: skip
    if of.location in REMOTE and not burned and (scaled or not recoded):
        yield _explain_remote_limit(of)


def _describe_conversion(before: str | None, codec: str | None, after: str | None, transcode: Transcode) -> str:
    source = " ".join(part for part in (format_resolution(before), format_codec(codec)) if part)
    target = " ".join(part for part in (format_resolution(after), format_codec(transcode.video_codec)) if part)
    return f"video ({source} → {target}{', in hardware' if transcode.hardware else ''})"


def _phrase_conversion(head: str, cause: str, past_cause: str) -> dict[str, str]:
    return {"sentence": f"Transcoding {head}: {cause}.", "past": f"Was transcoding {head}: {past_cause}."}


def _explain_bitrate(of: Session | DeliveredStream, stream: Literal["video", "audio"], head: str) -> Reason:
    source = of.source or SourceFile()
    before, after = source.bitrate_kbps, of.bitrate_kbps
    lower = before is not None and after is not None and after < before
    certain = source.exact and lower and of.location not in REMOTE and stream == "video"
    phrases = _phrase_conversion(head, "the player wants a lower bitrate", "the player wanted a lower bitrate")
    if stream == "audio":
        return Reason(stream, None, None, "bitrate limit", certain=False, **phrases)
    return Reason(stream, before, after, "bitrate limit", certain=certain, **phrases)


def _explain_remote_limit(of: Session | DeliveredStream) -> Reason:
    before = of.source.bitrate_kbps if of.source else None
    limit = f" of about {format_bandwidth(of.bitrate_kbps)}" if of.bitrate_kbps else ""
    return Reason("bandwidth", before, of.bitrate_kbps, "remote quality limit", certain=False,
                  sentence=f"Perhaps the quality limit{limit} for playing over the internet.",
                  past=f"Perhaps it was the quality limit{limit} for playing over the internet.")  # fmt: skip


def _explain_audio(of: Session | DeliveredStream, transcode: Transcode) -> Iterator[Reason]:
    if transcode.audio_decision != "transcode":
        return
    source = of.source or SourceFile()
    # The file names its first audio stream; the transcode session the one that plays.
    codec = transcode.source_audio_codec or source.audio_codec
    known = source.exact and codec == source.audio_codec
    before, after = source.channels, transcode.audio_channels
    recoded, mixed = bool(codec and codec != transcode.audio_codec), bool(before and after and after < before)
    name = format_codec(codec)
    head = f"audio ({name} → {format_codec(transcode.audio_codec)})"
    if recoded:
        phrases = _phrase_conversion(head, f"the player can't play {name}", f"the player couldn't play {name}")
        yield Reason("audio", codec, transcode.audio_codec, "codec", certain=known, **phrases)
    if mixed:
        phrases = _phrase_conversion(head, "the player wants other channels", "the player wanted other channels")
        if recoded:
            mix = f"to {after} channels from {before}."
            phrases = {"sentence": f"Audio mixed down {mix}", "past": f"Audio was mixed down {mix}"}
        yield Reason("audio", before, after, "audio channels", certain=known, **phrases)
    if not recoded and not mixed:
        cause = "wants other channels or a lower bitrate"
        phrases = _phrase_conversion(head, f"the player {cause}", f"the player {cause.replace('wants', 'wanted')}")
        yield Reason("audio", None, None, "bitrate limit", certain=False, **phrases)


def _explain_subtitles(transcode: Transcode) -> Iterator[Reason]:
    """Yield what happens to subtitles unless the picture is known to be converted for them."""
    if transcode.subtitle_decision == "burn" and transcode.video_decision != "transcode":
        text = "Subtitles burned into the video."
        yield Reason("subtitle", None, None, "burned-in subtitles", certain=True, sentence=text, past=text)
    elif transcode.subtitle_decision == "transcode":
        text = "Subtitles converted."
        yield Reason("subtitle", None, None, "codec", certain=False, sentence=text, past=text)


def _explain_container(of: Session | DeliveredStream, transcode: Transcode) -> Reason:
    before, after = of.source.container if of.source else None, transcode.container
    certain = of.source is not None and of.source.exact and bool(before and after and before != after)
    return Reason("container", before, after, "container", certain=certain,
                  sentence="Repackaging the original video and audio: the player can't play this container.",
                  past="Was repackaging the original video and audio: the player couldn't play this container.")  # fmt: skip


def choose_source(titled: SourceFile | None, files: dict[str, SourceFile], media_id: str | None) -> SourceFile | None:
    """Return the file that a session plays, of the versions that its item has; else what the session itself has of it.

    Args:
        titled: the file as the titles of the session's streams and its transcode session describe it.
        files: the versions by the id of their Media.
        media_id: the id of the session's Media.
    """
    chosen = files.get(media_id or "") or (next(iter(files.values())) if len(files) == 1 else None)
    if chosen is None or titled is None:
        return chosen or titled
    hdr = titled.hdr if chosen.hdr is None else chosen.hdr
    same = titled.audio_codec in {None, chosen.audio_codec}
    return SourceFile(
        chosen.container, chosen.resolution, hdr, chosen.video_codec, chosen.audio_codec,
        chosen.channels if same else titled.channels, chosen.bitrate_kbps, exact=True,
    )  # fmt: skip
