"""What may be meant while somebody types: values of prompt arguments and of fields in URIs, out of memory alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.models import User
from plex_companion.names.folding import fold
from plex_companion.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plex_companion.companion import Companion


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value, and the words people know it by."""

    value: str
    known_as: str = ""


def list_sessions(companion: Companion) -> Iterable[Candidate]:
    """Keys of the sessions, found by title and user too."""
    for key, session in companion.state.sessions.items():
        who = session.user.name if session.user else None
        yield Candidate(key, f"{session.item.full_title or ''} {who or ''}")


def list_titles(companion: Companion) -> Iterable[Candidate]:
    """What plays now."""
    for session in companion.state.sessions.values():
        if session.item.full_title:
            yield Candidate(session.item.full_title)


def list_clients(companion: Companion) -> Iterable[Candidate]:
    """Identifiers of the players, found by name and product too; the one seen last comes first."""
    seen = sorted(companion.state.clients.values(), key=lambda client: client.last_seen_at, reverse=True)
    for client in seen:
        yield Candidate(client.client_identifier, f"{client.title or ''} {client.product or ''}")


def list_users(companion: Companion) -> Iterable[Candidate]:
    """Names of the users, or ids of those whose names are hidden or not theirs alone; found by plex.tv's names too."""
    state = companion.state
    elsewhere = {user.id: f"{user.username or ''} {user.title or ''}" for user in state.plex_tv_users}
    names = Counter((account.name or "").casefold() for account in state.accounts)
    for account in state.accounts:
        handle = User(account.id, account.name).handle
        if account.name and handle:
            shared = names[account.name.casefold()] > 1
            known_as = f"{account.name} {elsewhere.get(account.id, '')}"
            yield Candidate(account.id if shared else handle, known_as)


def list_libraries(companion: Companion) -> Iterable[Candidate]:
    """Titles of the libraries, or ids of those that share one."""
    titles = Counter(section.title.casefold() for section in companion.state.sections)
    for section in companion.state.sections:
        shared = titles[section.title.casefold()] > 1
        yield Candidate(section.section_id if shared else section.title, section.title)


def list_spans(_: Companion) -> Iterable[Candidate]:
    """Spans back from now."""
    return (Candidate(span) for span in ("1h", "8h", "24h", "2d", "7d", "30d", "today", "yesterday", "1month", "1y"))


KINDS: dict[str, Callable[[Companion], Iterable[Candidate]]] = {
    "session_key": list_sessions,
    "title": list_titles,
    "client_identifier": list_clients,
    "user": list_users,
    "library": list_libraries,
    "since": list_spans,
}
"""By the name of the argument or field."""


def propose_values(companion: Companion, name: str, typed: str) -> list[str]:
    """Values for the argument or field of that name: those that begin with what was typed, then those that hold it."""
    wanted = fold(cut(typed))
    kind = KINDS.get(name)
    found = list(kind(companion)) if kind else []
    begins = [one.value for one in found if fold(one.value).startswith(wanted)]
    holds = [one.value for one in found if wanted in fold(f"{one.value} {one.known_as}")]
    return list(dict.fromkeys([*begins, *holds]))
