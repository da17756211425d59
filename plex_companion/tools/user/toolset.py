"""Toolset `user`: the users of the server, what they watched, and what they can watch next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from plex_companion import serialize
from plex_companion.companion import Companion
from plex_companion.names.folding import fold
from plex_companion.plex.query import clamp_limit, get_page
from plex_companion.plex.xml.attributes import (
    parse_identifier,
    read_flag,
    read_local_time,
    read_number,
    read_text,
    read_utc,
)
from plex_companion.times import MINUTE_MS, SECOND_MS
from plex_companion.tools.declare import Access, Shape, Toolset
from plex_companion.tools.parameters import UserId, Username
from plex_companion.tools.play_history import HistoryWalk, describe_play, drop_repeats, get_devices
from plex_companion.tools.server_argument import ServerArgument
from plex_companion.tools.user.statistics import Period, get_statistics
from plex_companion.tools.user.user_results import OnDeckPage, UserInfo, UserSearch, UserStatistics
from plex_companion.tools.users import (
    ServerUser,
    find_user,
    find_user_id,
    get_access,
    get_account,
    get_owner_account,
    list_users,
    mask_name,
    mask_user,
    read_owner,
    switch_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer

USER = Toolset("user", "Users: roles, libraries, on deck, watch history, statistics")

LISTED = HISTORY = 500
ContentType = Annotated[
    Literal["movie", "show", "episode", "track", "photo", "clip"], Field(description="show means its episodes.")
]


@dataclass(frozen=True, slots=True)
class AllUsers:
    """All users of the server. `total_users` does not count the owner."""

    owner: dict[str, Any]
    users: list[dict[str, Any]]
    total_users: int


@dataclass(frozen=True, slots=True)
class WatchHistory:
    """A user's plays, newest first."""

    username: str | None
    user_id: int | None
    count: int
    requestedLimit: int  # noqa: N815 - the contract's name
    contentType: str | None  # noqa: N815 - the contract's name
    limit: int
    offset: int
    items: list[dict[str, Any]]
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ContinueWatching:
    """The items that a user has started but not finished."""

    status: str
    count: int
    limit: int
    items: list[dict[str, Any]]
    message: str | None = None


@USER.tool(Access.READ, title="Search users", open_world=True, server=ServerArgument.NONE)
def user_search_users(
    plex: PlexServer, companion: Companion, search_term: str | None = None
) -> Annotated[dict[str, Any], Shape(UserSearch)]:
    """Find users whose username, title or e-mail contains a text. Without a text, list the owner and the other users.

    Each user found has their role and the libraries of this server they can see.
    """
    if search_term is None or not search_term.strip():
        return _list_all_users(plex, companion)
    requested = fold(search_term)
    accounts = (read_owner(plex, companion), *list_users(plex, companion))
    found = [user for user in accounts if _has_name_with(user, requested)]
    rows = [_describe_found(plex, companion, user) for user in found]
    answer: dict[str, Any] = {"searchTerm": search_term, "usersFound": len(rows), "users": rows}
    return answer if rows else {**answer, "message": f"No user's name or e-mail contains '{search_term}'."}


@USER.tool(Access.READ, title="List users", open_world=True, server=ServerArgument.NONE)
def user_list_all_users(plex: PlexServer, companion: Companion) -> AllUsers:
    """List the owner and all home, managed and shared users with their plex.tv ids."""
    others = [_describe_user(mask_user(user, companion)) for user in list_users(plex, companion)]
    me = mask_user(get_owner_account(plex, companion), companion)
    names = {"id": me.id, "username": me.username, "email": me.email, "title": me.title, "uuid": me.uuid}
    return AllUsers({**names, "type": me.kind, "home": me.home, "homeAdmin": me.admin}, others, len(others))


@USER.tool(Access.READ, title="Show a user", open_world=True, server=ServerArgument.NONE)
def user_get_info(
    plex: PlexServer, companion: Companion, username: Username | None = None
) -> Annotated[dict[str, Any], Shape(UserInfo)]:
    """Show one user: role, names, and the servers and libraries they can see. For the owner (the default), also the
    subscription.
    """
    user = find_user(plex, companion, username)
    if user.is_owner:
        return _describe_owner(plex, companion)
    known = mask_user(user, companion)
    names = {"username": known.username, "email": known.email, "title": known.title, "id": known.id}
    return {"role": known.kind, **names, "serverAccess": _describe_access(plex, companion, user)}


@USER.tool(Access.READ, title="On deck of a user", open_world=True)
def user_get_on_deck(
    plex: PlexServer, companion: Companion, username: Username | None = None, limit: int = 50, offset: int = 0
) -> Annotated[dict[str, Any], Shape(OnDeckPage)]:
    """List what a user can watch next: unfinished films and episodes, and the episode after the last one watched.

    By default for the owner.
    """
    limit = clamp_limit(limit, LISTED, offset)
    user = find_user(plex, companion, username)
    found = get_page(switch_to(plex, companion, user), "/library/onDeck", offset=offset, limit=limit)
    items = [_describe_on_deck(row) for row in found.rows]
    answer = {"username": mask_name(user.name, companion), "count": len(items), "items": items, **found.as_dict()}
    return answer if items else {**answer, "message": "Nothing is on deck."}


@USER.tool(Access.READ, title="Continue watching", open_world=True)
def user_get_continue_watching(
    plex: PlexServer,
    companion: Companion,
    limit: int = 10,
    username: Username | None = None,
    user_id: UserId | None = None,
) -> ContinueWatching:
    """List what a user has started but not finished, most recent first, with the minutes left.

    By default for the owner.
    """
    limit = clamp_limit(limit, LISTED)
    seen = switch_to(plex, companion, find_user(plex, companion, username, user_id))
    rows = get_page(seen, "/hubs/continueWatching/items", offset=0, limit=limit).rows
    items = [_describe_started(row) for row in rows]
    return ContinueWatching("success", len(items), limit, items, None if items else "Nothing has been started.")


@USER.tool(Access.READ, title="Watch history of a user", open_world=True)
def user_get_watch_history(
    plex: PlexServer,
    companion: Companion,
    username: Username | None = None,
    limit: int = 10,
    content_type: ContentType | None = None,
    user_id: UserId | None = None,
    offset: int = 0,
    include_repeats: bool = False,
) -> WatchHistory:
    """List what a user has played to the end, newest first. Each item appears once unless `include_repeats` is set.

    By default for the owner. Reads the newest 800 plays and needs the owner's token. Plex's history does not include
    items that were only marked as watched.
    """
    asked, limit = limit, clamp_limit(limit, HISTORY, offset)
    user = find_user(plex, companion, username, user_id)
    looking = HistoryWalk(plex, user.account_id)
    rows = _filter_plays(looking, content_type, repeats=include_repeats)
    played = list(islice(rows, offset, offset + limit))
    names = get_devices(plex, companion) if played else {}
    items = [describe_play(row, names) for row in played]
    message = _explain_extent(looking, len(items), limit)
    return WatchHistory(
        username=mask_name(user.name, companion),
        user_id=user.account_id,
        count=len(items),
        requestedLimit=asked,
        contentType=content_type,
        limit=limit,
        offset=offset,
        items=items,
        message=message,
    )


@USER.tool(Access.READ, title="Statistics of users", open_world=True)
async def user_get_statistics(
    companion: Companion, time_period: Period = "last_24_hours", username: Username | None = None
) -> Annotated[dict[str, Any], Shape(UserStatistics)]:
    """Compare users by plays and seconds watched in a period, by media type and device, longest first.

    Covers all users unless `username` is given. Periods end now and count days as 24 hours. Answers from the cache. Plays
    that are known from Plex's history alone count with the length of their item: `estimated_duration` has their seconds.
    """
    user_id = await find_user_id(companion, username) if username and username.strip() else None
    return await get_statistics(companion, time_period, user_id)


def _list_all_users(plex: PlexServer, companion: Companion) -> dict[str, Any]:
    others = [mask_user(user, companion) for user in list_users(plex, companion)]
    me = mask_user(get_owner_account(plex, companion), companion)
    shared = [{**_list_names(user), "id": user.id} for user in others]
    return {"totalUsers": len(others) + 1, "owner": _list_names(me), "sharedUsers": shared}


def _list_names(user: ServerUser) -> dict[str, Any]:
    return {"username": user.username, "email": user.email, "title": user.title}


def _has_name_with(user: ServerUser, folded: str) -> bool:
    return any(folded in fold(name) for name in (user.username, user.email, user.title) if name)


def _describe_found(plex: PlexServer, companion: Companion, user: ServerUser) -> dict[str, Any]:
    row = {"role": user.kind, **_list_names(mask_user(user, companion)), "id": user.id}
    granted = None if user.is_owner else get_access(plex, companion).get(user.id)
    return row if user.is_owner else {**row, "libraries": list(granted.libraries) if granted else []}


def _describe_user(user: ServerUser) -> dict[str, Any]:
    return {
        "id": user.id,
        "title": user.title,
        "username": user.username,
        "email": user.email,
        "uuid": user.uuid,
        "thumb": user.thumb,
        "home": user.home,
        "guest": user.guest,
        "restricted": user.restricted,
        "admin": user.admin,
        "protected": user.protected,
        "type": user.kind,
    }


def _describe_owner(plex: PlexServer, companion: Companion) -> dict[str, Any]:
    me, found = mask_user(get_owner_account(plex, companion), companion), get_account(plex, companion)
    subscription = found.find("subscription")
    features = [] if subscription is None else [read_text(feature, "id") for feature in subscription.iter("feature")]
    return {
        "role": me.kind,
        **_list_names(me),
        "uuid": me.uuid,
        "subscription": {
            "active": subscription is not None and read_flag(subscription, "active") is True,
            "features": [feature for feature in features if feature],
        },
        "joinedAt": read_local_time(found, "joinedAt"),
        "joined_at_utc": read_utc(found, "joinedAt"),
    }


def _describe_access(plex: PlexServer, companion: Companion, user: ServerUser) -> list[dict[str, Any]]:
    """Describe the servers a user can see. Only this server's libraries are known."""
    granted = get_access(plex, companion).get(user.id)
    here = list(granted.libraries) if granted else []
    return [
        {
            "name": share.name,
            "libraries": here if share.machine_identifier == plex.machineIdentifier else [],
            "all_libraries": share.all_libraries,
        }
        for share in user.shares
    ]


def _describe_on_deck(row: Element) -> dict[str, Any]:
    where = {"show": read_text(row, "grandparentTitle"), "season": read_text(row, "parentTitle")}
    at, duration = read_number(row, "viewOffset") or 0, read_number(row, "duration")
    return {
        "type": read_text(row, "type"),
        "title": read_text(row, "title"),
        **(where if row.get("type") == "episode" else {"year": read_number(row, "year")}),
        "progress": serialize.compute_percent(at, duration),
        "current_time": _format_clock(at),
        "total_time": None if duration is None else _format_clock(duration),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "view_offset_ms": at,
        "duration_ms": duration,
    }


def _describe_started(row: Element) -> dict[str, Any]:
    where = {
        "show": read_text(row, "grandparentTitle"),
        "season": read_number(row, "parentIndex"),
        "episode": read_number(row, "index"),
    }
    at, duration = read_number(row, "viewOffset") or 0, read_number(row, "duration")
    return {
        "type": read_text(row, "type"),
        "title": read_text(row, "title"),
        "ratingKey": parse_identifier(row.get("ratingKey")),
        **(where if row.get("type") == "episode" else {"year": read_number(row, "year")}),
        "progress": serialize.compute_percent(at, duration),
        "remaining_minutes": None if duration is None else max(0, duration - at) // MINUTE_MS,
        "rating_key": parse_identifier(row.get("ratingKey")),
        "view_offset_ms": at,
    }


def _format_clock(milliseconds: int) -> str:
    """Return minutes and seconds such as `83:05`."""
    seconds = milliseconds // SECOND_MS
    return f"{seconds // 60}:{seconds % 60:02}"


def _filter_plays(looking: HistoryWalk, content_type: str | None, *, repeats: bool) -> Iterator[Element]:
    requested = "episode" if content_type == "show" else content_type
    rows = (row for row in looking if requested is None or row.get("type") == requested)
    return rows if repeats else drop_repeats(rows)


def _explain_extent(looking: HistoryWalk, found: int, limit: int) -> str | None:
    if found < limit and looking.stopped_early:
        return f"Only the newest {looking.looked_at} of {looking.total} plays were read."
    return None if found else "No plays found."
