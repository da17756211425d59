"""The tool `play_diagnose`: gathers the facts around a play from the database and, where they can be had, from Plex."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from plex_companion.cache.queries.plays import read_play
from plex_companion.cache.queries.trouble import read_trouble
from plex_companion.cache.rows import parse_delivered_stream
from plex_companion.companion import Companion
from plex_companion.errors import Invalid, NotFound, ToolError
from plex_companion.history.play_pages import LONGEST_ID, apply_current_names
from plex_companion.history.source import add_envelope
from plex_companion.resources.sessions import find_session
from plex_companion.serialize import format_iso
from plex_companion.streams.diagnosis import SENTENCES, PlayFacts, find_cause, list_evidence
from plex_companion.times import MINUTE_MS, Window
from plex_companion.tools.catalogue.catalogue_results import PlayDiagnosis
from plex_companion.tools.declare import Id, Json, Shape
from plex_companion.tools.server.bandwidth import get_resources
from plex_companion.tools.server.logs import LogQuery, build_result, read_lines

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.plex.client import PlexServer

RECENT_MS = 2 * MINUTE_MS
"""Plex keeps the load of the last minutes only."""
NEAR_MS = MINUTE_MS
MOST_LINES = 8
_TELLING = re.compile(r"transcod|throttl|buffer|error|slow|no space|i/o|timed? ?out|stall", re.IGNORECASE)
_REQUESTS = "library|video|music|photo|status|transcode|playlists|playQueues|player|hubs|identity|media/providers|:"
_FILE_PATH = re.compile(rf"""(?:\b[A-Za-z]:\\|(?<![\w.:/])/(?!(?:{_REQUESTS})(?:/|\b)))[^"']*""")
_LOG_TIME = re.compile(r"^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{2}:\d{2}:\d{2}")


async def play_diagnose(
    companion: Companion,
    play_id: Annotated[Id, Field(description="From history_query.")] | None = None,
    session_key: Annotated[Id, Field(description="From live_sessions.")] | None = None,
) -> Annotated[Json, Shape(PlayDiagnosis)]:
    """Explain why a play buffered or failed: the first cause, the evidence, and what could not be checked.

    Give exactly one of the two. `reasons` of live_sessions and history_query say why something is transcoded.
    """
    row, marks = await _find_play(companion, play_id, session_key)
    companion = _find_companion(companion, row["server"])
    not_checked: list[str] = []
    facts = await _gather_facts(companion, row, marks, not_checked)
    cause = find_cause(facts)
    (play,) = apply_current_names(companion, [row])
    body = {
        "play": {name: play[name] for name in ("id", "rating_key", "full_title", "user", "player", "started_at", "ended_at", "decision", "reasons")},
        "cause": cause,
        "sentence": SENTENCES[cause],
        "evidence": [{"at": format_iso(one.at), "kind": one.kind, "text": one.text} for one in list_evidence(facts)],
        "not_checked": not_checked,
    }  # fmt: skip
    return add_envelope(companion, body)


async def _find_play(
    companion: Companion, play_id: str | None, session_key: str | None
) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
    """Return the row of the play and its timeline.

    Raises:
        Invalid: not exactly one of the two is given, or the id is not one.
        NotFound: there is no such play or session.
    """
    if (play_id is None) == (session_key is None):
        raise Invalid("Give exactly one of play_id and session_key.", argument="play_id")
    if session_key is not None:
        play_id = str(find_session(companion, session_key)[1].play_id)
    given = play_id or ""
    if not (given.isascii() and given.isdecimal() and len(given) <= LONGEST_ID):
        raise Invalid(
            f"play_id {given[:40]!r} is not a whole number. history_query lists plays with ids.", argument="play_id"
        )
    found = await read_play(companion.cache, int(given))
    if found is None:
        message = f"No play has the id {given}. history_query lists plays with their ids."
        raise NotFound(message, what="play", available=[])
    return found


def _find_companion(companion: Companion, server: str) -> Companion:
    """Return the companion of the server that a play is of: only that one may be asked about it."""
    return next((one for one in companion.each if one.only_server == server), companion)


async def _gather_facts(
    companion: Companion, row: sqlite3.Row, marks: Sequence[sqlite3.Row], not_checked: list[str]
) -> PlayFacts:
    """Return the facts of a play; what is missing is added to `not_checked`."""
    if row["ended_by"] == "imported":
        not_checked.append("The play itself: it is known from Plex's history alone, nothing of it was observed.")
    buffered, failed = (tuple(mark["at"] for mark in marks if mark["kind"] == kind) for kind in ("buffering", "error"))
    until = row["ended_at"] or companion.now_ms
    first = min((*buffered, *failed), default=None)
    near = Window(row["started_at"], until) if first is None else Window(first - NEAR_MS, first + NEAR_MS)
    whole = Window(row["started_at"], until + NEAR_MS)
    alerts, beside = await read_trouble(companion.cache, row["id"], row["server"], whole, near)
    slow = next((alert for alert in alerts if alert["kind"] == "transcode_slow"), None)
    not_checked += _list_gaps(companion, alerts)
    cpu, plex_cpu = await _read_load(companion, until, not_checked)
    stream = parse_delivered_stream(row)
    return PlayFacts(
        decision=row["decision"], transcode=stream.transcode, location=row["location"],
        bitrate_kbps=row["bandwidth_kbps"] or row["bitrate_kbps"], buffered_at=buffered, failed_at=failed,
        slow_speed=slow["speed"] if slow else None, slow_at=slow["at"] if slow else None,
        other_streams=len(beside), other_transcodes=sum(one["decision"] == "transcode" for one in beside),
        others_buffered=sum(one["buffered"] > 0 for one in beside), cpu=cpu, plex_cpu=plex_cpu,
        log_lines=await _read_log(companion, near, not_checked) if first is not None or slow else (),
    )  # fmt: skip


def _list_gaps(companion: Companion, alerts: Iterable[sqlite3.Row]) -> list[str]:
    """Return what was not observed because Plex was not heard."""
    gaps = [
        f"What happened from {format_iso(alert['at'])} until {format_iso(alert['resolved_at']) or 'now'}: {alert['title']}"
        for alert in alerts
        if alert["kind"] in {"connection_lost", "listener_gap", "sessions_unreadable"}
    ]
    if not companion.is_live:
        gaps.append("What has happened since the connection to Plex was lost.")
    return [*gaps, "The player's own network connection and the server's disks: Plex does not report them."]


async def _read_load(companion: Companion, until: int, not_checked: list[str]) -> tuple[float | None, float | None]:
    """Return the load of the server's processor, and Plex's part of it, in percent, if it is recent enough to matter."""
    if companion.now_ms - until > RECENT_MS:
        not_checked.append("The server's load at that time: Plex keeps the last minutes only.")
        return None, None
    try:
        current = (await companion.gateway.call(lambda plex: get_resources(plex, 0, 1)))["current"]
    except ToolError as error:
        not_checked.append(f"The server's load: {error.message}")
        return None, None
    if not current:
        not_checked.append("The server's load: Plex has measured none yet.")
    return current.get("host_cpu_utilization"), current.get("process_cpu_utilization")


async def _read_log(companion: Companion, near: Window, not_checked: list[str]) -> tuple[str, ...]:
    """Return telling lines of Plex's log around a moment. Plex writes local times; those of the companion's zone are taken."""

    def read(plex: PlexServer) -> list[str]:
        return read_lines(plex, companion.ttl_cache, "server")[1]

    try:
        lines = await companion.gateway.call(read)
    except ToolError as error:
        not_checked.append(f"Plex's log: {error.message}")
        return ()
    first, last = (
        datetime.fromtimestamp(at / 1000, companion.zone).replace(tzinfo=None) for at in (near.since, near.until)
    )
    telling = [line for line in lines if _TELLING.search(line) and _is_within(line, first, last)]
    if not telling:
        not_checked.append("Plex's log: it has no telling lines of that time.")
    query = LogQuery(MOST_LINES, 0, None)
    found = build_result("", telling, query, private=companion.settings.privacy)
    texts = (companion.secrets.hide(line["text"]) for line in found["lines"])
    return tuple(hide_paths(text) if companion.settings.privacy else text for text in texts)


def hide_paths(line: str) -> str:
    """Return a line of a log without paths of files. Paths of requests stay.

    A path ends at a quote or with the line, since folders may have spaces in their names.
    """
    return _FILE_PATH.sub("(path)", line)


def _is_within(line: str, first: datetime, last: datetime) -> bool:
    match = _LOG_TIME.match(line)
    if match is None:
        return False
    try:
        at = datetime.strptime(match[0], "%b %d, %Y %H:%M:%S")  # noqa: DTZ007 - local times, as the log has them
    except ValueError:
        return False
    return first - timedelta(seconds=1) <= at <= last
