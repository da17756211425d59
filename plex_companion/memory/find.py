"""Who and which library is meant, and titles as they are searched for."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from plex_companion.cache.plays import Words, libraries_of_plays, users_of_plays
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.text import clean

if TYPE_CHECKING:
    from plex_companion.memory import Memory

NAMES = 50
"""Named in an error at most."""
WORDS = 32
"""Of a title at most."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uffdc\U00020000-\U0003fffd]"
)
"""Characters of scripts that put no spaces between words; the triggers of `plays` have the same."""

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


def words_of(title: str) -> Words:
    """Return what to search titles for: every word, or the beginning of one, has to be there. Never the caller's own.

    A word of a script without spaces (Chinese, Japanese, Korean, Thai …) may stand anywhere inside a title.

    Raises:
        Invalid: there is no word in it.
    """
    words = [word for word in _spaced(clean(title)).split() if any(char.isalnum() for char in word)]
    if not words:
        message = f"title {title[:40]!r} has no word to search for: give a word of the title, or its beginning."
        raise Invalid(message, argument="title")
    unspaced = [word for word in words[:WORDS] if _UNSPACED.search(word)]
    quoted = ['"{}"*'.format(word.replace('"', '""')) for word in words[:WORDS] if not _UNSPACED.search(word)]
    return Words(" ".join(quoted) or None, tuple(map(_forms, unspaced)))


def _spaced(title: str) -> str:
    """Return the title with blanks for the punctuation of scripts without spaces."""
    return "".join(" " if _UNSPACED.match(char) and unicodedata.category(char)[0] in "PSZ" else char for char in title)


def _forms(word: str) -> tuple[str, ...]:
    """Return a word as it may be written: composed or not, with wide letters or not."""
    forms = (word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD", "NFKC", "NFKD")))
    return tuple(dict.fromkeys(forms))
