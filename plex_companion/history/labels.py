"""Labels for the entries of a list that tell apart entries of one name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    Entry = dict[str, Any]

FIELDS = ("year", "type", "library", "server_name", "id")
"""The fields that may tell apart entries of one name, best first."""


def add_labels(entries: Sequence[Entry], name: str = "name", fields: Sequence[str] = FIELDS) -> list[Entry]:
    """Add a `label` to each entry: its name, and for entries that share a name also a field in which they differ.

    That is the first of `fields` whose values all differ, such as the year; the id, if there is no such field.
    """
    sharing: dict[str, list[Entry]] = {}
    for entry in entries:
        sharing.setdefault((entry[name] or "").casefold(), []).append(entry)
    return [
        {**entry, "label": _label(entry, name, sharing[(entry[name] or "").casefold()], fields)} for entry in entries
    ]


def _label(entry: Entry, name: str, same: list[Entry], fields: Sequence[str]) -> str | None:
    called: str | None = entry[name]
    if called is None or len(same) == 1:
        return called
    field = next((one for one in fields if _is_distinct(one, same)), "id")
    value = entry.get(field)
    if value is None:
        return called
    return f"{called} (id {value})" if field == "id" else f"{called} ({value})"


def _is_distinct(field: str, same: list[Entry]) -> bool:
    values = [entry.get(field) for entry in same]
    return None not in values and len(set(values)) == len(values)
