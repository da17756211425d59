"""All resources in one tuple, from which reading, listing and notifying derive."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from plex_companion.cache.database import StorageError, explain_unreadable
from plex_companion.cache.leadership import TouchedUris
from plex_companion.changes.kinds import (
    AccountsSeen,
    Change,
    ClientSeen,
    HistoryProgressed,
    PlaysImported,
    SessionChanged,
    SessionEnded,
    SessionStarted,
)
from plex_companion.errors import NotFound
from plex_companion.resources.activity import ACTIVITY
from plex_companion.resources.alerts import ALERTS
from plex_companion.resources.clients import CLIENTS, TIMELINE
from plex_companion.resources.events import EVENTS
from plex_companion.resources.history import HISTORY, USER_HISTORY
from plex_companion.resources.libraries import LIBRARIES
from plex_companion.resources.play import PLAY
from plex_companion.resources.server import SERVER
from plex_companion.resources.sessions import SESSION, SESSIONS
from plex_companion.serialize import build_envelope
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from plex_companion.companion import Companion
    from plex_companion.resources.declare import Resource

RESOURCES: tuple[Resource, ...] = (
    SERVER,
    SESSIONS,
    SESSION,
    ALERTS,
    EVENTS,
    ACTIVITY,
    CLIENTS,
    TIMELINE,
    LIBRARIES,
    HISTORY,
    USER_HISTORY,
    PLAY,
)


def find_touched_uris(changes: Sequence[Change]) -> TouchedUris:
    """Return the URIs to announce once these changes are committed."""
    found = TouchedUris()
    for change in changes:
        progress = isinstance(change, SessionChanged) and change.progress_only
        throttled = progress or isinstance(change, PlaysImported | HistoryProgressed)  # an import makes dozens a second
        (found.progress_only if throttled else found.immediate).update(_list_uris(change, progress=progress))
        found.listing |= isinstance(change, SessionStarted | SessionEnded | AccountsSeen)
        found.listing |= isinstance(change, ClientSeen) and change.new
    found.progress_only -= found.immediate
    return found


def _list_uris(change: Change, *, progress: bool) -> Iterator[str]:
    kind: Any = type(change)  # mypy takes a class for unhashable if its instances define `__hash__`
    for resource in _find_resources(kind):
        uri = None if progress and not resource.progress else resource.find_touched_uri(change)
        if uri is not None:
            yield uri


@cache
def _find_resources(kind: type) -> tuple[Resource, ...]:
    return tuple(resource for resource in RESOURCES if issubclass(kind, resource.touched_by))


async def read_resource(companion: Companion, uri: str, cursor: str | None = None) -> str:
    """Return the JSON of a resource, envelope included. With `cursor`, a paged resource continues from there.

    Raises:
        NotFound: there is no resource with this URI.
        Invalid: the cursor is malformed.
        Internal: the database cannot be read.
    """
    for resource in RESOURCES:
        fields = resource.parse_uri(uri)
        if fields is not None:
            body = await _read_body(
                companion, resource, uri, fields if cursor is None else {**fields, "cursor": cursor}
            )
            return f"{encode_json(build_envelope(companion.state, companion.now_ms))[:-1]},{body[1:]}"
    known = ", ".join(resource.uri for resource in RESOURCES)
    message = f"There is no resource '{uri}'. Resources: {known}."
    raise NotFound(message, what="resource", uri=uri)


async def _read_body(companion: Companion, resource: Resource, uri: str, fields: Mapping[str, str]) -> str:
    if not resource.of_state:
        try:
            return encode_json(await resource.read(companion, **fields))
        except StorageError as error:
            raise explain_unreadable(error) from error
    kept = companion.live.serialized
    if uri not in kept:
        kept[uri] = encode_json(await resource.read(companion, **fields))
    return kept[uri]


def list_existing(companion: Companion) -> Iterator[tuple[Resource, str, str]]:
    """Yield every concrete resource that exists now, with its URI and title."""
    for resource in RESOURCES:
        if resource.list_existing is not None:
            for fields in resource.list_existing(companion):
                yield resource, resource.expand(fields), fields["title"]
        elif not resource.is_family:
            yield resource, resource.uri, resource.title
