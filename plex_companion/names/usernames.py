"""Which user a name identifies: one rule for every tool, resource and command. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.names.folding import fold
from plex_companion.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def find_user_ids(requested: str, names: Mapping[str, Collection[str | None]]) -> list[str]:
    """Return the ids of the users that a text identifies: none, one, or several if it is ambiguous.

    An id beats a name, an exact name (in any case) beats one with other accents, and a whole name beats a first name.

    Args:
        requested: the caller's text.
        names: the names of every user, by id.
    """
    given = requested.strip().removeprefix("@").strip()
    if given in names:
        return [given]
    rules: tuple[Callable[[str], str], ...] = (str.casefold, fold)
    for rule in (*rules, _take_first_name):
        folded = fold(given) if rule is _take_first_name else rule(given)
        found = [
            id_ for id_, known in names.items() if folded and any(folded == rule(name) for name in _normalize(known))
        ]
        if found:
            return found
    return []


def _take_first_name(name: str) -> str:
    return fold(name).partition(" ")[0]


def _normalize(names: Collection[str | None]) -> list[str]:
    return [name for name in names if name and name != HIDDEN]
