"""Toolset `playlist`: a user's own lists, ordinary and smart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.plex.lookup import find_library
from plex_companion.plex.pictures import check_one_source, load_picture
from plex_companion.plex.query import ResultPage, clamp_limit, get, get_all, get_page, send
from plex_companion.plex.steps import check_confirmed
from plex_companion.plex.xml.attributes import (
    read_brief_title,
    read_flag,
    read_number,
    read_text,
    read_utc,
    shorten,
    take_first,
)
from plex_companion.text import format_count
from plex_companion.tools.arguments import choose
from plex_companion.tools.confirm import DestructionTarget, delete_target, destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, Clearable, Id, Shape, Toolset
from plex_companion.tools.item_list import (
    build_uri,
    check_any_given,
    clean_title,
    refuse_missing,
    refuse_nothing,
    refuse_unclear,
    resolve_items,
)
from plex_companion.tools.parameters import (
    Confirm,
    ItemIds,
    ItemTitles,
    LibraryName,
    PlaylistId,
    PlaylistTitle,
    Username,
)
from plex_companion.tools.playlist.create import check_medium, choose_medium, create_filled_playlist, create_playlist
from plex_companion.tools.playlist.entries import (
    PlaylistCopied,
    PlaylistCreated,
    PlaylistExtended,
    PlaylistShortened,
    add_to_end,
    build_nothing_found,
    check_texts,
    copy_playlist,
    edit_texts,
    finish_creation,
    remove_entries,
    select_entries,
    set_summary,
)
from plex_companion.tools.playlist.find import (
    MEDIUMS,
    build_path,
    describe_item,
    find_ordinary,
    find_playlist,
    read_key,
    reload,
)
from plex_companion.tools.playlist.playlist_results import (
    FilterOptions,
    PlaylistChange,
    PlaylistDeleted,
    PlaylistPage,
    PosterChange,
    SmartPlaylist,
    SmartPlaylistChange,
)
from plex_companion.tools.playlist.smart import (
    DEFAULTS,
    build_definition,
    check_definition,
    check_limit,
    choose_medium_for,
    describe_smart,
    find_smart,
    load_content,
    parse_definition,
    require_definition,
    set_definition,
)
from plex_companion.tools.playlist.smart_fields import FilterField, get_choices, get_fields
from plex_companion.tools.users import find_user, mask_name, switch_to, switch_user

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer

PLAYLIST = Toolset(
    "playlist", "Playlists: list, create, fill, edit, copy to a user, delete; smart playlists with filters"
)
DEFAULT_ITEMS, MOST_ITEMS = 50, 500
CONTENTS, CONTENTS_CAP = 200, 1000


@dataclass(frozen=True, slots=True)
class Playlists:
    """A page of a user's playlists."""

    playlists: list[dict[str, Any]]
    total: int
    offset: int
    limit: int
    size: int
    truncated: bool
    message: str | None = None

    def as_text(self) -> list[dict[str, Any]]:
        """Return the bare list."""
        return self.playlists


@PLAYLIST.tool(Access.READ, title="List playlists")
def playlist_list(
    plex: PlexServer,
    companion: Companion,
    library_name: LibraryName | None = None,
    content_type: Annotated[str | None, Field(description="audio, video or photo.")] = None,
    username: Username | None = None,
    limit: int = DEFAULT_ITEMS,
    offset: int = 0,
) -> Playlists:
    """List the playlists of the owner, or of `username`, with ids and numbers of items."""
    limit = clamp_limit(limit, MOST_ITEMS, offset)
    content_type = choose(content_type, MEDIUMS) if content_type is not None else None
    if content_type is not None and content_type not in MEDIUMS:
        message = f"content_type must be one of {', '.join(MEDIUMS)}; got '{content_type}'."
        raise Invalid(message, argument="content_type", allowed=list(MEDIUMS))
    section = find_library(plex, companion.ttl_cache, library_name).section_id if library_name is not None else None
    view = switch_user(plex, companion, username)
    found = get_page(view, "/playlists", offset, limit, playlistType=content_type, sectionID=section)
    rows = [_describe_playlist(row) for row in found.rows if row.tag == "Playlist"]
    return Playlists(rows, **found.as_dict(), message=None if found.total else "No playlists found.")


@PLAYLIST.tool(Access.READ, title="Show a playlist")
def playlist_get_contents(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    username: Username | None = None,
    limit: int = CONTENTS,
    offset: int = 0,
) -> Annotated[dict[str, Any], Shape(PlaylistPage)]:
    """List the items of a playlist in order. A smart playlist also has its filters in `definition`.

    `playlist_item_id` identifies one copy of a repeated item for `playlist_remove_from`.
    """
    limit = clamp_limit(limit, CONTENTS_CAP, offset)
    view = switch_user(plex, companion, username)
    found = find_playlist(view, playlist_title, playlist_id, writes=False)
    items = get_page(view, f"{build_path(found.row)}/items", offset, limit)
    return {**_describe_details(view, found.row), **_list_contents(items), **found.guess}


@PLAYLIST.tool(
    Access.WRITE, title="Create a playlist", additive=True, aliases={"title": "playlist_title", "items": "item_titles"}
)
def playlist_create(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str,
    item_titles: ItemTitles | None = None,
    library_name: LibraryName | None = None,
    summary: str | None = None,
    username: Username | None = None,
    item_ids: ItemIds | None = None,
) -> PlaylistCreated:
    """Create a playlist from exact titles or ids, in the given order. If one cannot be found, nothing is created.

    All items must be video, all audio or all photos. Shows, seasons, artists and albums are added as their episodes or
    tracks. If a title matches several items, the answer lists the candidates.
    """
    title = clean_title(playlist_title, "playlist_title")
    check_any_given(item_titles, item_ids)
    section = None
    if library_name is not None:
        section = find_library(plex, companion.ttl_cache, library_name, writes=True)
    view = switch_user(plex, companion, username)
    items = resolve_items(view, item_titles, item_ids, section=section)
    refuse_unclear(items)
    refuse_missing(items)
    made = create_filled_playlist(view, title, choose_medium(items.rows), items.keys)
    return finish_creation(view, made, title, summary, len(set(items.keys)))


@PLAYLIST.tool(Access.WRITE, title="Create a smart playlist", additive=True)
def playlist_create_smart(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str,
    library_name: LibraryName,
    filters: dict[str, Any] | None = None,
    sort: Annotated[str | None, Field(description="Such as addedAt:desc.")] = None,
    limit: Annotated[int | None, Field(description="Most items it holds.")] = None,
    libtype: Annotated[
        str | None,
        Field(description="Item type; default movie, episode or track. show and artist add their episodes or tracks."),
    ] = None,
    summary: str | None = None,
    username: Username | None = None,
) -> Annotated[dict[str, Any], Shape(SmartPlaylist)]:
    """Create a smart playlist: Plex fills it with the items of one library that match filters.

    Filters look like {"genre": "Comedy", "year>>": 1999}. Suffixes of texts: = exactly, < begins with, > ends with; of
    numbers: << less, >> greater; of dates: << before, >> after; of any but dates: ! not. A list means any of its values,
    with the suffix & all of them; {"or": [{…}, {…}]} nests. `playlist_get_smart_filter_options` lists fields and values.
    """
    title = clean_title(playlist_title, "playlist_title")
    check_limit(limit, 1)
    library = find_library(plex, companion.ttl_cache, library_name, writes=True)
    view = switch_user(plex, companion, username)
    definition = build_definition(view, library, filters, sort, libtype, limit)
    made = create_playlist(
        view, title, choose_medium_for(definition.libtype), build_uri(view, definition.path), smart=True
    )
    set_summary(view, made, summary)
    return describe_smart(view, made, definition)


@PLAYLIST.tool(Access.WRITE, title="Edit smart filters", idempotent=True)
def playlist_edit_smart_filters(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    filters: dict[str, Any] | None = None,
    sort: Annotated[Clearable | None, Field(description="Such as addedAt:desc.")] = None,
    limit: int | None = None,
    libtype: Annotated[str | None, Field(description="Item type.")] = None,
    username: Username | None = None,
) -> Annotated[dict[str, Any], Shape(SmartPlaylistChange)]:
    """Change the filters, sort, limit or item type of a smart playlist. Omitted arguments stay; {}, "" and 0 clear.

    `filters` replaces all filters; see `playlist_create_smart` for the syntax. To undo, pass the values of
    `previous_definition` back.
    """
    if filters is None and sort is None and limit is None and libtype is None:
        raise Invalid("Nothing to change: use filters, sort, limit or libtype.", argument="filters")
    check_limit(limit, 0)
    view = switch_user(plex, companion, username)
    row = find_smart(view, playlist_title, playlist_id)
    before = require_definition(row)
    requested = before if limit is None else replace(before, limit=limit or None)
    definition = check_definition(view, requested, filters, sort, libtype)
    set_definition(view, row, definition)
    return describe_smart(view, row, definition, previous_definition=before.as_dict())


@PLAYLIST.tool(Access.READ, title="Options of smart filters")
def playlist_get_smart_filter_options(
    plex: PlexServer,
    companion: Companion,
    library_name: LibraryName,
    field: Annotated[str | None, Field(description="The field whose values to list.")] = None,
    libtype: Annotated[str | None, Field(description="Item type; default movie, episode or track.")] = None,
    username: Username | None = None,
    limit: int = DEFAULT_ITEMS,
    offset: int = 0,
) -> Annotated[dict[str, Any], Shape(FilterOptions)]:
    """List the fields a smart playlist can filter and sort by or, with `field`, the values that field can have.

    The `filter` of each operator is the key to use in `filters`.
    """
    limit = clamp_limit(limit, MOST_ITEMS, offset)
    library = find_library(plex, companion.ttl_cache, library_name)
    view = switch_user(plex, companion, username)
    fields = get_fields(view, library.section_id)
    kind_name = fields.get_kind(libtype or DEFAULTS.get(library.type) or "").name
    head = {"library": library.title, "libtype": kind_name}
    if field is None:
        return {**head, "fields": fields.describe(kind_name), "sorts": list(fields.get_kind(kind_name).sorts.values())}
    return {**head, "field": field, **_list_choices(view, fields.find_field(field, kind_name, "field"), offset, limit)}


@PLAYLIST.tool(Access.WRITE, title="Edit a playlist", idempotent=True)
def playlist_edit(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    new_title: str | None = None,
    new_summary: Clearable | None = None,
    username: Username | None = None,
) -> Annotated[dict[str, Any], Shape(PlaylistChange)]:
    """Change the title or summary of a playlist. An empty summary clears it."""
    requested = {"title": new_title, "summary": new_summary}
    if new_title is not None:
        requested["title"] = clean_title(new_title, "new_title")
    view = switch_user(plex, companion, username)
    row = find_playlist(view, playlist_title, playlist_id, writes=True).row
    edits = {name: value for name, value in requested.items() if value is not None and (row.get(name, "") != value)}
    if not edits:
        message = f"Nothing to change in '{read_text(row, 'title')}': no new values, or they are already set."
        return {"updated": False, "title": read_text(row, "title"), "message": message, "playlist_id": read_key(row)}
    edit_texts(view, row, edits)
    now = reload(view, row)
    check_texts(now, edits)
    return {"updated": True, "title": read_text(now, "title"), "changes": list(edits), "playlist_id": read_key(row)}


@PLAYLIST.tool(
    Access.WRITE, title="Set a playlist's poster", idempotent=True, aliases={"image_path": "poster_filepath"}
)
def playlist_upload_poster(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    poster_url: Annotated[str | None, Field(description="A public address; redirects are not followed.")] = None,
    poster_filepath: Annotated[str | None, Field(description="A file below the companion's media folder.")] = None,
    username: Username | None = None,
) -> Annotated[dict[str, Any], Shape(PosterChange)]:
    """Set a playlist's poster from a URL or a file. Give exactly one of them."""
    names = ("poster_filepath", "poster_url")
    check_one_source(poster_filepath, poster_url, names)
    drawn = load_picture(companion.settings, filepath=poster_filepath, url=poster_url, names=names)
    view = switch_user(plex, companion, username)
    row = find_playlist(view, playlist_title, playlist_id, writes=True).row
    posters = f"/library/metadata/{row.get('ratingKey')}/posters"
    send(view, "POST", posters, body=drawn.body)
    _check_poster(view, posters, row)
    return {
        "updated": True,
        "poster_source": drawn.source,
        "title": read_text(row, "title"),
        "playlist_id": read_key(row),
    }


@PLAYLIST.tool(Access.WRITE, title="Copy a playlist to a user", additive=True)
def playlist_copy_to_user(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    username: Username | None = None,
    source_username: Annotated[str | None, Field(description="Whose playlist it is; by default the owner's.")] = None,
) -> PlaylistCopied:
    """Copy a playlist to another user. `username` is required.

    Items that the other user cannot see are left out and listed. A smart playlist becomes an ordinary one with today's
    items. Later changes do not reach the copy.
    """
    if username is None or not username.strip():
        raise Invalid("username is required: the user who gets the copy.", argument="username")
    giver = find_user(plex, companion, source_username)
    taker = find_user(plex, companion, username)
    if giver.account_id == taker.account_id:
        raise Invalid("username and source_username are the same user.", argument="username")
    source = switch_to(plex, companion, giver)
    row = find_playlist(source, playlist_title, playlist_id, writes=True).row
    items = get_all(source, f"{build_path(row)}/items")
    names = (mask_name(giver.name, companion), mask_name(taker.name, companion))
    return copy_playlist(switch_to(plex, companion, taker), row, items, names)


@PLAYLIST.tool(Access.WRITE, title="Add to a playlist", additive=True, aliases={"items": "item_titles"})
def playlist_add_to(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    item_titles: ItemTitles | None = None,
    item_ids: ItemIds | None = None,
    username: Username | None = None,
) -> PlaylistExtended:
    """Add items to the end of a playlist by exact title or id, in the given order.

    Titles that match nothing or several items are listed in `items_not_found`; the others are added. Items already in
    the playlist are added again. Smart playlists cannot be filled by hand.
    """
    check_any_given(item_titles, item_ids)
    view = switch_user(plex, companion, username)
    row = find_ordinary(view, playlist_title, playlist_id)
    items = resolve_items(view, item_titles, item_ids)
    refuse_nothing(items)
    check_medium(items.rows, read_text(row, "playlistType") or "")
    return add_to_end(view, row, items)


@PLAYLIST.tool(Access.WRITE, title="Remove from a playlist", idempotent=True, aliases={"items": "item_titles"})
def playlist_remove_from(
    plex: PlexServer,
    companion: Companion,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    item_titles: ItemTitles | None = None,
    username: Username | None = None,
    item_ids: ItemIds | None = None,
    playlist_item_ids: Annotated[
        list[Id] | None, Field(description="playlist_item_id from playlist_get_contents.")
    ] = None,
) -> PlaylistShortened:
    """Remove items from a playlist by exact title, id or `playlist_item_id`. They stay in the library.

    Of a repeated item only the first copy is removed; `copies_left` counts the rest. If a title matches several items,
    nothing is removed and the candidates are listed.
    """
    check_any_given(item_titles, item_ids, playlist_item_ids)
    view = switch_user(plex, companion, username)
    row = find_ordinary(view, playlist_title, playlist_id)
    current_rows = get_all(view, f"{build_path(row)}/items")
    items = select_entries(current_rows, item_titles, item_ids, playlist_item_ids)
    refuse_unclear(items)
    if not items.rows:
        raise build_nothing_found(row, current_rows)
    return remove_entries(view, row, current_rows, items)


@PLAYLIST.tool(Access.DESTRUCTIVE, title="Delete a playlist", idempotent=True)
async def playlist_delete(
    companion: Companion,
    caller: Caller,
    playlist_title: PlaylistTitle | None = None,
    playlist_id: PlaylistId | None = None,
    username: Username | None = None,
    confirm: Confirm = False,
) -> Annotated[dict[str, Any], Shape(PlaylistDeleted)]:
    """Delete a playlist of the owner, or of `username`, by id or exact title. Its items stay. This cannot be undone.

    The user is asked to confirm; a client that cannot ask needs `confirm=true`.
    """

    def look(plex: PlexServer) -> DestructionTarget:
        user = find_user(plex, companion, username)
        view = switch_to(plex, companion, user)
        row = find_playlist(view, playlist_title, playlist_id, writes=True).row
        return _describe_target(row, mask_name(user.name, companion))

    def act(plex: PlexServer, target: DestructionTarget) -> dict[str, Any]:
        return _delete(switch_user(plex, companion, username), target)

    return await destroy_after_confirmation(companion, caller, confirm=confirm, look=look, act=act)


def _describe_playlist(row: Element) -> dict[str, Any]:
    return {
        "title": read_text(row, "title"),
        "key": build_path(row),
        "ratingKey": read_key(row),
        "type": read_text(row, "playlistType"),
        "summary": shorten(read_text(row, "summary")),
        "duration": read_number(row, "duration"),
        "item_count": read_number(row, "leafCount"),
        "rating_key": read_key(row),
        "smart": read_flag(row, "smart") or False,
        "updated_at": read_utc(row, "updatedAt"),
    }


def _describe_details(view: PlexServer, row: Element) -> dict[str, Any]:
    smart = read_flag(row, "smart") or False
    defined = parse_definition(load_content(view, row)) if smart else None
    return {
        "title": read_text(row, "title"),
        "id": read_key(row),
        "rating_key": read_key(row),
        "key": build_path(row),
        "type": read_text(row, "playlistType"),
        "summary": read_text(row, "summary"),
        "duration": read_number(row, "duration"),
        "smart": smart,
        **({"definition": defined.as_dict() if defined else {}} if smart else {}),
    }


def _list_contents(items: ResultPage) -> dict[str, Any]:
    return {"itemCount": items.total, "items": [describe_item(row) for row in items.rows], **items.as_dict()}


def _list_choices(view: PlexServer, one: FilterField, offset: int, limit: int) -> dict[str, Any]:
    if one.type == "boolean":
        return {"choices": [{"title": "true", "value": "1"}, {"title": "false", "value": "0"}], "type": one.type}
    found = get_choices(view, one, offset, limit)
    choices = [{"title": read_text(row, "title"), "value": row.get("key")} for row in found.rows]
    free = {} if choices else {"message": f"Plex lists no values for {one.name}: any {one.type} is allowed."}
    return {"choices": choices, "type": one.type, **found.as_dict(), **free}


def _check_poster(view: PlexServer, posters: str, row: Element) -> None:
    chosen = take_first(one for one in get(view, posters) if read_flag(one, "selected"))
    uploaded = chosen is not None and chosen.get("ratingKey", "").startswith("upload://")
    message = f"Plex accepted the poster of '{read_text(row, 'title')}' but shows another one. Check it again."
    check_confirmed(requested=True, found=uploaded, message=message, playlist_id=read_key(row))


def _describe_target(row: Element, owner: str | None) -> DestructionTarget:
    title, items, medium = (
        read_brief_title(row, "title") or "?",
        read_number(row, "leafCount"),
        read_text(row, "playlistType"),
    )
    facts = {
        "title": title,
        "playlist_id": read_key(row),
        "rating_key": read_key(row),
        "type": medium,
        "item_count": items,
        "smart": read_flag(row, "smart") or False,
        "owner": owner,
    }
    count = "" if items is None else f" ({format_count(items, 'item')})"
    sentence = (
        f"Delete the {medium} playlist '{title}'{count} of {owner}? "
        "Its items stay in the library. This cannot be undone."
    )
    return DestructionTarget(title, (read_key(row), row.get("title"), medium, items), facts, sentence)


def _delete(view: PlexServer, target: DestructionTarget) -> dict[str, Any]:
    return delete_target(view, f"/playlists/{target.facts['playlist_id']}", target, "playlist_list")
