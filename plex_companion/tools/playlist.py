"""Toolset `playlist`: a user's own lists, ordinary and smart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.tools.arguments import choose
from plex_companion.tools.ask import Page, clamped, get, get_if_there, page, send, whole
from plex_companion.tools.declare import Access, Caller, Clearable, Id, Toolset
from plex_companion.tools.destroy import Victim, destroy
from plex_companion.tools.facts import brief, first, flag, number, shortened, text, utc
from plex_companion.tools.find import find_library
from plex_companion.tools.named import (
    check_named,
    check_title,
    meant,
    refuse_missing,
    refuse_nothing,
    refuse_unclear,
    uri_of,
)
from plex_companion.tools.people import as_user, find_user, seen_by, shown
from plex_companion.tools.pictures import check_one_source, picture
from plex_companion.tools.playlist_items import (
    PlaylistCopied,
    PlaylistCreated,
    PlaylistExtended,
    PlaylistShortened,
    check_texts,
    copied,
    created,
    entries,
    extend,
    make_filled,
    nothing_of,
    rewrite,
    summarise,
    taken_out,
)
from plex_companion.tools.playlists import (
    MEDIUMS,
    again,
    check_medium,
    find_filled,
    find_playlist,
    item_of,
    key_of,
    make,
    medium_of,
    path_of,
)
from plex_companion.tools.smart import (
    DEFAULTS,
    check_limit,
    checked,
    definition_of,
    find_smart,
    known_definition,
    medium_of_type,
    new_definition,
    redefine,
    told,
    with_content,
)
from plex_companion.tools.smart_fields import Field, choices_of, fields_of
from plex_companion.tools.steps import confirmed

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

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
    limit = clamped(limit, CAP, offset)
    content_type = choose(content_type, MEDIUMS) if content_type is not None else None
    if content_type is not None and content_type not in MEDIUMS:
        message = f"content_type must be one of {', '.join(MEDIUMS)}; got '{content_type}'."
        raise Invalid(message, argument="content_type", allowed=list(MEDIUMS))
    section = find_library(plex, companion.known, library_name).section_id if library_name is not None else None
    seen = as_user(plex, companion, username)
    found = page(seen, "/playlists", offset, limit, playlistType=content_type, sectionID=section)
    rows = [_listed(row) for row in found.rows if row.tag == "Playlist"]
    return Playlists(rows, **found.facts(), message=None if found.total else "No playlists found.")


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
    limit = clamped(limit, CONTENTS_CAP, offset)
    seen = as_user(plex, companion, username)
    found = find_playlist(seen, playlist_title, playlist_id, writes=False)
    items = page(seen, f"{path_of(found.row)}/items", offset, limit)
    return {**_described(seen, found.row), **_contents(items), **found.guess}


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
    title = check_title(playlist_title, "playlist_title")
    check_named(item_titles, item_ids)
    section = None
    if library_name is not None:
        section = find_library(plex, companion.known, library_name, writes=True)
    seen = as_user(plex, companion, username)
    items = meant(seen, item_titles, item_ids, section=section)
    refuse_unclear(items)
    refuse_missing(items)
    made = make_filled(seen, title, medium_of(items.rows), items.keys)
    return created(seen, made, title, summary, len(set(items.keys)))


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
    title = check_title(playlist_title, "playlist_title")
    check_limit(limit, 1)
    library = find_library(plex, companion.known, library_name, writes=True)
    seen = as_user(plex, companion, username)
    definition = new_definition(seen, library, filters, sort, libtype, limit)
    made = make(seen, title, medium_of_type(definition.libtype), uri_of(seen, definition.path), smart=True)
    summarise(seen, made, summary)
    return told(seen, made, definition)


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
    seen = as_user(plex, companion, username)
    row = find_smart(seen, playlist_title, playlist_id)
    before = known_definition(row)
    wanted = before if limit is None else replace(before, limit=limit or None)
    definition = checked(seen, wanted, filters, sort, libtype)
    redefine(seen, row, definition)
    return told(seen, row, definition, previous_definition=before.facts())


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
    limit = clamped(limit, CAP, offset)
    library = find_library(plex, companion.known, library_name)
    seen = as_user(plex, companion, username)
    fields = fields_of(seen, library.section_id)
    kind_name = fields.kind(libtype or DEFAULTS.get(library.type) or "").name
    head = {"library": library.title, "libtype": kind_name}
    if field is None:
        return {**head, "fields": fields.shown(kind_name), "sorts": list(fields.kind(kind_name).sorts.values())}
    return {**head, "field": field, **_choices(seen, fields.field(field, kind_name, "field"), offset, limit)}


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
        wanted["title"] = check_title(new_title, "new_title")
    seen = as_user(plex, companion, username)
    row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
    edits = {name: value for name, value in wanted.items() if value is not None and (row.get(name, "") != value)}
    if not edits:
        message = f"Nothing to change in '{text(row, 'title')}': no new value, or it is as asked already."
        return {"updated": False, "title": text(row, "title"), "message": message, "playlist_id": key_of(row)}
    rewrite(seen, row, edits)
    now = again(seen, row)
    check_texts(now, edits)
    return {"updated": True, "title": text(now, "title"), "changes": list(edits), "playlist_id": key_of(row)}


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
    drawn = picture(companion.settings, filepath=poster_filepath, url=poster_url, names=names)
    seen = as_user(plex, companion, username)
    row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
    posters = f"/library/metadata/{row.get('ratingKey')}/posters"
    send(seen, "POST", posters, body=drawn.body)
    _check_poster(seen, posters, row)
    return {
        "updated": True,
        "poster_source": drawn.source,
        "title": text(row, "title"),
        "playlist_id": key_of(row),
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
    source = seen_by(plex, companion, giver)
    row = find_playlist(source, playlist_title, playlist_id, writes=True).row
    items = whole(source, f"{path_of(row)}/items")
    names = (shown(giver.name, companion), shown(taker.name, companion))
    return copied(seen_by(plex, companion, taker), row, items, names)


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
    check_named(item_titles, item_ids)
    seen = as_user(plex, companion, username)
    row = find_filled(seen, playlist_title, playlist_id)
    items = meant(seen, item_titles, item_ids)
    refuse_nothing(items)
    check_medium(items.rows, text(row, "playlistType") or "")
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
    check_named(item_titles, item_ids, playlist_item_ids)
    seen = as_user(plex, companion, username)
    row = find_filled(seen, playlist_title, playlist_id)
    held = whole(seen, f"{path_of(row)}/items")
    items = entries(held, item_titles, item_ids, playlist_item_ids)
    refuse_unclear(items)
    if not items.rows:
        raise nothing_of(row, held)
    return taken_out(seen, row, held, items)


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

    def look(plex: PlexServer) -> Victim:
        person = find_user(plex, companion, username)
        seen = seen_by(plex, companion, person)
        row = find_playlist(seen, playlist_title, playlist_id, writes=True).row
        return _victim(row, shown(person.name, companion))

    def act(plex: PlexServer, victim: Victim) -> dict[str, Any]:
        return _delete(as_user(plex, companion, username), victim)

    return await destroy(companion, caller, confirm=confirm, look=look, act=act)


def _listed(row: Element) -> dict[str, Any]:
    return {
        "title": text(row, "title"),
        "key": path_of(row),
        "ratingKey": key_of(row),
        "type": text(row, "playlistType"),
        "summary": shortened(text(row, "summary")),
        "duration": number(row, "duration"),
        "item_count": number(row, "leafCount"),
        "rating_key": key_of(row),
        "smart": flag(row, "smart") or False,
        "updated_at": utc(row, "updatedAt"),
    }


def _described(seen: PlexServer, row: Element) -> dict[str, Any]:
    smart = flag(row, "smart") or False
    defined = definition_of(with_content(seen, row)) if smart else None
    return {
        "title": text(row, "title"),
        "id": key_of(row),
        "rating_key": key_of(row),
        "key": path_of(row),
        "type": text(row, "playlistType"),
        "summary": text(row, "summary"),
        "duration": number(row, "duration"),
        "smart": smart,
        **({"definition": defined.facts() if defined else {}} if smart else {}),
    }


def _contents(items: Page) -> dict[str, Any]:
    return {"itemCount": items.total, "items": [item_of(row) for row in items.rows], **items.facts()}


def _choices(seen: PlexServer, one: Field, offset: int, limit: int) -> dict[str, Any]:
    if one.type == "boolean":
        return {"choices": [{"title": "true", "value": "1"}, {"title": "false", "value": "0"}], "type": one.type}
    found = choices_of(seen, one, offset, limit)
    choices = [{"title": text(row, "title"), "value": row.get("key")} for row in found.rows]
    free = {} if choices else {"message": f"Plex lists no values for {one.name}: any {one.type} can be given."}
    return {"choices": choices, "type": one.type, **found.facts(), **free}


def _check_poster(seen: PlexServer, posters: str, row: Element) -> None:
    chosen = first(one for one in get(seen, posters) if flag(one, "selected"))
    uploaded = chosen is not None and chosen.get("ratingKey", "").startswith("upload://")
    message = f"Plex took the poster of '{text(row, 'title')}', and shows another one. Look again."
    confirmed(requested=True, found=uploaded, message=message, playlist_id=key_of(row))


def _victim(row: Element, owner: str | None) -> Victim:
    title, items, medium = brief(row, "title") or "?", number(row, "leafCount"), text(row, "playlistType")
    facts = {
        "title": title,
        "playlist_id": key_of(row),
        "rating_key": key_of(row),
        "type": medium,
        "item_count": items,
        "smart": flag(row, "smart") or False,
        "owner": owner,
    }
    sentence = (
        f"Delete the {medium} playlist '{title}' ({items} items) of {owner}? "
        "Its items stay in the library. This cannot be undone."
    )
    return Victim(title, (key_of(row), row.get("title"), medium, items), facts, sentence)


def _delete(seen: PlexServer, victim: Victim) -> dict[str, Any]:
    path = f"/playlists/{victim.facts['playlist_id']}"
    send(seen, "DELETE", path)
    still = get_if_there(seen, path) is not None
    message = f"Plex took the deletion of '{victim.title}', and it is still there. Look again with playlist_list."
    confirmed(requested=False, found=still, message=message)
    return {"deleted": True, **victim.facts}
