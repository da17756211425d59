"""What makes invented items differ: HDR, several versions, films in two files, more people, labels, external ids.

Everything is derived from the rating key, so that the same item always gets the same.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from plex_companion.demo.household.model import DemoMedia, DemoPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.demo.household.model import DemoItem

LABELS = ("Family night", "Lent to Aunt Ida", "Keep")
PARTS = ("The Stranger", "Auntie", "Captain Bo", "Dr. Elm", "The Ferryman", "A Passenger", "Mrs. Quill", "Old Tom")
HDR_KINDS = ("HDR10", "DoVi", "HLG")
SIZES = {"4k": (3840, 2160), "1080": (1920, 1080), "720": (1280, 720), "sd": (720, 480), "480": (854, 480)}
"""Width and height of each resolution, as Plex names it."""


def draw(key: str, salt: str, among: int) -> int:
    """Return a number below `among` that depends on the key and the salt alone."""
    return zlib.crc32(f"{salt} {key}".encode()) % among


def pick(key: str, salt: str, choices: Sequence[str], count: int) -> tuple[str, ...]:
    """Return `count` different choices."""
    start = draw(key, salt, len(choices))
    return tuple(choices[(start + n) % len(choices)] for n in range(min(count, len(choices))))


def vary_film(movie: DemoItem, people: Sequence[str], genres: Sequence[str]) -> None:
    """Give a film up to four genres and eleven actors, a label now and then, HDR, and further versions.

    A listing tells less: two genres and three actors.
    """
    key = movie.key
    more = [genre for genre in pick(key, "genre", genres, draw(key, "genres", 3)) if genre not in movie.tags["Genre"]]
    movie.tags["Genre"] = (*movie.tags["Genre"], *more)
    for number, name in enumerate(pick(key, "actor", people, draw(key, "actors", 9))):
        movie.roles.setdefault(name, PARTS[(number + len(name)) % len(PARTS)])
    if draw(key, "label", 6) == 0:
        movie.tags["Label"] = pick(key, "which label", LABELS, 1 + draw(key, "labels", 2))
    if draw(key, "countries", 5) == 0:
        movie.tags["Country"] = tuple(dict.fromkeys((*movie.tags["Country"], "Estavia", "Norland")))
    movie.external_ids = (*movie.external_ids, f"tvdb://9{int(key):06}")
    movie.media = _vary_media(key, movie.media[0])


def vary_show(show: DemoItem, people: Sequence[str]) -> None:
    """Give a show up to eleven actors, and a label now and then."""
    for name in pick(show.key, "actor", people, draw(show.key, "actors", 9)):
        show.roles.setdefault(name, name)
    if draw(show.key, "label", 6) == 0:
        show.tags["Label"] = pick(show.key, "which label", LABELS, 1)


def _vary_media(key: str, first: DemoMedia) -> tuple[DemoMedia, ...]:
    """Make every other 4K file HDR, one film in twelve two files, and give one in nine a smaller version.

    Ids of further versions begin at 500,000, so that they move nobody else's.
    """
    if first.resolution == "4k" and draw(key, "hdr", 2) == 0:
        first = replace(first, hdr=HDR_KINDS[draw(key, "which hdr", 3)])
    if draw(key, "subtitle", 4) == 0:
        first = replace(first, subtitle="pgs")
    stem, _, suffix = first.file.rpartition(".")
    if draw(key, "parts", 12) == 0:
        half = first.size // 2
        second = DemoPart(f"{stem} - pt2.{suffix}", first.size - half)
        first = replace(first, file=f"{stem} - pt1.{suffix}", size=half, more_parts=(second,))
    if draw(key, "versions", 9) != 0:
        return (first,)
    bitrate = min(2_000, first.bitrate)
    smaller = DemoMedia(
        500_000 + first.id, f"{stem} - 480p.mp4", first.total_size * bitrate // first.bitrate, "mp4", bitrate, "aac", 2,
        "h264", *SIZES["480"], "480",
    )  # fmt: skip
    return first, smaller
