"""Titles and ids that a caller lists for a playlist or collection, resolved to items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid, NotFound
from plex_companion.plex.call import join_few, list_few
from plex_companion.plex.lookup import MEDIA, ROWS, SHOWN, MultipleMatches, match_item_title, search
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
    """The items that a caller's titles and ids resolve to. `unclear` titles match several items, or none exactly."""

    rows: tuple[Element, ...]
    missing: tuple[str, ...]
    unclear: tuple[dict[str, Any], ...]

    @property
    def keys(self) -> list[str]:
        """The rating keys, in the requested order."""
        return [row.get("ratingKey", "") for row in self.rows]

    @property
    def not_found(self) -> list[str | dict[str, Any]]:
        """Everything that resolves to no item, as results report it."""
        return [*self.missing, *self.unclear]


def check_any_given(titles: Sequence[str] | None, *ids: Sequence[str] | None) -> None:
    """Check that titles or ids are given and well-formed. Makes no request.

    Raises:
        Invalid: nothing is named, a title is blank, or an id is not a number.
    """
    if not titles and not any(ids):
        raise Invalid("item_titles or item_ids is required.", argument="item_titles")
    if any(not title.strip() for title in titles or ()):
        raise Invalid("item_titles contains a blank title.", argument="item_titles")
    wrong = [one for group in ids for one in group or () if not one.strip().isdecimal()]
    if wrong:
        message = f"item_ids must be numbers, such as rating_key in other answers; got '{wrong[0]}'."
        raise Invalid(message, argument="item_ids")


def clean_title(title: str, argument: str) -> str:
    """Return the title without surrounding whitespace.

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
    """Resolve titles, then ids, to items of the server. Costs a search per title and one request per few hundred ids."""
    by_title = sort_matches((title, search(plex, title, section, kinds)) for title in titles or ())
    by_id = get_rows(plex, ids or ())
    missing = [id_ for id_ in ids or () if id_.strip() not in by_id]
    found = [by_id[id_.strip()] for id_ in ids or () if id_.strip() in by_id]
    return ResolvedItems((*by_title.rows, *found), (*by_title.missing, *missing), by_title.unclear)


def resolve_among(rows: Iterable[Element], titles: Sequence[str] | None, ids: Sequence[str] | None) -> ResolvedItems:
    """Resolve titles, then ids, to items of the given rows. Each item appears once. Makes no request."""
    by_key: dict[str, Element] = {}
    for row in rows:
        by_key.setdefault(row.get("ratingKey", ""), row)
    by_title = sort_matches((title, by_key.values()) for title in titles or ())
    missing = [id_ for id_ in ids or () if id_.strip() not in by_key]
    found = [by_key[id_.strip()] for id_ in ids or () if id_.strip() in by_key]
    distinct = {row.get("ratingKey", ""): row for row in (*by_title.rows, *found)}
    return ResolvedItems(tuple(distinct.values()), (*by_title.missing, *missing), by_title.unclear)


def sort_matches(candidates: Iterable[tuple[str, Iterable[Element]]]) -> ResolvedItems:
    """Sort each requested title into matched, missing or ambiguous."""
    rows: list[Element] = []
    missing: list[str] = []
    unclear: list[dict[str, Any]] = []
    for title, candidate_rows in candidates:
        matches = match_item_title(candidate_rows, title)
        if len(matches.exact) == 1:
            rows.append(matches.exact[0])
        elif matches.every:
            possible = [describe_match(row) for row in matches.best[:SHOWN]]
            unclear.append({"title": title, "possible_matches": possible})
        else:
            missing.append(title)
    return ResolvedItems(tuple(rows), tuple(missing), tuple(unclear))


def get_rows(plex: PlexServer, ids: Sequence[str]) -> dict[str, Element]:
    """Return the items with these ids, by id. Ids that Plex does not know are left out."""
    id_ = list(dict.fromkeys(one.strip() for one in ids))
    found: dict[str, Element] = {}
    for part in split_values(id_):
        container = get_or_none(plex, f"/library/metadata/{','.join(part)}")
        rows = [] if container is None else [row for row in container if row.tag in ROWS or row.tag == "Playlist"]
        found |= {row.get("ratingKey", ""): row for row in rows}
    return found


def check_kinds(rows: Iterable[Element], kinds: Collection[str], why: str) -> None:
    """Refuse items of a kind that the list cannot hold.

    Raises:
        Invalid: an item has another kind; the error names it.
    """
    wrong = next((row for row in rows if read_kind(row) not in kinds), None)
    if wrong is not None:
        message = f"{wrong.get('ratingKey')} is a {read_kind(wrong)} ('{read_text(wrong, 'title')}'), and {why}."
        raise Invalid(message, argument="item_ids", allowed=sorted(kinds))


def refuse_unclear(items: ResolvedItems) -> None:
    """Refuse to continue if some titles are ambiguous.

    Raises:
        MultipleMatches: the candidates, also by title in `unresolved`.
    """
    if items.unclear:
        titles = join_few([f"'{one['title']}'" for one in items.unclear])
        matches = [match for one in items.unclear for match in one["possible_matches"]]
        message = (
            f"No single item is called exactly {titles}: repeat the call with the item_ids you mean. "
            "Nothing has been changed."
        )
        raise MultipleMatches(message, matches, **list_few("unresolved", items.unclear))


def refuse_missing(items: ResolvedItems) -> None:
    """Refuse to continue without some of the items.

    Raises:
        NotFound: the titles and ids that match nothing.
    """
    if items.missing:
        names = join_few([f"'{name}'" for name in items.missing])
        message = f"Nothing found for {names}. Nothing has been changed. Check the spelling, or use media_search."
        raise NotFound(message, what="item", **list_few("items_not_found", items.missing))


def refuse_nothing(items: ResolvedItems) -> None:
    """Refuse to continue if not a single title or id resolves to an item.

    Raises:
        MultipleMatches: some titles match several items.
        NotFound: nothing matches.
    """
    if not items.rows:
        refuse_unclear(items)
        refuse_missing(items)


def list_current(rows: Iterable[Element]) -> list[dict[str, Any]]:
    """Describe the items of a list, for a caller who named items it does not hold."""
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
    """Return the titles of items."""
    return [read_text(row, "title") for row in rows]


def build_uri(plex: PlexServer, path: str) -> str:
    """Return a path of this server in the form that `uri=` arguments take."""
    return f"server://{plex.machineIdentifier}/com.plexapp.plugins.library{path}"


def build_items_uri(plex: PlexServer, keys: Iterable[str]) -> str:
    """Return the `uri=` argument for these items, in this order."""
    return build_uri(plex, f"/library/metadata/{','.join(keys)}")
