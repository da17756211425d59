"""What is wrong, or new, with the server: the way to it, its libraries, its devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plex_companion.changes.activities import SCAN
from plex_companion.changes.additions import titles_of
from plex_companion.changes.kinds import ActivityEnded, ClientSeen, LibraryMoved, ServerSeen
from plex_companion.events import (
    Disconnected,
    Event,
    Reachability,
    SessionsUnread,
    Snapshot,
    StatusNote,
    StorageReport,
    Tick,
    UpdateState,
)
from plex_companion.text import discreet

if TYPE_CHECKING:
    from plex_companion.changes.alerts.book import Book
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import Activity, AlertKind, Client, LibraryChange, ServerIdentity

SERVER = "plex"
GAP_MS = 1_000
"""What is shorter is a hiccup that the snapshot has made good."""
READY_MS = 120_000
"""What a scan added is given so long to become ready."""
LINK: frozenset[AlertKind] = frozenset({"connection_lost", "unauthorized", "storage"})
"""Of the way to a server, whichever it is, and of our own."""


def of_server(event: Event, before: State, book: Book) -> None:  # noqa: C901 - one line per kind of event
    """What an event says of the server as a whole."""
    match event:
        case Disconnected(unauthorized=True, detail=detail):
            book.resolve("connection_lost", SERVER)
            book.raise_("unauthorized", SERVER, "Plex refuses the token: set a new PLEX_TOKEN", reason=detail)
        case Disconnected(detail=detail):
            book.raise_("connection_lost", SERVER, "Plex cannot be heard", reason=detail)
        case Snapshot(first=True):
            book.resolve("connection_lost", SERVER)
            book.resolve("unauthorized", SERVER)
            _gap(before, book)
        case Reachability(reachable=False):
            book.raise_("remote_access_lost", SERVER, "Plex is not reachable from outside the home")
        case Reachability(reachable=True):
            book.resolve("remote_access_lost", SERVER)
        case StatusNote(title=title, description=description, name=name):
            words = discreet(description) if description else None
            book.note("plex_status", name or SERVER, discreet(title or "Plex says"), description=words)
        case StorageReport(subject="database", words=words):
            book.note("storage", "database", words)
        case StorageReport(subject=part, ok=False, words=words):
            book.raise_("storage", part, words)
        case StorageReport(subject=part):
            book.resolve("storage", part)
        case UpdateState(version=str() as version, state=state):
            _update(version, state, before, book)
        case Tick():
            _scans_told(None, before, book)
        case _:
            pass


def of_reading(event: Event, before: State, book: Book, limits: Thresholds) -> None:
    """Whether what plays can be read."""
    match event:
        case Snapshot(is_unreadable=True):
            unreadable = True
        case SessionsUnread():
            unreadable = before.connection.state == "live"
        case Tick():
            unreadable = before.sessions_unreadable
        case Snapshot() | Disconnected():
            book.over("sessions_unreadable", SERVER)
            return
        case _:
            return
    if unreadable and book.lasts("sessions_unreadable", SERVER, limits.unreadable_ms):
        reason = event.detail if isinstance(event, SessionsUnread | Snapshot) else before.connection.detail
        title = "What plays cannot be read: the list of sessions may be out of date"
        book.raise_("sessions_unreadable", SERVER, title, reason=reason)


def _gap(before: State, book: Book) -> None:
    if before.down_since is not None and book.now.at - before.down_since >= GAP_MS:
        seconds = max(0, book.now.at - before.down_since) // 1000
        title = f"Plex was not heard for {seconds} s: what began and ended in between is unknown"
        book.note("listener_gap", SERVER, title, since_ms=before.down_since, until_ms=book.now.at)


def of_change(change: Change, event: Event, before: State, book: Book) -> None:
    """What a change says of the server."""
    match change:
        case ActivityEnded(activity=activity) if activity.type == SCAN:
            _scanned(activity, before, book)
        case LibraryMoved(change=moved):
            _scans_told(moved, before, book)
        case ClientSeen(client=client, new=True) if not _is_learning(event, before) and not _is_listed(client, before):
            _new_device(client, book)
        case ServerSeen(server=server):
            _met(server, before, book)
        case _:
            pass


def _met(server: ServerIdentity, before: State, book: Book) -> None:
    another = before.server is not None and before.server.machine_identifier != server.machine_identifier
    for kind, subject in tuple(book.open):
        updated = kind == "update_available" and _numbers(subject) <= _numbers(server.version or "")
        if (another and kind not in LINK) or (updated and server.version):
            book.over(kind, subject)


def _update(version: str, state: str | None, before: State, book: Book) -> None:
    """Unverified: only the state `done` with an empty version is on record; the other words are the specification's."""
    over = state in {"done", "skipped"}
    for kind, subject in tuple(book.open):
        if kind == "update_available" and (subject == version) == over:
            book.resolve(kind, subject)
    running = before.server.version if before.server else None
    if not over and running != version:
        book.raise_("update_available", version, f"Plex {version} is available", state=state, running=running)


def _numbers(version: str) -> list[int]:
    """`1.43.3.10828-8a1d3a5b5` as numbers to compare."""
    return [int(number) for number in re.findall(r"\d{1,9}", version.partition("-")[0])]


def _is_learning(event: Event, before: State) -> bool:
    """Whether this server's players are only being learnt: until it has told once what plays and who is who."""
    known = before.server
    if known is None or not before.sessions_read or not before.accounts:
        return True
    seen = event.server if isinstance(event, Snapshot) else None
    return seen is not None and seen.machine_identifier != known.machine_identifier


def _is_listed(client: Client, before: State) -> bool:
    """Whether Plex has known the player for longer than we listen."""
    return any(device.client_identifier == client.client_identifier for device in before.devices)


def _new_device(client: Client, book: Book) -> None:
    name = client.title or client.product or client.platform or "a player without a name"
    book.note(
        "new_device",
        client.client_identifier,
        f"A new device: {name}",
        client_identifier=client.client_identifier,
        name=client.title,
        product=client.product,
        platform=client.platform,
        device=client.device,
        local=client.local,
    )


def _scanned(activity: Activity, before: State, book: Book) -> None:
    """A scan has ended. What it added is named when it is ready; a further scan meanwhile is told with this one."""
    section = str(activity.context.get("librarySectionID") or "")
    if ("scan_finished", section) in book.open:
        return
    name = _library(section, before)
    arrivals = _arrivals(section, before)
    title, detail = _told(name, before.added.get(section, 0), arrivals)
    if all(item.settled for item in arrivals):
        book.note("scan_finished", section, title, **detail)
    else:
        book.begin("scan_finished", section, title, **detail)


def _scans_told(moved: LibraryChange | None, before: State, book: Book) -> None:
    """Scans whose additions are ready by now, or take too long."""
    for kind, section in tuple(book.open):
        if kind != "scan_finished" or (moved is not None and (moved.section_id or "") != section):
            continue
        arrivals = _arrivals(section, before, moved)
        if not arrivals:  # they went again, or another process saw them come
            book.over(kind, section)
        elif all(item.settled for item in arrivals) or (moved is None and book.lasts(kind, section, READY_MS)):
            title, detail = _told(_library(section, before), before.added.get(section, 0), arrivals)
            book.over(kind, section, title=title, detail=detail)


def _library(section: str, before: State) -> str | None:
    return next((known.title for known in before.sections if known.section_id == section), None)


def _arrivals(section: str, before: State, moved: LibraryChange | None = None) -> list[LibraryChange]:
    """What came into a library since its last scan, as known once this change is taken over."""
    items = {item: new for item, new in before.arrivals.items() if (new.section_id or "") == section}
    if moved is not None and moved.item_id in items:
        if moved.change == "created":
            items[moved.item_id] = moved
        elif moved.change == "deleted":
            del items[moved.item_id]
    return list(items.values())


def _told(library: str | None, added: int, arrivals: list[LibraryChange]) -> tuple[str, dict[str, object]]:
    title = f"Scan of {library or 'a library'} finished: {added} new"
    return title, {"library": library, "added": added, "titles": titles_of(arrivals)}
