"""Decides whether an occurrence fits the filters that a caller gave. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from plex_companion.names.usernames import find_user_ids

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from plex_companion.occurrences.declare import OccurrenceType

    Users = Mapping[str, Collection[str | None]]
    Data = Mapping[str, Any]

NO_USERS: Users = MappingProxyType({})


def matches(
    declaration: OccurrenceType, arguments: Mapping[str, str], row: Mapping[str, Any], users: Users = NO_USERS
) -> bool:
    """Return whether an occurrence is of a type and fits every filter, compared as a whole and without regard to case.

    Args:
        declaration: the type.
        arguments: the filters, as the type's schema admits them.
        row: the occurrence as it is read.
        users: every name of every user by id; a first name counts if only one user has it.
    """
    data: Data = row["data"]
    return row["type"] == declaration.name and all(
        _matches_user(wanted, data, users) if name == "user" else _fold(wanted) in _list_values(name, data)
        for name, wanted in arguments.items()
    )


def _matches_user(wanted: str, data: Data, users: Users) -> bool:
    user = data.get("user") or {}
    id_ = user.get("id")
    own = {_fold(value) for value in (id_, user.get("name"), *users.get(id_ or "", ())) if value}
    return _fold(wanted) in own or (id_ is not None and find_user_ids(wanted, users) == [id_])


def _list_values(name: str, data: Data) -> set[str]:
    """Return the values that a filter is compared with, in lower case."""
    match name:
        case "library":
            found = _pick(data, "library", "library_id") + _pick(data.get("item"), "library", "library_id")
        case "client":
            found = _pick(data.get("player"), "title", "client_identifier")
        case "rule":
            found = _pick(data.get("rule"), "name", "id")
        case "kind" | "severity":
            found = _pick(data.get("alert"), name)
        case "type":
            found = _pick(data, "type") + [value for item in _list_items(data) for value in _pick(item, "type")]
        case "title":
            names = ("title", "full_title", "grandparent_title", "parent_title", "show")
            found = _pick(data, "title") + [value for item in _list_items(data) for value in _pick(item, *names)]
        case _:
            found = []
    return {_fold(value) for value in found}


def _list_items(data: Data) -> Iterable[Data]:
    item = data.get("item")
    return [item] if item else data.get("items") or []


def _pick(of: Data | None, *names: str) -> list[str]:
    return [str(of[name]) for name in names if of and of.get(name)]


def _fold(value: str) -> str:
    return value.strip().casefold()
