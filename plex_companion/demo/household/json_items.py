"""The items of a household file: named ones with what the file says of them, and generated ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plex_companion.demo.household.built_in import (
    MINUTE,
    TRACKS,
    HouseholdBuilder,
    add_album,
    add_artist,
    add_bare_artist,
    add_movie,
    add_photo_album,
    add_show,
)
from plex_companion.demo.household.json_value import JsonValue
from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoMedia, DemoPart
from plex_companion.demo.household.versions import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = ("Amber", "Broken", "Crooked", "Distant", "Early", "Faded", "Golden", "Hidden", "Iron", "Joyful", "Kindly", "Lost")  # fmt: skip
SECOND = ("Lantern", "Harbour", "Orchard", "Signal", "Ferry", "Garden", "Bridge", "Kettle", "Comet", "Meadow", "Anchor")
ITEM_FIELDS = {"title", "rating_key", "year", "summary", "tagline", "duration_seconds", "genres", "directors", "writers", "actors",
               "studio", "content_rating", "rating", "audience_rating", "added_at", "updated_at", "file", "guid", "countries", "labels",
               "collections", "external_ids", "released", "original_title", "title_sort", "edition", "versions", "missing"}  # fmt: skip
CHILD_FIELDS = {"movie": set[str](), "show": {"seasons"}, "artist": {"albums"}, "photo": {"photos"}}
VERSION_FIELDS = {"file", "size_bytes", "container", "resolution", "hdr", "video_codec", "audio_codec", "audio_channels",
                  "bitrate_kbps", "subtitle", "parts"}  # fmt: skip
TEXTS = ("summary", "tagline", "studio", "content_rating", "guid", "released", "original_title", "title_sort")
TAGS = (
    ("genres", "Genre"),
    ("directors", "Director"),
    ("writers", "Writer"),
    ("countries", "Country"),
    ("labels", "Label"),
)


@dataclass(slots=True)
class ItemsReader:
    """Adds the items of a file to a household."""

    builder: HouseholdBuilder
    films: list[DemoItem] = field(default_factory=list)
    """The named films, which get a trailer once everything else is added."""
    members: dict[tuple[str, str], list[DemoItem]] = field(default_factory=dict)
    """The items of each collection, by section and title."""

    def fill_section(self, section: JsonValue, key: str, kind: str) -> None:
        """Add the named items of a section, then the generated ones."""
        adders: dict[str, Callable[[JsonValue, str], None]] = {
            "movie": self._add_movie, "show": self._add_show, "artist": self._add_artist, "photo": self._add_photos,
        }  # fmt: skip
        for place in section.list("items"):
            place.require_fields(ITEM_FIELDS | CHILD_FIELDS[kind])
            adders[kind](place, key)
        generate = section.get("generate")
        if generate is not None:
            _generate(self.builder, generate, key, kind)

    def make_collections(self) -> list[DemoCollection]:
        """Return the collections that the items name."""
        now = self.builder.now
        return [
            DemoCollection(self.builder.take_key(), title, section, items[0].type, now, now, items=[item.key for item in items])
            for (section, title), items in self.members.items()
        ]  # fmt: skip

    def _amend(self, place: JsonValue, item: DemoItem) -> DemoItem:
        """Replace invented values by those of the file."""
        self._change_key(place, item)
        for name in TEXTS:
            setattr(item, name, place.get_text(name, getattr(item, name)))
        item.edition_title = place.get_text("edition", item.edition_title)
        item.year = place.get_number("year", item.year)
        item.added_at = place.get_number("added_at", item.added_at) or item.added_at
        changed = item.added_at if place.get("added_at") else item.updated_at
        item.updated_at = place.get_number("updated_at", changed) or changed
        seconds = place.get_number("duration_seconds")
        if seconds is not None:
            item.duration = seconds * 1000
        item.external_ids = place.get_texts("external_ids") or item.external_ids
        item.missing = set(place.get_texts("missing"))
        _amend_tags(place, item)
        for title in place.get_texts("collections"):
            self.members.setdefault((item.section, title), []).append(item)
        if place.get("file") and item.media:
            item.media = (_build_named_media(item.media[0], place.get_text("file")),)
        if place.get("versions"):
            item.media = tuple(self._build_version(version, item) for version in place.list("versions"))
        return item

    def _change_key(self, place: JsonValue, item: DemoItem) -> None:
        requested = place.get_text("rating_key", item.key)
        if requested == item.key:
            return
        if requested in self.builder.keys:
            raise place.build_error(f"'rating_key' {requested!r} is used twice")
        for other in reversed(self.builder.items):  # what is below an item was added after it
            if other is item:
                break
            if other.parent == item.key:
                other.parent = requested
        item.key = requested
        self.builder.keys.add(requested)
        if requested.isdigit():
            self.builder.next_key = max(self.builder.next_key, int(requested))

    def _build_version(self, place: JsonValue, item: DemoItem) -> DemoMedia:
        place.require_fields(VERSION_FIELDS)
        if not item.media:
            raise place.build_error(f"a {item.type} has no files")
        template = item.media[0]
        named = place.get_text("file", "")
        made = _amend_version(
            place, self.builder.copy_media(_build_named_media(template, named) if named else template)
        )
        parts = [_read_part(part, made.file) for part in place.list("parts")]
        size = made.bitrate * 125 * (item.duration or 0) // 1000
        first = parts[0] if parts else DemoPart(made.file, place.get_number("size_bytes", size) or 0)
        return replace(made, file=first.file, size=first.size, more_parts=tuple(parts[1:]))

    def _add_movie(self, place: JsonValue, key: str) -> None:
        self.films.append(self._amend(place, add_movie(self.builder, key, place.get_text("title"))))

    def _add_show(self, place: JsonValue, key: str) -> None:
        show = self._amend(place, add_show(self.builder, key, place.get_text("title"), "Drama", 0, 0))
        for number, season in enumerate(place.list("seasons"), 1):
            season.require_fields(ITEM_FIELDS | {"index", "episodes"})
            index = season.get_number("index", number)
            number_of = number if index is None else index
            parent = DemoItem(self.builder.take_key(), "season", key, season.get_text("title", f"Season {number_of}"),
                              show.added_at, show.updated_at, parent=show.key, index=number_of, year=show.year)  # fmt: skip
            self._amend(season, self.builder.add(parent))
            for position, episode in enumerate(season.list("episodes"), 1):
                self._add_episode(episode, show, parent, position)

    def _add_episode(self, place: JsonValue, show: DemoItem, season: DemoItem, position: int) -> None:
        place.require_fields(ITEM_FIELDS | {"index"})
        index, builder = season.index or 0, self.builder
        made = DemoItem(builder.take_key(), "episode", show.section, place.get_text("title"), season.added_at, season.updated_at,
                        parent=season.key, index=place.get_number("index", position), duration=40 * MINUTE, year=show.year,
                        released=f"{show.year}-{index % 12 + 1:02}-{position % 28 + 1:02}", audience_rating=7.2,
                        media=(builder.build_media(f"/media/{show.section}/{show.key}/S{index:02}E{position:02}.mkv", 40),))  # fmt: skip
        self._amend(place, builder.add(made))

    def _add_artist(self, place: JsonValue, key: str) -> None:
        artist = self._amend(place, add_bare_artist(self.builder, key, place.get_text("title"), "Folk"))
        for position, album in enumerate(place.list("albums"), 1):
            if isinstance(album.value, str):
                add_album(self.builder, artist, album.value, position, TRACKS)
            else:
                self._add_album(album, artist, position)

    def _add_album(self, place: JsonValue, artist: DemoItem, position: int) -> None:
        place.require_fields(ITEM_FIELDS | {"tracks"})
        tracks = place.list("tracks")
        titles = [track.value if isinstance(track.value, str) else track.get_text("title") for track in tracks]
        first = len(self.builder.items) + 1
        album = add_album(self.builder, artist, place.get_text("title"), position, titles or TRACKS)
        for track, made in zip(tracks, self.builder.items[first:], strict=False):
            if not isinstance(track.value, str):
                self._amend(track.require_fields(ITEM_FIELDS), made)
        self._amend(place, album)

    def _add_photos(self, place: JsonValue, key: str) -> None:
        photos = place.get("photos")
        names = place.get_texts("photos") if photos and isinstance(photos.value, list) else place.get_count("photos")
        self._amend(place, add_photo_album(self.builder, key, place.get_text("title"), names))


def _generate(builder: HouseholdBuilder, place: JsonValue, key: str, kind: str) -> None:
    """Generate items: `"generate": 20000`, or with sizes `{"count": 200, "seasons": 2, "episodes": 10}`."""
    if isinstance(place.value, int):
        place = JsonValue(place.file, place.path, {"count": place.value})
    place.require_fields({"count", "seasons", "episodes", "albums", "photos"})
    for number in range(place.get_count("count")):
        title = f"{builder.rng.choice(FIRST)} {builder.rng.choice(SECOND)} {number + 1:05}"
        if kind == "movie":
            add_movie(builder, key, title)
        elif kind == "show":
            add_show(builder, key, title, "Drama", place.get_count("seasons", 1), place.get_count("episodes", 10))
        elif kind == "artist":
            add_artist(builder, key, title, "Folk", [f"{title} {n + 1}" for n in range(place.get_count("albums", 1))])
        else:
            add_photo_album(builder, key, title, place.get_count("photos", 20))


def _amend_version(place: JsonValue, media: DemoMedia) -> DemoMedia:
    resolution = place.get_text("resolution", media.resolution)
    width, height = media.width, media.height
    if resolution != media.resolution:
        if resolution not in SIZES:
            raise place.build_error(f"'resolution' must be one of {', '.join(SIZES)}")
        width, height = SIZES[resolution]
    return replace(
        media, resolution=resolution, width=width, height=height, container=place.get_text("container", media.container),
        hdr=place.get_text("hdr", media.hdr), video_codec=place.get_text("video_codec", media.video_codec),
        audio_codec=place.get_text("audio_codec", media.audio_codec), subtitle=place.get_text("subtitle", media.subtitle),
        audio_channels=place.get_number("audio_channels", media.audio_channels) or 0,
        bitrate=place.get_number("bitrate_kbps", media.bitrate) or 0, more_parts=(),
    )  # fmt: skip


def _read_part(place: JsonValue, file: str) -> DemoPart:
    place.require_fields({"file", "size_bytes"})
    return DemoPart(place.get_text("file", file), place.get_count("size_bytes"))


def _build_named_media(media: DemoMedia, file: str) -> DemoMedia:
    """Return the media of a file that the household names: the container of its suffix, and the usual codecs for an MP4."""
    suffix = file.rpartition(".")[2]
    if suffix != "mp4" or not media.video_codec:
        return replace(media, file=file, container=suffix or media.container)
    return replace(
        media, file=file, container=suffix, audio_codec="aac", audio_channels=2, video_codec="h264", width=1920, height=1080,
        resolution="1080", bitrate=9_500,
    )  # fmt: skip


def _amend_tags(place: JsonValue, item: DemoItem) -> None:
    for name, kind in TAGS:
        if place.get(name):
            item.tags[kind] = place.get_texts(name)
    actors = place.get("actors")
    if actors is not None:
        item.roles = {str(name): str(role) for name, role in actors.require(dict, "an object of actor: role").items()}
    item.rating = _read_rating(place, "rating", item.rating)
    item.audience_rating = _read_rating(place, "audience_rating", item.audience_rating)


def _read_rating(place: JsonValue, name: str, default: float | None) -> float | None:
    found = place.get(name)
    return default if found is None else float(found.require((int, float), "a number"))
