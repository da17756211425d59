"""Who and which library is meant, and titles as they are searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.plays import libraries_of_plays, users_of_plays
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.text import clean

if TYPE_CHECKING:
    from plex_companion.memory import Memory

NAMES = 50
"""Named in an error at most."""
WORDS = 32
"""Of a title at most."""

Names = dict[str, str | None]


async def known_users(memory: Memory) -> Names:
    """Everybody who has an account here or ever played something, by id."""
    played: Names = dict(await users_of_plays(memory.cache))
    accounts = memory.state.accounts  # Plex lists one that is nobody's, 0, without a name
    named = {one.id: one.name or played.get(one.id) for one in accounts if one.name or one.id in played}
    return played | named


async def known_libraries(memory: Memory) -> Names:
    """Every library there is or ever was, as far as something was played from it, by id."""
    played: Names = dict(await libraries_of_plays(memory.cache))
    return played | {section.section_id: section.title for section in memory.state.sections}


async def find_user(memory: Memory, wanted: str) -> str:
    """The id of the user with this id, or with this name in whatever case.

    Raises:
        NotFound: there is none; the message names those there are.
        Ambiguous: several have this name.
    """
    return _found("user", wanted, await known_users(memory))


async def find_library(memory: Memory, wanted: str) -> str:
    """The id of the library with this id, or with this name in whatever case.

    Raises:
        NotFound: there is none; the message names those there are.
        Ambiguous: several have this name.
    """
    return _found("library", wanted, await known_libraries(memory))


def _found(what: str, wanted: str, known: Names) -> str:
    if wanted in known:
        return wanted
    name = wanted.strip().casefold()
    fitting = [id_ for id_, called in known.items() if called is not None and called.casefold() == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        matches = [{"id": id_, "name": known[id_]} for id_ in fitting]
        message = f"{len(fitting)} have the name '{wanted}': give the id instead, one of {', '.join(fitting)}."
        raise Ambiguous(message, argument=what, matches=matches)
    names = sorted({called or id_ for id_, called in known.items()}, key=str.casefold)[:NAMES]
    message = f"No {what} '{wanted}' is known. Known: {', '.join(names) or 'none yet'}."
    raise NotFound(message, what=what, available=names)


def words_of(title: str) -> str:
    """An expression for the title index: every word, or the beginning of one, has to be there. Never the caller's own.

    Raises:
        Invalid: there is no word in it.
    """
    words = [word for word in clean(title).split() if any(char.isalnum() for char in word)]
    if not words:
        message = f"title {title[:40]!r} has no word to search for: give a word of the title, or its beginning."
        raise Invalid(message, argument="title")
    quoted = ('"{}"*'.format(word.replace('"', '""')) for word in words[:WORDS])
    return " ".join(quoted)
