"""The timeline of a play in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.wording import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENDS = {
    "stopped": "Stopped",
    "replaced": "Ended: the player went on to something else",
    "inferred": "Ended: Plex no longer listed it",
    "stale": "Ended: the player reported nothing more",
    "imported": "Ended",
}
_EVENTS = {
    "started": ("playing", "Began"),
    "paused": ("paused", "Pause"),
    "resumed": ("playing", "Went on"),
    "buffering": ("buffering", "The player had to wait for data"),
    "error": ("error", "The player reported an error"),
}
_FIELDS = {
    "video_decision": "video",
    "audio_decision": "audio",
    "subtitle_decision": "subtitles",
    "video_codec": "video codec",
    "audio_codec": "audio codec",
    "width": "width",
    "height": "height",
}


@dataclass(frozen=True, slots=True)
class PlayMoment:
    """One event of a play."""

    at: str
    icon: str
    words: str
    position: str
    details: tuple[str, ...] = ()


def build_timeline(marks: Iterable[Mapping[str, Any]]) -> list[PlayMoment]:
    """Describe the events of a play, oldest first."""
    return [_describe_event(mark) for mark in marks]


def _describe_event(mark: Mapping[str, Any]) -> PlayMoment:
    detail, position = mark["detail"], _format_position(mark["view_offset_ms"])
    match mark["kind"]:
        case "seeked":
            words = f"Jumped from {_format_position(detail.get('from_ms'))} to {_format_position(detail.get('to_ms'))}"
            return PlayMoment(mark["at"], "playing", words, position)
        case "decision":
            return PlayMoment(mark["at"], "info", _describe_switch(detail), position, _list_details(detail))
        case "ended":
            return PlayMoment(mark["at"], "check", _ENDS.get(detail.get("by", ""), "Ended"), position)
        case kind:
            icon, words = _EVENTS.get(kind, ("info", str(kind).capitalize()))
            return PlayMoment(mark["at"], icon, words, position)


def _format_position(ms: int | None) -> str:
    return "" if ms is None else format_duration(ms)


def _describe_switch(detail: Mapping[str, Any]) -> str:
    before, after = detail.get("from"), detail.get("to")
    return f"Changed from {before} to {after}" if before != after else f"Still {after}, in another quality"


def _list_details(detail: Mapping[str, Any]) -> tuple[str, ...]:
    changed = (
        f"{_FIELDS.get(name, name).capitalize()}: {old} → {new}"
        for name, (old, new) in detail.get("changed", {}).items()
    )
    return tuple(changed)
