"""The filters and sorts of a library from Plex's `<Meta>` block, and validation of a caller's filters against them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.plex.query import ResultPage, get, get_all, get_page
from plex_companion.plex.titles import match_title
from plex_companion.plex.xml.attributes import read_text
from plex_companion.tools.arguments import choose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer

    Pairs = list[tuple[str, str]]

GROUPS = ("and", "or")
DIRECTIONS = ("", "asc", "desc", "nullsLast")
UNLISTED = {
    "id": "integer", "index": "integer", "rating": "integer", "audienceRating": "integer", "duration": "integer",
    "viewOffset": "integer", "updatedAt": "date", "lastRatedAt": "date",
}  # fmt: skip
"""Fields that Plex accepts but does not list (python-plexapi's list)."""
UNLISTED_SORTS = ("updatedAt", "index", "summary")
_FILTER = re.compile(r"(?:([a-zA-Z]+)\.)?([a-zA-Z0-9]+)([!<>=&]*)")
_SORT = re.compile(r"(?:([a-zA-Z]+)\.)?([a-zA-Z]+)(?::([a-zA-Z]*))?")
_SPAN = re.compile(r"-?\d+(?:mon|[smhdwy])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class FilterField:
    """A field to filter by. `key` is its name in the query, `choices` the path that lists its values."""

    name: str
    key: str
    title: str | None
    type: str
    choices: str | None = None


@dataclass(frozen=True, slots=True)
class LibraryKind:
    """One item type of a library, with its fields and sorts by name."""

    name: str
    fields: dict[str, FilterField]
    sorts: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class FilterFields:
    """All item types of a library. `operators`: by type of field, Plex's keys and their meaning."""

    kinds: dict[str, LibraryKind]
    operators: dict[str, dict[str, str | None]]

    def get_kind(self, libtype: str) -> LibraryKind:
        """Return one item type.

        Raises:
            Invalid: the library has no such type.
        """
        libtype = choose(libtype, self.kinds)
        if libtype not in self.kinds:
            message = f"This library has no items of libtype '{libtype}'. It has: {', '.join(self.kinds)}."
            raise Invalid(message, argument="libtype", allowed=list(self.kinds))
        return self.kinds[libtype]

    def find_field(self, name: str, libtype: str, argument: str = "filters") -> FilterField:
        """Return a field by name, of this type or with its type's name (`show.genre`), else of the innermost type that
        has it.

        Raises:
            Invalid: there is none; the error lists the fields.
        """
        prefix, _, bare = name.rpartition(".")
        own = self.get_kind(prefix or libtype).fields
        others = () if prefix else tuple(kind.fields for kind in reversed(self.kinds.values()))
        found = next((fields[name] for fields in (own, *others) if (name := choose(bare, fields)) in fields), None)
        if found is not None:
            return found
        if bare in UNLISTED:
            kind = prefix or libtype
            return FilterField(bare, bare if kind == "movie" else f"{kind}.{bare}", bare, UNLISTED[bare])
        message = f"{libtype} cannot be filtered by '{name}'. Fields: {', '.join(own)}."
        raise Invalid(message, argument=argument, allowed=list(own))

    def describe(self, libtype: str) -> list[dict[str, Any]]:
        """Describe the fields of a type. The `filter` of an operator is the key to use in `filters`."""
        return [
            {"field": one.name, "title": one.title, "type": one.type, "operators": self._list_operators(one)}
            for one in self.get_kind(libtype).fields.values()
        ]

    def _list_operators(self, one: FilterField) -> list[dict[str, Any]]:
        known = self.operators.get(one.type, {})
        return [{"operator": key, "title": title, "filter": f"{one.name}{key[:-1]}"} for key, title in known.items()]


def get_fields(view: PlexServer, section_id: str) -> FilterFields:
    """Fetch the fields that a library can be filtered by. One request, without items."""
    paging = {"X-Plex-Container-Start": 0, "X-Plex-Container-Size": 0}
    answer = get(view, f"/library/sections/{section_id}/all", includeMeta=1, includeAdvanced=1, **paging)
    kinds = [_parse_kind(row) for row in answer.iter("Type") if row.get("type") not in {None, "collection", "folder"}]
    operators = {
        row.get("type", ""): {one.get("key", "="): read_text(one, "title") for one in row.iter("Operator")}
        for row in answer.iter("FieldType")
    }
    return FilterFields({kind.name: kind for kind in kinds}, operators)


def _parse_kind(row: Element) -> LibraryKind:
    paths = {one.get("filter", ""): one.get("key") for one in row.iter("Filter")}
    fields = [_parse_field(one, paths) for one in row.iter("Field")]
    sorts = {
        one.get("key", ""): {
            "field": one.get("key"),
            "title": read_text(one, "title"),
            "defaultDirection": one.get("defaultDirection"),
        }
        for one in row.iter("Sort")
    }
    return LibraryKind(row.get("type", ""), {one.name: one for one in fields}, sorts)


def _parse_field(row: Element, paths: Mapping[str, str | None]) -> FilterField:
    key = row.get("key", "")
    name = key.rpartition(".")[2]
    path = paths.get(name)
    choices = path if path is not None and path.startswith("/library/") else None
    return FilterField(name, key, read_text(row, "title"), row.get("type", "string"), choices)


def get_choices(view: PlexServer, one: FilterField, offset: int, limit: int) -> ResultPage:
    """Return the values of a field. One request; none for a field without a list."""
    if one.choices is None:
        return ResultPage([], 0, offset, limit)
    return get_page(view, one.choices, offset, limit)


def build_sort(fields: FilterFields, libtype: str, sort: str) -> str:
    """Return a sort as Plex takes it: `addedAt:desc`, or several separated by commas.

    Raises:
        Invalid: a field or direction is unknown.
    """
    return ",".join(_build_one_sort(fields, libtype, part.strip()) for part in sort.split(","))


def _build_one_sort(fields: FilterFields, libtype: str, part: str) -> str:
    match = _SORT.fullmatch(part)
    kind = fields.get_kind((match[1] if match else None) or libtype)
    known = [*kind.sorts, *(name for name in UNLISTED_SORTS if name not in kind.sorts)]
    field_name = choose(match[2], known) if match else ""
    if field_name not in known:
        message = f"{kind.name} cannot be sorted by '{part}'. Sorts: {', '.join(known)}, with :asc or :desc."
        raise Invalid(message, argument="sort", allowed=known)
    direction = choose((match and match[3]) or "", DIRECTIONS)
    if direction not in DIRECTIONS:
        raise Invalid(f"sort takes :asc or :desc; got ':{direction}'.", argument="sort", allowed=["asc", "desc"])
    return f"{kind.name}.{field_name}{':' if direction else ''}{direction}"


@dataclass(slots=True)
class FilterParser:
    """Translates filters of one item type into a query. Tag names are looked up once."""

    view: PlexServer
    fields: FilterFields
    libtype: str
    looked_up: dict[str, dict[str, str]] = field(default_factory=dict)

    def parse(self, filters: Mapping[str, Any]) -> Pairs:
        """Return the filters as query arguments. `{"or": [{…}, {…}]}` and `and` can be nested.

        Raises:
            Invalid: a field, operator or value is unknown.
        """
        found: Pairs = []
        for name, value in filters.items():
            found += (
                self._parse_group(name.lower(), value) if name.lower() in GROUPS else self._parse_filter(name, value)
            )
        return found

    def _parse_group(self, name: str, members: Any) -> Pairs:
        if not isinstance(members, list) or not members or not all(isinstance(one, dict) for one in members):
            raise Invalid(f"'{name}' takes a list of objects with filters.", argument="filters")
        found: Pairs = [("push", "1")]
        for place, one in enumerate(members):
            found += [(name, "1")] if place else []
            found += self.parse(one)
        return [*found, ("pop", "1")]

    def _parse_filter(self, name: str, value: Any) -> Pairs:
        match = _FILTER.fullmatch(name.strip())
        if match is None:
            raise Invalid(
                f"'{name}' is not a filter: use a field, optionally followed by ! = < > << or >>.", argument="filters"
            )
        prefix, bare, sign = match.groups()
        one = self.fields.find_field(f"{prefix}.{bare}" if prefix else bare, self.libtype)
        values = [self._parse_value(one, part) for part in (value if isinstance(value, list) else [value])]
        if not values:
            raise Invalid(f"filter '{name}' has no value.", argument="filters")
        if sign in {"&", "&="}:
            return [(one.key, part) for part in values]
        return [(one.key + self._choose_operator(one, sign), ",".join(values))]

    def _choose_operator(self, one: FilterField, sign: str) -> str:
        """Return the operator before the last `=`. As in python-plexapi, for texts `title=` means equal and `title`
        contains.
        """
        if one.type == "string" and sign in {"=", "!="}:
            sign += "="
        operator = sign.removesuffix("=") + "="
        known = self.fields.operators.get(one.type, {})
        if known and operator not in known:
            usable = [f"{one.name}{key[:-1]}" for key in known]
            message = f"'{one.name}{sign}' is not possible for {one.type}. Possible: {', '.join(usable)}."
            raise Invalid(message, argument="filters", allowed=usable)
        return operator[:-1]

    def _parse_value(self, one: FilterField, value: Any) -> str:
        match one.type:
            case "boolean":
                return _parse_flag(one, value)
            case "integer":
                return _parse_number(one, value)
            case "date":
                return _parse_date(one, value)
            case "string" | "guid":
                return _parse_words(one, value)
            case _:
                return self._find_tag(one, _parse_words(one, value).strip())

    def _find_tag(self, one: FilterField, value: str) -> str:
        """Return a tag's number by name. Numbers and fields without a list pass unchanged."""
        if value.isdecimal() or one.choices is None:
            return value
        if one.key not in self.looked_up:
            rows = get_all(self.view, one.choices)
            self.looked_up[one.key] = {name: row.get("key", "") for row in rows for name in _list_names(row)}
        known = self.looked_up[one.key]
        matches = match_title(known, value, lambda name: [name])
        keys = list(dict.fromkeys(known[name] for name in matches.exact or matches.alike))
        if len(keys) != 1:
            names = [name for name in known if not name.isdecimal()][:50]
            message = f"No {one.name} '{value}' in this library; playlist_get_smart_filter_options lists the values."
            raise Invalid(message, argument="filters", allowed=names)
        return keys[0]


def _list_names(row: Element) -> tuple[str, str]:
    return read_text(row, "title") or "", row.get("key", "")


def _parse_flag(one: FilterField, value: Any) -> str:
    found = {"1": "1", "true": "1", "yes": "1", "0": "0", "false": "0", "no": "0"}.get(str(value).strip().lower())
    if found is None:
        raise Invalid(f"{one.name} must be true or false; got '{value}'.", argument="filters")
    return found


def _parse_number(one: FilterField, value: Any) -> str:
    written = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+(\.\d+)?", written):
        raise Invalid(f"{one.name} must be a number; got '{value}'.", argument="filters")
    return written


def _parse_date(one: FilterField, value: Any) -> str:
    """Return the epoch seconds of a UTC day, or a span back from now such as `-30d`."""
    written = str(value).strip()
    if _SPAN.fullmatch(written):
        return f"-{written.removeprefix('-')}"
    if _DATE.fullmatch(written):
        try:
            return str(int(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()))
        except ValueError:
            pass
    if written.isdecimal() and not isinstance(value, bool):
        return written
    raise Invalid(
        f"{one.name} must be a date such as 2024-12-31, or a span such as 30d or 6mon; got '{value}'.",
        argument="filters",
    )


def _parse_words(one: FilterField, value: Any) -> str:
    """Return a text unchanged. Plex reads a comma in it as "or" and offers no way to escape it."""
    written = str(value) if isinstance(value, str | int | float) else ""
    if not written.strip():
        raise Invalid(f"{one.name} needs a text or a list of texts; got '{value}'.", argument="filters")
    return written
