"""Converts Plex's XML to items of the catalogue, from a listing of a library or from `/library/metadata`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from plex_companion.models import TYPE_NUMBERS, CatalogueItem, MediaFile, MediaType
from plex_companion.parsing.values import LARGEST
from plex_companion.plex.xml.attributes import read_flag, read_float, read_number, read_text, read_year
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

KEPT_TYPES = (
    MediaType.MOVIE,
    MediaType.SHOW,
    MediaType.SEASON,
    MediaType.EPISODE,
    MediaType.ARTIST,
    MediaType.ALBUM,
    MediaType.TRACK,
    MediaType.PHOTOALBUM,
)
"""The types that the catalogue keeps."""
_TOLD_BY_LISTINGS = frozenset({"season", "track", "photoalbum"})
"""Types for which `/library/metadata` has nothing to keep that a listing lacks."""
MOST_ACTORS = 10
MOST_TAGS = 50
"""Genres, labels or collections of an item that are kept."""
_KEPT_NAMES = frozenset(number.name.lower() for number in KEPT_TYPES)
_EXTERNAL = re.compile(r"(?:com\.plexapp\.agents\.)?(imdb|themoviedb|tmdb|thetvdb|tvdb)://([A-Za-z0-9]+)")
"""Guids with an id of another site, as Plex writes them today, and as its old agents did."""
_SITES = {"themoviedb": "tmdb", "thetvdb": "tvdb"}
_HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
"""Transfer functions of HDR10 and HLG, as ffmpeg names them (`colorTrc` of a stream)."""


_TEXTS = {
    "guid": "guid",
    "original_title": "originalTitle",
    "edition": "editionTitle",
    "originally_available_at": "originallyAvailableAt",
    "parent_key": "parentRatingKey",
    "grandparent_key": "grandparentRatingKey",
    "parent_title": "parentTitle",
    "grandparent_title": "grandparentTitle",
    "content_rating": "contentRating",
    "studio": "studio",
    "summary": "summary",
}
"""Attributes of an item and of its row, by kind of value."""
_NUMBERS = {
    "item_index": "index",
    "parent_index": "parentIndex",
    "duration_ms": "duration",
    "view_count": "viewCount",
    "view_offset_ms": "viewOffset",
    "leaf_count": "leafCount",
}
_TIMES = {"added_at": "addedAt", "updated_at": "updatedAt", "last_viewed_at": "lastViewedAt"}
_RATINGS = {"critic_rating": "rating", "audience_rating": "audienceRating", "user_rating": "userRating"}
_TAGS = {
    "genres": "Genre",
    "directors": "Director",
    "actors": "Role",
    "labels": "Label",
    "collections": "Collection",
    "countries": "Country",
}


def parse_catalogue_item(
    row: Element, *, section_id: str | None, private: bool, detailed: bool
) -> CatalogueItem | None:
    """Return the item in a row, of a listing of library `section_id` or `detailed`; `None` if the catalogue keeps none such."""
    rating_key, kind = read_text(row, "ratingKey"), _read_type(row)
    if rating_key is None or kind is None:
        return None
    title, sort_title = read_text(row, "title") or "", read_text(row, "titleSort")
    texts = {name: read_text(row, attribute) for name, attribute in _TEXTS.items()}
    numbers = {name: read_number(row, attribute) for name, attribute in _NUMBERS.items()}
    times = {name: _read_milliseconds(row, attribute) for name, attribute in _TIMES.items()}
    ratings = {name: read_float(row, attribute) for name, attribute in _RATINGS.items()}
    tags = {name: _read_names(row, tag) for name, tag in _TAGS.items()}
    tags["actors"] = tags["actors"][:MOST_ACTORS]
    facts: dict[str, Any] = {**texts, **numbers, **times, **ratings, **tags, **_read_external_ids(row)}
    return CatalogueItem(
        rating_key=rating_key,
        section_id=read_text(row, "librarySectionID") or section_id,
        type=kind,
        title=title,
        sort_title=sort_title if sort_title != title else None,
        year=read_year(row),
        files=tuple(_parse_files(row, private=private)),
        detailed=detailed or kind in _TOLD_BY_LISTINGS,
        **facts,
    )


class KeyRow(NamedTuple):
    """The values that show whether the row of an item is still as Plex has it."""

    rating_key: str
    updated_at: int | None
    view_count: int | None
    last_viewed_at: int | None
    kept: bool
    """Whether it is of a type that the catalogue keeps."""


def parse_key_row(row: Element) -> KeyRow | None:
    """Return the key of an item and when it changed; `None` without a key."""
    if (rating_key := read_text(row, "ratingKey")) is None:
        return None
    changed, viewed = _read_milliseconds(row, "updatedAt"), _read_milliseconds(row, "lastViewedAt")
    return KeyRow(rating_key, changed, read_number(row, "viewCount"), viewed, _read_type(row) is not None)


def _read_type(row: Element) -> str | None:
    kind = read_text(row, "type")
    if kind == "photo" and row.tag == "Directory":  # an album of photos is a directory of type photo
        kind = TYPE_NUMBERS["photoalbum"].name.lower()
    return kind if kind in _KEPT_NAMES else None


def _read_external_ids(row: Element) -> dict[str, str]:
    guids = [read_text(row, "guid"), *(read_text(child, "id") for child in row.findall("Guid"))]
    found = [match for guid in guids if guid and (match := _EXTERNAL.match(guid))]
    return {f"{_SITES.get(match[1], match[1])}_id": match[2] for match in found}


def _read_names(row: Element, tag: str) -> tuple[str, ...]:
    names = [clean(child.get("tag", "")) for child in row.findall(tag)]
    return tuple(dict.fromkeys(name for name in names if name))[:MOST_TAGS]


def _parse_files(row: Element, *, private: bool) -> Iterable[MediaFile]:
    for position, media in enumerate(row.findall("Media")):
        parts = media.findall("Part")
        sizes = [size for part in parts if (size := read_number(part, "size")) is not None]
        exists = [flag for part in parts if (flag := read_flag(part, "exists")) is not None]
        paths = () if private else tuple(path for part in parts if (path := read_text(part, "file")))
        resolution = read_text(media, "videoResolution")
        yield MediaFile(
            media_id=read_text(media, "id") or f"#{position}",
            size_bytes=sum(sizes) if sizes else None,
            parts=len(parts),
            container=read_text(media, "container"),
            resolution=resolution.lower() if resolution else None,
            hdr=_read_hdr(parts),
            video_codec=read_text(media, "videoCodec"),
            audio_codec=read_text(media, "audioCodec"),
            channels=read_number(media, "audioChannels"),
            bitrate_kbps=read_number(media, "bitrate"),
            duration_ms=read_number(media, "duration"),
            present=all(exists) if exists else None,
            paths=paths,
        )


def _read_hdr(parts: Iterable[Element]) -> bool | None:
    """Return whether the video is HDR; `None` where no streams are listed."""
    streams = [stream for part in parts for stream in part.findall("Stream") if stream.get("streamType") == "1"]
    if not streams:
        return None
    return any(read_text(one, "colorTrc") in _HDR_TRANSFERS or read_flag(one, "DOVIPresent") for one in streams)


def _read_milliseconds(row: Element, name: str) -> int | None:
    """Return a time in milliseconds; Plex writes seconds."""
    seconds = read_number(row, name)
    return None if seconds is None or abs(seconds) > LARGEST // 1000 else seconds * 1000
