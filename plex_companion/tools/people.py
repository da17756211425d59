"""Who uses the server, found by name or id, and the server as one of them sees it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexForbidden, ToolError
from plex_companion.events import Heard, PlexTvUsersRead
from plex_companion.memory import find as memory
from plex_companion.memory.find import names_of
from plex_companion.models import PlexTvUser
from plex_companion.text import HIDDEN, mask
from plex_companion.tools.ask import as_token, plex_tv
from plex_companion.tools.facts import flag, link, number, text
from plex_companion.usernames import ids_named

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion

OWNER = 1
"""The owner's number on their own server; everybody else has the same number there as at plex.tv."""
KEPT_SECONDS = 600.0
ASKED_SECONDS = 5.0
"""How long a question about the past waits for plex.tv to say who somebody is."""
_USERS, _ACCESS, _ACCOUNT = "plex.tv users", "plex.tv access", "plex.tv account"
_SEEN, _TOLD = "users seen at plex.tv", "users told to the cache"


@dataclass(frozen=True, slots=True)
class Share:
    """A server that somebody may use."""

    machine_identifier: str | None
    name: str | None
    all_libraries: bool | None


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do with this server. The token is theirs; it is kept in memory only and shown nowhere."""

    token: SecretStr
    libraries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A user. `id` is plex.tv's number, `account_id` the server's. Names and e-mail are as they came, not masked."""

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
    shares: tuple[Share, ...] = field(default=())

    @property
    def is_owner(self) -> bool:
        """Whose server it is."""
        return self.account_id == OWNER

    @property
    def kind(self) -> str:
        """How they belong to the owner: Owner, Home User, Home User (Managed) or Shared User."""
        if self.is_owner:
            return "Owner"
        if not self.home:
            return "Shared User"
        return "Home User (Managed)" if self.restricted else "Home User"

    @property
    def name(self) -> str:
        """What to call them."""
        return self.title or self.username or self.email or f"user {self.account_id}"

    def fits(self, wanted: str) -> bool:
        """Whether this, without regard to case, is one of their names."""
        folded = wanted.strip().casefold()
        return any(folded == name.casefold() for name in (self.username, self.title, self.email) if name)


def masked(person: Person, companion: Companion) -> Person:
    """The person as they may be shown: e-mail addresses (names can be some) hidden, unless privacy is off."""
    return replace(
        person,
        username=shown(person.username, companion),
        title=shown(person.title, companion),
        email=shown(person.email, companion),
    )


def shown(name: str | None, companion: Companion) -> str | None:
    """A name or address as it may be shown."""
    return mask(name) if name and companion.settings.privacy else name


def owner(plex: PlexServer, companion: Companion) -> Person:
    """The owner, as far as the server knows them: no request."""
    names = [account.name for account in companion.state.accounts if account.id == str(OWNER)]
    title = names[0] if names and names[0] != HIDDEN else None
    signed_in: str | None = plex.myPlexUsername  # newer servers give the e-mail address, older ones the name
    email = signed_in if signed_in and "@" in signed_in else None
    username = title if email else signed_in or title
    return Person(None, OWNER, username, title or username, email, admin=True)


def account(plex: PlexServer, companion: Companion) -> Element:
    """The owner's account at plex.tv; at most one request in ten minutes. It holds tokens: show chosen attributes only."""
    return companion.known.kept(_ACCOUNT, KEPT_SECONDS, lambda: plex_tv(plex, "/api/v2/user"))


def owner_account(plex: PlexServer, companion: Companion) -> Person:
    """The owner as plex.tv knows them; at most one request."""
    known = replace(_person(account(plex, companion)), account_id=OWNER)
    _note(companion, [known])
    return known


def users(plex: PlexServer, companion: Companion) -> tuple[Person, ...]:
    """Everybody else: the home and the friends of the owner. At most one request in ten minutes.

    Raises:
        PlexTvUnreachable: plex.tv is away.
    """
    found = companion.known.kept(_USERS, KEPT_SECONDS, lambda: _users(plex))
    _note(companion, found)
    return found


def find_user(
    plex: PlexServer, companion: Companion, username: str | None = None, user_id: str | int | None = None
) -> Person:
    """Return the user of this id, else the one whom a name means (see `usernames`); the owner when neither is given.

    Names are the username, title and e-mail of plex.tv and the name on this server; a first name is enough where only one
    has it. The owner costs no request when named as the server names them, anybody else at most one, a stranger two.

    Raises:
        NotFound: nobody; the error lists the names.
        Ambiguous: several; the error lists their ids.
        PlexTvUnreachable: plex.tv is away and the owner is not meant.
    """
    here = owner(plex, companion)
    if user_id is not None:
        return _of_id(plex, companion, here, str(user_id).strip())
    if username is None or not username.strip():
        return here
    if here.fits(username) and not _has_namesake(companion, username):
        return here
    people = {str(person.account_id): person for person in (here, *_former(companion), *users(plex, companion))}
    names = {id_: {person.username, person.title, person.email} for id_, person in people.items()}
    fitting = [people[id_] for id_ in ids_named(username, names_of(companion.state, names)) if id_ in people]
    if len(fitting) > 1:
        matches = [_match(masked(person, companion)) for person in fitting]
        owners = " Leave username out to mean the owner." if here in fitting else ""
        message = f"{len(fitting)} users are called '{username}': use another of their names.{owners}"
        raise Ambiguous(message, argument="username", matches=matches)
    return fitting[0] if fitting else _owner_or_nobody(plex, companion, "username", username)


def as_user(
    plex: PlexServer, companion: Companion, username: str | None = None, user_id: str | int | None = None
) -> PlexServer:
    """The server as this user sees it; `plex` itself for the owner. At most two requests, both kept for ten minutes.

    Raises:
        PlexForbidden: the user may not use this server.
        ToolError: as `find_user`.
    """
    return seen_by(plex, companion, find_user(plex, companion, username, user_id))


def seen_by(plex: PlexServer, companion: Companion, person: Person) -> PlexServer:
    """The server as this person sees it; see `as_user`."""
    if person.is_owner:
        return plex
    found = access(plex, companion).get(person.id)
    if found is None:
        companion.known.forget(_ACCESS)  # the owner may share the server right now
        name = shown(person.name, companion)
        message = f"'{name}' has no access to this server. Share a library with them in Plex, then try again."
        raise PlexForbidden(message)
    return as_token(plex, found.token.get_secret_value())


def access(plex: PlexServer, companion: Companion) -> dict[int | None, Access]:
    """What everybody but the owner may do here, by plex.tv's numbers. At most one request in ten minutes."""
    return companion.known.kept(_ACCESS, KEPT_SECONDS, lambda: _access(plex))


def _of_id(plex: PlexServer, companion: Companion, here: Person, user_id: str) -> Person:
    if not (user_id.isascii() and user_id.isdecimal()):
        raise Invalid(f"user_id must be a number, as user_list_all_users gives; got '{user_id}'.", argument="user_id")
    wanted = user_id.lstrip("0")
    if wanted == str(OWNER):
        return here
    found = (person for person in users(plex, companion) if str(person.id) == wanted)
    return next(found, None) or _owner_or_nobody(plex, companion, "user_id", user_id)


def _owner_or_nobody(plex: PlexServer, companion: Companion, argument: str, asked: str) -> Person:
    """The owner may have been named as only plex.tv knows them.

    Raises:
        NotFound: the owner is not meant either.
    """
    known = owner_account(plex, companion)
    if asked == str(known.id) or (argument != "user_id" and known.fits(asked)):
        return known
    available = [masked(person, companion).name for person in (known, *users(plex, companion))][:50]
    companion.known.forget(_USERS)  # somebody may be invited right now
    message = f"No user with {argument} '{asked}'. Users: {', '.join(available)}."
    raise NotFound(message, what="user", available=available)


def _former(companion: Companion) -> list[Person]:
    """Return the users that the server still has accounts of; plex.tv tells of those who share it now."""
    accounts = (one for one in companion.state.accounts if one.name and one.id.isdecimal() and one.id != str(OWNER))
    return [Person(int(one.id), int(one.id), None, None if one.name == HIDDEN else one.name) for one in accounts]


def seen_on_plex_tv(companion: Companion) -> dict[int, Person]:
    """Return the users that plex.tv named while this process runs, by account id."""
    found: dict[int, Person] = companion.known.noted(_SEEN) or {}
    return found


async def keep_names(companion: Companion) -> None:
    """Have the names written down that plex.tv told, where they are news: the command line knows them by these too."""
    seen = [masked(person, companion) for person in seen_on_plex_tv(companion).values()]
    named = tuple(PlexTvUser(str(one.account_id), str(one.id), _kept(one.username), _kept(one.title)) for one in seen)
    news = tuple(user for user in named if user not in companion.state.plex_tv_users)
    if news and companion.known.noted(_TOLD) != news:
        companion.known.note(_TOLD, news)
        await companion.inbox.put([Heard(PlexTvUsersRead(news), companion.clock())])


def _kept(name: str | None) -> str | None:
    return None if name is None or "@" in name or name == HIDDEN else name


async def user_id_of(companion: Companion, wanted: str) -> str:
    """Return the account id of the user whom a text means, as `find_user` does; plex.tv is asked of strangers only.

    Raises:
        NotFound: nobody; the message names those there are.
        Ambiguous: several.
    """
    try:
        return await memory.find_user(companion, wanted)
    except NotFound:
        with suppress(ToolError):
            ask = partial(find_user, companion=companion, username=wanted)
            person = await companion.gateway.call(ask, timeout=ASKED_SECONDS)
            await keep_names(companion)
            return str(person.account_id)
        raise


def _note(companion: Companion, people: Iterable[Person]) -> None:
    named = {one.account_id: one for one in people if one.account_id is not None and one.id is not None}
    companion.known.note(_SEEN, {**seen_on_plex_tv(companion), **named})


def _has_namesake(companion: Companion, username: str) -> bool:
    """Whether somebody else on the server has the owner's name, as far as the server told when it was last read."""
    wanted = username.strip().casefold()
    others = (one.name for one in companion.state.accounts if one.id != str(OWNER) and one.name)
    return any(name.casefold() == wanted for name in others)


def _match(person: Person) -> dict[str, object]:
    return {
        "title": person.title,
        "id": person.id or person.account_id,
        "username": person.username,
        "email": person.email,
    }


def _users(plex: PlexServer) -> tuple[Person, ...]:
    return tuple(_person(row) for row in plex_tv(plex, "/api/users/").iter("User"))


def _access(plex: PlexServer) -> dict[int | None, Access]:
    """The home's users are here too: plexapi's `switchUser` takes the tokens of both from this list."""
    shared = plex_tv(plex, f"/api/servers/{plex.machineIdentifier}/shared_servers").iter("SharedServer")
    return {
        number(row, "userID"): Access(SecretStr(row.get("accessToken", "")), _libraries(row))
        for row in shared
        if row.get("accessToken")
    }


def _libraries(row: Element) -> tuple[str, ...]:
    sections = (section for section in row.iter("Section") if flag(section, "shared") is not False)
    return tuple(title for section in sections if (title := text(section, "title")))


def _person(row: Element) -> Person:
    return Person(
        id=number(row, "id"),
        account_id=number(row, "id"),
        username=text(row, "username"),
        title=text(row, "title"),
        email=text(row, "email"),
        uuid=text(row, "uuid"),
        thumb=link(row, "thumb"),
        home=flag(row, "home") or False,
        guest=flag(row, "guest") or False,
        restricted=flag(row, "restricted") or False,
        admin=flag(row, "admin") or flag(row, "homeAdmin") or False,
        protected=flag(row, "protected") or False,
        shares=tuple(_share(server) for server in row.iter("Server")),
    )


def _share(server: Element) -> Share:
    return Share(text(server, "machineIdentifier"), text(server, "name"), flag(server, "allLibraries"))
