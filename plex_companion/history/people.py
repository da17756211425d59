"""The people behind the accounts of several servers: one person may have an account on each. Pure.

An account's id is the person's id at plex.tv, except that every server calls its owner 1 (PLEX.md 2.2). Owners are the same
person where plex.tv says so, or where one token is used for both servers; otherwise each is a person of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.companion import OWNER
from plex_companion.names.usernames import find_user_ids

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from plex_companion.cache.queries.servers import AccountRow

Account = tuple[str, str]
"""The machine identifier of a server, and the id of an account on it."""


@dataclass(slots=True)
class Person:
    """A person with an account on one or more servers."""

    id: str = ""
    """The id of the accounts, or if that is not enough to tell people apart the id at plex.tv, or the owner's server."""
    accounts: list[Account] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What servers and plex.tv call the person, the best name first."""
    plex_tv_id: str | None = None

    @property
    def name(self) -> str | None:
        """The best name."""
        return self.names[0] if self.names else None

    def choose_id(self, owners: int) -> str:
        """Return the id by which the person is known, given how many people own a server."""
        ids = dict.fromkeys(id_ for _, id_ in self.accounts)
        other = next((id_ for id_ in ids if id_ != OWNER), None)
        if other is not None:
            return other
        return OWNER if owners == 1 else self.plex_tv_id or f"{OWNER}@{self.accounts[0][0]}"


class People:
    """Everybody who has an account, by account."""

    def __init__(self, by_account: Mapping[Account, Person]) -> None:
        self._by_account = by_account
        self.persons = {id(one): one for one in by_account.values()}.values()
        owners = sum(any(id_ == OWNER for _, id_ in one.accounts) for one in self.persons)
        for person in self.persons:
            person.id = person.choose_id(owners)
        self.by_id = {person.id: person for person in self.persons}

    def find_person(self, server: str, user_id: str) -> str:
        """Return the id of the person who has this account, which may be unknown here."""
        person = self._by_account.get((server, user_id))
        return person.id if person else user_id

    def find_by_name(self, server: str, name: str) -> str | None:
        """Return the id of the only person of this name with an account on a server, or else anywhere."""
        called = [one for one in self.persons if name in one.names]
        here = [one for one in called if any(place == server for place, _ in one.accounts)]
        found = here or called
        return found[0].id if len(found) == 1 else None

    def find_ids(self, requested: str, server: str | None = None) -> list[str]:
        """Return the ids of the people whom a text identifies, by an id of theirs or by name.

        On one `server`, an id is that of the account there, and of several people of a name those who have one there count.
        """
        given = requested.strip()
        if server is not None and (here := self._by_account.get((server, given))):
            return [here.id]
        if given in self.by_id:
            return [given]
        numbered = [
            one.id for one in self.persons if one.plex_tv_id == given or any(id_ == given for _, id_ in one.accounts)
        ]
        found = numbered or find_user_ids(requested, {one.id: one.names for one in self.persons})
        present = [id_ for id_ in found if any(place == server for place, _ in self.by_id[id_].accounts)]
        return present or found


def build_people(
    rows: Iterable[AccountRow],
    played: Mapping[str, str | None],
    servers: Collection[str],
    owner_marks: Mapping[str, str],
) -> People:
    """Group the accounts on servers by person.

    Args:
        rows: what servers and plex.tv say of accounts.
        played: the latest name of everybody who ever played something, by id of the account.
        servers: the machine identifiers of all servers.
        owner_marks: by server, a text that is the same for servers that are used with one token.
    """
    known = {(row.server, row.id) for row in rows if row.name or row.id in played or row.plex_tv_id}
    known |= {(server, id_) for server in servers for id_ in played}
    owners = _OwnerIdentities(rows, owner_marks)
    found: dict[Account, Person] = {}
    grouped: dict[str, Person] = {}
    for account in sorted(known):
        server, id_ = account
        person = grouped.setdefault(owners.identify(server) if id_ == OWNER else id_, Person())
        person.accounts.append(account)
        found[account] = person
    for row in sorted(rows, key=lambda row: row.plex_tv_id is not None):  # the servers' own names come first
        if (row.server, row.id) in found:
            person = found[row.server, row.id]
            person.plex_tv_id = person.plex_tv_id or row.plex_tv_id
            _add_names(person, row.name, row.title, row.username)
    for (_, id_), person in found.items():
        if id_ != OWNER or len(servers) == 1:
            _add_names(person, played.get(id_))
    return People(found)


def _add_names(person: Person, *names: str | None) -> None:
    person.names += [name for name in dict.fromkeys(names) if name and name not in person.names]


class _OwnerIdentities:
    """What identifies the owner of each server: the id at plex.tv, else the token, else the server."""

    def __init__(self, rows: Iterable[AccountRow], marks: Mapping[str, str]) -> None:
        self._at_plex_tv = {row.server: row.plex_tv_id for row in rows if row.id == OWNER and row.plex_tv_id}
        self._marks = marks
        self._by_mark = {mark: self._at_plex_tv[server] for server, mark in marks.items() if server in self._at_plex_tv}

    def identify(self, server: str) -> str:
        """Return the identity of a server's owner. A former server belonged to the owner of the only present one."""
        if found := self._at_plex_tv.get(server):
            return found
        mark = self._marks.get(server) or (next(iter(self._marks.values())) if len(self._marks) == 1 else None)
        if mark is None:
            return f"{OWNER}@{server}"
        return self._by_mark.get(mark, mark)
