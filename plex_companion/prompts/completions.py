"""What may be meant while somebody types: values of prompt arguments and of fields in URIs, out of memory alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.models import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plex_companion.companion import Companion


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value, and the words people know it by."""

    value: str
    known_as: str = ""


def sessions(companion: Companion) -> Iterable[Candidate]:
    """Keys of the sessions, found by title and user too."""
    for key, session in companion.state.sessions.items():
        who = session.user.name if session.user else None
        yield Candidate(key, f"{session.item.full_title or ''} {who or ''}")


def titles(companion: Companion) -> Iterable[Candidate]:
    """What plays now."""
    for session in companion.state.sessions.values():
        if session.item.full_title:
            yield Candidate(session.item.full_title)


def clients(companion: Companion) -> Iterable[Candidate]:
    """Identifiers of the players, found by name and product too; the one seen last comes first."""
    seen = sorted(companion.state.clients.values(), key=lambda client: client.last_seen_at, reverse=True)
    for client in seen:
        yield Candidate(client.client_identifier, f"{client.title or ''} {client.product or ''}")


def users(companion: Companion) -> Iterable[Candidate]:
    """Names of the users, or ids of those whose names are hidden."""
    for account in companion.state.accounts:
        handle = User(account.id, account.name).handle
        if account.name and handle:
            yield Candidate(handle)


def libraries(companion: Companion) -> Iterable[Candidate]:
    """Titles of the libraries."""
    return (Candidate(section.title) for section in companion.state.sections)


def spans(_: Companion) -> Iterable[Candidate]:
    """Spans back from now."""
    return (Candidate(span) for span in ("1h", "8h", "24h", "2d", "7d", "30d"))


KINDS: dict[str, Callable[[Companion], Iterable[Candidate]]] = {
    "session_key": sessions,
    "title": titles,
    "client_identifier": clients,
    "user": users,
    "library": libraries,
    "since": spans,
}
"""By the name of the argument or field."""


def proposed(companion: Companion, name: str, typed: str) -> list[str]:
    """Values for the argument or field of that name: those that begin with what was typed, then those that hold it."""
    wanted = typed.casefold().strip()
    kind = KINDS.get(name)
    found = list(kind(companion)) if kind else []
    begins = [one.value for one in found if one.value.casefold().startswith(wanted)]
    holds = [one.value for one in found if wanted in f"{one.value} {one.known_as}".casefold()]
    return list(dict.fromkeys([*begins, *holds]))
