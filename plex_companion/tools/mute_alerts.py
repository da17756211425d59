"""Muting kinds of alerts. This is the companion's own note; Plex is neither queried nor changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

import anyio

from plex_companion.cache.queries.alert_lists import read_muted_kinds
from plex_companion.errors import Invalid, TimedOut
from plex_companion.events import AlertKindMuted, ReceivedEvent
from plex_companion.models import AlertKind
from plex_companion.tools.acknowledge import SECONDS

if TYPE_CHECKING:
    from plex_companion.companion import Companion

LONGEST_SHOWN = 40


def parse_kind(text: str) -> AlertKind:
    """Parse the name of a kind of alert.

    Raises:
        Invalid: there is no such kind.
    """
    name, known = text.strip().lower(), get_args(AlertKind)
    if name not in known:
        message = f"There is no alert kind {text[:LONGEST_SHOWN]!r}. Kinds: {', '.join(known)}."
        raise Invalid(message, argument="kind", allowed=list(known))
    return cast("AlertKind", name)


async def mute_alerts(companion: Companion, kind: str, *, muted: bool) -> list[str]:
    """Mute a kind of alert, or no longer mute it; return the muted kinds once that is committed.

    Raises:
        Invalid: there is no such kind.
        TimedOut: the write did not finish in time; it is retried until it succeeds.
    """
    chosen = parse_kind(kind)
    changed = companion.live.prepare_wait()  # before sending, or the commit could be missed
    await companion.event_queue.put([ReceivedEvent(AlertKindMuted(chosen, muted), companion.clock())])
    with anyio.move_on_after(SECONDS):
        while (chosen in (kinds := await read_muted_kinds(companion.cache))) != muted:
            await changed.wait()
            changed = companion.live.prepare_wait()
        return kinds
    message = f"{chosen} is not {'muted' if muted else 'unmuted'} yet: the cache cannot be written right now (see "
    raise TimedOut(f"{message}companion_status). The companion keeps trying.")
