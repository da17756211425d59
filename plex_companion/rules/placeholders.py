"""Placeholders in the texts of rules: `{data.item.full_title}` is replaced by the field of the occurrence."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.rules.occurrence_fields import find_field, list_fields

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.rules.occurrence_fields import Schema
    from plex_companion.serialize import Json

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNCLOSED = re.compile(r"\{\s*data\.[\w.]*(?![\w.]*\s*\})")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
"""How occurrences write times, see `format_iso`."""
LONGEST_SHOWN = 60


def check_placeholders(text: str, row: Schema, argument: str) -> None:
    """Check that every placeholder is a field of the occurrences of a rule. A brace alone is text.

    Raises:
        Invalid: one is not, or is not closed.
    """
    if unclosed := _UNCLOSED.search(text):
        shown = unclosed[0][:LONGEST_SHOWN]
        raise Invalid(f"{argument}: {shown} is not closed: write {shown}}}.", argument=argument)
    for path in _PLACEHOLDER.findall(text):
        schema = find_field(row, path.strip())
        if schema is None or "properties" in schema:
            fields = [*list_fields(row)]
            message = f"{argument}: there is no field {{{path[:LONGEST_SHOWN]}}}. Fields: {', '.join(fields)}."
            raise Invalid(message, argument=argument, allowed=fields)


def fill_placeholders(text: str, occurrence: Json, zone: tzinfo) -> str:
    """Replace every placeholder by the occurrence's value. One without a value is empty, and times are those of the zone."""
    return _PLACEHOLDER.sub(lambda found: _format_value(_find_value(occurrence, found[1].strip()), zone), text)


def _find_value(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _format_value(value: Any, zone: tzinfo) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(text for one in value if (text := _format_value(one, zone)))
        case dict():
            return str(value.get("name") or value.get("title") or "")
        case str() if _TIME.fullmatch(value):
            return f"{datetime.fromisoformat(value).astimezone(zone):%d %b %Y, %H:%M}"
        case _:
            return str(value)
