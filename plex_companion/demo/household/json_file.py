"""Households from JSON files, as `docs/demo-household.md` describes them."""

from __future__ import annotations

import json
import posixpath
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from plex_companion.demo.household.built_in import (
    MINUTE,
    TRACKS,
    HouseholdBuilder,
    add_album,
    add_artist,
    add_bare_artist,
    add_extra,
    add_half_watched,
    add_movie,
    add_photo_album,
    add_show,
    build_players,
    build_users,
    derive_views,
    make_history,
    make_section,
)
from plex_companion.demo.household.model import (
    LEVELS,
    DemoItem,
    DemoMedia,
    DemoPlay,
    DemoPlayer,
    DemoSection,
    DemoUser,
    Household,
)
from plex_companion.errors import SettingsError

FIRST = (
    "Amber",
    "Broken",
    "Crooked",
    "Distant",
    "Early",
    "Faded",
    "Golden",
    "Hidden",
    "Iron",
    "Joyful",
    "Kindly",
    "Lost",
)
SECOND = ("Lantern", "Harbour", "Orchard", "Signal", "Ferry", "Garden", "Bridge", "Kettle", "Comet", "Meadow", "Anchor")
ITEM_FIELDS = {"title", "rating_key", "year", "summary", "tagline", "duration_seconds", "genres", "directors", "writers", "actors",
               "studio", "content_rating", "rating", "added_at", "file", "seasons", "albums", "photos", "guid", "countries",
               "external_ids", "released"}  # fmt: skip


class JsonValue:
    """A value of the file with its path, so that every error says where it is."""

    def __init__(self, file: str, path: str, value: Any) -> None:
        self.file, self.path, self.value = file, path, value

    def build_error(self, problem: str) -> SettingsError:
        """Build the error to raise about this value."""
        return SettingsError(f"{self.file}: {self.path or 'top level'}: {problem}", file=self.file, place=self.path)

    def require(self, kind: type | tuple[type, ...], name: str) -> Any:
        """Return the value if it is of the kind; `True` is not a number."""
        if not isinstance(self.value, kind) or (isinstance(self.value, bool) and kind is not bool):
            raise self.build_error(f"expected {name}, found {json.dumps(self.value, ensure_ascii=False)[:60]}")
        return self.value

    def require_fields(self, known: set[str]) -> JsonValue:
        """Return this value if it is an object without unknown fields."""
        unknown = sorted(set(self.require(dict, "an object")) - known)
        if unknown:
            raise self.build_error(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
        return self

    def get(self, name: str) -> JsonValue | None:
        """Return a field, or `None` if it is absent or null."""
        if name not in self.value or self.value[name] is None:
            return None
        return JsonValue(self.file, f"{self.path}.{name}" if self.path else name, self.value[name])

    def get_text(self, name: str, default: str | None = None) -> str:
        """Return a text field. Without a default it is required. Numbers are accepted, for keys."""
        found = self.get(name)
        if found is None and default is None:
            raise self.build_error(f"'{name}' is missing")
        return default or "" if found is None else str(found.require((str, int), "text"))

    def get_number(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number."""
        found = self.get(name)
        return default if found is None else int(found.require(int, "a whole number"))

    def get_count(self, name: str, default: int = 0) -> int:
        """Return a number of things, which must not be negative."""
        found = self.get_number(name, default) or 0
        if found < 0:
            raise self.build_error(f"'{name}' must not be negative")
        return found

    def get_flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self.get(name)
        return default if found is None else bool(found.require(bool, "true or false"))

    def list(self, name: str) -> list[JsonValue]:
        """Return the members of a list, or none if it is absent."""
        found = self.get(name)
        if found is None:
            return []
        return [
            JsonValue(self.file, f"{found.path}[{n}]", value) for n, value in enumerate(found.require(list, "a list"))
        ]

    def get_texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(str(place.require(str, "text")) for place in self.list(name))


def load_household(path: Path | str, *, now: float | None = None) -> Household:
    """Read the file and build its household.

    Raises:
        SettingsError: The file is wrong; the message says where.
    """
    moment = int(time.time() if now is None else now)
    top = _read(Path(path)).require_fields(
        {"name", "machine_identifier", "version", "sections", "users", "players", "history", "generate_history"}
    )
    builder = HouseholdBuilder(moment)
    sections: list[DemoSection] = []
    for place in top.list("sections"):
        place.require_fields({"key", "title", "type", "items", "generate"})
        kind = place.get_text("type")
        if kind not in LEVELS:
            raise place.build_error(f"'type' must be one of {', '.join(LEVELS)}")
        key = place.get_text("key", str(len(sections) + 1))
        if key in {section.key for section in sections}:
            raise place.build_error(f"'key' {key!r} is used twice")
        sections.append(make_section(key, place.get_text("title"), kind))
        _fill_section(builder, place, key, kind)
        sections[-1] = _set_folder(sections[-1], builder)
    for movie in builder.trailers_for:  # last, so that their keys move nobody else's
        add_extra(builder, movie)
    users = [_read_user(place, n) for n, place in enumerate(top.list("users"))] or build_users()
    players = [_read_player(place, n) for n, place in enumerate(top.list("players"))] or build_players()
    _check_people(top, users)
    history = _read_history(top, builder, users, players)
    views = derive_views(history)
    if 3 < len(builder.items) < 1_000 and not history:  # noqa: PLR2004  # small households get something On Deck
        add_half_watched(builder, views, users[:1])
    return Household(top.get_text("name", "Demo"), top.get_text("machine_identifier", "demo" + "0" * 36), top.get_text("version", "1.43.3.10101-5afe0c0de"),
                     sections, builder.items, users, players, history=history, views=views)  # fmt: skip


def _set_folder(section: DemoSection, builder: HouseholdBuilder) -> DemoSection:
    """Return the section with the common folder of the files that the household names for it."""
    files = [media.file for item in builder.items if item.section == section.key for media in item.media]
    named = [str(PurePosixPath(file).parent) for file in files if not file.startswith("/media/")]
    return replace(section, path=posixpath.commonpath(named)) if named and named[0].startswith("/") else section


def _read(path: Path) -> JsonValue:
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8", file=str(path)) from error
    except ValueError as error:
        raise SettingsError(f"{path}: not JSON: {error}", file=str(path)) from error
    return JsonValue(str(path), "", value)


def _check_people(top: JsonValue, users: list[DemoUser]) -> None:
    numbers = [user.id for user in users]
    if 1 not in numbers:
        raise top.build_error("'users' needs one with id 1, the owner")
    if len(set(numbers)) != len(numbers) or len({user.token for user in users}) != len(users):
        raise top.build_error("'users' has an id or a token twice")


def _fill_section(builder: HouseholdBuilder, section: JsonValue, key: str, kind: str) -> None:
    adders = {"movie": _add_movie, "show": _add_show, "artist": _add_artist, "photo": _add_album}
    for place in section.list("items"):
        place.require_fields(ITEM_FIELDS)
        adders[kind](builder, place, key)
    generate = section.get("generate")
    if generate is not None:
        _generate(builder, generate, key, kind)


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


def _amend(builder: HouseholdBuilder, place: JsonValue, item: DemoItem) -> DemoItem:
    """Replace invented values by those of the file."""
    wanted = place.get_text("rating_key", item.key)
    if wanted != item.key and any(other.key == wanted for other in builder.items):
        raise place.build_error(f"'rating_key' {wanted!r} is used twice")
    for other in builder.items:
        if other.parent == item.key:
            other.parent = wanted
    item.key = wanted
    if wanted.isdigit():
        builder.next_key = max(builder.next_key, int(wanted))
    item.summary, item.tagline = place.get_text("summary", item.summary), place.get_text("tagline", item.tagline)
    item.studio, item.content_rating = (
        place.get_text("studio", item.studio),
        place.get_text("content_rating", item.content_rating),
    )
    item.year, item.guid = place.get_number("year", item.year), place.get_text("guid", item.guid)
    item.added_at = item.updated_at = place.get_number("added_at", item.added_at) or item.added_at
    _amend_tags(place, item)
    seconds = place.get_number("duration_seconds")
    if seconds is not None:
        item.duration = seconds * 1000
    item.released = place.get_text("released", item.released)
    item.external_ids = place.get_texts("external_ids") or item.external_ids
    if place.get("file") and item.media:
        item.media = (_build_named_media(item.media[0], place.get_text("file")),)
    return item


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
    for name, kind in (("genres", "Genre"), ("directors", "Director"), ("writers", "Writer"), ("countries", "Country")):
        if place.get(name):
            item.tags[kind] = place.get_texts(name)
    actors = place.get("actors")
    if actors is not None:
        item.roles = {str(name): str(role) for name, role in actors.require(dict, "an object of actor: role").items()}
    rating = place.get("rating")
    if rating is not None:
        item.rating = float(rating.require((int, float), "a number"))


def _add_movie(builder: HouseholdBuilder, place: JsonValue, key: str) -> None:
    movie = _amend(builder, place, add_movie(builder, key, place.get_text("title")))
    builder.trailers_for.append(movie)


def _add_show(builder: HouseholdBuilder, place: JsonValue, key: str) -> None:
    show = _amend(builder, place, add_show(builder, key, place.get_text("title"), "Drama", 0, 0))
    for number, season in enumerate(place.list("seasons"), 1):
        season.require_fields({"index", "title", "episodes"})
        index = season.get_number("index", number) or 0
        parent = builder.add(DemoItem(builder.take_key(), "season", key, season.get_text("title", f"Season {index}"), show.added_at, show.updated_at,
                                parent=show.key, index=index, year=show.year))  # fmt: skip
        for position, episode in enumerate(season.list("episodes"), 1):
            episode.require_fields(ITEM_FIELDS | {"index"})
            made = DemoItem(builder.take_key(), "episode", key, episode.get_text("title"), show.added_at, show.updated_at, parent=parent.key,
                        index=episode.get_number("index", position), duration=40 * MINUTE, year=show.year,
                        released=f"{show.year}-{index % 12 + 1:02}-{position % 28 + 1:02}", audience_rating=7.2,
                        media=(builder.build_media(f"/media/{key}/{show.key}/S{index:02}E{position:02}.mkv", 40),))  # fmt: skip
            _amend(builder, episode, builder.add(made))


def _add_artist(builder: HouseholdBuilder, place: JsonValue, key: str) -> None:
    artist = _amend(builder, place, add_bare_artist(builder, key, place.get_text("title"), "Folk"))
    for position, album in enumerate(place.list("albums"), 1):
        if isinstance(album.value, str):
            add_album(builder, artist, album.value, position, TRACKS)
        else:
            album.require_fields({"title", "tracks", "guid", "year"})
            made = add_album(builder, artist, album.get_text("title"), position, album.get_texts("tracks") or TRACKS)
            made.guid, made.year = album.get_text("guid", made.guid), album.get_number("year", made.year)


def _add_album(builder: HouseholdBuilder, place: JsonValue, key: str) -> None:
    photos = place.get("photos")
    names = place.get_texts("photos") if photos and isinstance(photos.value, list) else place.get_count("photos")
    _amend(builder, place, add_photo_album(builder, key, place.get_text("title"), names))


def _read_user(place: JsonValue, position: int) -> DemoUser:
    place.require_fields({"id", "name", "email", "token", "home", "restricted", "pin"})
    number = place.get_number("id", 1 if position == 0 else 91_000 + position) or 0
    return DemoUser(number, 91_000 + position if number == 1 else number, place.get_text("name"), place.get_text("email", ""),
                place.get_text("token", f"demo-token-{number}"), place.get_flag("home", default=True),
                place.get_flag("restricted", default=False), place.get_text("pin", ""))  # fmt: skip


def _read_player(place: JsonValue, position: int) -> DemoPlayer:
    place.require_fields({"client_identifier", "title", "product", "platform", "platform_version", "device", "device_class", "version",
                  "address", "controllable", "local"})  # fmt: skip
    text = place.get_text
    return DemoPlayer(position + 1, text("client_identifier", f"demo-player-{position + 1}"), text("title"), text("product", "Plex HTPC"),
                  text("platform", "linux"), text("platform_version", "6.8"), text("device", "PC"), text("device_class", "pc"),
                  text("version", "1.66.0"), text("address", f"192.168.7.{100 + position}"),
                  controllable=place.get_flag("controllable", default=False), local=place.get_flag("local", default=True))  # fmt: skip


def _read_history(
    top: JsonValue, builder: HouseholdBuilder, users: list[DemoUser], players: list[DemoPlayer]
) -> list[DemoPlay]:
    count = top.get_count("generate_history")
    if count and not any(item.type in {"movie", "episode", "track"} for item in builder.items):
        raise top.build_error("'generate_history' needs films, episodes or tracks")
    rows = make_history(builder, users, players, count) if count else []
    known, people, devices = (
        {item.key for item in builder.items},
        {u.id for u in users},
        {p.client_identifier: p.id for p in players},
    )
    for number, place in enumerate(top.list("history"), count + 1):
        place.require_fields({"rating_key", "viewed_at", "user", "player"})
        user, player, key = (
            place.get_number("user", 1) or 1,
            place.get_text("player", players[0].client_identifier),
            place.get_text("rating_key"),
        )
        for found, what in (
            (key in known, f"no item {key!r}"),
            (user in people, f"no user {user}"),
            (player in devices, f"no player {player!r}"),
        ):
            if not found:
                raise place.build_error(what)
        rows.append(DemoPlay(number, key, place.get_number("viewed_at", builder.now) or 0, user, devices[player]))
    return rows
