"""Everything Plex says it is doing, read over HTTP in a few requests, as one ordinary event."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote
from xml.etree.ElementTree import Element

import anyio

from plex_companion.changes.sessions import key_of
from plex_companion.changes.state import MOST
from plex_companion.errors import PlexError, PlexForbidden, PlexStarting, PlexUnauthorized, PlexUnreachable, ToolError
from plex_companion.events import Snapshot
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import Damage, collect_damage, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plexapi.server import PlexServer

    from plex_companion.models import Account, Activity, Client, Device, Moment, Section, ServerIdentity, SessionRow
    from plex_companion.plex.gateway import Gateway

T = TypeVar("T")

SESSIONS = "/status/sessions"
_LIBRARY = ("server", "sections", "accounts", "clients", "devices")
_UNTOLD = frozenset({"devices"})
"""Parts whose absence is not worth a word: nothing that is shown as the present depends on them."""
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
    """Read sessions and activities; the first time also which server it is; when wanted, libraries, accounts, clients too.

    A part that cannot be read is `None`, and `detail` says why. Libraries can take long on a slow server, so they are
    not part of the first snapshot: what plays is known before.

    Args:
        gateway: what is asked.
        epoch: of the connection.
        first: whether it is the first of its connection. Where Plex answers but cannot tell its sessions, this one, and
            one with libraries, says so (`is_unreadable`): what Plex says by websocket is heard all the same.
        now: the clock.
        want_library: whether to read server, libraries, accounts and clients too.
        private: whether e-mail and addresses are masked.
        problems: what is wrong with parts, from earlier snapshots of the connection; parts read now replace theirs.

    Raises:
        PlexUnauthorized: Plex does not accept the token.
        ToolError: it could not tell its sessions, for any reason but that they are the owner's alone: without them
            nothing is known, and nothing must not look like nobody.
    """
    if first:
        gateway.forget()
    reading = _SnapshotReader(gateway, now(), private=private)
    await reading.read("sessions")  # alone: if Plex is away, it is asked once and not six times
    error = reading.errors.get("sessions")
    if isinstance(error, PlexUnauthorized):
        # Some versions say 401 for what is the owner's alone (PLEX.md 2.1); then the front door still opens.
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
    known |= reading.problems()
    detail = " ".join(known.values()) or None
    return Snapshot(epoch=epoch, first=first, requested=reading.requested, detail=detail, **reading.found)


async def _require_answer(gateway: Gateway, error: ToolError, *, goes_on: bool) -> None:
    """Make sure that it is Plex that answers, and answers now, only not this question.

    Raises:
        ToolError: `error`, or why Plex does not answer.
    """
    away = isinstance(error, PlexUnreachable | PlexStarting) or not isinstance(error, PlexError)
    if not goes_on or away or views.parse_server_identity(await gateway.call(_fetch_root, ahead=True)) is None:
        raise error


class _SnapshotReader:
    """One round of reading; each part has a method of its name, and fails alone."""

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
                self.found[part] = await getattr(self, part)()
        except ToolError as error:
            self.errors[part] = error

    def problems(self) -> dict[str, str]:
        """What is wrong with each part, for people."""
        missing = {part: words for part, damage in self._damage.items() if (words := words_of(damage))}
        failed = {part: error.message for part, error in self.errors.items()}
        return {part: words for part, words in {**missing, **failed}.items() if part not in _UNTOLD}

    async def sessions(self) -> tuple[SessionRow, ...]:
        """What plays; and the keys of what may play, as its rows could not be read."""
        rows = await self._read_rows(SESSIONS, partial(_session, private=self._private))
        found = self._damage["sessions"]
        damage = found[0] if found else Damage(f"GET {SESSIONS}")
        # What ends early, or lost a row between others, may still be XML; Plex says how many rows it wrote.
        stated = self._stated_rows or 0
        damage.cut = damage.cut or stated > len(rows) + len(damage.skipped) + damage.beyond
        # A row without anything to know it by is as good as unread, though it may still fit what is known.
        damage.skipped += [Element("Video") for row in rows if key_of(row) is None]
        damage.skipped += _find_contradictions(rows)
        self._damage["sessions"] = [damage] if damage else []
        unread = [row.get("sessionKey") for row in damage.skipped]
        self.found["unread_keys"] = frozenset(key for key in unread if key)
        self.found["is_complete"] = all(unread) and not damage.cut and not damage.beyond
        return rows

    async def activities(self) -> tuple[Activity, ...]:
        return await self._read_rows("/activities", partial(views.parse_activity, at=self.requested.at))

    async def server(self) -> ServerIdentity | None:
        return views.parse_server_identity(await self._gateway.call(_fetch_root, ahead=True))

    async def accounts(self) -> tuple[Account, ...]:
        return await self._read_rows("/accounts", partial(views.parse_account, private=self._private))

    async def devices(self) -> tuple[Device, ...]:
        return await self._read_rows("/devices", partial(views.parse_device, private=self._private))

    async def clients(self) -> tuple[Client, ...]:
        return await self._read_rows(
            "/clients", partial(views.parse_client, private=self._private, at=self.requested.at)
        )

    async def sections(self) -> tuple[Section, ...]:
        """Libraries with their sizes; a size that takes too long stays unknown."""
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
        """What the rows of a list mean, read and understood in the gateway's thread: the loop goes on meanwhile."""

        def ask(plex: PlexServer) -> tuple[T, ...]:
            container = fetch_xml(plex, path, most_rows=MOST)
            if container is None or container.tag != "MediaContainer":
                raise PlexError(f"GET {path}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
            if path == SESSIONS:
                self._stated_rows = views.parse_size(container)
            return tuple(row for row in map(view, container) if row is not None)

        return await self._gateway.call(ask, ahead=True)


def _session(element: Element, *, private: bool) -> SessionRow | None:
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
    """The XML itself: plexapi's objects fall over rows that lack what they expect (PLEX.md 2.1)."""
    found: Element | None = cast("Any", plex).query(path, most_rows=most_rows)  # plexapi annotates nothing
    return found
