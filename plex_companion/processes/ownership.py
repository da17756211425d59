"""Whose a database is: one Plex server's, known by its machine identifier, or by its address where it cannot be asked."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import anyio

from plex_companion.cache.open_files import owner_of
from plex_companion.errors import DatabaseOfAnotherServer, ToolError
from plex_companion.events import Snapshot
from plex_companion.plex.gateway import open_gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from plex_companion.cache.database import Cache
    from plex_companion.cache.open_files import Owner
    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.live import Live
    from plex_companion.models import ServerIdentity
    from plex_companion.plex.gateway import Gateway
    from plex_companion.settings import Settings

    Send = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]

ASK_SECONDS = 4.0
"""How long a start waits for the server to say who it is, where its address is another than the database knows."""
AGAIN_SECONDS = 10.0
"""Between two tries to ask it later."""


def address_mark(settings: Settings) -> int:
    """Return a number that tells addresses apart and gives none away; 0 without one. SQLite keeps it as `user_version`."""
    if settings.plex_url is None:
        return 0
    digest = hashlib.sha256(settings.plex_url.rstrip("/").lower().encode()).digest()
    return max(1, int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF)


async def insist_on_own(path: Path, settings: Settings) -> None:
    """Insist that a database belongs to the server of the settings, or to none yet.

    The same address is the same household, also where Plex was installed anew. At another address the server is asked
    who it is; where it does not answer, a database that knows an address is another server's.

    Raises:
        DatabaseOfAnotherServer: it is another server's.
    """
    found = owner_of(path)
    if found is None or settings.plex_url is None:
        return
    owner = found[1]
    if owner.server is None or _is_own_address(owner, settings):
        return
    hurried = settings.model_copy(update={"plex_timeout_seconds": min(ASK_SECONDS, settings.plex_timeout_seconds)})
    async with open_gateway(hurried) as gateway:
        ours = await _identity(gateway)
    if ours is not None and ours.machine_identifier != owner.server:
        raise _refusal(path, owner, ours)
    if ours is None and owner.address:
        raise _refusal(path, owner, None)


def receive_own(cache: Cache, live: Live, settings: Settings, send: Send) -> Send:
    """Wrap what takes in events: the first word of a server that the database does not belong to ends the program."""

    async def receive(heard: Sequence[ReceivedEvent]) -> None:
        known = live.state.server
        for one in heard:
            seen = one.event.server if isinstance(one.event, Snapshot) and one.event.first else None
            if seen is not None and known is not None and seen.machine_identifier != known.machine_identifier:
                owner = await cache.owner()
                if owner.server == known.machine_identifier and not _is_own_address(owner, settings):
                    raise _refusal(cache.path, owner, seen)
        await send(heard)

    return receive


async def guard_owner(cache: Cache, live: Live, settings: Settings, gateway: Gateway) -> NoReturn:
    """End when the database that this process follows turns out to be another server's; two may have begun it at once.

    Raises:
        DatabaseOfAnotherServer: it is another server's.
    """
    agreed: str | None = None
    while True:
        theirs = live.state.server
        if theirs is not None and theirs.machine_identifier != agreed:
            owner = await cache.owner()
            own = _is_own_address(owner, settings)
            ours = None if own else await _identity(gateway)
            if ours is None:  # the same address, or no answer yet
                agreed = theirs.machine_identifier if own else None
            elif ours.machine_identifier != theirs.machine_identifier:
                raise _refusal(cache.path, owner, ours)
            else:
                agreed = theirs.machine_identifier
        with anyio.move_on_after(AGAIN_SECONDS):
            await live.wait_for_commit()


def _is_own_address(owner: Owner, settings: Settings) -> bool:
    """A database that nobody named has its name from the address."""
    return settings.database is None or owner.address == address_mark(settings)


async def _identity(gateway: Gateway) -> ServerIdentity | None:
    with suppress(ToolError):
        return await gateway.fetch_identity()
    return None


def _refusal(path: Path, owner: Owner, ours: ServerIdentity | None) -> DatabaseOfAnotherServer:
    theirs = f"{owner.name} ({owner.server})" if owner.name else owner.server
    if ours is None:
        answer = "PLEX_URL is another address than it was heard at, and does not answer"
    else:
        answer = (
            f"PLEX_URL leads to {f'{ours.name} ({ours.machine_identifier})' if ours.name else ours.machine_identifier}"
        )
    return DatabaseOfAnotherServer(
        f"The database {path} belongs to the Plex server {theirs}; {answer}. Name another file with --database."
    )
