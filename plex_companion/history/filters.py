"""The filters of history queries: users and libraries by name, and the search for titles."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from plex_companion.cache.queries.plays import Words, list_play_libraries, list_play_users
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.names.folding import fold
from plex_companion.names.title_years import split_year
from plex_companion.names.usernames import find_user_ids
from plex_companion.text import clean, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from plex_companion.changes.state import State
    from plex_companion.history.source import HistorySource

NAMES = 50
"""The most names that an error lists."""
WORDS = 32
"""The most words of a title that are searched for."""
SHORTEST_SPLIT = 4
"""Letters of a word that may lack an apostrophe: `dont`."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uffdc\U00020000-\U0003fffd]"
)
"""Characters of scripts without spaces between words. The triggers on table `plays` use the same ranges."""

Names = dict[str, str | None]


async def list_users(source: HistorySource) -> Names:
    """Return the names, by id, of everybody who has an account here or ever played something."""
    return _users_by_id(source.state, dict(await list_play_users(source.cache)))


def _users_by_id(state: State, played: Names) -> Names:
    accounts = state.accounts  # Plex lists an account 0 without a name, which belongs to nobody
    named = {one.id: one.name or played.get(one.id) for one in accounts if one.name or one.id in played}
    elsewhere: Names = {one.id: one.title or one.username for one in state.plex_tv_users}
    return elsewhere | played | named


async def list_libraries(source: HistorySource) -> Names:
    """Return the names, by id, of every library that exists or that something was played from."""
    played: Names = dict(await list_play_libraries(source.cache))
    return played | {section.section_id: section.title for section in source.state.sections}


def get_current_names(state: State) -> tuple[Names, Names]:
    """Return the current names of libraries and of users, each by id."""
    libraries: Names = {section.section_id: section.title for section in state.sections}
    return libraries, {account.id: account.name for account in state.accounts}


async def find_user(source: HistorySource, wanted: str) -> str:
    """Return the id of the user with this id, name, plex.tv user name or first name.

    Raises:
        NotFound: there is none; the message lists the known users.
        Ambiguous: several users have this name.
    """
    if any(account.id == wanted and account.name for account in source.state.accounts):
        return wanted
    played: Names = dict(await list_play_users(source.cache))
    names: dict[str, set[str | None]] = {id_: {name} for id_, name in played.items()}
    ids = find_user_ids(wanted, list_names(source.state, names))
    known = _users_by_id(source.state, played)
    return _take_only("user", wanted, ids or _find_by_plex_tv_id(source.state, wanted), known)


async def find_library(source: HistorySource, wanted: str) -> str:
    """Return the id of the library with this id, or with this name in any case.

    Raises:
        NotFound: there is none; the message lists the known libraries.
        Ambiguous: several libraries have this name.
    """
    known = await list_libraries(source)
    return _take_only("library", wanted, _find_named_libraries(wanted, known), known)


def list_names(state: State, more: Mapping[str, Collection[str | None]]) -> dict[str, set[str | None]]:
    """Return all names of every user, by id: those on the server, those at plex.tv, and `more`."""
    names: dict[str, set[str | None]] = {id_: set(known) for id_, known in more.items()}
    for account in state.accounts:
        if account.name:
            names.setdefault(account.id, set()).add(account.name)
    for user in state.plex_tv_users:
        names.setdefault(user.id, set()).update((user.username, user.title))
    return names


def _find_by_plex_tv_id(state: State, wanted: str) -> list[str]:
    """Return the ids of the user with this id at plex.tv: the owner's account id on the server differs from it."""
    return [user.id for user in state.plex_tv_users if user.plex_tv_id == wanted.strip()]


def _find_named_libraries(wanted: str, known: Names) -> list[str]:
    """Return the ids of the libraries with this id, else with exactly this name, else with this name without accents."""
    if wanted.strip() in known:
        return [wanted.strip()]
    rules: tuple[Callable[[str], str], ...] = (str.casefold, fold)
    for rule in rules:
        found = [id_ for id_, called in known.items() if called and rule(called) == rule(wanted.strip())]
        if found:
            return found
    return []


def _take_only(what: str, wanted: str, fitting: list[str], known: Names) -> str:
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        matches = [{"id": id_, "name": known.get(id_)} for id_ in fitting]
        message = f"'{mask(wanted)}' is the name of {len(fitting)}: pass the id instead, one of {', '.join(fitting)}."
        raise Ambiguous(message, argument=what, matches=matches)
    names = sorted({called or id_ for id_, called in known.items()}, key=str.casefold)[:NAMES]
    message = f"Unknown {what} '{mask(wanted)}'. Known: {', '.join(names) or 'none yet'}."
    raise NotFound(message, what=what, available=names)


def list_title_matches(title: str) -> list[tuple[Words, int | None]]:
    """Return what to search titles for, and of which year, one after another until something is found.

    First the title as it stands, then with the apostrophes that it may lack (`bakers` for `Baker's`), then the title
    before a year, of plays from that year: `Twin Rivers (2019)`.

    Raises:
        Invalid: there is no word in it.
    """
    matches: list[tuple[Words, int | None]] = [(build_title_match(title), None)]
    possessive = build_title_match(title, apostrophes=True)
    if possessive != matches[0][0]:
        matches.append((possessive, None))
    split = split_year(clean(title))
    if split is not None and any(char.isalnum() for char in split[0]):
        matches.append((build_title_match(split[0]), split[1]))
    return matches


def build_title_match(title: str, *, apostrophes: bool = False) -> Words:
    """Convert a title into a search: a title matches if it contains every word, or a word that begins with it.

    Words are quoted, so nothing a caller writes is FTS5 syntax (SQLite FTS5, section 3.1). A word of a script without spaces
    (Chinese, Japanese, Korean, Thai …) matches anywhere inside a title. With `apostrophes`, a word may have one after its
    first letter or before its last: FTS5 reads the parts around it as two words.

    Raises:
        Invalid: the title contains no word.
    """
    words = [word for word in _add_spaces(clean(title)).split() if any(char.isalnum() for char in word)]
    if not words:
        message = f"title {title[:40]!r} contains no word: give a word of the title, or its beginning."
        raise Invalid(message, argument="title")
    unspaced = [word for word in words[:WORDS] if _UNSPACED.search(word)]
    quoted = [_quote(word, apostrophes=apostrophes) for word in words[:WORDS] if not _UNSPACED.search(word)]
    return Words(" AND ".join(quoted) or None, tuple(map(_list_forms, unspaced)))


def _quote(word: str, *, apostrophes: bool) -> str:
    """Return a word, or its beginning, as FTS5 reads it."""
    plain = '"{}"*'.format(word.replace('"', '""'))
    if not (apostrophes and word.isalpha() and len(word) >= SHORTEST_SPLIT):
        return plain
    return f'({plain} OR "{word[:-1]} {word[-1]}" OR "{word[0]} {word[1:]}")'


def _add_spaces(title: str) -> str:
    """Replace the punctuation of scripts without spaces by spaces."""
    return "".join(" " if _UNSPACED.match(char) and unicodedata.category(char)[0] in "PSZ" else char for char in title)


def _list_forms(word: str) -> tuple[str, ...]:
    """Return the spellings of a word: composed or decomposed, with or without wide letters (Unicode NFC, NFD, NFKC, NFKD)."""
    forms = (word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD", "NFKC", "NFKD")))
    return tuple(dict.fromkeys(forms))
