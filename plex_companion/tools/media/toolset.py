"""Toolset `media`: films, shows, music and their artwork, one item at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.companion import Companion
from plex_companion.errors import Invalid, NotSupported
from plex_companion.plex.lookup import find_by_id, find_item, find_library
from plex_companion.plex.pictures import check_one_source, load_picture, resolve_inside
from plex_companion.plex.query import call_action, clamp_limit, send
from plex_companion.plex.steps import check_confirmed, run_steps
from plex_companion.plex.xml.attributes import parse_identifier, read_kind, read_number, read_text
from plex_companion.tools.arguments import choose
from plex_companion.tools.confirm import destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, Clearable, Id, Toolset
from plex_companion.tools.media import artwork
from plex_companion.tools.media import delete as deleting
from plex_companion.tools.media import edit as editing
from plex_companion.tools.media.item_details import get_details
from plex_companion.tools.media.search import find_hits, parse_kinds
from plex_companion.tools.users import switch_user
from plex_companion.tools.watched_state import CONTAINERS, WatchedState, cut_page, get_albums, read_watched_state

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.lookup import FoundItem
    from plex_companion.tools.confirm import DestructionTarget

MEDIA = Toolset("media", "One film, show, album or track: find, look closer, edit, mark, delete, artwork")
LIBRARY = "com.plexapp.plugins.library"
WATCHABLE = ("movie", "show", "season", "episode", "artist", "album", "track", "clip")
SEARCH_MOST = 100
CHILDREN_MOST = 1000
ARTWORK_MOST = 500
ART_ALIASES = {
    "poster_path": lambda path: {"filepath": path, "art_type": "poster"},
    "poster_url": lambda url: {"url": url, "art_type": "poster"},
    "background_path": lambda path: {"filepath": path, "art_type": "background"},
    "background_url": lambda url: {"url": url, "art_type": "background"},
}


@MEDIA.tool(Access.READ)
def media_search(
    plex: PlexServer,
    companion: Companion,
    query: str,
    content_type: str | None = None,
    library_name: Id | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """Search films, shows, seasons, episodes, artists, albums and tracks by words of their title; gives their ids.

    `content_type` is movie, show, season, episode, artist, album or track, or a comma list of movies, tv, music.
    `limit` (1 to 100) counts for each kind. The `rating_key` of a result is the `media_id` of other tools.
    """
    if not query.strip():
        raise Invalid("query must not be empty: give words of a title.", argument="query")
    kinds, limit = parse_kinds(content_type), clamp_limit(limit, SEARCH_MOST)
    section = find_library(plex, companion.ttl_cache, library_name) if library_name is not None else None
    found = find_hits(plex, query, section=section, kinds=kinds, limit=limit)
    count = sum(len(listed) for listed in found.values())
    answer = {
        "status": "success",
        "message": f"Found {count} results for '{query}'" if count else f"No results found for '{query}'.",
        "query": query,
        "content_type": content_type,
        "limit": limit,
        "total_count": count,
        "results_by_type": found,
    }
    return answer if count else {**answer, "count": 0, "results": []}


@MEDIA.tool(Access.READ)
def media_get_details(
    plex: PlexServer,
    companion: Companion,
    media_title: str | None = None,
    media_id: Id | None = None,
    library_name: Id | None = None,
    username: str | None = None,
    limit: int = 200,
    offset: int = 0,
) -> dict[str, Any]:
    """Everything about one film, show, season, episode, artist, album or track: people, ratings, files, watch state.

    Name it by `media_id` (from media_search) or by `media_title`, with `library_name` if the title is in several.
    `username` shows it as that user sees it: watch state and rating are theirs. What is below it (episodes of a show or
    season, albums, tracks) comes in pages of `limit` (at most 1000) from `offset`.
    """
    limit = clamp_limit(limit, CHILDREN_MOST, offset)
    seen = switch_user(plex, companion, username)
    found = find_item(
        seen, companion.ttl_cache, title=media_title, media_id=media_id, library_name=library_name, writes=False
    )
    told = get_details(seen, get_full(seen, found), offset=offset, limit=limit)
    return {**told, **found.guess}


@MEDIA.tool(Access.WRITE)
def media_set_watched_status(
    plex: PlexServer, companion: Companion, media_id: Id, watched: bool, username: str | None = None
) -> dict[str, Any]:
    """Mark a film, episode or track as watched or unwatched; a show, season, artist or album with all it holds.

    `username` does it for that user, otherwise it is for the owner. Nothing is asked of Plex when it is so already.
    Marking makes no row in the history, and unmarking a container forgets which of its parts were seen.
    """
    seen = switch_user(plex, companion, username)
    row = find_by_id(seen, media_id, WATCHABLE)
    before = _read_state(seen, row)
    wanted = "watched" if watched else "unwatched"
    if not before.total:
        raise NotSupported(f"'{read_text(row, 'title')}' holds nothing that could be watched.", reason="empty")
    if before.status == wanted:
        return _describe_change(row, before, before)
    call_action(seen, f"/:/{'scrobble' if watched else 'unscrobble'}", key=media_id.strip(), identifier=LIBRARY)
    row = find_by_id(seen, media_id, WATCHABLE)
    after = _read_state(seen, row)
    message = f"Plex was told that '{read_text(row, 'title')}' is {wanted}, but still says {after.status}. Try again."
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
    """The item's full row: the one of an id is, the one of a search is not. At most one request."""
    return found.row if found.matched == "id" else find_by_id(plex, found.row.get("ratingKey") or "")


@MEDIA.tool(Access.WRITE)
def media_edit_metadata(
    plex: PlexServer,
    companion: Companion,
    media_title: str | None = None,
    library_name: Id | None = None,
    new_title: str | None = None,
    new_summary: Clearable | None = None,
    new_rating: float | None = None,
    new_release_date: Clearable | None = None,
    new_genre: str | None = None,
    remove_genre: str | None = None,
    new_director: str | None = None,
    new_studio: Clearable | None = None,
    new_tags: list[str] | None = None,
    media_id: Id | None = None,
    refresh: bool = False,
) -> dict[str, Any]:
    """Change title, summary, own rating (0 to 10), release date, genres, director, studio or labels of one item.

    Name it by `media_id`, or by its exact `media_title`. Texts replace (an empty one clears), except the title;
    `new_genre`, `new_director` and `new_tags` (labels) are added. What is changed gets locked, so that Plex keeps it;
    `refresh` makes Plex fetch the other fields anew. `before` in the answer holds what was there, to go back.
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
    told = {"media_id": parse_identifier(row.get("ratingKey")), "rating_key": parse_identifier(row.get("ratingKey"))}
    every = [*edits, *([rating] if rating else [])]
    if not every:
        title = read_text(row, "title")
        return {"updated": False, "title": title, "message": f"No changes were made to '{title}'.", **told}
    editing.check_title_is_free(plex, row, wanted)
    now = editing.apply_edits(plex, row, edits, rating, wanted.get("new_rating"))
    changes = [said for one in every for said in one.changes]
    if refresh:
        path = f"/library/metadata/{row.get('ratingKey')}/refresh"
        run_steps(plex, [("refresh", partial(send, plex, "PUT", path))], changes=changes)
    message = f"Successfully updated metadata for '{read_text(row, 'title')}'. Changes: {', '.join(changes)}."
    return {
        "updated": True,
        "title": read_text(now, "title"),
        **told,
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
    """The item that a write is meant for."""
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


@MEDIA.tool(Access.DESTRUCTIVE)
async def media_delete(
    companion: Companion,
    caller: Caller,
    media_title: str | None = None,
    media_id: Id | None = None,
    library_name: Id | None = None,
    confirm: bool = False,
) -> dict[str, Any]:
    """Delete a film, show, season, episode, artist, album or track with its files on disk. This cannot be undone.

    Name it by `media_id`, or by an exact `media_title` that only one item has. A person is asked where the client can
    ask; elsewhere `confirm=true` is needed, and without it the answer tells what would be deleted.
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

    def again(plex: PlexServer, doomed: DestructionTarget) -> DestructionTarget:
        row = find_by_id(plex, str(doomed.facts["rating_key"]), deleting.DELETABLE)
        return deleting.describe_target(plex, row)

    return await destroy_after_confirmation(
        companion, caller, confirm=confirm, look=look, act=deleting.delete, again=again
    )


@MEDIA.tool(
    Access.READ,
    aliases={"art_type": lambda art_type: {"image_types": [art_type]}},
    writes_when=lambda arguments: choose(str(arguments.get("output_format")), artwork.OUTPUTS) == "file_path",
)
def media_get_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: str | None = None,
    media_id: Id | None = None,
    library_name: Id | None = None,
    image_types: list[str] = ["poster"],  # noqa: B006 - never changed, and the schema shows it
    output_format: str = "base64",
    output_dir: str = "./",
    max_width: int = 600,
) -> dict[str, Any]:
    """Pictures of one item: poster (thumb, thumbnail), background (art), logo.

    `output_format`: "image" shows them, "base64" puts them into the answer, "url" names Plex's path, "file_path" saves
    them in `output_dir` below the companion's media folder (a write). Pictures are at most `max_width` wide, and
    in answers at most 256 KiB. One that is missing gets an `error` of its own.
    """
    types, output = artwork.check_types(image_types), artwork.check_output(output_format)
    width = clamp_limit(max_width, artwork.WIDEST, argument="max_width")
    if output == "file_path":
        resolve_inside(companion.settings, output_dir, "output_dir")
    found = find_item(
        plex, companion.ttl_cache, title=media_title, media_id=media_id, library_name=library_name, writes=False
    )
    wish = artwork.ArtworkOptions(output, output_dir, width, companion.settings)
    return artwork.fetch_artwork(plex, get_full(plex, found), types, wish)


@MEDIA.tool(Access.WRITE, aliases=ART_ALIASES)
def media_set_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: str | None = None,
    library_name: Id | None = None,
    art_type: str = "poster",
    filepath: str | None = None,
    url: str | None = None,
    lock: bool = False,
    media_id: Id | None = None,
) -> dict[str, Any]:
    """Give one item another poster, background (art) or logo, from a file or a web address.

    Name it by `media_id`, or by its exact `media_title`. `filepath` lies below the companion's media folder; `url` is
    fetched by the companion, from public addresses and without redirects. PNG, JPEG, WebP or GIF up to 16 MiB.
    `lock` keeps Plex from replacing it.
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


@MEDIA.tool(Access.READ)
def media_list_available_artwork(
    plex: PlexServer,
    companion: Companion,
    media_title: str | None = None,
    media_id: Id | None = None,
    library_name: Id | None = None,
    art_type: str = "poster",
    limit: int = 100,
    offset: int = 0,
) -> dict[str, Any]:
    """List the posters, backgrounds (art) or logos that Plex has for one item, and which one it shows.

    `limit` is at most 500. media_get_artwork shows the chosen one; media_set_artwork sets another.
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
