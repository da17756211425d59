"""The notifications of the server: one function per kind, each returning a `Frame`.

Shapes follow recorded frames unless a comment says "unverified".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

LIBRARY = "com.plexapp.plugins.library"
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """A notification: `payload` goes out on websockets, `event` and `data` on the event source."""

    kind: str
    payload: str | bytes
    data: str = ""
    binary: bool = False


def encode(value: object) -> str:
    """Return compact JSON without escaping letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def build_frame(kind: str, list_key: str, *entries: Entry, size: int | None = None) -> Frame:
    """Build one container; `size` can be set wrong on purpose."""
    count = len(entries) if size is None else size
    body = {"NotificationContainer": {"type": kind, "size": count, list_key: list(entries)}}
    # The event source has one object, not a list, and no container.
    return Frame(kind, encode(body), encode({list_key: entries[0]}) if entries else "")


def build_raw(payload: str | bytes, *, binary: bool = False) -> Frame:
    """Build a frame of anything, sent as it is. Bytes go out as a text frame unless `binary`."""
    return Frame("raw", payload, binary=binary)


def build_playing(entry: Entry) -> Frame:
    """Build a client's report. `entry` is the whole PlaySessionStateNotification."""
    return build_frame("playing", "PlaySessionStateNotification", entry)


def build_timeline(section: str, item: str, kind: int, title: str, state: int, at: int, **more: Any) -> Frame:
    """Build a frame for one step of adding, changing or deleting an item; ids are strings."""
    return build_frame("timeline", "TimelineEntry", build_timeline_entry(section, item, kind, title, state, at, **more))


def build_timeline_entry(section: str, item: str, kind: int, title: str, state: int, at: int, **more: Any) -> Entry:
    """Build one entry of a timeline frame; `more` holds metadataState, mediaState, queueSize, parentItemID, rootItemID."""
    identifier = more.pop("identifier", LIBRARY)
    above: Entry = {name: more.pop(name) for name in ("parentItemID", "rootItemID") if name in more}
    head: Entry = {"identifier": identifier, "sectionID": section, "itemID": item, **above}
    return {**head, "type": kind, "title": title, "state": state, **more, "updatedAt": at}


def build_activity(event: str, entry: Entry) -> Frame:
    """Build the event `started`, `updated` or `ended` with the whole Activity."""
    return build_frame("activity", "ActivityNotification", {"event": event, "uuid": entry["uuid"], "Activity": entry})


def build_transcode(event: str, entry: Entry) -> Frame:
    """Build the event `start`, `update` or `end` of a transcode."""
    return build_frame(f"transcodeSession.{event}", "TranscodeSession", entry)


def build_status(title: str) -> Frame:
    """Build a sentence about a library scan."""
    return build_frame(
        "status", "StatusNotification", {"title": title, "description": title, "notificationName": "LIBRARY_UPDATE"}
    )


def build_reachability(*, reachable: bool) -> Frame:
    """Build the notification of whether remote access works."""
    return build_frame("reachability", "ReachabilityNotification", {"reachability": reachable})


def build_background_queue() -> Frame:
    """Build the notification that an idle server sends now and then."""
    entry = {"queueID": 1, "event": "queueRegenerated"}
    return build_frame("backgroundProcessingQueue", "BackgroundProcessingQueueEventNotification", entry)


def build_update_state(state: str = "done", version: str = "", key: str = "") -> Frame:
    """Build a notification of the check for updates."""
    return build_frame("update.statechange", "AutoUpdateNotification", {"key": key, "version": version, "state": state})


def build_progress(message: str) -> Frame:
    """Build the notification of what a scan is looking at. The form of the text is unverified."""
    return build_frame("progress", "ProgressNotification", {"message": message})


def build_preference(setting: Entry) -> Frame:
    """Build the notification of a changed setting. Known from the specification alone, not from a recording."""
    return build_frame("preference", "Setting", setting)


def build_log(message: str, at: str) -> Frame:
    """Build a log line, which only subscribers whose filter asks for it receive."""
    return build_frame("log", "LogSentNotification", {"level": 3, "thread": "6536", "time": at, "message": message})
