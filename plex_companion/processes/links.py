"""The links to all configured servers: how they are opened, and how they listen side by side."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.catalogue.sources import wrap_source_lookup
from plex_companion.companion import Companion, Link
from plex_companion.events import Connecting, Disconnected, Notification, Snapshot
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueues
from plex_companion.models import SAME_SERVER
from plex_companion.plex.disconnects import ServerTaken
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.listener import listen
from plex_companion.private_files import RenewedTokenFile
from plex_companion.processes.ownership import wrap_owner_check
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.live import Counters, Live
    from plex_companion.plex.disconnects import ListenerTimeouts
    from plex_companion.plex.history_importer import ImportProgress
    from plex_companion.settings import Settings

    Send = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]


@asynccontextmanager
async def open_links(settings: Settings, counters: Counters) -> AsyncIterator[tuple[tuple[Link, ...], EventQueues]]:
    """Open the way to every configured server. Nothing is asked yet. A renewed token is kept beside the database.

    Raises:
        SettingsError: an address is missing, or cannot be used.
    """
    each, beside = settings.links(), find_database_path(settings)
    queues = EventQueues((one.link_id for one in each), QUEUE_LIMIT, counters)
    async with AsyncExitStack() as opened:
        links = []
        for one in each:
            renewed = RenewedTokenFile(beside.with_suffix(f".{one.link_id}.plex-token"))
            gateway = await opened.enter_async_context(open_gateway(one, renewed))
            links.append(Link(one.link_id, one, gateway, queues.by_link[one.link_id]))
        yield tuple(links), queues


async def listen_to_all(
    companion: Companion,
    timeouts: ListenerTimeouts,
    before: Callable[[], Awaitable[None]],
    build_progress: Callable[[Live, str], ImportProgress],
) -> None:
    """Listen to every server from its committed state on. Only the leading process does.

    Each link has a task, a queue and a gateway of its own, so a server that fails delays no other.
    """
    await before()
    claims = ServerClaims(companion.live)
    async with anyio.create_task_group() as tasks:
        several = len(companion.configured) > 1
        for number, link in enumerate(companion.configured, 1):
            place = f"server {number} of {len(companion.configured)}" if several else None
            progress = build_progress(companion.live, link.link_id)
            tasks.start_soon(_listen, companion.choose_link(link.link_id), link, claims, progress, timeouts, place)


async def _listen(
    companion: Companion,
    link: Link,
    claims: ServerClaims,
    progress: ImportProgress,
    timeouts: ListenerTimeouts,
    place: str | None,
) -> None:
    check = wrap_source_lookup(companion, link.event_queue.put)
    check = wrap_owner_check(companion.cache, companion.live, companion.settings, check)
    check = claims.wrap(link.link_id, check)
    receive = route_notifications(link.event_queue.put, check)
    to_plex = partial(
        listen, companion.gateway, companion.settings, receive, now=companion.clock, refresh=link.requests
    )
    await to_plex(history=progress, epoch=companion.state.connection.epoch, timeouts=timeouts, place=place)


def route_notifications(put: Send, check: Send) -> Send:
    """Return a receiver that puts what Plex notifies of into the queue at once, and passes anything else to `check`.

    Only snapshots and news of the connection are checked, and frames come by the thousand.
    """

    def receive(events: Sequence[ReceivedEvent]) -> Awaitable[None]:
        return (put if isinstance(events[0].event, Notification) else check)(events)  # a frame holds nothing else

    return receive


class ServerClaims:
    """Which link has which server. A link that learns second that it leads to a server of another writes nothing."""

    def __init__(self, live: Live) -> None:
        self._owners: dict[str, str] = {}
        for link, state in live.states.items():
            if state.server:
                self._owners.setdefault(state.server.machine_identifier, link)

    def wrap(self, link: str, send: Send) -> Send:
        """Wrap the receiver of a link's events: the first snapshot of another link's server raises `ServerTaken`.

        While it is tried again, the link stays as it is shown.
        """
        duplicate = False

        async def receive(events: Sequence[ReceivedEvent]) -> None:
            nonlocal duplicate
            for received in events:
                match received.event:
                    case Snapshot(first=True, server=server) if server is not None:
                        owner = self._claim(link, server.machine_identifier)
                        duplicate = owner != link
                        if duplicate:
                            raise ServerTaken(f"{SAME_SERVER} {server.name or server.machine_identifier}")
                    case Disconnected() as lost:
                        duplicate = lost.duplicate
            await send([one for one in events if not (duplicate and isinstance(one.event, Connecting))])

        return receive

    def _claim(self, link: str, server: str) -> str:
        """Return the link that a server belongs to. A link that has another server by now gives up the one before."""
        owner = self._owners.setdefault(server, link)
        if owner == link:
            self._owners = {one: at for one, at in self._owners.items() if at != link or one == server}
        return owner
