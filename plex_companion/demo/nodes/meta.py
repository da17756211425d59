"""The `<Meta>` block of a listing: which sorts, filters and fields a library offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.household.model import TYPE_NUMBERS
from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.query.filtering import TAG_FIELDS

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoSection

TITLES = {"photoalbum": "Photo Albums"}
SORTS = (
    ("titleSort", "Title", "asc"), ("year", "Year", "desc"), ("originallyAvailableAt", "Release Date", "desc"),
    ("rating", "Critic Rating", "desc"), ("audienceRating", "Audience Rating", "desc"), ("userRating", "Rating", "desc"),
    ("contentRating", "Content Rating", "asc"), ("duration", "Duration", "desc"), ("viewOffset", "Progress", "desc"),
    ("viewCount", "Plays", "desc"), ("addedAt", "Date Added", "desc"), ("updatedAt", "Date Updated", "desc"),
    ("lastViewedAt", "Date Viewed", "desc"), ("mediaHeight", "Resolution", "desc"), ("mediaBitrate", "Bitrate", "desc"),
    ("ratingCount", "Popularity", "desc"), ("random", "Randomly", "desc"),
)  # fmt: skip
# (filter, Plex's filter type, title)
FILTERS = (
    ("genre", "string", "Genre"), ("year", "integer", "Year"), ("decade", "integer", "Decade"),
    ("contentRating", "string", "Content Rating"), ("collection", "string", "Collection"), ("director", "string", "Director"),
    ("actor", "string", "Actor"), ("writer", "string", "Writer"), ("producer", "string", "Producer"),
    ("country", "string", "Country"), ("studio", "string", "Studio"), ("resolution", "string", "Resolution"),
    ("label", "string", "Labels"), ("mood", "string", "Mood"), ("style", "string", "Style"), ("format", "string", "Format"),
    ("subformat", "string", "Type"), ("unwatched", "boolean", "Unplayed"),
    ("unwatchedLeaves", "boolean", "Unplayed"), ("inProgress", "boolean", "In Progress"),
    ("hdr", "boolean", "HDR"), ("unmatched", "boolean", "Unmatched"), ("duplicate", "boolean", "Duplicate"),
)  # fmt: skip
FIELDS = (
    ("title", "string"), ("studio", "string"), ("rating", "integer"), ("audienceRating", "integer"), ("userRating", "integer"),
    ("contentRating", "tag"), ("year", "integer"), ("decade", "integer"), ("originallyAvailableAt", "date"),
    ("addedAt", "date"), ("lastViewedAt", "date"), ("viewCount", "integer"), ("duration", "integer"), ("unwatched", "boolean"),
    ("unwatchedLeaves", "boolean"), ("inProgress", "boolean"), ("resolution", "resolution"), ("hdr", "boolean"), ("unmatched", "boolean"),
    ("duplicate", "boolean"), ("trash", "boolean"), ("ratingCount", "integer"), *((field, "tag") for field in TAG_FIELDS),
)  # fmt: skip
VIDEO = ("movie", "episode")
ONLY = {
    "unwatched": VIDEO, "inProgress": VIDEO, "resolution": VIDEO, "hdr": VIDEO, "duplicate": VIDEO, "trash": VIDEO,
    "unwatchedLeaves": ("show",), "similar": (), "tag": ("photo",),
    "mood": ("artist", "album", "track"), "style": ("artist", "album"), "format": ("album",), "subformat": ("album",),
    "ratingCount": ("track",),
}  # fmt: skip
"""Sorts, filters and fields that only some types have."""
COLLECTION_FIELDS = (("title", "string"), ("contentRating", "tag"), ("userRating", "integer"), ("label", "tag"))
TAG_OPERATORS = (("=", "is"), ("!=", "is not"))
OPERATORS = {
    "tag": TAG_OPERATORS,
    "resolution": TAG_OPERATORS,
    "boolean": (("=", "is true"), ("!=", "is false")),  # python-plexapi knows these two only
    "integer": (("=", "is"), ("!=", "is not"), (">>=", "is greater than"), ("<<=", "is less than")),
    "date": (("<<=", "is before"), (">>=", "is after")),
    "string": (("=", "contains"), ("!=", "does not contain"), ("==", "is"), ("!==", "is not"), ("<=", "begins with"), (">=", "ends with")),
}  # fmt: skip


def build_meta_node(section: DemoSection, kinds: tuple[str, ...]) -> Node:
    """Build the block for the types of a section. Without it python-plexapi refuses sorted or filtered searches."""
    meta = Node("Meta")
    meta.children += [_build_type(section, kind, active=position == 0) for position, kind in enumerate(kinds)]
    for kind, operators in OPERATORS.items():
        field = meta.add("FieldType", type=kind)
        for key, title in operators:
            field.add("Operator", key=key, title=title)
    return meta


def _build_type(section: DemoSection, kind: str, *, active: bool) -> Node:
    path = f"/library/sections/{section.key}"
    node = Node("Type", {"key": f"{path}/all?type={TYPE_NUMBERS[kind]}", "type": kind, "active": active,
                         "title": TITLES.get(kind, f"{kind.capitalize()}s")})  # fmt: skip
    for name, form, title in FILTERS:
        if kind in ONLY.get(name, (kind,)):
            node.add("Filter", filter=name, filterType=form, key=f"{path}/{name}", title=title, type="filter")
    for key, title, direction in SORTS:
        if kind not in ONLY.get(key, (kind,)):
            continue
        default = "asc" if key == "titleSort" else None
        node.add("Sort", default=default, defaultDirection=direction, descKey=f"{key}:desc", key=key, title=title)
    for field, form in COLLECTION_FIELDS if kind == "collection" else FIELDS:
        if kind in ONLY.get(field, (kind,)):
            node.add("Field", key=field if kind == "movie" else f"{kind}.{field}", title=field, type=form)
    return node
