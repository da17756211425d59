"""Everything Plex is doing, read over HTTP in a few requests, as one ordinary event."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from xml.etree.ElementTree import Element

import anyio
from msgspec.structs import replace

from plex_companion.changes.sessions import find_session_key
from plex_companion.changes.state import MOST_PER_KIND
from plex_companion.errors import PlexError, PlexForbidden, PlexStarting, PlexUnauthorized, PlexUnreachable, ToolError
from plex_companion.events import Snapshot
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import Damage, collect_damage, describe_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.models import Account, Activity, Client, Device, Moment, Section, ServerIdentity, SessionRow
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.gateway import Gateway

T = TypeVar("T")

SESSIONS = "/status/sessions"
_LIBRARY = ("server", "sections", "accounts", "clients", "devices")
_NOT_REPORTED = frozenset({"devices"})
"""Parts whose failure is not reported: nothing that is shown as current depends on them."""
_ROWS = frozenset({"Video", "Track", "Photo"})
_COUNTING_SECONDS = 10.0


async def take_snapshot(
    gateway: Gateway,
    *,
    epoch: int,
    first: bool,
    now: Callable[[], Moment],
    want_library: bool,
    private: bool,
    problems: dict[str, str] | None = None,
) -> Snapshot:
    """Read sessions and activities. Read the server too if `first`, and libraries, accounts and clients if `want_library`.

    A part that cannot be read is `None`, and `detail` says why. Libraries can take long on a slow server, so they are
    not part of the first snapshot: what plays is known before.

    Args:
        gateway: sends the requests.
        epoch: the number of the connection.
        first: whether it is the first of its connection. If Plex answers but its sessions cannot be read, the first one,
            and one with libraries, is marked `is_unreadable`, and the websocket is used all the same.
        now: the clock.
        want_library: whether to read server, libraries, accounts and clients.
        private: whether e-mail and network addresses are masked.
        problems: the problems of parts in earlier snapshots of the connection; parts that are read now replace theirs.

    Raises:
        PlexUnauthorized: Plex does not accept the token.
        ToolError: the sessions could not be read, for any reason but a token that is not the owner's. Without sessions
            nothing is known, which must not look like an empty list.
    """
    if first:
        gateway.forget()
    reading = _SnapshotReader(gateway, now(), private=private)
    await reading.read("sessions")  # alone: if Plex is down, there is one failed request and not six
    error = reading.errors.get("sessions")
    if isinstance(error, PlexUnauthorized):
        # Some versions answer 401 where the owner's token is needed (PLEX.md 2.1); then `/` still answers.
        await gateway.call(_fetch_root, ahead=True)
    elif error is not None and not isinstance(error, PlexForbidden):
        await _require_answer(gateway, error, goes_on=first or want_library)
        reading.found["is_unreadable"] = True
    async with anyio.create_task_group() as tasks:
        for part in dict.fromkeys(("activities", *(("server",) if first else ()), *(_LIBRARY if want_library else ()))):
            tasks.start_soon(reading.read, part)
    known = {} if problems is None else problems
    for part in reading.asked:
        known.pop(part, None)
    known |= reading.describe_problems()
    detail = " ".join(known.values()) or None
    return Snapshot(epoch=epoch, first=first, requested=reading.requested, detail=detail, **reading.found)


async def _require_answer(gateway: Gateway, error: ToolError, *, goes_on: bool) -> None:
    """Check that Plex answers at all, only not this request.

    Raises:
        ToolError: `error`, or why Plex does not answer.
    """
    away = isinstance(error, PlexUnreachable | PlexStarting) or not isinstance(error, PlexError)
    if not goes_on or away or views.parse_server_identity(await gateway.call(_fetch_root, ahead=True)) is None:
        raise error


class _SnapshotReader:
    """Reads the parts of one snapshot; each part has a method `_read_…`, and fails on its own."""

    def __init__(self, gateway: Gateway, requested: Moment, *, private: bool) -> None:
        self.requested = requested
        self.found: dict[str, Any] = {}
        self.errors: dict[str, ToolError] = {}
        self.asked: list[str] = []
        self._damage: dict[str, list[Damage]] = {}
        self._stated_rows: int | None = None
        self._gateway = gateway
        self._private = private

    async def read(self, part: str) -> None:
        self.asked.append(part)
        try:
            with collect_damage() as self._damage[part]:
                self.found[part] = await getattr(self, f"_read_{part}")()
        except ToolError as error:
            self.errors[part] = error

    def describe_problems(self) -> dict[str, str]:
        """Return the problem of each part, in words for people."""
        missing = {part: words for part, damage in self._damage.items() if (words := describe_damage(damage))}
        failed = {part: error.message for part, error in self.errors.items()}
        return {part: words for part, words in {**missing, **failed}.items() if part not in _NOT_REPORTED}

    async def _read_sessions(self) -> tuple[SessionRow, ...]:
        """Return the sessions. Rows that could not be read leave the keys of what may play."""
        rows = await self._read_rows(SESSIONS, partial(_parse_session, private=self._private))
        found = self._damage["sessions"]
        damage = found[0] if found else Damage(f"GET {SESSIONS}")
        # An answer that ends early, or lost a row in the middle, may still be XML; Plex states how many rows it wrote.
        stated = self._stated_rows or 0
        damage.cut = damage.cut or stated > len(rows) + len(damage.skipped) + damage.beyond
        # A row without an identifier counts as unread, though it may still match a known session.
        damage.skipped += [Element("Video") for row in rows if find_session_key(row) is None]
        damage.skipped += _find_contradictions(rows)
        self._damage["sessions"] = [damage] if damage else []
        unread = [row.get("sessionKey") for row in damage.skipped]
        self.found["unread_keys"] = frozenset(key for key in unread if key)
        self.found["is_complete"] = all(unread) and not damage.cut and not damage.beyond
        return rows

    async def _read_activities(self) -> tuple[Activity, ...]:
        return await self._read_rows("/activities", partial(views.parse_activity, at=self.requested.at))

    async def _read_server(self) -> ServerIdentity | None:
        return views.parse_server_identity(await self._gateway.call(_fetch_root, ahead=True))

    async def _read_accounts(self) -> tuple[Account, ...]:
        return await self._read_rows("/accounts", partial(views.parse_account, private=self._private))

    async def _read_devices(self) -> tuple[Device, ...]:
        return await self._read_rows("/devices", partial(views.parse_device, private=self._private))

    async def _read_clients(self) -> tuple[Client, ...]:
        return await self._read_rows(
            "/clients", partial(views.parse_client, private=self._private, at=self.requested.at)
        )

    async def _read_sections(self) -> tuple[Section, ...]:
        """Return the libraries with their sizes; a size that takes too long stays unknown."""
        listed = await self._read_rows("/library/sections", views.parse_section)
        sections = {section.section_id: section for section in listed}
        with anyio.move_on_after(_COUNTING_SECONDS):
            async with anyio.create_task_group() as tasks:
                for section in tuple(sections.values()):
                    tasks.start_soon(self._count_items, section, sections)
        return tuple(sections.values())

    async def _count_items(self, section: Section, sections: dict[str, Section]) -> None:
        key = quote(section.section_id, safe="")
        path = f"/library/sections/{key}/all?includeCollections=0&X-Plex-Container-Start=0&X-Plex-Container-Size=0"
        try:
            container = await self._gateway.call(lambda plex: fetch_xml(plex, path), ahead=True)
        except ToolError as error:
            self.errors.setdefault("counts", error)
        else:
            sections[section.section_id] = replace(section, count=views.parse_total(container))

    async def _read_rows(self, path: str, view: Callable[[Element], T | None]) -> tuple[T, ...]:
        """Return the rows of a list, parsed in the gateway's thread so that the event loop goes on."""

        def ask(plex: PlexServer) -> tuple[T, ...]:
            container = fetch_xml(plex, path, most_rows=MOST_PER_KIND)
            if container is None or container.tag != "MediaContainer":
                raise PlexError(f"GET {path}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
            if path == SESSIONS:
                self._stated_rows = views.parse_size(container)
            return tuple(row for row in map(view, container) if row is not None)

        return await self._gateway.call(ask, ahead=True)


def _parse_session(element: Element, *, private: bool) -> SessionRow | None:
    """Return a row of a kind that is known, or that says it is one by its session key."""
    is_row = element.tag in _ROWS or element.get("sessionKey")
    return views.parse_session_row(element, private=private) if is_row else None


def _find_contradictions(rows: Sequence[SessionRow]) -> list[Element]:
    """Return an element for each row that gives another item the session key of an earlier row."""
    first: dict[str, SessionRow] = {}
    return [
        Element("Video", {"sessionKey": row.session_key})
        for row in rows
        if row.session_key and first.setdefault(row.session_key, row).item.rating_key != row.item.rating_key
    ]


def _fetch_root(plex: PlexServer) -> Element | None:
    return fetch_xml(plex, "/")


def fetch_xml(plex: PlexServer, path: str, *, most_rows: int | None = None) -> Element | None:
    """Return the XML of an answer: plexapi's objects fail on rows that lack an attribute (PLEX.md 2.1)."""
    return plex.query(path, most_rows=most_rows)
