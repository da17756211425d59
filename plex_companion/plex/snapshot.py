"""Everything Plex says it is doing, read over HTTP in a few requests, as one ordinary event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import anyio

from plex_companion.errors import PlexError, PlexForbidden, PlexUnauthorized, ToolError
from plex_companion.events import Snapshot
from plex_companion.plex import views

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Account, Activity, Client, Device, Moment, Section, ServerIdentity, SessionRow
    from plex_companion.plex.gateway import Gateway

_LIBRARY = ("server", "sections", "accounts", "clients", "devices")
_UNTOLD = frozenset({"devices"})
"""Parts whose absence is not worth a word: nothing that is shown as the present depends on them."""
_ROWS = frozenset({"Video", "Track", "Photo"})
_COUNTING_SECONDS = 10.0


async def take_snapshot(
    gateway: Gateway, *, epoch: int, first: bool, now: Callable[[], Moment], want_library: bool, private: bool
) -> Snapshot:
    """Read sessions and activities; the first time also which server it is; when wanted, libraries, accounts, clients too.

    A part that cannot be read is `None`, and `detail` says why. Libraries can take long on a slow server, so they are
    not part of the first snapshot: what plays is known before.

    Raises:
        PlexUnauthorized: Plex does not accept the token.
        ToolError: it could not tell its sessions, for any reason but that they are the owner's alone: without them
            nothing is known, and nothing must not look like nobody.
    """
    if first:
        gateway.forget()
    reading = _Reading(gateway, now(), private=private)
    await reading.read("sessions")  # alone: if Plex is away, it is asked once and not six times
    match reading.errors.get("sessions"):
        case PlexUnauthorized():
            # Some versions say 401 for what is the owner's alone (PLEX.md 2.1); then the front door still opens.
            await gateway.call(_front_door, ahead=True)
        case ToolError() as error if not isinstance(error, PlexForbidden):
            raise error
    async with anyio.create_task_group() as tasks:
        for part in dict.fromkeys(("activities", *(("server",) if first else ()), *(_LIBRARY if want_library else ()))):
            tasks.start_soon(reading.read, part)
    detail = " ".join(error.message for part, error in reading.errors.items() if part not in _UNTOLD) or None
    return Snapshot(epoch=epoch, first=first, requested=reading.requested, detail=detail, **reading.found)


class _Reading:
    """One round of reading; each part has a method of its name, and fails alone."""

    def __init__(self, gateway: Gateway, requested: Moment, *, private: bool) -> None:
        self.requested = requested
        self.found: dict[str, Any] = {}
        self.errors: dict[str, ToolError] = {}
        self._gateway = gateway
        self._private = private

    async def read(self, part: str) -> None:
        try:
            self.found[part] = await getattr(self, part)()
        except ToolError as error:
            self.errors[part] = error

    async def sessions(self) -> tuple[SessionRow, ...]:
        rows = await self._rows("/status/sessions")
        return tuple(views.session_row(row, private=self._private) for row in rows if row.tag in _ROWS)

    async def activities(self) -> tuple[Activity, ...]:
        running = (views.activity(row, at=self.requested.at) for row in await self._rows("/activities"))
        return tuple(one for one in running if one)

    async def server(self) -> ServerIdentity | None:
        return views.server_identity(await self._gateway.call(_front_door, ahead=True))

    async def accounts(self) -> tuple[Account, ...]:
        known = (views.account(row, private=self._private) for row in await self._rows("/accounts"))
        return tuple(one for one in known if one)

    async def devices(self) -> tuple[Device, ...]:
        numbered = (views.device(row, private=self._private) for row in await self._rows("/devices"))
        return tuple(one for one in numbered if one)

    async def clients(self) -> tuple[Client, ...]:
        at = self.requested.at
        present = (views.client(row, private=self._private, at=at) for row in await self._rows("/clients"))
        return tuple(one for one in present if one)

    async def sections(self) -> tuple[Section, ...]:
        """Libraries with their sizes; a size that takes too long stays unknown."""
        listed = (views.section(row) for row in await self._rows("/library/sections"))
        sections = {section.section_id: section for section in listed if section}
        with anyio.move_on_after(_COUNTING_SECONDS):
            async with anyio.create_task_group() as tasks:
                for section in tuple(sections.values()):
                    tasks.start_soon(self._count, section, sections)
        return tuple(sections.values())

    async def _count(self, section: Section, sections: dict[str, Section]) -> None:
        key = quote(section.section_id, safe="")
        path = f"/library/sections/{key}/all?includeCollections=0&X-Plex-Container-Start=0&X-Plex-Container-Size=0"
        try:
            container = await self._gateway.call(lambda plex: query(plex, path), ahead=True)
        except ToolError as error:
            self.errors.setdefault("counts", error)
        else:
            sections[section.section_id] = replace(section, count=views.total(container))

    async def _rows(self, path: str) -> list[Element]:
        container = await self._gateway.call(lambda plex: query(plex, path), ahead=True)
        if container is None or container.tag != "MediaContainer":
            raise PlexError(f"GET {path}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
        return list(container)


def _front_door(plex: PlexServer) -> Element | None:
    return query(plex, "/")


def query(plex: PlexServer, path: str) -> Element | None:
    """The XML itself: plexapi's objects fall over rows that lack what they expect (PLEX.md 2.1)."""
    ask: Callable[[str], Element | None] = cast("Any", plex).query  # plexapi annotates nothing
    return ask(path)
