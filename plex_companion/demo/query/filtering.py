"""Selecting items as Plex does: sorts, filters and limits of a query string."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from plex_companion.demo.household.model import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.query.filter_groups import FilterCondition, parse_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.demo.household.model import DemoItem, DemoUser
    from plex_companion.demo.server_state import ServerState

Params = list[tuple[str, str]]
TAG_FIELDS = {
    "genre": "Genre", "director": "Director", "writer": "Writer", "producer": "Producer", "country": "Country", "actor": "Role",
    "collection": "Collection", "label": "Label", "mood": "Mood", "style": "Style", "format": "Format",
    "subformat": "Subformat", "similar": "Similar", "tag": "Tag",
}  # fmt: skip
TEXT_FIELDS = {"title", "titleSort", "originalTitle", "editionTitle", "studio", "network", "contentRating", "guid", "summary",
               "tagline"}  # fmt: skip
DATE_FIELDS = {"addedAt", "updatedAt", "lastViewedAt", "lastRatedAt", "originallyAvailableAt"}
NUMBER_FIELDS = {
    "year",
    "decade",
    "rating",
    "audienceRating",
    "userRating",
    "duration",
    "viewCount",
    "index",
    "viewOffset",
    "ratingCount",
    "id",
    "unviewedLeafCount",
    "mediaHeight",
    "mediaBitrate",
    "mediaSize",
}
FLAG_FIELDS = {"unwatched", "unwatchedLeaves", "inProgress", "trash", "duplicate", "unmatched", "hdr"}
# The specification's operators, without their `=`, which separates name and value: `year>>=1990` is "after", `year>=1990` "from".
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"=": eq, ">>": gt, ">": ge, "<<": lt, "<": le}
SPANS = {"s": 1, "h": 3600, "d": 86_400, "w": 604_800, "mon": 2_592_000, "y": 31_536_000}
FIELDS = frozenset(TAG_FIELDS.keys() | TEXT_FIELDS | DATE_FIELDS | NUMBER_FIELDS | FLAG_FIELDS | {"resolution"})
"""The fields that items can be filtered by."""


class FieldReader:
    """Reads the fields of items for one user, by Plex's names of fields."""

    def __init__(self, server: ServerState, user: DemoUser) -> None:
        self.server, self.user = server, user

    def read_value(self, item: DemoItem, field: str) -> Any:
        """Return the value to sort or compare by; `None` if the item has none."""
        if field in SPECIAL:
            return SPECIAL[field](self, item)
        found = getattr(item, PLAIN.get(field, ""), None)
        return None if found == "" else found

    def list_tags(self, item: DemoItem, kind: str) -> tuple[str, ...]:
        """Return the tags of a kind. Roles are the actors' names, collections those that hold the item."""
        if kind == "Role":
            return tuple(item.roles)
        if kind == "Collection":
            return tuple(c.title for c in self.server.collections.values() if item.key in c.items)
        return item.tags.get(kind, ())

    def has_unwatched(self, item: DemoItem) -> bool:
        """Return whether the user has not watched something below the item."""
        return any(not self.server.get_view(self.user, leaf.key).count for leaf in self.server.list_leaves(item.key))

    def count_unviewed_leaves(self, item: DemoItem) -> int:
        """Count the items below that the user has not watched."""
        return sum(not self.server.get_view(self.user, leaf.key).count for leaf in self.server.list_leaves(item.key))

    def has_in_progress(self, item: DemoItem) -> bool:
        """Return whether the user is half-way through something below the item."""
        return any(self.server.get_view(self.user, leaf.key).offset for leaf in self.server.list_leaves(item.key))

    def read_view_count(self, item: DemoItem) -> int:
        """Return how often the user has played the item."""
        return self.server.get_view(self.user, item.key).count

    def find_newest_leaf(self, item: DemoItem) -> int:
        """Return when the newest item below was added, by which shows are sorted."""
        return max((leaf.added_at for leaf in self.server.list_leaves(item.key)), default=item.added_at)


PLAIN = {
    "title": "title", "addedAt": "added_at", "updatedAt": "updated_at", "originallyAvailableAt": "released", "year": "year",
    "rating": "rating", "audienceRating": "audience_rating", "contentRating": "content_rating", "duration": "duration",
    "index": "index", "studio": "studio", "network": "studio", "guid": "guid", "summary": "summary", "tagline": "tagline",
    "originalTitle": "original_title", "editionTitle": "edition_title",
}  # fmt: skip
SPECIAL: dict[str, Callable[[FieldReader, DemoItem], Any]] = {
    "titleSort": lambda _, item: (item.title_sort or item.title).casefold(),
    "viewCount": FieldReader.read_view_count,
    "viewOffset": lambda reader, item: reader.server.get_view(reader.user, item.key).offset,
    "lastViewedAt": lambda reader, item: reader.server.get_view(reader.user, item.key).viewed_at or None,
    "userRating": lambda reader, item: reader.server.get_view(reader.user, item.key).rating,
    "decade": lambda _, item: item.year - item.year % 10 if item.year else None,
    "resolution": lambda _, item: item.media[0].resolution if item.media else "",
    "mediaHeight": lambda _, item: item.media[0].height if item.media else 0,
    "mediaBitrate": lambda _, item: item.media[0].bitrate if item.media else 0,
    "unwatched": FieldReader.has_unwatched,
    "unwatchedLeaves": FieldReader.has_unwatched,
    "trash": lambda _, item: "deletedAt" in item.fields,
    "inProgress": FieldReader.has_in_progress,
    "unviewedLeafCount": FieldReader.count_unviewed_leaves,
    "id": lambda _, item: int(item.key) if item.key.isdigit() else 0,
    "mediaSize": lambda _, item: sum(media.total_size for media in item.media),
    "lastRatedAt": lambda reader, item: reader.server.get_view(reader.user, item.key).rated_at or None,
    "hdr": lambda _, item: any(media.hdr for media in item.media),
    "duplicate": lambda _, item: len(item.media) > 1,
    "ratingCount": lambda _, item: len(item.title),  # how popular it is elsewhere: invented
}


def sort_items(reader: FieldReader, items: list[DemoItem], sort: str) -> list[DemoItem]:
    """Sort by `[type.]field[:desc]`, several joined by commas; the first counts most. Unknown fields keep the order."""
    for part in reversed([p for p in sort.split(",") if p]):
        name, *flags = part.split(":")
        kind, _, field = name.rpartition(".")
        if field == "random":
            items = items[:]
            reader.server.rng.shuffle(items)
            continue
        items = _sort_once(reader, items, kind, field, flags)
    return items


def _sort_once(reader: FieldReader, items: list[DemoItem], kind: str, field: str, flags: list[str]) -> list[DemoItem]:
    """Sort by one field.

    Items without a value come first, as SQLite puts them; last in descending order or with `nullsLast`.
    """
    values = {item.key: _sort_value(reader, item, kind, field) for item in items}
    known = [item for item in items if values[item.key] is not None]
    unknown = [item for item in items if values[item.key] is None]
    descending = "desc" in flags
    known.sort(key=lambda item: values[item.key], reverse=descending)
    return known + unknown if descending or "nullsLast" in flags else unknown + known


def _sort_value(reader: FieldReader, item: DemoItem, kind: str, field: str) -> Any:
    """Return the value of the item, of the ancestor that the sort names, or the greatest of those below it."""
    relatives = find_relatives(reader.server, item, kind)
    found = [value for other in relatives if (value := reader.read_value(other, field)) is not None]
    return max(found, default=None)


def find_relatives(server: ServerState, item: DemoItem, kind: str) -> list[DemoItem]:
    """Return the items that a filter such as `artist.id` or `episode.unwatched` reads: the item, an ancestor, or those below."""
    above: DemoItem | None = item
    while above is not None:
        if kind in {"", above.type}:
            return [above]
        above = server.items.get(above.parent or "")
    return [leaf for leaf in server.list_leaves(item.key) if leaf.type == kind] or [item]


def match_condition(reader: FieldReader, item: DemoItem, condition: FilterCondition) -> bool:
    """Return whether an item satisfies a filter, itself or through a relative of the type that the filter names."""
    if condition.kind in {"", item.type}:
        return _match_values(reader, item, condition)
    return any(_match_values(reader, other, condition) for other in find_relatives(reader.server, item, condition.kind))


def _match_values(reader: FieldReader, item: DemoItem, condition: FilterCondition) -> bool:
    """Return whether an item matches: any of several values, all of them with `&`, none of them with `!`."""
    negative = condition.operator.startswith("!")
    if condition.field in FLAG_FIELDS:
        asked = condition.values[0] not in {"0", "false"}
        return bool(reader.read_value(item, condition.field)) is (asked is not negative)
    operator = condition.operator.strip("!&")
    hits = (_match_one(reader, item, condition.field, operator, text) for text in condition.values)
    return (all(hits) if "&" in condition.operator else any(hits)) is not negative


def _match_one(reader: FieldReader, item: DemoItem, field: str, operator: str, text: str) -> bool:
    if field in TAG_FIELDS:
        kind = TAG_FIELDS[field]
        return any(text in {tag, str(reader.server.get_tag_id(kind, tag))} for tag in reader.list_tags(item, kind))
    value = reader.read_value(item, field)
    if field in DATE_FIELDS:
        return _match_date(value, operator, text, reader.server.clock())
    if field in NUMBER_FIELDS:
        return _match_number(value, operator, text)
    if field == "resolution":
        return any(media.resolution.casefold() == text.casefold() for media in item.media)
    return _match_text(str(value or ""), operator, text, exact=field in {"contentRating", "guid", "id"})


def _match_text(value: str, operator: str, text: str, *, exact: bool) -> bool:
    value, text = value.casefold(), text.casefold()
    if exact or operator == "=":
        return value == text
    if operator == "<":
        return value.startswith(text)
    return value.endswith(text) if operator == ">" else text in value


def _match_number(value: Any, operator: str, text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return value is not None and _compare(value, operator, number)


def _match_date(value: Any, operator: str, text: str, now: float) -> bool:
    if not value:
        return False
    return _compare(parse_moment(str(value), now), operator, parse_moment(text, now))


def _compare(value: Any, operator: str, wanted: float) -> bool:
    return bool(COMPARISONS.get(operator, COMPARISONS["="])(value, wanted))


def parse_moment(text: str, now: float) -> float:
    """Return the epoch seconds of an epoch, of a `YYYY-MM-DD` (its midnight in UTC) or of a span back such as `-30d`."""
    span = re.fullmatch(r"-?(\d+)(s|h|d|w|mon|y)", text)
    if span:
        return now - int(span[1]) * SPANS[span[2]]
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return int(text) if text.lstrip("-").isdigit() else 0


def select_params(params: Params, kind: str, default: str) -> Params:
    """Return the query for another type. Fields and sorts without a type get the type that the query named before."""
    asked = dict(params).get("type", "")
    before = TYPE_NAMES.get(int(asked), default) if asked.isdigit() else default
    if before == kind:
        return params
    made = [("type", str(TYPE_NUMBERS[kind]))]
    for name, value in params:
        if name == "sort":
            fields = (field if "." in field else f"{before}.{field}" for field in value.split(","))
            made.append((name, ",".join(fields)))
        elif name != "type":
            bare = parse_groups([(name, value)], FIELDS).members and "." not in name
            made.append((f"{before}.{name}" if bare else name, value))
    return made


def select(server: ServerState, user: DemoUser, section: str | None, params: Params, default: str) -> list[DemoItem]:
    """Return the items of one section, or of all, that a query selects, sorted. Cached until the library changes."""
    condition = dict(params)
    numbers = [int(text) for text in condition.get("type", "").split(",") if text.isdigit()]
    kinds = tuple(TYPE_NAMES[number] for number in numbers if number in TYPE_NAMES) or (default,)
    tests, sort = parse_groups(params, FIELDS), condition.get("sort", "titleSort")
    key = ("select", user.id, section, kinds, repr(tests), sort, condition.get("limit"))

    def make() -> list[DemoItem]:
        reader = FieldReader(server, user)
        pool = [
            i for kind in kinds for i in (server.list_section(section, kind) if section else server.list_kind(kind))
        ]
        matching = [item for item in pool if tests.holds(partial(match_condition, reader, item))]
        ordered = sort_items(reader, matching, sort)
        return ordered[: int(condition["limit"])] if condition.get("limit", "").isdigit() else ordered

    if "random" in sort:
        return make()
    return server.get_listing(key, make)
