"""Titles and ids that a caller lists for a playlist or a collection, as the items that are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid, NotFound
from plex_companion.plex.call import join_few, list_few
from plex_companion.plex.lookup import MEDIA, ROWS, SHOWN, MultipleMatches, match_title, search
from plex_companion.plex.query import get_or_none, split_values
from plex_companion.plex.xml.attributes import (
    describe_match,
    drop_nulls,
    parse_identifier,
    read_brief_title,
    read_kind,
    read_text,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

CURRENT = 50


@dataclass(frozen=True, slots=True)
class ResolvedItems:
    """What a caller's titles and ids stand for. `unclear` titles fit several items, or none exactly."""

    rows: tuple[Element, ...]
    missing: tuple[str, ...]
    unclear: tuple[dict[str, Any], ...]

    @property
    def keys(self) -> list[str]:
        """The rating keys, in the order they were asked for."""
        return [row.get("ratingKey", "") for row in self.rows]

    @property
    def not_found(self) -> list[str | dict[str, Any]]:
        """Everything that stands for no item, as a result tells it."""
        return [*self.missing, *self.unclear]


def check_any_given(titles: Sequence[str] | None, *ids: Sequence[str] | None) -> None:
    """Insist on something to act on, before anything is asked.

    Raises:
        Invalid: nothing named, a blank title, an id that is no number.
    """
    if not titles and not any(ids):
        raise Invalid("Name the items: item_titles or item_ids is needed.", argument="item_titles")
    if any(not title.strip() for title in titles or ()):
        raise Invalid("item_titles holds a blank title.", argument="item_titles")
    wrong = [one for some in ids for one in some or () if not one.strip().isdecimal()]
    if wrong:
        message = f"item_ids must be numbers, as rating_key in other answers; got '{wrong[0]}'."
        raise Invalid(message, argument="item_ids")


def clean_title(title: str, argument: str) -> str:
    """The title without blanks around it.

    Raises:
        Invalid: nothing is left.
    """
    if not title.strip():
        raise Invalid(f"{argument} must not be blank.", argument=argument)
    return title.strip()


def resolve_items(
    plex: PlexServer,
    titles: Sequence[str] | None,
    ids: Sequence[str] | None,
    *,
    section: Section | None = None,
    kinds: Collection[str] = MEDIA,
) -> ResolvedItems:
    """The items of these titles, then of these ids. A search for every title, one request for some hundred ids."""
    by_title = sort_matches((title, search(plex, title, section, kinds)) for title in titles or ())
    by_id = get_rows(plex, ids or ())
    missing = [wanted for wanted in ids or () if wanted.strip() not in by_id]
    found = [by_id[wanted.strip()] for wanted in ids or () if wanted.strip() in by_id]
    return ResolvedItems((*by_title.rows, *found), (*by_title.missing, *missing), by_title.unclear)


def resolve_among(rows: Iterable[Element], titles: Sequence[str] | None, ids: Sequence[str] | None) -> ResolvedItems:
    """The same out of the items of a list, each of them once. No request."""
    held: dict[str, Element] = {}
    for row in rows:
        held.setdefault(row.get("ratingKey", ""), row)
    by_title = sort_matches((title, held.values()) for title in titles or ())
    missing = [wanted for wanted in ids or () if wanted.strip() not in held]
    found = [held[wanted.strip()] for wanted in ids or () if wanted.strip() in held]
    distinct = {row.get("ratingKey", ""): row for row in (*by_title.rows, *found)}
    return ResolvedItems(tuple(distinct.values()), (*by_title.missing, *missing), by_title.unclear)


def sort_matches(candidates: Iterable[tuple[str, Iterable[Element]]]) -> ResolvedItems:
    """Sort each title into the one item that is called exactly so, missing, or unclear."""
    rows: list[Element] = []
    missing: list[str] = []
    unclear: list[dict[str, Any]] = []
    for title, candidate_rows in candidates:
        fits = match_title(candidate_rows, title)
        if len(fits.exact) == 1:
            rows.append(fits.exact[0])
        elif fits.every:
            possible = [describe_match(row) for row in fits.best[:SHOWN]]
            unclear.append({"title": title, "possible_matches": possible})
        else:
            missing.append(title)
    return ResolvedItems(tuple(rows), tuple(missing), tuple(unclear))


def get_rows(plex: PlexServer, ids: Sequence[str]) -> dict[str, Element]:
    """The items of these ids by id; ids that Plex does not know are left out."""
    wanted = list(dict.fromkeys(one.strip() for one in ids))
    found: dict[str, Element] = {}
    for part in split_values(wanted):
        some = get_or_none(plex, f"/library/metadata/{','.join(part)}")
        rows = [] if some is None else [row for row in some if row.tag in ROWS or row.tag == "Playlist"]
        found |= {row.get("ratingKey", ""): row for row in rows}
    return found


def check_kinds(rows: Iterable[Element], kinds: Collection[str], why: str) -> None:
    """Refuse items that the list cannot hold.

    Raises:
        Invalid: one of another kind; the error names it.
    """
    wrong = next((row for row in rows if read_kind(row) not in kinds), None)
    if wrong is not None:
        message = f"{wrong.get('ratingKey')} is a {read_kind(wrong)} ('{read_text(wrong, 'title')}'), and {why}."
        raise Invalid(message, argument="item_ids", allowed=sorted(kinds))


def refuse_unclear(items: ResolvedItems) -> None:
    """End the tool with what the unclear titles may mean, if there are any.

    Raises:
        Several: with `unresolved`, the same by title.
    """
    if items.unclear:
        titles = join_few([f"'{one['title']}'" for one in items.unclear])
        matches = [match for one in items.unclear for match in one["possible_matches"]]
        message = (
            f"No single item is called exactly {titles}: repeat the call with item_ids of those that are meant. "
            "Nothing has been changed."
        )
        raise MultipleMatches(message, matches, **list_few("unresolved", items.unclear))


def refuse_missing(items: ResolvedItems) -> None:
    """Refuse to go on without some of the items.

    Raises:
        NotFound: naming them.
    """
    if items.missing:
        names = join_few([f"'{name}'" for name in items.missing])
        message = f"Nothing found for {names}, and nothing has been changed. Check the spelling, or use media_search."
        raise NotFound(message, what="item", **list_few("items_not_found", items.missing))


def refuse_nothing(items: ResolvedItems) -> None:
    """Refuse to go on when not one title or id is clear.

    Raises:
        Several: some titles fit several items.
        NotFound: nothing fits.
    """
    if not items.rows:
        refuse_unclear(items)
        refuse_missing(items)


def list_current(rows: Iterable[Element]) -> list[dict[str, Any]]:
    """What a list holds, for a caller who named something else."""
    shown = [
        drop_nulls(
            {
                "title": read_brief_title(row, "title"),
                "type": read_kind(row),
                "id": parse_identifier(row.get("ratingKey")),
            }
        )
        for row in rows
    ]
    return shown[:CURRENT]


def list_titles(rows: Iterable[Element]) -> list[str | None]:
    """What items are called."""
    return [read_text(row, "title") for row in rows]


def build_uri(plex: PlexServer, path: str) -> str:
    """A path of this server as `uri=` arguments name it."""
    return f"server://{plex.machineIdentifier}/com.plexapp.plugins.library{path}"


def build_items_uri(plex: PlexServer, keys: Iterable[str]) -> str:
    """These items, in this order."""
    return build_uri(plex, f"/library/metadata/{','.join(keys)}")
