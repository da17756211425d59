"""Checks that a database belongs to our Plex server.

It is recognized by the server's machine identifier, or by its address while the server does not answer.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import anyio

from plex_companion.cache.open_files import find_owner
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
"""How long a start waits for the server to identify itself, when its address is not the one in the database."""
AGAIN_SECONDS = 10.0
"""Between two later attempts to identify the server."""


def compute_address_mark(settings: Settings) -> int:
    """Return a number that identifies the server's address without revealing it; 0 without an address.

    SQLite keeps it as `user_version`, a field for applications (sqlite.org/pragma.html#pragma_user_version).
    """
    if settings.plex_url is None:
        return 0
    digest = hashlib.sha256(settings.plex_url.rstrip("/").lower().encode()).digest()
    return max(1, int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF)


async def require_own_database(path: Path, settings: Settings) -> None:
    """Raise unless a database belongs to the server of the settings, or to none yet.

    The same address means the same household, even if Plex was reinstalled. At another address, the server is asked for
    its identity; if it does not answer, a database that knows an address is taken for another server's.

    Raises:
        DatabaseOfAnotherServer: it is another server's.
    """
    found = find_owner(path)
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


def wrap_owner_check(cache: Cache, live: Live, settings: Settings, send: Send) -> Send:
    """Wrap the receiver of events: the first snapshot of a server that does not own the database ends the program."""

    async def receive(events: Sequence[ReceivedEvent]) -> None:
        known = live.state.server
        for received in events:
            seen = received.event.server if isinstance(received.event, Snapshot) and received.event.first else None
            if seen is not None and known is not None and seen.machine_identifier != known.machine_identifier:
                owner = await cache.read_owner()
                if owner.server == known.machine_identifier and not _is_own_address(owner, settings):
                    raise _refusal(cache.path, owner, seen)
        await send(events)

    return receive


async def guard_owner(cache: Cache, live: Live, settings: Settings, gateway: Gateway) -> NoReturn:
    """End the program when the database it follows turns out to be another server's; two may have begun it at once.

    Raises:
        DatabaseOfAnotherServer: it is another server's.
    """
    agreed: str | None = None
    while True:
        theirs = live.state.server
        if theirs is not None and theirs.machine_identifier != agreed:
            owner = await cache.read_owner()
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
    """Return whether the address is the database's. A database with a default name is named after its address."""
    return settings.database is None or owner.address == compute_address_mark(settings)


async def _identity(gateway: Gateway) -> ServerIdentity | None:
    with suppress(ToolError):
        return await gateway.fetch_identity()
    return None


def _refusal(path: Path, owner: Owner, ours: ServerIdentity | None) -> DatabaseOfAnotherServer:
    theirs = f"{owner.name} ({owner.server})" if owner.name else owner.server
    if ours is None:
        answer = "PLEX_URL is not the address it was last reached at, and does not answer"
    else:
        answer = (
            f"PLEX_URL leads to {f'{ours.name} ({ours.machine_identifier})' if ours.name else ours.machine_identifier}"
        )
    return DatabaseOfAnotherServer(
        f"The database {path} belongs to the Plex server {theirs}; {answer}. Name another file with --database."
    )
