"""Toolset `playlist`: a user's own lists, ordinary and smart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.plex.lookup import find_library
from plex_companion.plex.pictures import check_one_source, load_picture
from plex_companion.plex.query import ResultPage, clamp_limit, get, get_all, get_or_none, get_page, send
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
from plex_companion.tools.arguments import choose
from plex_companion.tools.confirm import DestructionTarget, destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, Clearable, Id, Toolset
from plex_companion.tools.item_list import (
    build_uri,
    check_any_given,
    clean_title,
    refuse_missing,
    refuse_nothing,
    refuse_unclear,
    resolve_items,
)
from plex_companion.tools.playlist.entries import (
    PlaylistCopied,
    PlaylistCreated,
    PlaylistExtended,
    PlaylistShortened,
    build_nothing_found,
    check_texts,
    copy_playlist,
    extend,
    finish_creation,
    make_filled,
    remove_entries,
    rewrite,
    select_entries,
    summarise,
)
from plex_companion.tools.playlist.find import (
    MEDIUMS,
    build_path,
    check_medium,
    choose_medium,
    create_playlist,
    describe_item,
    find_ordinary,
    find_playlist,
    read_key,
    reload,
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
    redefine,
    require_definition,
)
from plex_companion.tools.playlist.smart_fields import FilterField, get_choices, get_fields
from plex_companion.tools.users import find_user, mask_name, switch_to, switch_user

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
PLAYLIST = Toolset("playlist", "Playlists: list, create, fill, edit, copy to a user, delete; smart ones with filters")
DEFAULT, CAP = 50, 500
CONTENTS, CONTENTS_CAP = 200, 1000


@dataclass(frozen=True, slots=True)
class Playlists:
    """Some playlists of a user."""

    playlists: list[dict[str, Any]]
    total: int
    offset: int
    limit: int
    size: int
    truncated: bool
    message: str | None = None

    def as_text(self) -> list[dict[str, Any]]:
        """The bare list."""
        return self.playlists


@PLAYLIST.tool(Access.READ)
def playlist_list(
    plex: PlexServer,
    companion: Companion,
    library_name: Id | None = None,
    content_type: str | None = None,
    username: str | None = None,
    limit: int = DEFAULT,
    offset: int = 0,
) -> Playlists:
    """List playlists of the server's owner, or of `username`, with their ids and how many items they hold.

    `content_type` is audio, video or photo; `library_name` keeps those with items of that library.
    """
    limit = clamp_limit(limit, CAP, offset)
    content_type = choose(content_type, MEDIUMS) if content_type is not None else None
    if content_type is not None and content_type not in MEDIUMS:
        message = f"content_type must be one of {', '.join(MEDIUMS)}; got '{content_type}'."
        raise Invalid(message, argument="content_type", allowed=list(MEDIUMS))
    section = find_library(plex, companion.ttl_cache, library_name).section_id if library_name is not None else None
    seen = switch_user(plex, companion, username)
    found = get_page(seen, "/playlists", offset, limit, playlistType=content_type, sectionID=section)
    rows = [_describe_playlist(row) for row in found.rows if row.tag == "Playlist"]
    return Playlists(rows, **found.as_dict(), message=None if found.total else "No playlists found.")


@PLAYLIST.tool(Access.READ)
def playlist_get_contents(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    username: str | None = None,
    limit: int = CONTENTS,
    offset: int = 0,
) -> dict[str, Any]:
    """Show a playlist and the items in it, in their order; of a smart playlist also its filters (`definition`).

    `playlist_item_id` is what playlist_remove_from takes to remove one copy of a repeated item.
    """
    limit = clamp_limit(limit, CONTENTS_CAP, offset)
    seen = switch_user(plex, companion, username)
    found = find_playlist(seen, playlist_title, playlist_id, writes=False)
    items = get_page(seen, f"{build_path(found.row)}/items", offset, limit)
    return {**_describe_details(seen, found.row), **_list_contents(items), **found.guess}


@PLAYLIST.tool(Access.WRITE, additive=True, aliases={"title": "playlist_title", "items": "item_titles"})
def playlist_create(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str,
    item_titles: list[str] | None = None,
    library_name: Id | None = None,
    summary: str | None = None,
    username: str | None = None,
    item_ids: list[Id] | None = None,
) -> PlaylistCreated:
    """Create a playlist from exact titles or ids, in this order; all of them, or nothing is created.

    Items must be all video, all audio or all photos; a show, season, artist or album comes in as its episodes or
    tracks. When a title fits several items, the candidates are listed. `username`: whose playlist it becomes.
    """
    title = clean_title(playlist_title, "playlist_title")
    check_any_given(item_titles, item_ids)
    section = None
    if library_name is not None:
        section = find_library(plex, companion.ttl_cache, library_name, writes=True)
    seen = switch_user(plex, companion, username)
    items = resolve_items(seen, item_titles, item_ids, section=section)
    refuse_unclear(items)
    refuse_missing(items)
    made = make_filled(seen, title, choose_medium(items.rows), items.keys)
    return finish_creation(seen, made, title, summary, len(set(items.keys)))


@PLAYLIST.tool(Access.WRITE, additive=True)
def playlist_create_smart(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str,
    library_name: Id,
    filters: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    libtype: str | None = None,
    summary: str | None = None,
    username: str | None = None,
) -> dict[str, Any]:
    """Create a playlist that fills itself with what filters find in one library, as {"genre": "Comedy", "year>>": 1999}.

    A filter is a field, with ! (not), = (exactly), < (begins, before) or > (ends) after it, << and >> for numbers and
    dates, & for all of several values; a list means any of them; {"or": [{…}, {…}]} nests. playlist_get_smart_filter_options
    lists fields and values. `sort` as "addedAt:desc". `libtype`: movie, episode, track by default; show and artist
    yield their episodes and tracks.
    """
    title = clean_title(playlist_title, "playlist_title")
    check_limit(limit, 1)
    library = find_library(plex, companion.ttl_cache, library_name, writes=True)
    seen = switch_user(plex, companion, username)
    definition = build_definition(seen, library, filters, sort, libtype, limit)
    made = create_playlist(
        seen, title, choose_medium_for(definition.libtype), build_uri(seen, definition.path), smart=True
    )
    summarise(seen, made, summary)
    return describe_smart(seen, made, definition)


@PLAYLIST.tool(Access.WRITE)
def playlist_edit_smart_filters(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    filters: dict[str, Any] | None = None,
    sort: Clearable | None = None,
    limit: int | None = None,
    libtype: str | None = None,
    username: str | None = None,
) -> dict[str, Any]:
    """Change filters, sort, limit or libtype of a smart playlist. What is left out stays; {}, "" and 0 clear.

    `filters` replaces all filters; they are written as for playlist_create_smart. The answer holds the
    `previous_definition`, whose values can be given back to undo the change.
    """
    if filters is None and sort is None and limit is None and libtype is None:
        raise Invalid("Nothing to change: give filters, sort, limit or libtype.", argument="filters")
    check_limit(limit, 0)
    seen = switch_user(plex, companion, username)
    row = find_smart(seen, playlist_title, playlist_id)
    before = require_definition(row)
    wanted = before if limit is None else replace(before, limit=limit or None)
    definition = check_definition(seen, wanted, filters, sort, libtype)
    redefine(seen, row, definition)
    return describe_smart(seen, row, definition, previous_definition=before.as_dict())


@PLAYLIST.tool(Access.READ)
def playlist_get_smart_filter_options(
    plex: PlexServer,
    companion: Companion,
    library_name: Id,
    field: str | None = None,
    libtype: str | None = None,
    username: str | None = None,
    limit: int = DEFAULT,
    offset: int = 0,
) -> dict[str, Any]:
    """What smart playlists of a library can be filtered and sorted by; with `field`, the values it can have.

    Each operator says under `filter` what to write as a key of `filters`. `libtype` as for playlist_create_smart.
    """
    limit = clamp_limit(limit, CAP, offset)
    library = find_library(plex, companion.ttl_cache, library_name)
    seen = switch_user(plex, companion, username)
    fields = get_fields(seen, library.section_id)
    kind_name = fields.get_kind(libtype or DEFAULTS.get(library.type) or "").name
    head = {"library": library.title, "libtype": kind_name}
    if field is None:
        return {**head, "fields": fields.describe(kind_name), "sorts": list(fields.get_kind(kind_name).sorts.values())}
    return {**head, "field": field, **_list_choices(seen, fields.find_field(field, kind_name, "field"), offset, limit)}


@PLAYLIST.tool(Access.WRITE)
def playlist_edit(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    new_title: str | None = None,
    new_summary: Clearable | None = None,
    username: str | None = None,
) -> dict[str, Any]:
    """Change the title or summary of a playlist; an empty summary clears it."""
    wanted = {"title": new_title, "summary": new_summary}
    if new_title is not None:
        wanted["title"] = clean_title(new_title, "new_title")
    seen = switch_user(plex, companion, username)
    row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
    edits = {name: value for name, value in wanted.items() if value is not None and (row.get(name, "") != value)}
    if not edits:
        message = f"Nothing to change in '{read_text(row, 'title')}': no new value, or it is as asked already."
        return {"updated": False, "title": read_text(row, "title"), "message": message, "playlist_id": read_key(row)}
    rewrite(seen, row, edits)
    now = reload(seen, row)
    check_texts(now, edits)
    return {"updated": True, "title": read_text(now, "title"), "changes": list(edits), "playlist_id": read_key(row)}


@PLAYLIST.tool(Access.WRITE, aliases={"image_path": "poster_filepath"})
def playlist_upload_poster(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    poster_url: str | None = None,
    poster_filepath: str | None = None,
    username: str | None = None,
) -> dict[str, Any]:
    """Give a playlist a poster, from an image address or from a file below the configured folder; one of the two."""
    names = ("poster_filepath", "poster_url")
    check_one_source(poster_filepath, poster_url, names)
    drawn = load_picture(companion.settings, filepath=poster_filepath, url=poster_url, names=names)
    seen = switch_user(plex, companion, username)
    row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
    posters = f"/library/metadata/{row.get('ratingKey')}/posters"
    send(seen, "POST", posters, body=drawn.body)
    _check_poster(seen, posters, row)
    return {
        "updated": True,
        "poster_source": drawn.source,
        "title": read_text(row, "title"),
        "playlist_id": read_key(row),
    }


@PLAYLIST.tool(Access.WRITE, additive=True)
def playlist_copy_to_user(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    username: str | None = None,
    source_username: str | None = None,
) -> PlaylistCopied:
    """Copy a playlist to another user (`username`, needed), from the owner or from `source_username`.

    Items which that user cannot see are left out and listed. A smart playlist is copied as it stands today, with fixed
    items. The copy is the user's own: later changes do not reach it.
    """
    if username is None or not username.strip():
        raise Invalid("Name the user who gets the copy: username is needed.", argument="username")
    giver = find_user(plex, companion, source_username)
    taker = find_user(plex, companion, username)
    if giver.account_id == taker.account_id:
        raise Invalid("username and source_username are the same user.", argument="username")
    source = switch_to(plex, companion, giver)
    row = find_playlist(source, playlist_title, playlist_id, writes=True).row
    items = get_all(source, f"{build_path(row)}/items")
    names = (mask_name(giver.name, companion), mask_name(taker.name, companion))
    return copy_playlist(switch_to(plex, companion, taker), row, items, names)


@PLAYLIST.tool(Access.WRITE, additive=True, aliases={"items": "item_titles"})
def playlist_add_to(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    item_titles: list[str] | None = None,
    item_ids: list[Id] | None = None,
    username: str | None = None,
) -> PlaylistExtended:
    """Add items to the end of a playlist, by exact title or by id, in this order.

    Titles that are not found, or fit several items, are reported in `items_not_found` with their candidates; the
    others are added. An item that is in it already comes in once more. Smart playlists take nothing.
    """
    check_any_given(item_titles, item_ids)
    seen = switch_user(plex, companion, username)
    row = find_ordinary(seen, playlist_title, playlist_id)
    items = resolve_items(seen, item_titles, item_ids)
    refuse_nothing(items)
    check_medium(items.rows, read_text(row, "playlistType") or "")
    return extend(seen, row, items)


@PLAYLIST.tool(Access.WRITE, aliases={"items": "item_titles"})
def playlist_remove_from(
    plex: PlexServer,
    companion: Companion,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    item_titles: list[str] | None = None,
    username: str | None = None,
    item_ids: list[Id] | None = None,
    playlist_item_ids: list[Id] | None = None,
) -> PlaylistShortened:
    """Take items out of a playlist, by exact title, by id, or by playlist_item_id for one certain copy.

    Of an item that is in it several times the first copy goes; `copies_left` tells of the others. When a title fits
    several items nothing is removed and the candidates are listed. The items stay in the library.
    """
    check_any_given(item_titles, item_ids, playlist_item_ids)
    seen = switch_user(plex, companion, username)
    row = find_ordinary(seen, playlist_title, playlist_id)
    held = get_all(seen, f"{build_path(row)}/items")
    items = select_entries(held, item_titles, item_ids, playlist_item_ids)
    refuse_unclear(items)
    if not items.rows:
        raise build_nothing_found(row, held)
    return remove_entries(seen, row, held, items)


@PLAYLIST.tool(Access.DESTRUCTIVE)
async def playlist_delete(
    companion: Companion,
    caller: Caller,
    playlist_title: str | None = None,
    playlist_id: Id | None = None,
    username: str | None = None,
    confirm: bool = False,
) -> dict[str, Any]:
    """Delete a playlist of the owner, or of `username`, by id or exact title. Its items stay; it cannot be undone.

    A person is asked first where the client can ask; otherwise `confirm=true` is needed.
    """

    def look(plex: PlexServer) -> DestructionTarget:
        person = find_user(plex, companion, username)
        seen = switch_to(plex, companion, person)
        row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
        return _describe_target(row, mask_name(person.name, companion))

    def act(plex: PlexServer, victim: DestructionTarget) -> dict[str, Any]:
        return _delete(switch_user(plex, companion, username), victim)

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


def _describe_details(seen: PlexServer, row: Element) -> dict[str, Any]:
    smart = read_flag(row, "smart") or False
    defined = parse_definition(load_content(seen, row)) if smart else None
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


def _list_choices(seen: PlexServer, one: FilterField, offset: int, limit: int) -> dict[str, Any]:
    if one.type == "boolean":
        return {"choices": [{"title": "true", "value": "1"}, {"title": "false", "value": "0"}], "type": one.type}
    found = get_choices(seen, one, offset, limit)
    choices = [{"title": read_text(row, "title"), "value": row.get("key")} for row in found.rows]
    free = {} if choices else {"message": f"Plex lists no values for {one.name}: any {one.type} can be given."}
    return {"choices": choices, "type": one.type, **found.as_dict(), **free}


def _check_poster(seen: PlexServer, posters: str, row: Element) -> None:
    chosen = take_first(one for one in get(seen, posters) if read_flag(one, "selected"))
    uploaded = chosen is not None and chosen.get("ratingKey", "").startswith("upload://")
    message = f"Plex took the poster of '{read_text(row, 'title')}', and shows another one. Look again."
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
    sentence = (
        f"Delete the {medium} playlist '{title}' ({items} items) of {owner}? "
        "Its items stay in the library. This cannot be undone."
    )
    return DestructionTarget(title, (read_key(row), row.get("title"), medium, items), facts, sentence)


def _delete(seen: PlexServer, victim: DestructionTarget) -> dict[str, Any]:
    path = f"/playlists/{victim.facts['playlist_id']}"
    send(seen, "DELETE", path)
    still = get_or_none(seen, path) is not None
    message = f"Plex took the deletion of '{victim.title}', and it is still there. Look again with playlist_list."
    check_confirmed(requested=False, found=still, message=message)
    return {"deleted": True, **victim.facts}
