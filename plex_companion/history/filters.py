"""The filters of history queries: users and libraries by name, and the search for titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from plex_companion.cache.queries.plays import list_play_libraries, list_play_players, list_play_users
from plex_companion.cache.queries.servers import is_unidentified, list_server_names
from plex_companion.companion import OWNER
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.models import Decision
from plex_companion.names.folding import fold
from plex_companion.names.search_text import build_match
from plex_companion.names.title_years import split_year
from plex_companion.names.usernames import find_user_ids
from plex_companion.text import clean, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.history.source import HistorySource

NAMES = 50
"""The most names that an error lists."""
Names = dict[str, str | None]


async def list_users(source: HistorySource) -> Names:
    """Return the names, by id, of everybody who has an account here or ever played something."""
    return _users_by_id(source.state, await list_play_users(source.cache))


def _users_by_id(state: State, played: Names) -> Names:
    accounts = state.accounts  # Plex lists an account 0 without a name, which belongs to nobody
    named = {one.id: one.name or played.get(one.id) for one in accounts if one.name or one.id in played}
    elsewhere: Names = {one.id: one.title or one.username for one in state.plex_tv_users}
    return elsewhere | played | named


async def list_libraries(source: HistorySource) -> Names:
    """Return the names, by id, of every library that exists or that something was played from."""
    return _libraries_by_id(source.state, dict(await list_play_libraries(source.cache)))


def _libraries_by_id(state: State, played: Names) -> Names:
    return played | {section.section_id: section.title for section in state.sections}


class CurrentNames:
    """The current names of libraries and users. Those of a former server are as they were when something was played."""

    def __init__(self, states: Sequence[State]) -> None:
        self._only = get_current_names(states[0]) if len(states) == 1 else ({}, {})
        known = {state.server.machine_identifier: get_current_names(state) for state in states if state.server}
        self._known = known

    def find(self, server: str) -> tuple[Names, Names]:
        """Return the names of a server's libraries and users, each by id."""
        return self._known.get(server) or (self._only if is_unidentified(server) or not self._known else ({}, {}))


def get_current_names(state: State) -> tuple[Names, Names]:
    """Return the current names of libraries and of users, each by id."""
    libraries: Names = {section.section_id: section.title for section in state.sections}
    return libraries, {account.id: account.name for account in state.accounts}


async def find_user(source: HistorySource, requested: str) -> str:
    """Return the id of the user with this id, name, plex.tv user name or first name.

    Raises:
        NotFound: there is none; the message lists the known users.
        Ambiguous: several users have this name.
    """
    played = await list_play_users(source.cache)
    if len(await list_server_names(source.cache)) > 1:
        played.pop(OWNER, None)  # the name may be that of another server's owner
    return find_user_among(source.state, played, requested)


def find_user_among(state: State, played: Names, requested: str) -> str:
    """Return the id of the user as `find_user` does, given the users who ever played something.

    Raises:
        NotFound: there is none; the message lists the known users.
        Ambiguous: several users have this name.
    """
    if any(account.id == requested and account.name for account in state.accounts):
        return requested
    names: dict[str, set[str | None]] = {id_: {name} for id_, name in played.items()}
    ids = find_user_ids(requested, list_names(state, names))
    return take_only("user", requested, ids or _find_by_plex_tv_id(state, requested), _users_by_id(state, played))


async def find_library(source: HistorySource, requested: str) -> str:
    """Return the id of the library with this id, or with this name in any case.

    Raises:
        NotFound: there is none; the message lists the known libraries.
        Ambiguous: several libraries have this name.
    """
    return find_library_among(source.state, dict(await list_play_libraries(source.cache)), requested)


def find_library_among(state: State, played: Names, requested: str) -> str:
    """Return the id of the library as `find_library` does, given the libraries something was ever played from.

    Raises:
        NotFound: there is none; the message lists the known libraries.
        Ambiguous: several libraries have this name.
    """
    known = _libraries_by_id(state, played)
    return take_only("library", requested, find_ids_by_name(requested, known), known)


async def find_players(source: HistorySource, requested: str) -> tuple[str, ...]:
    """Return the ids of the players with this id, or with this name in any case: several may have one name.

    Raises:
        NotFound: there is none; the message lists the known players.
    """
    known = await list_play_players(source.cache)
    found = find_ids_by_name(requested, known)
    return tuple(found) if found else (take_only("player", requested, found, known),)


TYPES = ("movie", "episode", "track", "photo", "clip")
"""The types of items that are played."""


def check_type(requested: str | None) -> str | None:
    """Return the type of item, in lower case.

    Raises:
        Invalid: nothing of that type can be played.
    """
    return _check_choice("type", requested, TYPES)


def check_decision(requested: str | None) -> str | None:
    """Return how plays are delivered, as it is stored: `direct_play` is `direct play`.

    Raises:
        Invalid: there is no such way.
    """
    plain = requested and requested.replace("_", " ").replace("-", " ")
    return _check_choice("decision", plain, get_args(Decision))


def _check_choice(argument: str, requested: str | None, choices: tuple[str, ...]) -> str | None:
    if requested is None or requested.strip().lower() in choices:
        return requested and requested.strip().lower()
    message = f"There is no {argument} {requested[:40]!r}. It is one of: {', '.join(choices)}."
    raise Invalid(message, argument=argument, allowed=list(choices))


def list_names(state: State, more: Mapping[str, Collection[str | None]]) -> dict[str, set[str | None]]:
    """Return all names of every user, by id: those on the server, those at plex.tv, and `more`."""
    names: dict[str, set[str | None]] = {id_: set(known) for id_, known in more.items()}
    for account in state.accounts:
        if account.name:
            names.setdefault(account.id, set()).add(account.name)
    for user in state.plex_tv_users:
        names.setdefault(user.id, set()).update((user.username, user.title))
    return names


def list_names_by_server(states: Iterable[State]) -> dict[str | None, dict[str, set[str | None]]]:
    """Return all names of the users of each server, by its machine identifier."""
    return {state.server.machine_identifier if state.server else None: list_names(state, {}) for state in states}


def _find_by_plex_tv_id(state: State, name: str) -> list[str]:
    """Return the ids of the user with this id at plex.tv: the owner's account id on the server differs from it."""
    return [user.id for user in state.plex_tv_users if user.plex_tv_id == name.strip()]


def find_ids_by_name(requested: str, known: Names) -> list[str]:
    """Return the ids of the things with this id, else with exactly this name, else with this name without accents."""
    if requested.strip() in known:
        return [requested.strip()]
    rules: tuple[Callable[[str], str], ...] = (str.casefold, fold)
    for rule in rules:
        found = [id_ for id_, called in known.items() if called and rule(called) == rule(requested.strip())]
        if found:
            return found
    return []


def take_only(what: str, requested: str, fitting: list[str], known: Names) -> str:
    """Return the only id that fits.

    Raises:
        NotFound: none fits; the message lists the known names.
        Ambiguous: several fit.
    """
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        matches = [{"id": id_, "name": known.get(id_)} for id_ in fitting]
        message = f"'{mask(requested)}' fits {len(fitting)}: pass the id instead, one of {', '.join(fitting)}."
        raise Ambiguous(message, argument=what, matches=matches)
    names = sorted({called or id_ for id_, called in known.items()}, key=str.casefold)[:NAMES]
    message = f"Unknown {what} '{mask(requested)}'. Known: {', '.join(names) or 'none yet'}."
    raise NotFound(message, what=what, available=names)


def list_title_matches(title: str) -> list[tuple[str, int | None]]:
    """Return the texts to search titles for, each with its year, to be tried in order until something is found.

    First the title as it stands, then the title before a year, of plays from that year: `Twin Rivers (2019)`.

    Raises:
        Invalid: there is no word in it.
    """
    matches: list[tuple[str, int | None]] = [(build_title_match(title), None)]
    if (split := split_year(clean(title))) is not None and any(char.isalnum() for char in split[0]):
        matches.append((build_title_match(split[0]), split[1]))
    return matches


def build_title_match(title: str) -> str:
    """Convert a title into a search: a title matches if it contains every word, or a word that begins with it.

    A word of a script without spaces (Chinese, Japanese, Korean, Thai …) matches anywhere inside a title.

    Raises:
        Invalid: the title contains no word.
    """
    if (match := build_match(clean(title))) is None:
        message = f"title {title[:40]!r} contains no word: give a word of the title, or its beginning."
        raise Invalid(message, argument="title")
    return match
