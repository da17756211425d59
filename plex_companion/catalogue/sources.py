"""The files of items that are being played, to explain what a stream was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.cache.queries.source_files import read_source_files
from plex_companion.events import Snapshot
from plex_companion.streams.reasons import choose_source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.companion import Companion
    from plex_companion.events import ReceivedEvent

    Send = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]


def wrap_source_lookup(companion: Companion, send: Send) -> Send:
    """Wrap the receiver of events: sessions that are not played as they are get the file of their item."""

    async def receive(events: Sequence[ReceivedEvent]) -> None:
        await send([received._replace(event=await _add_sources(companion, received.event))
                    if isinstance(received.event, Snapshot) else received for received in events])  # fmt: skip

    return receive


async def _add_sources(companion: Companion, snapshot: Snapshot) -> Snapshot:
    rows = snapshot.sessions or ()
    keys = {row.item.rating_key for row in rows if row.source is not None and row.item.rating_key}
    server = snapshot.server or companion.state.server
    if not keys or server is None:
        return snapshot
    files = await read_source_files(companion.cache, server.machine_identifier, keys)
    return replace(
        snapshot,
        sessions=tuple(
            row if row.source is None
            else replace(row, source=choose_source(row.source, files.get(row.item.rating_key or "", {}), row.media_id))
            for row in rows
        ),
    )  # fmt: skip
