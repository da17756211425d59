"""Finding a user of the server by name or id, and viewing the server as that user."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexForbidden, ToolError
from plex_companion.events import PlexTvUsersRead, ReceivedEvent
from plex_companion.history import filters as memory
from plex_companion.history.filters import list_names
from plex_companion.history.play_pages import list_plays
from plex_companion.models import PlexTvUser
from plex_companion.names.usernames import find_user_ids
from plex_companion.plex.query import get_plex_tv
from plex_companion.plex.xml.attributes import read_flag, read_link, read_number, read_text
from plex_companion.text import HIDDEN, mask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.companion import Companion
    from plex_companion.history.play_pages import PlayQuery
    from plex_companion.plex.client import PlexServer

OWNER = 1
"""The owner's account id on their own server. All other users have the same id there as at plex.tv."""
KEPT_SECONDS = 600.0
ASKED_SECONDS = 5.0
"""Seconds that a query of the history waits for plex.tv to identify a user."""
_USERS, _ACCESS, _ACCOUNT = "plex.tv users", "plex.tv access", "plex.tv account"
_SEEN, _TOLD = "users from plex.tv", "users stored in the cache"


@dataclass(frozen=True, slots=True)
class ServerShare:
    """A server that is shared with a user."""

    machine_identifier: str | None
    name: str | None
    all_libraries: bool | None


@dataclass(frozen=True, slots=True)
class UserAccess:
    """A user's access to this server. Their token is kept in memory only and never shown."""

    token: SecretStr
    libraries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user. `id` is plex.tv's number, `account_id` the server's. Names and e-mail are not masked."""

    id: int | None
    account_id: int | None
    username: str | None
    title: str | None
    email: str | None = None
    uuid: str | None = None
    thumb: str | None = None
    home: bool = False
    guest: bool = False
    restricted: bool = False
    admin: bool = False
    protected: bool = False
    shares: tuple[ServerShare, ...] = field(default=())

    @property
    def is_owner(self) -> bool:
        """Whether the user owns this server."""
        return self.account_id == OWNER

    @property
    def kind(self) -> str:
        """The user's relation to the owner: Owner, Home User, Home User (Managed) or Shared User."""
        if self.is_owner:
            return "Owner"
        if not self.home:
            return "Shared User"
        return "Home User (Managed)" if self.restricted else "Home User"

    @property
    def name(self) -> str:
        """The name to display."""
        return self.title or self.username or self.email or f"user {self.account_id}"

    def matches(self, requested: str) -> bool:
        """Return whether the text is one of the user's names, ignoring case."""
        folded = requested.strip().casefold()
        return any(folded == name.casefold() for name in (self.username, self.title, self.email) if name)


def mask_user(user: ServerUser, companion: Companion) -> ServerUser:
    """Return the user with e-mail addresses masked, also where they serve as names, unless privacy is off."""
    username, title, email = (mask_name(text, companion) for text in (user.username, user.title, user.email))
    return replace(user, username=username, title=title, email=email)


def mask_name(name: str | None, companion: Companion) -> str | None:
    """Return a name or address as it may be displayed."""
    return mask(name) if name and companion.settings.privacy else name


def read_owner(plex: PlexServer, companion: Companion) -> ServerUser:
    """Return the owner as far as the server knows them. Makes no request."""
    names = [account.name for account in companion.state.accounts if account.id == str(OWNER)]
    title = names[0] if names and names[0] != HIDDEN else None
    signed_in: str | None = plex.myPlexUsername  # newer servers return the e-mail address, older ones the name
    email = signed_in if signed_in and "@" in signed_in else None
    username = title if email else signed_in or title
    return ServerUser(None, OWNER, username, title or username, email, admin=True)


def get_account(plex: PlexServer, companion: Companion) -> Element:
    """Return the owner's account at plex.tv, from at most one request in ten minutes. It holds tokens: show chosen
    attributes only.
    """
    return companion.ttl_cache.get_or_fetch(_ACCOUNT, KEPT_SECONDS, lambda: get_plex_tv(plex, "/api/v2/user"))


def get_owner_account(plex: PlexServer, companion: Companion) -> ServerUser:
    """Return the owner as plex.tv knows them. At most one request."""
    known = replace(_parse_user(get_account(plex, companion)), account_id=OWNER)
    _remember_users(companion, [known])
    return known


def list_users(plex: PlexServer, companion: Companion) -> tuple[ServerUser, ...]:
    """Return the owner's home users and friends, without the owner. At most one request in ten minutes.

    Raises:
        PlexTvUnreachable: plex.tv is down.
    """
    found = companion.ttl_cache.get_or_fetch(_USERS, KEPT_SECONDS, lambda: _fetch_users(plex))
    _remember_users(companion, found)
    return found


def find_user(
    plex: PlexServer, companion: Companion, username: str | None = None, user_id: str | int | None = None
) -> ServerUser:
    """Return the user with this id, else the one a name identifies (see `usernames`), else the owner.

    Names are the username, title and e-mail of plex.tv and the name on this server; a first name is enough if only one
    user has it. Finding the owner by the server's name for them takes no request, any other user at most one, an unknown
    name two.

    Raises:
        NotFound: no user matches; the error lists the names.
        Ambiguous: several users match; the error lists their ids.
        PlexTvUnreachable: plex.tv is down and the name is not the owner's.
    """
    here = read_owner(plex, companion)
    if user_id is not None:
        return _find_by_id(plex, companion, here, str(user_id).strip())
    if username is None or not username.strip():
        return here
    if here.matches(username) and not _has_namesake(companion, username):
        return here
    accounts = {str(user.account_id): user for user in (here, *_list_former(companion), *list_users(plex, companion))}
    names = {id_: {user.username, user.title, user.email} for id_, user in accounts.items()}
    fitting = [accounts[id_] for id_ in find_user_ids(username, list_names(companion.state, names)) if id_ in accounts]
    if len(fitting) > 1:
        matches = [_describe_match(mask_user(user, companion)) for user in fitting]
        owners = " Omit username for the owner." if here in fitting else ""
        message = f"{len(fitting)} users are called '{mask(username)}': use another of their names.{owners}"
        raise Ambiguous(message, argument="username", matches=matches)
    return fitting[0] if fitting else _match_owner(plex, companion, "username", username)


def switch_user(
    plex: PlexServer, companion: Companion, username: str | None = None, user_id: str | int | None = None
) -> PlexServer:
    """Return the server as this user sees it; `plex` itself for the owner. At most two requests, both cached for ten
    minutes.

    Raises:
        PlexForbidden: the user may not use this server.
        ToolError: as `find_user`.
    """
    return switch_to(plex, companion, find_user(plex, companion, username, user_id))


def switch_to(plex: PlexServer, companion: Companion, user: ServerUser) -> PlexServer:
    """Return the server as this user sees it; `plex` itself for the owner.

    Raises:
        PlexForbidden: the user may not use this server.
    """
    if user.is_owner:
        return plex
    found = get_access(plex, companion).get(user.id)
    if found is None:
        companion.ttl_cache.forget(_ACCESS)  # the owner may be sharing the server right now
        name = mask_name(user.name, companion)
        message = f"'{name}' has no access to this server. Share a library with them in Plex, then try again."
        raise PlexForbidden(message)
    return plex.switch_token(found.token.get_secret_value())


def get_access(plex: PlexServer, companion: Companion) -> dict[int | None, UserAccess]:
    """Return the access of all users but the owner, by plex.tv id. At most one request in ten minutes."""
    return companion.ttl_cache.get_or_fetch(_ACCESS, KEPT_SECONDS, lambda: _fetch_access(plex))


def _find_by_id(plex: PlexServer, companion: Companion, here: ServerUser, user_id: str) -> ServerUser:
    if not (user_id.isascii() and user_id.isdecimal()):
        raise Invalid(f"user_id must be a number from user_list_all_users; got '{user_id}'.", argument="user_id")
    name = user_id.lstrip("0")
    if name == str(OWNER):
        return here
    found = (user for user in list_users(plex, companion) if str(user.id) == name)
    return next(found, None) or _match_owner(plex, companion, "user_id", user_id)


def _match_owner(plex: PlexServer, companion: Companion, argument: str, asked: str) -> ServerUser:
    """Return the owner if only plex.tv knows them by this name.

    Raises:
        NotFound: the name is not the owner's either.
    """
    known = get_owner_account(plex, companion)
    if asked == str(known.id) or (argument != "user_id" and known.matches(asked)):
        return known
    available = [mask_user(user, companion).name for user in (known, *list_users(plex, companion))][:50]
    companion.ttl_cache.forget(_USERS)  # a new user may be joining right now
    message = f"No user with {argument} '{asked}'. Users: {', '.join(available)}."
    raise NotFound(message, what="user", available=available)


def _list_former(companion: Companion) -> list[ServerUser]:
    """Return the users that the server still has accounts for; plex.tv lists only those who have access now."""
    accounts = (one for one in companion.state.accounts if one.name and one.id.isdecimal() and one.id != str(OWNER))
    return [ServerUser(int(one.id), int(one.id), None, None if one.name == HIDDEN else one.name) for one in accounts]


def get_plex_tv_users(companion: Companion) -> dict[int, ServerUser]:
    """Return the users that plex.tv named while this process has been running, by account id."""
    found: dict[int, ServerUser] = companion.ttl_cache.recall(_SEEN) or {}
    return found


async def store_names(companion: Companion) -> None:
    """Store new names that plex.tv gave, so that the command line knows users by them too."""
    seen = [mask_user(user, companion) for user in get_plex_tv_users(companion).values()]
    named = tuple(
        PlexTvUser(str(one.account_id), str(one.id), _drop_masked(one.username), _drop_masked(one.title))
        for one in seen
    )
    news = tuple(user for user in named if user not in companion.state.plex_tv_users)
    if news and companion.ttl_cache.recall(_TOLD) != news:
        companion.ttl_cache.remember(_TOLD, news)
        await companion.event_queue.put([ReceivedEvent(PlexTvUsersRead(news), companion.clock())])


def _drop_masked(name: str | None) -> str | None:
    return None if name is None or "@" in name or name == HIDDEN else name


async def find_user_id(companion: Companion, name: str) -> str:
    """Return the account id of a user as `find_user` finds them. Queries plex.tv for unknown names only.

    Raises:
        NotFound: no user matches; the message lists the names.
        Ambiguous: several users match.
    """
    try:
        return await memory.find_user(companion, name)
    except NotFound:
        with suppress(ToolError):
            ask = partial(find_user, companion=companion, username=name)
            user = await companion.gateway.call(ask, timeout=ASKED_SECONDS)
            await store_names(companion)
            return str(user.account_id)
        raise


async def list_plays_of(companion: Companion, limit: int, query: PlayQuery, cursor: str | None) -> dict[str, Any]:
    """Return a page of plays as `list_plays` does. Queries plex.tv for a user that the cache does not know.

    Raises:
        ToolError: as `list_plays`.
    """
    try:
        return await list_plays(companion, limit, query, after=cursor)
    except NotFound:
        if query.user is None:
            raise
    found = replace(query, user=await find_user_id(companion, query.user))
    return await list_plays(companion, limit, found, after=cursor)


def _remember_users(companion: Companion, users: Iterable[ServerUser]) -> None:
    named = {one.account_id: one for one in users if one.account_id is not None and one.id is not None}
    companion.ttl_cache.remember(_SEEN, {**get_plex_tv_users(companion), **named})


def _has_namesake(companion: Companion, username: str) -> bool:
    """Return whether another user of the server has the owner's name, according to the last list of accounts."""
    folded = username.strip().casefold()
    others = (one.name for one in companion.state.accounts if one.id != str(OWNER) and one.name)
    return any(name.casefold() == folded for name in others)


def _describe_match(user: ServerUser) -> dict[str, object]:
    return {"title": user.title, "id": user.id or user.account_id, "username": user.username, "email": user.email}


def _fetch_users(plex: PlexServer) -> tuple[ServerUser, ...]:
    return tuple(_parse_user(row) for row in get_plex_tv(plex, "/api/users/").iter("User"))


def _fetch_access(plex: PlexServer) -> dict[int | None, UserAccess]:
    """Fetch everybody's access. It includes the home users: plexapi's `switchUser` takes both kinds of tokens from this
    list.
    """
    shared = get_plex_tv(plex, f"/api/servers/{plex.machineIdentifier}/shared_servers").iter("SharedServer")
    return {
        read_number(row, "userID"): UserAccess(SecretStr(row.get("accessToken", "")), _parse_libraries(row))
        for row in shared
        if row.get("accessToken")
    }


def _parse_libraries(row: Element) -> tuple[str, ...]:
    sections = (section for section in row.iter("Section") if read_flag(section, "shared") is not False)
    return tuple(title for section in sections if (title := read_text(section, "title")))


def _parse_user(row: Element) -> ServerUser:
    return ServerUser(
        id=read_number(row, "id"),
        account_id=read_number(row, "id"),
        username=read_text(row, "username"),
        title=read_text(row, "title"),
        email=read_text(row, "email"),
        uuid=read_text(row, "uuid"),
        thumb=read_link(row, "thumb"),
        home=read_flag(row, "home") or False,
        guest=read_flag(row, "guest") or False,
        restricted=read_flag(row, "restricted") or False,
        admin=read_flag(row, "admin") or read_flag(row, "homeAdmin") or False,
        protected=read_flag(row, "protected") or False,
        shares=tuple(_parse_share(server) for server in row.iter("Server")),
    )


def _parse_share(server: Element) -> ServerShare:
    return ServerShare(
        read_text(server, "machineIdentifier"), read_text(server, "name"), read_flag(server, "allLibraries")
    )
