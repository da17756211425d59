"""Toolset `media`: films, shows, music and their artwork, one item at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from plex_companion.companion import Companion
from plex_companion.errors import Invalid, NotSupported
from plex_companion.plex.lookup import find_by_id, find_item, find_library
from plex_companion.plex.pictures import check_one_source, load_picture, resolve_inside
from plex_companion.plex.query import call_action, clamp_limit, send
from plex_companion.plex.steps import check_confirmed, run_steps
from plex_companion.plex.xml.attributes import parse_identifier, read_kind, read_number, read_text
from plex_companion.text import format_count
from plex_companion.tools.arguments import choose
from plex_companion.tools.confirm import destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, Clearable, Shape, Toolset
from plex_companion.tools.follow_up.resource_links import link_item
from plex_companion.tools.media import artwork
from plex_companion.tools.media import delete as deleting
from plex_companion.tools.media import edit as editing
from plex_companion.tools.media.item_details import get_details
from plex_companion.tools.media.media_results import (
    ArtworkChange,
    ArtworkPage,
    MediaDeleted,
    MediaDetails,
    MetadataChange,
    SearchResults,
    WatchedChange,
)
from plex_companion.tools.media.search import find_hits, parse_kinds
from plex_companion.tools.parameters import Confirm, LibraryName, MediaId, MediaTitle, Username
from plex_companion.tools.users import switch_user
from plex_companion.tools.watched_state import CONTAINERS, WatchedState, cut_page, get_albums, read_watched_state

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.lookup import FoundItem
    from plex_companion.tools.confirm import DestructionTarget

MEDIA = Toolset("media", "One film, show, album or track: search, details, edit, mark, delete, artwork")
LIBRARY = "com.plexapp.plugins.library"
WATCHABLE = ("movie", "show", "season", "episode", "artist", "album", "track", "clip")
SEARCH_MOST = 100
CHILDREN_MOST = 1000
ARTWORK_MOST = 500
ImageTypes = Annotated[list[str], Field(description="poster (thumb, thumbnail), background (art), logo.")]
ART_ALIASES = {
    "poster_path": lambda path: {"filepath": path, "art_type": "poster"},
    "poster_url": lambda url: {"url": url, "art_type": "poster"},
    "background_path": lambda path: {"filepath": path, "art_type": "background"},
    "background_url": lambda url: {"url": url, "art_type": "background"},
}


@MEDIA.tool(Access.READ, title="Search titles")
def media_search(
    plex: PlexServer,
    companion: Companion,
    query: Annotated[str, Field(description="Words of the title.")],
    content_type: Annotated[
        str | None,
        Field(
            description="movie, show, season, episode, artist, album or track; or movies, tv, music, separated by commas."
        ),
    ] = None,
    library_name: LibraryName | None = None,
    limit: Annotated[int, Field(description="Per type, 1 to 100.")] = 100,
) -> Annotated[dict[str, Any], Shape(SearchResults)]:
    """Search the server for films, shows, seasons, episodes, artists, albums and tracks by words of the title.

    Pass a result's `rating_key` as `media_id` to other tools.
    """
    if not query.strip():
        raise Invalid("query must not be empty: use words of a title.", argument="query")
    kinds, limit = parse_kinds(content_type), clamp_limit(limit, SEARCH_MOST)
    section = find_library(plex, companion.ttl_cache, library_name) if library_name is not None else None
    found = find_hits(plex, query, section=section, kinds=kinds, limit=limit)
    count = sum(len(listed) for listed in found.values())
    answer = {
        "status": "success",
        "message": f"Found {format_count(count, 'result')} for '{query}'"
        if count
        else f"No results found for '{query}'.",
        "query": query,
        "content_type": content_type,
        "limit": limit,
        "total_count": count,
        "results_by_type": found,
    }
    return answer if count else {**answer, "count": 0, "results": []}


@MEDIA.tool(Access.READ, title="Show a title", link=link_item)
def media_get_details(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    media_id: MediaId | None = None,
    library_name: LibraryName | None = None,
    username: Username | None = None,
    limit: int = 200,
    offset: int = 0,
) -> Annotated[dict[str, Any], Shape(MediaDetails)]:
    """Show everything about one film, show, season, episode, artist, album or track: people, ratings, files, watched
    state.

    With `username`, shows that user's watched state and rating. The episodes, albums or tracks below the item come in
    pages of `limit` (at most 1000).
    """
    limit = clamp_limit(limit, CHILDREN_MOST, offset)
    view = switch_user(plex, companion, username)
    found = find_item(
        view, companion.ttl_cache, title=media_title, media_id=media_id, library_name=library_name, writes=False
    )
    details = get_details(view, get_full(view, found), offset=offset, limit=limit)
    return {**details, **found.guess}


@MEDIA.tool(Access.WRITE, title="Mark as watched or unwatched", idempotent=True)
def media_set_watched_status(
    plex: PlexServer, companion: Companion, media_id: MediaId, watched: bool, username: Username | None = None
) -> Annotated[dict[str, Any], Shape(WatchedChange)]:
    """Mark an item as watched or unwatched. A show, season, artist or album is marked with all its parts.

    Applies to the owner unless `username` is given. Marking adds nothing to the play history. Unmarking a whole show or
    album loses which parts were watched.
    """
    view = switch_user(plex, companion, username)
    row = find_by_id(view, media_id, WATCHABLE)
    before = _read_state(view, row)
    wanted = "watched" if watched else "unwatched"
    if not before.total:
        raise NotSupported(f"'{read_text(row, 'title')}' has nothing to watch.", reason="empty")
    if before.status == wanted:
        return _describe_change(row, before, before)
    call_action(view, f"/:/{'scrobble' if watched else 'unscrobble'}", key=media_id.strip(), identifier=LIBRARY)
    row = find_by_id(view, media_id, WATCHABLE)
    after = _read_state(view, row)
    message = f"Plex accepted '{read_text(row, 'title')}' as {wanted}, but still shows it as {after.status}. Try again."
    check_confirmed(requested=wanted, found=after.status, message=message)
    return _describe_change(row, before, after)


def _read_state(plex: PlexServer, row: Element) -> WatchedState:
    return read_watched_state(row, get_albums(plex, row) if read_kind(row) == "artist" else ())


def _describe_change(row: Element, before: WatchedState, after: WatchedState) -> dict[str, Any]:
    changed = before != after
    counts = {"watched_count": after.seen, "total_count": after.total} if read_kind(row) in CONTAINERS else {}
    return {
        "status": "success",
        "changed": changed,
        "view_count": read_number(row, "viewCount") or 0,
        "media_id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "previous_watched": before.status == "watched",
        "previous_watch_status": before.status,
        "watched": after.status == "watched",
        "watch_status": after.status,
        "affected": max(abs(after.seen - before.seen), int(changed)),
        **counts,
    }


def get_full(plex: PlexServer, found: FoundItem) -> Element:
    """Return the item's full row. An item found by id has it already; one found by search costs a request."""
    return found.row if found.matched == "id" else find_by_id(plex, found.row.get("ratingKey") or "")


@MEDIA.tool(Access.WRITE, title="Edit metadata", idempotent=True)
def media_edit_metadata(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    library_name: LibraryName | None = None,
    new_title: str | None = None,
    new_summary: Clearable | None = None,
    new_rating: Annotated[float | None, Field(description="0 to 10.")] = None,
    new_release_date: Annotated[Clearable | None, Field(description="YYYY-MM-DD.")] = None,
    new_genre: str | None = None,
    remove_genre: str | None = None,
    new_director: str | None = None,
    new_studio: Clearable | None = None,
    new_tags: list[str] | None = None,
    media_id: MediaId | None = None,
    refresh: Annotated[bool, Field(description="Let Plex fetch the other fields again.")] = False,
) -> Annotated[dict[str, Any], Shape(MetadataChange)]:
    """Edit title, summary, own rating, release date, genres, director, studio or labels of one item.

    The title must be exact. Texts replace the old value, and an empty one clears it (except the title). `new_genre`,
    `new_director` and `new_tags` (labels) are added. Edited fields are locked so that Plex keeps them. `before` in the
    answer holds the old values, to undo the edit.
    """
    wanted = editing.check_arguments(
        new_title=new_title,
        new_summary=new_summary,
        new_rating=new_rating,
        new_release_date=new_release_date,
        new_genre=new_genre,
        remove_genre=remove_genre,
        new_director=new_director,
        new_studio=new_studio,
        new_tags=new_tags,
    )
    row = _find_one(plex, companion, media_title, media_id, library_name, editing.EDITABLE, full=True)
    return _apply_edits(plex, row, wanted, refresh=refresh)


def _apply_edits(plex: PlexServer, row: Element, wanted: dict[str, Any], *, refresh: bool) -> dict[str, Any]:
    editing.check_kind(row, wanted)
    edits, rating = editing.build_edits(row, wanted), editing.build_rating_edit(row, wanted.get("new_rating"))
    ids = {"media_id": parse_identifier(row.get("ratingKey")), "rating_key": parse_identifier(row.get("ratingKey"))}
    every = [*edits, *([rating] if rating else [])]
    if not every:
        title = read_text(row, "title")
        return {"updated": False, "title": title, "message": f"No changes were made to '{title}'.", **ids}
    editing.check_title_is_free(plex, row, wanted)
    now = editing.apply_edits(plex, row, edits, rating, wanted.get("new_rating"))
    changes = [change for one in every for change in one.changes]
    if refresh:
        path = f"/library/metadata/{row.get('ratingKey')}/refresh"
        run_steps(plex, [("refresh", partial(send, plex, "PUT", path))], changes=changes)
    message = f"Successfully updated metadata for '{read_text(row, 'title')}'. Changes: {', '.join(changes)}."
    return {
        "updated": True,
        "title": read_text(now, "title"),
        **ids,
        "changes": changes,
        "message": message + (" A refresh was started." if refresh else ""),
        "before": {one.name: one.old for one in every},
    }


def _find_one(
    plex: PlexServer,
    companion: Companion,
    title: str | None,
    media_id: str | None,
    library_name: str | None,
    kinds: tuple[str, ...],
    *,
    full: bool = False,
) -> Element:
    """Find the one item that a write applies to."""
    found = find_item(
        plex,
        companion.ttl_cache,
        title=title,
        media_id=media_id,
        library_name=library_name,
        kinds=kinds,
        writes=True,
    )
    return get_full(plex, found) if full else found.row


@MEDIA.tool(Access.DESTRUCTIVE, title="Delete a title", idempotent=True)
async def media_delete(
    companion: Companion,
    caller: Caller,
    media_title: MediaTitle | None = None,
    media_id: MediaId | None = None,
    library_name: LibraryName | None = None,
    confirm: Confirm = False,
) -> Annotated[dict[str, Any], Shape(MediaDeleted)]:
    """Delete a film, show, season, episode, artist, album or track and its files on disk. This cannot be undone.

    A title must be exact and match one item only. The user is asked to confirm; if the client cannot ask, the answer
    without `confirm=true` shows what would be deleted.
    """

    def look(plex: PlexServer) -> DestructionTarget:
        found = find_item(
            plex,
            companion.ttl_cache,
            title=media_title,
            media_id=media_id,
            library_name=library_name,
            kinds=deleting.DELETABLE,
            writes=True,
        )
        deleting.check_deletion_is_on(plex)
        return deleting.describe_found_target(plex, found)

    def again(plex: PlexServer, target: DestructionTarget) -> DestructionTarget:
        row = find_by_id(plex, str(target.facts["rating_key"]), deleting.DELETABLE)
        return deleting.describe_target(plex, row)

    return await destroy_after_confirmation(
        companion, caller, confirm=confirm, look=look, act=deleting.delete, again=again
    )


@MEDIA.tool(
    Access.READ,
    title="Get artwork",
    aliases={"art_type": lambda art_type: {"image_types": [art_type]}},
    writes_when=lambda arguments: choose(str(arguments.get("output_format")), artwork.OUTPUTS) == "file_path",
)
def media_get_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    media_id: MediaId | None = None,
    library_name: LibraryName | None = None,
    image_types: ImageTypes = ["poster"],  # noqa: B006 - never changed, and the schema shows it
    output_format: Annotated[
        str,
        Field(description="base64 (inside the answer), image (shown), url (Plex path), or file_path (saved; a write)."),
    ] = "base64",
    output_dir: Annotated[str, Field(description="For file_path: a folder below the companion's media folder.")] = "./",
    max_width: int = 600,
) -> dict[str, Any]:
    """Get the poster (thumb, thumbnail), background (art) or logo of one item.

    An image that is missing has its own `error`. Images in answers are at most 256 KiB each.
    """
    types, output = artwork.check_types(image_types), artwork.check_output(output_format)
    width = clamp_limit(max_width, artwork.WIDEST, argument="max_width")
    if output == "file_path":
        resolve_inside(companion.settings, output_dir, "output_dir")
    found = find_item(
        plex, companion.ttl_cache, title=media_title, media_id=media_id, library_name=library_name, writes=False
    )
    options = artwork.ArtworkOptions(output, output_dir, width, companion.settings)
    return artwork.fetch_artwork(plex, get_full(plex, found), types, options)


@MEDIA.tool(Access.WRITE, title="Set artwork", idempotent=True, aliases=ART_ALIASES)
def media_set_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    library_name: LibraryName | None = None,
    art_type: Annotated[str, Field(description="poster, background (art) or logo.")] = "poster",
    filepath: Annotated[str | None, Field(description="A file below the companion's media folder.")] = None,
    url: Annotated[str | None, Field(description="A public address; redirects are not followed.")] = None,
    lock: Annotated[bool, Field(description="Keep Plex from replacing it.")] = False,
    media_id: MediaId | None = None,
) -> Annotated[dict[str, Any], Shape(ArtworkChange)]:
    """Replace the poster, background (art) or logo of one item with an image from a file or URL.

    The title must be exact. Takes PNG, JPEG, WebP or GIF up to 16 MiB.
    """
    of = artwork.find_kind(art_type)
    check_one_source(filepath, url)
    new = load_picture(companion.settings, filepath=filepath, url=url)
    row = _find_one(plex, companion, media_title, media_id, library_name, WATCHABLE)
    artwork.check_settable(row, art_type)
    artwork.upload_and_check(plex, row, of, new, lock=lock)
    title = read_text(row, "title")
    return {
        "updated": True,
        "title": title,
        "media_id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "art_type": art_type.strip().lower(),
        "source": new.source,
        "locked": lock,
        "message": f"Successfully set {'and locked ' if lock else ''}{art_type.strip().lower()} artwork for '{title}'.",
    }


@MEDIA.tool(Access.READ, title="List available artwork")
def media_list_available_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    media_id: MediaId | None = None,
    library_name: LibraryName | None = None,
    art_type: Annotated[str, Field(description="poster, background (art) or logo.")] = "poster",
    limit: int = 100,
    offset: int = 0,
) -> Annotated[dict[str, Any], Shape(ArtworkPage)]:
    """List the posters, backgrounds (art) or logos available for one item, and which one is selected.

    `limit` is at most 500.
    """
    of, limit = artwork.find_kind(art_type), clamp_limit(limit, ARTWORK_MOST, offset)
    row = find_item(
        plex, companion.ttl_cache, title=media_title, media_id=media_id, library_name=library_name, writes=False
    ).row
    listed = cut_page(artwork.list_versions(plex, row, of), offset, limit)
    return {
        "media_title": read_text(row, "title"),
        "media_id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "art_type": art_type.strip().lower(),
        "count": listed.total,
        "artwork": [artwork.describe_version(index, one) for index, one in enumerate(listed.rows, offset + 1)],
        **listed.as_dict(),
    }
