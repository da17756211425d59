"""What the daily comparison found of each library, for those that were not reported for a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.catalogue.known_rows import SectionSize
from plex_companion.models import LibraryCheck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.models import Section

_EMPTY = SectionSize(0, 0, None)


def list_due_checks(
    sections: Iterable[Section], sizes: Mapping[str, SectionSize], reported: Mapping[str, int], first: int, before: int
) -> list[LibraryCheck]:
    """Return what to report of libraries that were last reported before a time. Pure.

    Args:
        sections: the libraries that were compared.
        sizes: by library.
        reported: when each was last reported.
        first: stands for that of a library that never was: a new server is no news.
        before: the time.
    """
    return [
        _describe(section, sizes.get(section.section_id, _EMPTY))
        for section in sections
        if reported.get(section.section_id, first) <= before
    ]


def _describe(section: Section, size: SectionSize) -> LibraryCheck:
    known = section.type != "photo"
    return LibraryCheck(
        section.section_id,
        section.title,
        section.type,
        size.items if known else None,
        size.size_bytes if known else None,
        section.scanned_at,
        size.added_at,
    )
