"""Edits of fields: what `title.value=…&title.locked=1` does to an item, a collection or a playlist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoPlaylist

    Editable = DemoItem | DemoCollection | DemoPlaylist

# Plex's names of fields, and ours.
TEXTS = {
    "title": "title", "titleSort": "title_sort", "summary": "summary", "tagline": "tagline", "studio": "studio",
    "contentRating": "content_rating", "originallyAvailableAt": "released", "originalTitle": "original_title",
    "editionTitle": "edition_title",
}  # fmt: skip
NUMBERS = {"year": "year", "index": "index", "parentIndex": "disc", "addedAt": "added_at"}
RATINGS = {"rating": "rating", "audienceRating": "audience_rating"}


def edit_fields(row: Editable, params: Iterable[tuple[str, str]]) -> None:
    """Set the fields that the row has, and lock or unlock each as requested."""
    for name, value in params:
        field, _, what = name.partition(".")
        if what == "locked":
            row.locked = row.locked | {field} if value == "1" else row.locked - {field}
        elif what == "value":
            _set_field(row, field, value)


def _set_field(row: Editable, field: str, value: str) -> None:
    own = TEXTS.get(field) or NUMBERS.get(field) or RATINGS.get(field) or ""
    if not hasattr(row, own):
        return
    if field == "originallyAvailableAt":
        setattr(row, own, _parse_day(value))
    elif field in TEXTS:
        setattr(row, own, value)
    elif field in RATINGS:
        setattr(row, own, parse_rating(value))
    elif value.isdigit() or (field != "addedAt" and not value):
        setattr(row, own, int(value) if value else None)


def _parse_day(value: str) -> str:
    """Return the day of a date with or without a time, or of epoch seconds."""
    if value.isdigit():
        return datetime.fromtimestamp(int(value), UTC).date().isoformat()
    return value[:10]


def parse_rating(value: str) -> float | None:
    """Return a rating from 0 to 10, or `None` for anything else, which removes the rating."""
    try:
        rating = float(value)
    except ValueError:
        return None
    return rating if rating >= 0 else None
