"""Completions for prompt arguments and URI fields while a person types, from memory alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.models import User
from plex_companion.names.folding import fold
from plex_companion.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value, and the words that people know it by."""

    value: str
    known_as: str = ""


def list_sessions(companion: Companion) -> Iterable[Candidate]:
    """Yield the keys of the sessions, which are also found by title and user."""
    for key, session in (pair for state in companion.states for pair in state.sessions.items()):
        who = session.user.name if session.user else None
        yield Candidate(key, f"{session.item.full_title or ''} {who or ''}")


def list_titles(companion: Companion) -> Iterable[Candidate]:
    """Yield the titles that are playing now."""
    for session in (one for state in companion.states for one in state.sessions.values()):
        if session.item.full_title:
            yield Candidate(session.item.full_title)


def list_clients(companion: Companion) -> Iterable[Candidate]:
    """Yield the identifiers of the players, last seen first. They are also found by name and product."""
    known = (client for state in companion.states for client in state.clients.values())
    seen = sorted(known, key=lambda client: client.last_seen_at, reverse=True)
    for client in seen:
        yield Candidate(client.client_identifier, f"{client.title or ''} {client.product or ''}")


def list_users(companion: Companion) -> Iterable[Candidate]:
    """Yield the names of the users, or the ids of users whose names are hidden or not unique. plex.tv's names find them
    too.
    """
    for state in companion.states:
        yield from _list_users_of(state)


def _list_users_of(state: State) -> Iterable[Candidate]:
    elsewhere = {user.id: f"{user.username or ''} {user.title or ''}" for user in state.plex_tv_users}
    names = Counter((account.name or "").casefold() for account in state.accounts)
    for account in state.accounts:
        handle = User(account.id, account.name).handle
        if account.name and handle:
            shared = names[account.name.casefold()] > 1
            known_as = f"{account.name} {elsewhere.get(account.id, '')}"
            yield Candidate(account.id if shared else handle, known_as)


def list_libraries(companion: Companion) -> Iterable[Candidate]:
    """Yield the titles of the libraries, or the ids of libraries that share a title."""
    for state in companion.states:
        titles = Counter(section.title.casefold() for section in state.sections)
        for section in state.sections:
            shared = titles[section.title.casefold()] > 1
            yield Candidate(section.section_id if shared else section.title, section.title)


def list_servers(companion: Companion) -> Iterable[Candidate]:
    """Yield the machine identifiers of the servers, which are also found by name."""
    for link in companion.links:
        if link.machine_identifier:
            yield Candidate(link.machine_identifier, link.name or "")


def list_spans(_: Companion) -> Iterable[Candidate]:
    """Yield time spans that count back from now."""
    return (Candidate(span) for span in ("1h", "8h", "24h", "2d", "7d", "30d", "today", "yesterday", "1month", "1y"))


KINDS: dict[str, Callable[[Companion], Iterable[Candidate]]] = {
    "session_key": list_sessions,
    "title": list_titles,
    "client_identifier": list_clients,
    "user": list_users,
    "library": list_libraries,
    "server": list_servers,
    "since": list_spans,
}
"""The candidates by name of the argument or field."""


def propose_values(companion: Companion, name: str, typed: str) -> list[str]:
    """Return values for an argument or field: those that begin with the typed text, then those that contain it."""
    folded = fold(cut(typed))
    kind = KINDS.get(name)
    found = list(kind(companion)) if kind else []
    begins = [one.value for one in found if fold(one.value).startswith(folded)]
    holds = [one.value for one in found if folded in fold(f"{one.value} {one.known_as}")]
    return list(dict.fromkeys([*begins, *holds]))
