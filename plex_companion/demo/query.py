"""Selecting as Plex does: sorts, filters and pages out of a query string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plex_companion.demo.household import TYPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.demo.house import House
    from plex_companion.demo.household import Item, User

Params = list[tuple[str, str]]
TAG_FIELDS = {
    "genre": "Genre", "director": "Director", "writer": "Writer", "producer": "Producer", "country": "Country", "actor": "Role",
    "collection": "Collection", "label": "Label", "mood": "Mood", "style": "Style", "format": "Format",
    "subformat": "Subformat",
}  # fmt: skip
TEXT_FIELDS = {"title", "titleSort", "studio", "network", "contentRating", "guid", "summary"}
DATE_FIELDS = {"addedAt", "updatedAt", "lastViewedAt", "originallyAvailableAt"}
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
}
FLAG_FIELDS = {"unwatched", "unwatchedLeaves", "inProgress", "trash", "duplicate", "unmatched", "hdr"}
SPANS = {"s": 1, "h": 3600, "d": 86_400, "w": 604_800, "mon": 2_592_000, "y": 31_536_000}
_FIELD = re.compile(r"(?:(?P<type>movie|show|season|episode|artist|album|track|photo|photoalbum|collection|clip)\.)?(?P<field>[A-Za-z]+)(?P<op>[!=<>]*)$")  # fmt: skip


class Chooser:
    """Answers "what is this item's `field`?" for one user, with Plex's names for fields."""

    def __init__(self, house: House, user: User) -> None:
        self.house, self.user = house, user

    def value(self, item: Item, field: str) -> Any:
        """The value to sort or compare by; `None` if the item has none."""
        if field in SPECIAL:
            return SPECIAL[field](self, item)
        return getattr(item, PLAIN.get(field, ""), None)

    def tags(self, item: Item, kind: str) -> tuple[str, ...]:
        """The tags of a kind; roles are the actors' names; collections are those that hold the item."""
        if kind == "Role":
            return tuple(item.roles)
        if kind == "Collection":
            return tuple(c.title for c in self.house.collections.values() if item.key in c.items)
        return item.tags.get(kind, ())

    def unwatched(self, item: Item) -> bool:
        """Whether something below is unseen by the user."""
        return any(not self.house.view(self.user, leaf.key).count for leaf in self.house.leaves_of(item.key))

    def in_progress(self, item: Item) -> bool:
        """Whether something below is half seen."""
        return any(self.house.view(self.user, leaf.key).offset for leaf in self.house.leaves_of(item.key))

    def view_count(self, item: Item) -> int:
        """Plays by the user."""
        return self.house.view(self.user, item.key).count

    def newest_leaf(self, item: Item) -> int:
        """When the newest thing below was added: how shows are sorted by recency."""
        return max((leaf.added_at for leaf in self.house.leaves_of(item.key)), default=item.added_at)


PLAIN = {
    "title": "title", "addedAt": "added_at", "updatedAt": "updated_at", "originallyAvailableAt": "released", "year": "year",
    "rating": "rating", "audienceRating": "audience_rating", "contentRating": "content_rating", "duration": "duration",
    "index": "index", "studio": "studio", "network": "studio", "guid": "guid", "summary": "summary", "id": "key",
}  # fmt: skip
SPECIAL: dict[str, Callable[[Chooser, Item], Any]] = {
    "titleSort": lambda _, item: (item.title_sort or item.title).casefold(),
    "viewCount": Chooser.view_count,
    "viewOffset": lambda chooser, item: chooser.house.view(chooser.user, item.key).offset,
    "lastViewedAt": lambda chooser, item: chooser.house.view(chooser.user, item.key).viewed_at,
    "userRating": lambda chooser, item: chooser.house.view(chooser.user, item.key).rating,
    "decade": lambda _, item: item.year - item.year % 10 if item.year else None,
    "resolution": lambda _, item: item.media[0].resolution if item.media else "",
    "mediaHeight": lambda _, item: item.media[0].height if item.media else 0,
    "mediaBitrate": lambda _, item: item.media[0].bitrate if item.media else 0,
    "unwatched": Chooser.unwatched,
    "unwatchedLeaves": Chooser.unwatched,
    "trash": lambda _, item: "deletedAt" in item.fields,
    "inProgress": Chooser.in_progress,
    "unviewedLeafCount": Chooser.unwatched,
    "duplicate": lambda _, item: len(item.media) > 1,
    "ratingCount": lambda _, item: len(item.title),  # how popular it is elsewhere: invented
}


def sorted_by(chooser: Chooser, items: list[Item], sort: str) -> list[Item]:
    """`field[:desc]`, several joined by commas; the first counts most. Unknown fields keep the order."""
    for part in reversed([p for p in sort.split(",") if p]):
        name, _, direction = part.partition(":")
        prefix, _, bare = name.rpartition(".")
        if bare == "random":
            items = items[:]
            chooser.house.rng.shuffle(items)
            continue
        pick = chooser.newest_leaf if prefix in {"episode", "track"} and bare == "addedAt" else None
        items = sorted(items, key=_key(chooser, bare, pick), reverse=direction.startswith("desc"))
    return items


def _key(chooser: Chooser, field: str, pick: Callable[[Item], Any] | None) -> Callable[[Item], tuple[bool, Any]]:
    def key(item: Item) -> tuple[bool, Any]:
        value = pick(item) if pick else chooser.value(item, field)
        return (value is not None, 0 if value is None else value)

    return key


def conditions(params: Params) -> list[tuple[str, str, str, list[str]]]:
    """The filters of a query as (type, field, operator, values); everything that is no filter is left out."""
    found = []
    for name, value in params:
        match = _FIELD.match(name)
        if match and match["field"] in TAG_FIELDS.keys() | TEXT_FIELDS | DATE_FIELDS | NUMBER_FIELDS | FLAG_FIELDS | {
            "resolution",
            "id",
        }:
            found.append((match["type"] or "", match["field"], match["op"], value.split(",")))
    return found


def meant(house: House, item: Item, kind: str) -> list[Item]:
    """What a filter such as `artist.id` or `episode.unwatched` looks at: the item, one above it, or those below."""
    above: Item | None = item
    while above is not None:
        if kind in {"", above.type}:
            return [above]
        above = house.items.get(above.parent or "")
    return [leaf for leaf in house.leaves_of(item.key) if leaf.type == kind] or [item]


def matches(chooser: Chooser, item: Item, kind: str, field: str, operator: str, wanted: Sequence[str]) -> bool:
    """Whether an item satisfies a filter, itself or through its relative of type `kind`."""
    if kind in {"", item.type}:
        return _fits(chooser, item, field, operator, wanted)
    return any(_fits(chooser, other, field, operator, wanted) for other in meant(chooser.house, item, kind))


def _fits(chooser: Chooser, item: Item, field: str, operator: str, wanted: Sequence[str]) -> bool:
    """Several values mean any of them, or none of them with `!`."""
    negative = operator.startswith("!")
    if field in FLAG_FIELDS:
        return bool(chooser.value(item, field)) is ((wanted[0] not in {"0", "false"}) is not negative)
    hit = any(_one(chooser, item, field, operator.removeprefix("!"), text) for text in wanted)
    return hit is not negative


def _one(chooser: Chooser, item: Item, field: str, operator: str, text: str) -> bool:
    if field in TAG_FIELDS:
        kind = TAG_FIELDS[field]
        return any(text in {tag, str(chooser.house.tag_id(kind, tag))} for tag in chooser.tags(item, kind))
    value = chooser.value(item, field)
    if field in DATE_FIELDS:
        return _dated(value, operator, text, chooser.house.now)
    if field in NUMBER_FIELDS:
        return _numbered(value, operator, text)
    return _worded(str(value or ""), operator, text, exact=field in {"contentRating", "guid", "resolution", "id"})


def _worded(value: str, operator: str, text: str, *, exact: bool) -> bool:
    value, text = value.casefold(), text.casefold()
    if exact or operator == "=":
        return value == text
    if operator == "<":
        return value.startswith(text)
    return value.endswith(text) if operator == ">" else text in value


def _numbered(value: Any, operator: str, text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    if value is None:
        return False
    if operator in {">>", ">"}:
        return bool(value > number)
    return bool(value < number) if operator in {"<<", "<"} else bool(value == number)


def _dated(value: Any, operator: str, text: str, now: int) -> bool:
    moment, at = _moment(text, now), _moment(str(value or "0"), now)
    return at > moment if operator in {">>", ">"} else at < moment if operator in {"<<", "<"} else at == moment


def _moment(text: str, now: int) -> int:
    """Epoch seconds of an epoch, a `YYYY-MM-DD` or a span back such as `-30d`; days count as 86,400 s from a common start."""
    span = re.fullmatch(r"-?(\d+)(s|h|d|w|mon|y)", text)
    if span:
        return now - int(span[1]) * SPANS[span[2]]
    date = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text)
    if date:
        year, month, day = (int(part) for part in date.groups())
        return (year - 1970) * SPANS["y"] + (month - 1) * SPANS["mon"] + (day - 1) * SPANS["d"]
    return int(text) if text.lstrip("-").isdigit() else 0


def select(house: House, user: User, section: str | None, params: Params, default: str) -> list[Item]:
    """The items of a section, or of all, that a query asks for, sorted; remembered until the library changes."""
    wanted = dict(params)
    numbers = [int(text) for text in wanted.get("type", "").split(",") if text.isdigit()]
    kinds = tuple(TYPE_NAMES[number] for number in numbers if number in TYPE_NAMES) or (default,)
    tests, sort = conditions(params), wanted.get("sort", "titleSort")
    key = ("select", user.id, section, kinds, repr(tests), sort, wanted.get("limit"))

    def make() -> list[Item]:
        chooser = Chooser(house, user)
        pool = [i for kind in kinds for i in (house.in_section(section, kind) if section else house.of_kind(kind))]
        kept = [item for item in pool if all(matches(chooser, item, *test) for test in tests)]
        ordered = sorted_by(chooser, kept, sort)
        return ordered[: int(wanted["limit"])] if wanted.get("limit", "").isdigit() else ordered

    if "random" in sort:
        return make()
    return house.listing(key, make)
