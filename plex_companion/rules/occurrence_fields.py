"""The fields that conditions and texts may use: those that the types of occurrences declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.occurrences.declare import OCCURRENCE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}


def build_row_schema(types: Iterable[str]) -> Schema:
    """Build the schema of an occurrence of any of these types: each field that one of them has."""
    data: dict[str, Schema] = {}
    names = [*types]
    for name in names:
        _merge(data, OCCURRENCE_TYPES[name].data_schema["properties"])
    fields = {"id": _TEXT, "type": {**_TEXT, "enum": names}, "at": _TEXT, "inferred": {"type": "boolean"}}
    return {"type": "object", "properties": {**fields, "data": {"type": "object", "properties": data}}}


def _merge(into: dict[str, Schema], fields: dict[str, Schema]) -> None:
    for name, schema in fields.items():
        known = into.get(name)
        if known is None or "properties" not in known:
            into.setdefault(name, schema)
        else:
            properties = dict(known["properties"])
            _merge(properties, schema.get("properties", {}))
            into[name] = {**known, "properties": properties}


def find_field(row: Schema, path: str) -> Schema | None:
    """Return the schema of a field by its path, as `data.item.title`. An object that names no fields has any."""
    schema = row
    for name in path.split("."):
        if schema.get("type") != "object":
            return None
        if "properties" not in schema:
            return {}
        if name not in schema["properties"]:
            return None
        schema = schema["properties"][name]
    return schema


def list_fields(schema: Schema, prefix: str = "") -> Iterator[str]:
    """List the paths of all fields, those of objects by their parts."""
    for name, field in schema["properties"].items():
        if "properties" in field:
            yield from list_fields(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
