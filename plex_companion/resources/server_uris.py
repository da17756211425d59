"""URIs of what one of several servers has: `plex://servers/{server}/sessions` beside `plex://sessions`.

The field is the machine identifier of the server; its name is accepted too. A short URI that fits two servers is ambiguous.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from plex_companion.companion import ServerFound, find_link
from plex_companion.errors import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plex_companion.changes.state import State
    from plex_companion.companion import LinkedServer

SCHEME = "plex://"
PREFIX = "plex://servers/"
FIELD = "{server}"
OF_SERVERS = frozenset({"sessions", "clients", "activity", "libraries", "items", "history"})
"""First segments of what each server has of its own. Plays, events and alerts have ids of the database."""


def is_of_server(uri: str) -> bool:
    """Return whether a short URI, or the pattern of one, is of something that each server has of its own."""
    return uri.removeprefix(SCHEME).partition("/")[0] in OF_SERVERS


def lengthen(uri: str, server: str) -> str:
    """Return the long form of a short URI; `server` may also be the field of a pattern."""
    return f"{_build_prefix(server)}{uri.removeprefix(SCHEME)}"


@lru_cache(maxsize=1_024)
def _build_prefix(server: str) -> str:
    return f"{PREFIX}{server if server == FIELD else quote(server, safe='')}/"


def canonicalize_server(uri: str, links: Sequence[LinkedServer]) -> str | None:
    """Return a URI with the identifier of the server in place of its name, so that there is one spelling of it.

    Where there is one server, the short URI is that spelling. `None` if no server, or more than one, is called so.
    """
    named, slash, rest = uri.removeprefix(PREFIX).partition("/")
    if not uri.startswith(PREFIX) or not slash:
        return uri
    found = find_link(links, unquote(named))
    if not isinstance(found, ServerFound) or found.server.machine_identifier is None:
        return None
    return SCHEME + rest if len(links) == 1 else lengthen(SCHEME + rest, found.server.machine_identifier)


class SharedKeys:
    """The short URIs that fit several servers. What the catalogue has is not looked up."""

    def __init__(self, states: Iterable[State]) -> None:
        self._states = list(states)

    def __contains__(self, uri: str) -> bool:
        """Return whether a short URI fits several servers."""
        kind, slash, rest = uri.removeprefix(SCHEME).partition("/")
        return bool(slash) and unquote(rest.partition("/")[0]) in self._shared.get(kind, ())

    @cached_property
    def _shared(self) -> dict[str, set[str]]:
        """The keys that several servers have, by first segment of their URI. Built once for all URIs of a batch."""
        if len(self._states) == 1:
            return {}
        return {
            "sessions": _find_repeated(state.sessions for state in self._states),
            "clients": _find_repeated(map(_list_clients, self._states)),
            "libraries": _find_repeated([section.section_id for section in state.sections] for state in self._states),
        }


def _list_clients(state: State) -> set[str]:
    present = {session.client_identifier for session in state.sessions.values() if session.client_identifier}
    return present | state.timelines.keys()


def _find_repeated(each: Iterable[Iterable[str]]) -> set[str]:
    return {key for key, count in Counter(chain.from_iterable(each)).items() if count > 1}


def take_only_server(states: Sequence[State], uri: str) -> State:
    """Return the only one of these servers, which all have something with this short URI.

    Raises:
        Ambiguous: there are several; the matches are the long URIs.
    """
    if len(states) == 1:
        return states[0]
    servers = [state.server.machine_identifier for state in states if state.server]
    matches = [lengthen(uri, server) for server in servers]
    message = f"{uri} fits {len(states)} servers. Name one: {', '.join(matches)}."
    raise Ambiguous(message, what="server", matches=matches)
