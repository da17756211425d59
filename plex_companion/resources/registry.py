"""All resources in one tuple, from which reading, listing and notifying derive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from plex_companion.cache.database import StorageError, explain_unreadable
from plex_companion.cache.leadership import TouchedUris
from plex_companion.changes.kinds import (
    AccountsSeen,
    CatalogueChanged,
    Change,
    ClientSeen,
    HistoryProgressed,
    PlaysImported,
    RuleChanged,
    RuleRemoved,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    ToolTaskChanged,
)
from plex_companion.errors import NotFound
from plex_companion.resources.activity import ACTIVITY
from plex_companion.resources.alerts import ALERTS
from plex_companion.resources.catalogue import ITEM, LIBRARY
from plex_companion.resources.clients import CLIENTS, TIMELINE
from plex_companion.resources.events import EVENTS
from plex_companion.resources.history import HISTORY, USER_HISTORY
from plex_companion.resources.libraries import LIBRARIES
from plex_companion.resources.play import PLAY
from plex_companion.resources.rules import RULE, RULES
from plex_companion.resources.server import SERVER
from plex_companion.resources.server_uris import FIELD, SharedKeys, is_of_server, lengthen
from plex_companion.resources.servers import SERVERS
from plex_companion.resources.sessions import SESSION, SESSIONS
from plex_companion.resources.task_uris import build_task_uri
from plex_companion.serialize import build_envelope, build_shared_envelope, describe_servers
from plex_companion.text import encode_finite, encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.resources.declare import Resource

SHORT: tuple[Resource, ...] = (
    SERVER,
    SERVERS,
    SESSIONS,
    SESSION,
    ALERTS,
    EVENTS,
    ACTIVITY,
    CLIENTS,
    TIMELINE,
    LIBRARIES,
    LIBRARY,
    ITEM,
    HISTORY,
    USER_HISTORY,
    PLAY,
    RULES,
    RULE,
)
LONG: tuple[Resource, ...] = tuple(
    replace(one, uri=lengthen(one.uri, FIELD), title=f"{one.title} (one server)", list_existing=None)
    for one in SHORT
    if is_of_server(one.uri)
)
"""The same of one of several servers. Where there is one server, they answer and are not listed."""
RESOURCES: tuple[Resource, ...] = (*SHORT, *LONG)


def list_declared(companion: Companion) -> tuple[Resource, ...]:
    """Return the resources that clients are told of. With several servers, keys and ids mean something on one of them."""
    if len(companion.each) == 1:
        return SHORT
    return (*(one for one in SHORT if not _is_of_one_server(one)), *LONG)


def _is_of_one_server(resource: Resource) -> bool:
    """Return whether the fields of a short URI are unique on one server only. A user is one person everywhere."""
    return resource.is_family and is_of_server(resource.uri) and resource is not USER_HISTORY


def find_touched_of_links(changes: Mapping[str, Sequence[Change]], states: Mapping[str, State]) -> TouchedUris:
    """Return the URIs to announce once these changes, by link, are committed; `states` are those of all links then.

    With several servers, long URIs are touched too, and short ones that fit two servers are not.
    """
    if len(states) == 1:
        return find_touched_uris([change for some in changes.values() for change in some])
    touched, shared = TouchedUris(), SharedKeys(states.values())
    for link, some in changes.items():
        found = find_touched_uris(some)
        for uris in (found.immediate, found.progress_only):
            _add_long_uris(uris, states[link], shared)
        touched.add(found)
    return touched


def _add_long_uris(uris: set[str], state: State, shared: SharedKeys) -> None:
    of_server = [uri for uri in uris if is_of_server(uri)]
    uris.difference_update(uri for uri in of_server if uri in shared)
    if state.server:
        uris.update(lengthen(uri, state.server.machine_identifier) for uri in of_server)


def find_touched_uris(changes: Sequence[Change]) -> TouchedUris:
    """Return the URIs to announce once these changes of an only server are committed."""
    found = TouchedUris()
    seen: set[TouchedResources] = set()
    for change in changes:
        kind: Any = type(change)  # mypy takes a class for unhashable if its instances define `__hash__`
        touched = _find_resources(kind, progress=isinstance(change, SessionChanged) and change.progress_only)
        uris = found.progress_only if touched.is_throttled else found.immediate
        if touched not in seen:
            seen.add(touched)
            uris.update(touched.uris)
            found.listing |= touched.is_member
        if touched.is_specific:
            _add_specific_uris(change, touched.families, uris)
            found.listing |= _is_new(change)
    found.progress_only -= found.immediate
    return found


def _add_specific_uris(change: Change, families: tuple[Resource, ...], uris: set[str]) -> None:
    """Add the URIs that one change touches, and others of its kind do not."""
    for family in families:
        uri = family.find_touched_uri(change)
        if uri is not None:
            uris.add(uri)
    if isinstance(change, ToolTaskChanged):
        uris.add(build_task_uri(change.task.id))


def _is_new(change: Change) -> bool:
    """Return whether a change that may be about a known member of a list may be about a new one, or give it another title."""
    if isinstance(change, RuleChanged):
        return not change.rule.enabled
    return isinstance(change, ClientSeen) and change.new


@dataclass(frozen=True, slots=True, eq=False)
class TouchedResources:
    """The resources that a kind of change touches."""

    uris: tuple[str, ...]
    """Resources whose URI is always the same."""
    families: tuple[Resource, ...]
    is_throttled: bool
    """Whether it may wait: progress, and pages of an import, of which there are dozens a second."""
    is_member: bool
    """Whether a list gains or loses a member."""
    is_specific: bool
    """Whether one change of the kind touches what another does not."""


@cache
def _find_resources(kind: type, *, progress: bool) -> TouchedResources:
    touched = [one for one in SHORT if issubclass(kind, one.touched_by) and (one.progress or not progress)]
    families = tuple(one for one in touched if one.is_family)
    return TouchedResources(
        uris=tuple(one.uri for one in touched if not one.is_family),
        families=families,
        is_throttled=progress or issubclass(kind, PlaysImported | HistoryProgressed | CatalogueChanged),
        is_member=issubclass(kind, SessionStarted | SessionEnded | AccountsSeen | RuleRemoved),
        is_specific=bool(families) or issubclass(kind, ToolTaskChanged | RuleChanged | ClientSeen),
    )


async def read_resource(companion: Companion, uri: str, cursor: str | None = None) -> str:
    """Return the JSON of a resource, envelope included. With `cursor`, a paged resource continues from there.

    Raises:
        NotFound: there is no resource with this URI, or no server of this name.
        Ambiguous: it fits several servers; the matches are URIs that fit one.
        Invalid: the cursor is malformed.
        Internal: the database cannot be read.
    """
    for resource in RESOURCES:
        fields = resource.parse_uri(uri)
        if fields is not None:
            one = companion.choose_server(fields.pop("server", None))
            members = await _read_members(
                one, resource, uri, fields if cursor is None else {**fields, "cursor": cursor}
            )
            return f"{encode_json(_build_head(one, resource))[:-1]},{members}"
    known = ", ".join(resource.uri for resource in list_declared(companion))
    message = f"There is no resource '{uri}'. Resources: {known}."
    raise NotFound(message, what="resource", uri=uri)


def _build_head(companion: Companion, resource: Resource) -> dict[str, Any]:
    """Return the envelope. Of several servers it says in `servers` which it has lost, as the rows of `plex://servers` do."""
    states, now = companion.states, companion.now_ms
    head = build_shared_envelope(states, now) if len(states) > 1 else build_envelope(companion.state, now)
    if resource is SERVERS or companion.is_limited:
        return {name: value for name, value in head.items() if name != "servers"}
    return {**head, "servers": describe_servers(states, now)}


async def _read_members(companion: Companion, resource: Resource, uri: str, fields: Mapping[str, str]) -> str:
    """Return the body of a resource without the brace that opens it, so that a long one is not copied to join the envelope."""
    if not resource.of_state:
        try:
            return encode_json(await resource.read(companion, **fields))[1:]
        except StorageError as error:
            raise explain_unreadable(error) from error
    cached = companion.live.serialized
    key = (companion.link_id, uri)
    if key not in cached:
        cached[key] = encode_finite(await resource.read(companion, **fields))[1:]
    return cached[key]


def list_existing(companion: Companion) -> Iterator[tuple[Resource, str, str]]:
    """Yield every concrete resource that exists now, with its URI and title.

    With several servers, that is what all have together, and what each has.
    """
    each = companion.each
    for resource in SHORT:
        if len(each) == 1 or not _is_of_one_server(resource):
            yield from _list_members(companion, resource)
        if len(each) > 1 and is_of_server(resource.uri) and resource is not USER_HISTORY:
            for one in each:
                yield from _list_long(one, resource)


def _list_members(companion: Companion, resource: Resource) -> Iterator[tuple[Resource, str, str]]:
    if resource.list_existing is not None:
        for fields in resource.list_existing(companion):
            yield resource, resource.expand(fields), fields["title"]
    elif not resource.is_family:
        yield resource, resource.uri, resource.title


def _list_long(companion: Companion, resource: Resource) -> Iterator[tuple[Resource, str, str]]:
    """Yield what one of several servers has, once it is known which that is."""
    if server := companion.state.server:
        for _, uri, title in _list_members(companion, resource):
            yield resource, lengthen(uri, server.machine_identifier), f"{title} ({server.name or 'unnamed server'})"


def list_all_uris(companion: Companion) -> set[str]:
    """Return every URI that may be subscribed to and exists now, whether it is listed or not."""
    found = {uri for _, uri, _ in list_existing(companion)}
    if len(companion.each) == 1:
        return found
    shared = SharedKeys(companion.states)
    members = (uri for one in SHORT if _is_of_one_server(one) for _, uri, _ in _list_members(companion, one))
    return found | {uri for uri in members if uri not in shared}
