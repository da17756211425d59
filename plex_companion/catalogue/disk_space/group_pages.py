"""Pages of groups: the largest first, and a cursor that fits one question only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.search import decode_position, encode_position
from plex_companion.catalogue.search_query import SortPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Group = dict[str, Any]


def page_groups(
    groups: Iterable[Group], key: Callable[[Group], str], digest: str, limit: int, cursor: str | None
) -> tuple[list[Group], str | None]:
    """Return a page of groups, the largest first, and the cursor of the next page. `key` tells groups of one size apart.

    Raises:
        Invalid: it is not a cursor, or one of another question.
    """
    after = decode_position(cursor, digest) if cursor is not None else None
    begins = None if after is None else (-after.id, str(after.value))
    placed = [((-group["size_bytes"], key(group)), group) for group in groups]
    placed.sort(key=lambda one: one[0])
    left = [group for place, group in placed if begins is None or place > begins]
    page = left[:limit]
    if len(left) <= limit:
        return page, None
    last = page[-1]
    return page, encode_position(digest, SortPosition(unknown=False, value=key(last), id=last["size_bytes"]))
