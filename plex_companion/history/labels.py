"""What to call entries of a list, so that two of one name are told apart. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    Entry = dict[str, Any]

TELLING = ("year", "type", "library", "id")
"""What tells entries of one name apart, the best first."""


def add_labels(entries: Sequence[Entry], name: str = "name", telling: Sequence[str] = TELLING) -> list[Entry]:
    """Return the entries with a `add_labels` each: the name, and where several have it, what they differ in.

    The first field of `telling` is taken in which all of one name differ, as a year; the id, where none does.
    """
    sharing: dict[str, list[Entry]] = {}
    for entry in entries:
        sharing.setdefault((entry[name] or "").casefold(), []).append(entry)
    return [
        {**entry, "label": _label(entry, name, sharing[(entry[name] or "").casefold()], telling)} for entry in entries
    ]


def _label(entry: Entry, name: str, same: list[Entry], telling: Sequence[str]) -> str | None:
    called: str | None = entry[name]
    if called is None or len(same) == 1:
        return called
    field = next((one for one in telling if _is_distinct(one, same)), "id")
    value = entry.get(field)
    if value is None:
        return called
    return f"{called} (id {value})" if field == "id" else f"{called} ({value})"


def _is_distinct(field: str, same: list[Entry]) -> bool:
    values = [entry.get(field) for entry in same]
    return None not in values and len(set(values)) == len(values)
