"""Toolset `collection`: groups of items inside one library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from plex_companion.companion import Companion
from plex_companion.errors import Conflict, Invalid, NotFound, NotSupported, PlexError
from plex_companion.models import TYPE_NUMBERS, MediaType
from plex_companion.plex.lookup import FoundItem, find_by_id, find_library, pick_row
from plex_companion.plex.query import clamp_limit, get, get_all, get_page, send, split_values
from plex_companion.plex.steps import add_in_portions, check_confirmed, run_steps
from plex_companion.plex.titles import get_titles, list_exact_queries, list_queries, match_title
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_brief_title,
    read_flag,
    read_kind,
    read_number,
    read_text,
    shorten,
)
from plex_companion.text import format_count
from plex_companion.tools.collection.collection_results import CollectionChange, CollectionDeleted
from plex_companion.tools.collection.edits import CollectionEdits, build_edits
from plex_companion.tools.confirm import DestructionTarget, delete_target, destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, Clearable, Shape, Toolset
from plex_companion.tools.item_list import (
    ResolvedItems,
    build_items_uri,
    check_any_given,
    check_kinds,
    clean_title,
    list_current,
    list_titles,
    refuse_nothing,
    refuse_unclear,
    resolve_among,
    resolve_items,
)
from plex_companion.tools.parameters import CollectionId, CollectionTitle, Confirm, ItemIds, ItemTitles, LibraryName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.titles import TitleMatches

COLLECTION = Toolset("collection", "Collections: list, create, fill, edit, delete")
ALIASES = {"title": "collection_title", "items": "item_titles"}
KINDS = {
    "movie": ("movie",),
    "show": ("show", "season", "episode"),
    "artist": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}
"""The kinds of items in each type of library. A collection holds one of these kinds."""
LISTED = ("movie", "show", "artist")
DEFAULT_ITEMS, MOST_ITEMS = 50, 500
SEARCHED = 50


@dataclass(frozen=True, slots=True)
class Collections:
    """Collections of one library or of all, with the number of collections per library."""

    collections: list[dict[str, Any]]
    libraries: list[dict[str, Any]]
    total: int
    offset: int
    limit: int
    size: int
    truncated: bool
    one_library: Annotated[bool, Field(exclude=True)]
    message: str | None = None

    def as_text(self) -> Any:
        """Return the bare list for one library; for all, an object keyed by library. A repeated name becomes `Name
        (id)`.
        """
        if self.one_library:
            return self.collections
        keyed: dict[str, Any] = {}
        for library in self.libraries:
            name = library["library"] if library["library"] not in keyed else f"{library['library']} ({library['id']})"
            shown = [row for row in self.collections if row["library_id"] == library["id"]]
            keyed[name] = {
                "type": library["type"],
                "collections_count": library["collections_count"],
                "collections": shown,
            }
        return keyed


@dataclass(frozen=True, slots=True)
class CollectionCreated:
    """A new collection."""

    created: bool
    title: str
    id: int | str | None
    rating_key: int | str | None
    library: str
    items_added: int
    item_ids_added: list[int | str | None]
    items_not_found: list[str]


@dataclass(frozen=True, slots=True)
class CollectionExtended:
    """Items added to a collection, and items that were already in it."""

    added: bool
    title: str | None
    id: int | str | None
    items_added: list[str | None]
    items_already_in_collection: list[str | None]
    items_not_found: list[str | dict[str, Any]]
    total_items: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionShortened:
    """Items removed from a collection."""

    removed: bool
    title: str | None
    id: int | str | None
    items_removed: list[str | None]
    items_not_found: list[str | dict[str, Any]]
    remaining_items: int


@COLLECTION.tool(Access.READ, title="List collections")
def collection_list(
    plex: PlexServer,
    companion: Companion,
    library_name: LibraryName | None = None,
    limit: int = DEFAULT_ITEMS,
    offset: int = 0,
) -> Collections:
    """List the collections of one library, or of all movie, show and music libraries.

    Pass `ID` as `collection_id` to other tools. `items` is the number of items.
    """
    limit = clamp_limit(limit, MOST_ITEMS, offset)
    libraries = [find_library(plex, companion.ttl_cache, library_name)] if library_name is not None else None
    known = libraries or [one for one in companion.ttl_cache.list_sections(plex) if one.type in LISTED]
    rows, counts, seen = list[dict[str, Any]](), list[dict[str, Any]](), 0
    for library in known:
        page = get_page(plex, _build_path(library), max(0, offset - seen), limit - len(rows), type=MediaType.COLLECTION)
        rows += [_describe_collection(row, library) for row in page.rows]
        counts.append(_describe_library(library, page.total))
        seen += page.total
    return Collections(
        collections=rows,
        libraries=counts,
        total=seen,
        offset=offset,
        limit=limit,
        size=len(rows),
        truncated=offset + len(rows) < seen,
        one_library=libraries is not None,
        message=None if seen else "No collections found.",
    )


@COLLECTION.tool(Access.WRITE, title="Create a collection", additive=True, aliases=ALIASES)
def collection_create(
    plex: PlexServer,
    companion: Companion,
    collection_title: str,
    library_name: LibraryName,
    item_titles: ItemTitles | None = None,
    item_ids: ItemIds | None = None,
) -> CollectionCreated:
    """Create a collection in a library from items of that library, by exact title or id.

    All items must have the same type. Titles that match nothing are listed in `items_not_found`. If a title matches
    several items, nothing is created and the candidates are listed.
    """
    title = clean_title(collection_title, "collection_title")
    check_any_given(item_titles, item_ids)
    library = find_library(plex, companion.ttl_cache, library_name, writes=True)
    _check_title_is_free(plex, library, title)
    kinds = KINDS.get(library.type, ())
    items = resolve_items(plex, item_titles, item_ids, section=library, kinds=kinds)
    refuse_unclear(items)
    refuse_nothing(items)
    _check_items_fit(items.rows, library.section_id, kinds)
    keys = list(dict.fromkeys(items.keys))
    key = _create_collection(plex, library, title, items.rows[0], keys)
    _check_holds(plex, key, keys)
    return CollectionCreated(
        created=True,
        title=title,
        id=parse_identifier(key),
        rating_key=parse_identifier(key),
        library=library.title,
        items_added=len(keys),
        item_ids_added=[parse_identifier(key) for key in keys],
        items_not_found=list(items.missing),
    )


@COLLECTION.tool(
    Access.WRITE, title="Add to a collection", idempotent=True, additive=True, aliases={"items": "item_titles"}
)
def collection_add_to(
    plex: PlexServer,
    companion: Companion,
    collection_title: CollectionTitle | None = None,
    collection_id: CollectionId | None = None,
    library_name: LibraryName | None = None,
    item_titles: ItemTitles | None = None,
    item_ids: ItemIds | None = None,
) -> CollectionExtended:
    """Add items of the same library to a collection by exact title or id.

    Titles that match nothing or several items are listed in `items_not_found`; the others are added. Items already in
    the collection are not added twice. Smart collections cannot be filled by hand.
    """
    check_any_given(item_titles, item_ids)
    row = _find_ordinary(plex, companion, collection_title, collection_id, library_name)
    section = _find_section(plex, companion, row)
    kinds = _list_kinds(row, section)
    items = resolve_items(plex, item_titles, item_ids, section=section, kinds=kinds)
    refuse_nothing(items)
    _check_items_fit(items.rows, section.section_id, kinds)
    return _add_items(plex, row, items)


@COLLECTION.tool(Access.WRITE, title="Remove from a collection", idempotent=True, aliases={"items": "item_titles"})
def collection_remove_from(
    plex: PlexServer,
    companion: Companion,
    collection_title: CollectionTitle | None = None,
    collection_id: CollectionId | None = None,
    library_name: LibraryName | None = None,
    item_titles: ItemTitles | None = None,
    item_ids: ItemIds | None = None,
) -> CollectionShortened:
    """Remove items from a collection by exact title or id. They stay in the library.

    If a title matches several items of the collection, nothing is removed and the candidates are listed.
    """
    check_any_given(item_titles, item_ids)
    row = _find_ordinary(plex, companion, collection_title, collection_id, library_name)
    current_rows = get_all(plex, f"{_build_item_path(row)}/children")
    items = resolve_among(current_rows, item_titles, item_ids)
    refuse_unclear(items)
    if not items.rows:
        raise _build_nothing_found(row, current_rows)
    return _remove_items(plex, row, items)


@COLLECTION.tool(Access.WRITE, title="Edit a collection", idempotent=True)
def collection_edit(
    plex: PlexServer,
    companion: Companion,
    collection_title: CollectionTitle | None = None,
    collection_id: CollectionId | None = None,
    library_name: LibraryName | None = None,
    new_title: str | None = None,
    new_sort_title: Clearable | None = None,
    new_summary: Clearable | None = None,
    new_content_rating: Clearable | None = None,
    new_labels: list[str] | None = None,
    add_labels: list[str] | None = None,
    remove_labels: list[str] | None = None,
    poster_path: Annotated[str | None, Field(description="A file below the companion's media folder.")] = None,
    poster_url: str | None = None,
    background_path: Annotated[str | None, Field(description="A file below the companion's media folder.")] = None,
    background_url: str | None = None,
    new_advanced_settings: dict[str, Any] | None = None,
) -> Annotated[dict[str, Any], Shape(CollectionChange)]:
    """Edit a collection's title, sort title, summary, content rating, labels, poster, background or settings.

    Omitted arguments stay; an empty text clears. `new_labels` replaces all labels ([] clears them) and excludes
    `add_labels` and `remove_labels`. Settings: collectionMode (default, hide, hideItems, showItems), collectionSort
    (release, alpha, custom), collectionFilterBasedOnUser (admin, user).
    """
    edits = build_edits(
        companion.settings,
        (new_title, new_sort_title, new_summary, new_content_rating),
        (new_labels, add_labels, remove_labels),
        (poster_path, poster_url),
        (background_path, background_url),
        new_advanced_settings,
    )
    found = _find_collection(plex, companion, collection_title, collection_id, library_name, writes=True)
    row = found.row if found.matched == "id" else _get_full(plex, found.row)
    return _describe_edit(row, edits, edits.apply(plex, row, partial(_get_full, plex, row)))


@COLLECTION.tool(Access.DESTRUCTIVE, title="Delete a collection", idempotent=True)
async def collection_delete(
    companion: Companion,
    caller: Caller,
    collection_title: CollectionTitle | None = None,
    collection_id: CollectionId | None = None,
    library_name: LibraryName | None = None,
    confirm: Confirm = False,
) -> Annotated[dict[str, Any], Shape(CollectionDeleted)]:
    """Delete a collection by id or exact title. Its items stay in the library. This cannot be undone.

    The user is asked to confirm; a client that cannot ask needs `confirm=true`.
    """

    def look(plex: PlexServer) -> DestructionTarget:
        return _describe_target(
            _find_collection(plex, companion, collection_title, collection_id, library_name, writes=True).row
        )

    return await destroy_after_confirmation(companion, caller, confirm=confirm, look=look, act=_delete)


def _build_path(library: Section) -> str:
    return f"/library/sections/{library.section_id}/all"


def _build_item_path(row: Element) -> str:
    return f"/library/collections/{row.get('ratingKey')}"


def _describe_library(library: Section, total: int) -> dict[str, Any]:
    number = parse_identifier(library.section_id)
    return {"library": library.title, "id": number, "type": library.type, "collections_count": total}


def _describe_collection(row: Element, library: Section) -> dict[str, Any]:
    key = parse_identifier(row.get("ratingKey"))
    return {
        "title": read_text(row, "title"),
        "summary": shorten(read_text(row, "summary")),
        "is_smart": read_flag(row, "smart") or False,
        "ID": key,
        "items": read_number(row, "childCount"),
        "rating_key": key,
        "library": library.title,
        "library_id": parse_identifier(library.section_id),
    }


def _describe_match(row: Element) -> dict[str, Any]:
    key = parse_identifier(row.get("ratingKey"))
    found = {
        "title": read_brief_title(row, "title"),
        "id": key,
        "rating_key": key,
        "type": "collection",
        "library": read_brief_title(row, "librarySectionTitle"),
        "item_count": read_number(row, "childCount"),
    }
    return drop_nulls(found)


def _find_collection(
    plex: PlexServer,
    companion: Companion,
    title: str | None,
    collection_id: str | None,
    library_name: str | None,
    *,
    writes: bool,
) -> FoundItem:
    """Find the requested collection. One request, two if the libraries are not cached."""
    if collection_id is not None:
        return FoundItem(find_by_id(plex, collection_id, ("collection",), "collection_id"), "id")
    if title is None or not title.strip():
        message = "collection_id or collection_title is required."
        raise Invalid(message, argument="collection_title")
    section = None
    if library_name is not None:
        section = find_library(plex, companion.ttl_cache, library_name, writes=writes)
    return pick_row(
        _find_matches(plex, section, title),
        title,
        writes=writes,
        what="collection",
        match=_describe_match,
        finder="collection_list",
    )


def _find_matches(plex: PlexServer, section: Section | None, title: str) -> TitleMatches[Element]:
    """Return the collections that a title may refer to, in one library or in all. One request, up to two more if none
    matches.
    """
    rows: list[Element] = []
    for query in list_queries(title):
        rows = _list_titled(plex, section, query) if section is not None else _search_all_libraries(plex, query)
        if match_title(rows, title, get_titles).every:
            break
    return match_title(rows, title, get_titles)


def _list_titled(plex: PlexServer, section: Section, title: str) -> list[Element]:
    return _select_collections(
        get_page(plex, _build_path(section), 0, MOST_ITEMS, type=MediaType.COLLECTION, title=title).rows
    )


def _search_all_libraries(plex: PlexServer, title: str) -> list[Element]:
    """Search all libraries for collections. Plex before 1.19 lists collections here as tags without a key; those are
    left out.
    """
    hubs = get(plex, "/hubs/search", query=title, limit=SEARCHED, includeCollections=1)
    return _select_collections(hubs.iter("Directory"))


def _select_collections(rows: Iterable[Element]) -> list[Element]:
    """Return the collections that have a key, each once."""
    found = {row.get("ratingKey"): row for row in rows if read_kind(row) == "collection"}
    return [row for key, row in found.items() if key]


def _find_ordinary(
    plex: PlexServer, companion: Companion, title: str | None, key: str | None, library: str | None
) -> Element:
    """Find the requested collection and check that items can be added and removed.

    Raises:
        NotSupported: it is a smart collection.
    """
    row = _find_collection(plex, companion, title, key, library, writes=True).row
    if read_flag(row, "smart"):
        message = f"'{read_text(row, 'title')}' is a smart collection: only its filters decide what it holds."
        raise NotSupported(message, reason="smart")
    return row


def _get_full(plex: PlexServer, row: Element) -> Element:
    return find_by_id(plex, row.get("ratingKey", ""), ("collection",), "collection_id")


def _find_section(plex: PlexServer, companion: Companion, row: Element) -> Section:
    sections = {section.section_id: section for section in companion.ttl_cache.list_sections(plex)}
    if (found := sections.get(row.get("librarySectionID", ""))) is None:
        raise PlexError(f"Plex does not say which library '{read_text(row, 'title')}' is in.")
    return found


def _list_kinds(row: Element, section: Section) -> tuple[str, ...]:
    subtype = read_text(row, "subtype")
    return (subtype,) if subtype in TYPE_NUMBERS else KINDS.get(section.type, ())


def _check_title_is_free(plex: PlexServer, library: Section, title: str) -> None:
    rows = [row for query in list_exact_queries(title) for row in _list_titled(plex, library, query)]
    for row in match_title(rows, title, get_titles).exact:
        message = (
            f"'{library.title}' already has a collection called '{read_text(row, 'title')}'. Nothing has been changed; "
            "collection_add_to adds to it."
        )
        raise Conflict(message, rating_key=parse_identifier(row.get("ratingKey")))


def _check_items_fit(rows: Sequence[Element], section_id: str, kinds: tuple[str, ...]) -> None:
    """Check that the items have one kind and belong to this library."""
    check_kinds(rows, kinds, f"this collection holds {', '.join(kinds)} only")
    first = read_kind(rows[0]) or ""
    check_kinds(rows, (first,), f"all items of a collection have one type, here {first}")
    stray = next((row for row in rows if row.get("librarySectionID") not in {None, section_id}), None)
    if stray is not None:
        where = read_text(stray, "librarySectionTitle") or "another library"
        message = f"'{read_text(stray, 'title')}' ({stray.get('ratingKey')}) is in {where}: a collection stays in its library."
        raise Invalid(message, argument="item_ids")


def _create_collection(plex: PlexServer, library: Section, title: str, example: Element, keys: Sequence[str]) -> str:
    """Create a collection of these items, all of the kind of `example`, and return its id. One request per few hundred
    items.
    """
    first = split_values(keys, title)[0]
    key = _send_creation(plex, library, title, example, first)
    rest = partial(_send_items, plex, key)
    add_in_portions(plex, keys[len(first) :], rest, begun=len(first), id=parse_identifier(key), created=True)
    return key


def _send_creation(plex: PlexServer, library: Section, title: str, first: Element, keys: Sequence[str]) -> str:
    """Create a collection and return its id."""
    answer = send(
        plex,
        "POST",
        "/library/collections",
        type=TYPE_NUMBERS.get(read_kind(first) or ""),
        title=title,
        smart=False,
        sectionId=library.section_id,
        uri=build_items_uri(plex, keys),
    )
    found = [] if answer is None else [row.get("ratingKey") for row in answer if row.get("ratingKey")]
    message = f"Plex accepted the collection '{title}' but did not return its id. collection_list may show it."
    check_confirmed(requested=True, found=bool(found), message=message)
    return str(found[0])


def _send_items(plex: PlexServer, key: str, keys: list[str]) -> None:
    send(plex, "PUT", f"/library/collections/{key}/items", uri=build_items_uri(plex, keys))


def _check_holds(plex: PlexServer, key: str, keys: Sequence[str]) -> int:
    """Verify that the collection holds these items and return how many it holds in total."""
    current_rows = {row.get("ratingKey") for row in get_all(plex, f"/library/collections/{key}/children")}
    message = f"Plex accepted the items, but not all of them are in collection {key}. Check it with collection_list."
    missing = [one for one in keys if one not in current_rows]
    check_confirmed(requested=[], found=missing, message=message, rating_key=parse_identifier(key))
    return len(current_rows)


def _add_items(plex: PlexServer, row: Element, items: ResolvedItems) -> CollectionExtended:
    """Add the items that are not in the collection yet."""
    before = {one.get("ratingKey") for one in get_all(plex, f"{_build_item_path(row)}/children")}
    new = {one.get("ratingKey", ""): one for one in items.rows if one.get("ratingKey") not in before}
    total = len(before)
    if new:
        add_in_portions(plex, list(new), partial(_send_items, plex, row.get("ratingKey", "")))
        total = _check_holds(plex, row.get("ratingKey", ""), list(new))
    return CollectionExtended(
        added=bool(new),
        title=read_text(row, "title"),
        id=parse_identifier(row.get("ratingKey")),
        items_added=list_titles(new.values()),
        items_already_in_collection=list_titles(one for one in items.rows if one.get("ratingKey") in before),
        items_not_found=items.not_found,
        total_items=total,
        message=None if new else "Nothing was added: every item is already in the collection.",
    )


def _remove_items(plex: PlexServer, row: Element, items: ResolvedItems) -> CollectionShortened:
    """Remove these items one by one."""
    steps = [
        (read_text(one, "title") or "?", partial(_remove_item, plex, row, one.get("ratingKey", "")))
        for one in items.rows
    ]
    run_steps(plex, steps)
    left = {one.get("ratingKey") for one in get_all(plex, f"{_build_item_path(row)}/children")}
    message = (
        f"Plex accepted the removal, but some of the items are still in '{read_text(row, 'title')}'. Check it again."
    )
    check_confirmed(requested=[], found=[key for key in items.keys if key in left], message=message)
    return CollectionShortened(
        removed=True,
        title=read_text(row, "title"),
        id=parse_identifier(row.get("ratingKey")),
        items_removed=list_titles(items.rows),
        items_not_found=items.not_found,
        remaining_items=len(left),
    )


def _remove_item(plex: PlexServer, row: Element, key: str) -> None:
    send(plex, "DELETE", f"{_build_item_path(row)}/items/{key}")


def _build_nothing_found(row: Element, current_rows: Sequence[Element]) -> NotFound:
    message = f"None of these is in the collection '{read_text(row, 'title')}'; current_items lists its items."
    return NotFound(
        message,
        what="item",
        collection_title=read_text(row, "title"),
        collection_id=parse_identifier(row.get("ratingKey")),
        current_items=list_current(current_rows),
    )


def _describe_edit(row: Element, edits: CollectionEdits, changes: Sequence[str]) -> dict[str, Any]:
    if not changes:
        return {
            "updated": False,
            "message": f"Nothing to change in '{read_text(row, 'title')}': no new values, or they are already set.",
        }
    title = edits.texts.get("title", read_text(row, "title"))
    return {"updated": True, "title": title, "changes": list(changes), "id": parse_identifier(row.get("ratingKey"))}


def _describe_target(row: Element) -> DestructionTarget:
    title, items, library = (
        read_brief_title(row, "title") or "?",
        read_number(row, "childCount"),
        read_brief_title(row, "librarySectionTitle"),
    )
    key = parse_identifier(row.get("ratingKey"))
    facts = {
        "title": title,
        "id": key,
        "rating_key": key,
        "type": "collection",
        "library": library,
        "item_count": items,
        "smart": read_flag(row, "smart") or False,
    }
    count = "" if items is None else f" ({format_count(items, 'item')})"
    sentence = (
        f"Delete the collection '{title}'{count} of library '{library}'? "
        "The items stay in the library. This cannot be undone."
    )
    return DestructionTarget(title, (key, row.get("title"), items), facts, sentence)


def _delete(plex: PlexServer, target: DestructionTarget) -> dict[str, Any]:
    return delete_target(plex, f"/library/collections/{target.facts['id']}", target, "collection_list")
