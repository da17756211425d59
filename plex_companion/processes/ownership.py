"""Checks that a database belongs to our Plex servers.

They are recognized by their machine identifiers, or by their addresses while they do not answer.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NoReturn

import anyio

from plex_companion.cache.open_files import Owner, find_owner
from plex_companion.chronicle.append import ChronicleAway
from plex_companion.errors import ChronicleOfAnotherServer, DatabaseOfAnotherServer, ToolError
from plex_companion.events import Snapshot
from plex_companion.plex.gateway import open_gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from plex_companion.cache.database import Cache
    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.live import Live
    from plex_companion.models import ServerIdentity
    from plex_companion.plex.gateway import Gateway
    from plex_companion.settings import Settings

    Send = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]

logger = logging.getLogger(__name__)

ASK_SECONDS = 4.0
"""How long a start waits for the server to identify itself, when its address is not the one in the database."""
AGAIN_SECONDS = 10.0
"""Between two later attempts to identify the server."""


def list_address_marks(settings: Settings) -> tuple[int, ...]:
    """Return for each configured address a number that identifies it without revealing it; 0 without an address.

    SQLite keeps the first one as `user_version`, a field for applications (sqlite.org/pragma.html#pragma_user_version).
    """
    return tuple(_digest_address(link) for link in settings.links())


def _digest_address(link: Settings) -> int:
    if link.plex_url is None:
        return 0
    digest = hashlib.sha256(link.plex_url.rstrip("/").lower().encode()).digest()
    return max(1, int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF)


async def require_own_database(path: Path, settings: Settings) -> dict[str, str]:
    """Raise unless a database belongs to one of the servers of the settings, or to none yet.

    The same address means the same household, even if Plex was reinstalled. At other addresses, the servers are asked for
    their identity; if none answers, a database that knows an address is taken for another household's.

    Returns:
        The machine identifiers of the servers that were asked, by link.

    Raises:
        DatabaseOfAnotherServer: it is another household's.
    """
    found = find_owner(path)
    if found is None and (other := find_other_past(path, settings)):
        logger.warning("%s has the past of a server in PLEX_URL. To go on with it, set PLEX_COMPANION_DATABASE.", other)
    if found is None or settings.plex_url is None:
        return {}
    owner = found[1]
    if owner.server is None or _is_own_address(owner, settings):
        return {}
    known: dict[str, ServerIdentity] = {}
    async with anyio.create_task_group() as tasks:
        for link in settings.links():
            tasks.start_soon(_identify, link, known)
    identities = {link: server.machine_identifier for link, server in known.items()}
    if not owner.servers.isdisjoint(identities.values()):
        return identities
    if known:
        raise _refuse(path, owner, next(iter(known.values())))
    if owner.address:
        raise _refuse(path, owner, None)
    return {}


async def _identify(link: Settings, found: dict[str, ServerIdentity]) -> None:
    hurried = link.model_copy(update={"plex_timeout_seconds": min(ASK_SECONDS, link.plex_timeout_seconds)})
    async with open_gateway(hurried) as gateway:
        server = await _fetch_identity(gateway)
    if server is not None:
        found[link.link_id] = server


def find_other_past(path: Path, settings: Settings) -> Path | None:
    """Return a database beside a new one with a default name that has the past of a configured server.

    It is named after an address that is not configured any more.
    """
    if settings.database is not None or path.exists():
        return None
    ours = {link.link_id for link in settings.links()}
    beside = sorted(path.parent.glob("plex-*.sqlite3"))
    return next((file for file in beside if (found := find_owner(file)) and ours & found[1].links.keys()), None)


def wrap_owner_check(cache: Cache, live: Live, settings: Settings, send: Send) -> Send:
    """Wrap the receiver of events: the first snapshot of a server that does not own the database ends the program.

    With several servers, an address that was not there before is a server that was added.
    """

    async def receive(events: Sequence[ReceivedEvent]) -> None:
        known = live.state.server
        for received in events:
            seen = received.event.server if isinstance(received.event, Snapshot) and received.event.first else None
            if seen is not None and known is not None and seen.machine_identifier != known.machine_identifier:
                owner = await cache.read_owner()
                if owner.server == known.machine_identifier and not _is_own_address(owner, settings):
                    raise _refuse(cache.path, owner, seen)
        await send(events)

    return receive if len(live.states) == 1 else send


async def guard_owner(
    cache: Cache, live: Live, settings: Settings, gateways: Mapping[str, Gateway], identities: dict[str, str]
) -> NoReturn:
    """End the program when the database it follows turns out to be another household's; two may have begun it at once.

    The process that listens must be configured for the same servers. What it says is believed once it has committed
    something, or `AGAIN_SECONDS` have passed: what is there before may be of the process before it.

    Args:
        cache: the database that is followed.
        live: its states.
        settings: ours.
        gateways: the way to each of our servers, by link.
        identities: the machine identifiers of servers that were asked, by link. It is filled here.

    Raises:
        DatabaseOfAnotherServer: it is another household's.
    """
    agreed: object = None
    version, believed = await cache.read_data_version(), False
    while True:
        owner = await cache.read_owner()
        if owner.servers and agreed != owner.links:
            ours = await _ask_servers(owner, settings, gateways)
            identities |= {link: server.machine_identifier for link, server in ours.items()}
            verdict = judge_links(owner, set(gateways), identities, own_address=_is_own_address(owner, settings))
            if verdict == "another" or (verdict == "differs" and believed):
                raise _refuse(cache.path, owner, next(iter(ours.values()), None), several=verdict == "differs")
            agreed = owner.links if verdict == "same" else None
        with anyio.move_on_after(AGAIN_SECONDS) as waiting:
            await live.wait_for_commit()
        believed = believed or waiting.cancelled_caught or await cache.read_data_version() != version


async def require_own_chronicle(
    links: Mapping[str, str | None], gateways: Mapping[str, Gateway], identities: dict[str, str]
) -> None:
    """Raise unless the servers of a chronicle are ours.

    Args:
        links: the machine identifiers of its servers, by the digests of their addresses.
        gateways: the way to each of our servers, by link.
        identities: the machine identifiers of servers that were asked, by link. It is filled here.

    Raises:
        ChronicleOfAnotherServer: it is another household's.
        ChronicleAway: that cannot be told yet, because a server does not answer.
    """
    owner = Owner(None, None, 0, dict(links))
    if gateways.keys() == links.keys() or not owner.servers:  # its first leader has not reached Plex yet
        return
    for link, gateway in gateways.items():
        server = None if link in links or link in identities else await _fetch_identity(gateway)
        if server is not None:
            identities[link] = server.machine_identifier
    verdict = judge_links(owner, set(gateways), identities, own_address=False)
    if verdict == "unknown":
        raise ChronicleAway("it is not known yet whether it is this household's, because Plex does not answer")
    if verdict != "same":
        theirs, ours = ", ".join(sorted(owner.servers)), ", ".join(sorted(identities.values())) or "others"
        raise ChronicleOfAnotherServer(
            f"The chronicle belongs to the Plex server {theirs}; PLEX_URL leads to {ours}. Give this household a group of its "
            "own in PLEX_COMPANION_CHRONICLE_GROUP."
        )


Verdict = Literal["same", "unknown", "differs", "another"]


def judge_links(owner: Owner, links: set[str], identities: Mapping[str, str], *, own_address: bool) -> Verdict:
    """Compare the servers of a database with ours: by address, and by machine identifier where that is known.

    Returns:
        `another` if none of our servers is one of them, `differs` if some are and others are not, `unknown` if a server of
        ours must be asked first.
    """
    if owner.links.keys() == links or (own_address and len(links) == len(owner.links) == 1):
        return "same"
    rest = {link: server for link, server in owner.links.items() if link not in links}
    asked = links - owner.links.keys()
    known = {identities[link] for link in asked if link in identities}
    theirs = {server for server in rest.values() if server}
    if known and known.isdisjoint(owner.servers) and len(asked) == len(links) and not own_address:
        return "another"
    if len(rest) != len(asked):
        return "differs"
    if known == theirs and len(known) == len(asked):
        return "same"
    return "differs" if known - owner.servers else "unknown"


async def _ask_servers(owner: Owner, settings: Settings, gateways: Mapping[str, Gateway]) -> dict[str, ServerIdentity]:
    """Ask the servers at addresses that the database does not have who they are."""
    if len(gateways) == 1 and _is_own_address(owner, settings):
        return {}
    found: dict[str, ServerIdentity] = {}
    for link, gateway in gateways.items():
        server = None if link in owner.links else await _fetch_identity(gateway)
        if server is not None:
            found[link] = server
    return found


def _is_own_address(owner: Owner, settings: Settings) -> bool:
    """Return whether an address is the database's. A database with a default name is named after its first address."""
    own = {link.link_id for link in settings.links()}
    return (
        settings.database is None
        or owner.address in list_address_marks(settings)
        or not own.isdisjoint(owner.links.keys())
    )


async def _fetch_identity(gateway: Gateway) -> ServerIdentity | None:
    with suppress(ToolError):
        return await gateway.fetch_identity()
    return None


def _refuse(path: Path, owner: Owner, ours: ServerIdentity | None, *, several: bool = False) -> DatabaseOfAnotherServer:
    theirs = f"{owner.name} ({owner.server})" if owner.name else str(owner.server)
    theirs = ", ".join([theirs, *sorted(owner.servers - {owner.server})])
    if several:
        return DatabaseOfAnotherServer(
            f"The database {path} is used for {theirs}, and PLEX_URL names others, fewer or more. Give all companions of a "
            "database the same servers, or name another file with --database."
        )
    if ours is None:
        answer = "PLEX_URL is not the address it was last reached at, and does not answer"
    else:
        answer = (
            f"PLEX_URL leads to {f'{ours.name} ({ours.machine_identifier})' if ours.name else ours.machine_identifier}"
        )
    return DatabaseOfAnotherServer(
        f"The database {path} belongs to the Plex server {theirs}; {answer}. Name another file with --database."
    )
