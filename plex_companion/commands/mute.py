"""`alerts --mute` and `--unmute`: a note for the process that listens, or for the next one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import open_cache
from plex_companion.cache.forwarded_events import write_forwarded
from plex_companion.cache.lock import open_lock
from plex_companion.cache.queries.alert_lists import read_muted_kinds
from plex_companion.commands.reports.archive import suggest_fix
from plex_companion.companion import read_clock
from plex_companion.errors import Invalid, SettingsError, StartError
from plex_companion.events import AlertKindMuted, ReceivedEvent
from plex_companion.settings import find_database_path
from plex_companion.tools.mute_alerts import parse_kind

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.models import AlertKind
    from plex_companion.settings import Settings

SECONDS = 10.0
"""How long the process that listens may take."""
POLL_SECONDS = 0.05


async def mute_kind(settings: Settings, kind: str, *, muted: bool, demo: int = 0) -> str:
    """Mute a kind of alert, or no longer mute it. Return what to tell the person.

    Raises:
        SettingsError: there is no such kind.
        StartError: there is no database, or it cannot be used.
    """
    try:
        chosen = parse_kind(kind)
    except Invalid as error:
        raise SettingsError(error.message) from error
    path = find_database_path(settings, demo=demo)
    if not path.exists():
        message = f"There is no database {path} yet: {suggest_fix(settings, demo=demo)}"
        raise StartError(message)
    async with open_cache(path, backups=settings.backups) as cache:
        if (chosen in await read_muted_kinds(cache)) == muted:
            return f"Alerts of the kind {chosen} {'are muted already' if muted else 'were not muted'}."
        event = ReceivedEvent(AlertKindMuted(chosen, muted), read_clock())
        await write_forwarded(cache, {settings.link_id: [event]})
        return await _describe_outcome(cache, chosen, muted=muted)


async def _describe_outcome(cache: Cache, kind: AlertKind, *, muted: bool) -> str:
    done = f"Alerts of the kind {kind} are {'muted: they are recorded, and nobody is told' if muted else 'told again'}"
    with open_lock(cache.path) as lock:
        if lock.try_acquire():
            return f"{done}, as soon as plex-companion runs."
    with anyio.move_on_after(SECONDS):
        while (kind in await read_muted_kinds(cache)) != muted:  # noqa: ASYNC110 - another process writes it
            await anyio.sleep(POLL_SECONDS)
        return f"{done}."
    return f"{done}, as soon as the process that listens can write to the database."
