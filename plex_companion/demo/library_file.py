"""A household out of a JSON file, as `docs/demo-household.md` describes it."""

from __future__ import annotations

import json
import posixpath
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from plex_companion.demo.household import LEVELS, Household, Item, Media, Play, Player, Section, User
from plex_companion.demo.invented import (
    MINUTE,
    TRACKS,
    Builder,
    add_album,
    add_artist,
    add_bare_artist,
    add_extra,
    add_movie,
    add_photo_album,
    add_show,
    half_watched,
    household_players,
    household_users,
    make_history,
    make_section,
    views_of,
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


class Place:
    """A value of the file with the path to it, so that every complaint names the spot."""

    def __init__(self, file: str, path: str, value: Any) -> None:
        self.file, self.path, self.value = file, path, value

    def wrong(self, problem: str) -> SettingsError:
        """The error to raise about this place."""
        return SettingsError(f"{self.file}: {self.path or 'top level'}: {problem}", file=self.file, place=self.path)

    def of(self, kind: type | tuple[type, ...], name: str) -> Any:
        """The value, if it is of the kind; `True` is no number."""
        if not isinstance(self.value, kind) or (isinstance(self.value, bool) and kind is not bool):
            raise self.wrong(f"expected {name}, found {json.dumps(self.value, ensure_ascii=False)[:60]}")
        return self.value

    def fields(self, known: set[str]) -> Place:
        """This place, if it is an object without unknown fields."""
        unknown = sorted(set(self.of(dict, "an object")) - known)
        if unknown:
            raise self.wrong(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
        return self

    def get(self, name: str) -> Place | None:
        """A field, if it is there."""
        if name not in self.value or self.value[name] is None:
            return None
        return Place(self.file, f"{self.path}.{name}" if self.path else name, self.value[name])

    def text(self, name: str, default: str | None = None) -> str:
        """A text field; needed if it has no default. Numbers will do for keys."""
        found = self.get(name)
        if found is None and default is None:
            raise self.wrong(f"'{name}' is missing")
        return default or "" if found is None else str(found.of((str, int), "text"))

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number."""
        found = self.get(name)
        return default if found is None else int(found.of(int, "a whole number"))

    def count(self, name: str, default: int = 0) -> int:
        """A number of things: not negative."""
        found = self.number(name, default) or 0
        if found < 0:
            raise self.wrong(f"'{name}' must not be negative")
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        found = self.get(name)
        return default if found is None else bool(found.of(bool, "true or false"))

    def list(self, name: str) -> list[Place]:
        """The members of a list; none if it is absent."""
        found = self.get(name)
        if found is None:
            return []
        return [Place(self.file, f"{found.path}[{n}]", value) for n, value in enumerate(found.of(list, "a list"))]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(str(place.of(str, "text")) for place in self.list(name))


def load_household(path: Path | str, *, now: float | None = None) -> Household:
    """Read the file and build the household; a wrong file is one message that names the place."""
    moment = int(time.time() if now is None else now)
    top = _read(Path(path)).fields(
        {"name", "machine_identifier", "version", "sections", "users", "players", "history", "generate_history"}
    )
    build = Builder(moment)
    sections: list[Section] = []
    for place in top.list("sections"):
        place.fields({"key", "title", "type", "items", "generate"})
        kind = place.text("type")
        if kind not in LEVELS:
            raise place.wrong(f"'type' must be one of {', '.join(LEVELS)}")
        key = place.text("key", str(len(sections) + 1))
        if key in {section.key for section in sections}:
            raise place.wrong(f"'key' {key!r} is used twice")
        sections.append(make_section(key, place.text("title"), kind))
        _fill(build, place, key, kind)
        sections[-1] = _with_folder_of_files(sections[-1], build)
    for movie in build.trailers_for:  # last, so that their keys move nobody else's
        add_extra(build, movie)
    users = [_user(place, n) for n, place in enumerate(top.list("users"))] or household_users()
    players = [_player(place, n) for n, place in enumerate(top.list("players"))] or household_players()
    _check_people(top, users)
    history = _history(top, build, users, players)
    views = views_of(history)
    if 3 < len(build.items) < 1_000 and not history:  # noqa: PLR2004  # small households get something On Deck
        half_watched(build, views, users[:1])
    return Household(top.text("name", "Demo"), top.text("machine_identifier", "demo" + "0" * 36), top.text("version", "1.43.3.10101-5afe0c0de"),
                     sections, build.items, users, players, history=history, views=views)  # fmt: skip


def _with_folder_of_files(section: Section, build: Builder) -> Section:
    """The section in the folder that all files lie in which the household names for it."""
    files = [media.file for item in build.items if item.section == section.key for media in item.media]
    named = [str(PurePosixPath(file).parent) for file in files if not file.startswith("/media/")]
    return replace(section, path=posixpath.commonpath(named)) if named and named[0].startswith("/") else section


def _read(path: Path) -> Place:
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8", file=str(path)) from error
    except ValueError as error:
        raise SettingsError(f"{path}: not JSON: {error}", file=str(path)) from error
    return Place(str(path), "", value)


def _check_people(top: Place, users: list[User]) -> None:
    numbers = [user.id for user in users]
    if 1 not in numbers:
        raise top.wrong("'users' needs one with id 1, the owner")
    if len(set(numbers)) != len(numbers) or len({user.token for user in users}) != len(users):
        raise top.wrong("'users' has an id or a token twice")


def _fill(build: Builder, section: Place, key: str, kind: str) -> None:
    adders = {"movie": _movie, "show": _show, "artist": _artist, "photo": _album}
    for place in section.list("items"):
        place.fields(ITEM_FIELDS)
        adders[kind](build, place, key)
    generate = section.get("generate")
    if generate is not None:
        _generate(build, generate, key, kind)


def _generate(build: Builder, place: Place, key: str, kind: str) -> None:
    """`"generate": 20000`, or with sizes: `{"count": 200, "seasons": 2, "episodes": 10}`."""
    if isinstance(place.value, int):
        place = Place(place.file, place.path, {"count": place.value})
    place.fields({"count", "seasons", "episodes", "albums", "photos"})
    for number in range(place.count("count")):
        title = f"{build.rng.choice(FIRST)} {build.rng.choice(SECOND)} {number + 1:05}"
        if kind == "movie":
            add_movie(build, key, title)
        elif kind == "show":
            add_show(build, key, title, "Drama", place.count("seasons", 1), place.count("episodes", 10))
        elif kind == "artist":
            add_artist(build, key, title, "Folk", [f"{title} {n + 1}" for n in range(place.count("albums", 1))])
        else:
            add_photo_album(build, key, title, place.count("photos", 20))


def _amend(build: Builder, place: Place, item: Item) -> Item:
    """Put what the file says over what was made up."""
    wanted = place.text("rating_key", item.key)
    if wanted != item.key and any(other.key == wanted for other in build.items):
        raise place.wrong(f"'rating_key' {wanted!r} is used twice")
    for other in build.items:
        if other.parent == item.key:
            other.parent = wanted
    item.key = wanted
    if wanted.isdigit():
        build.next_key = max(build.next_key, int(wanted))
    item.summary, item.tagline = place.text("summary", item.summary), place.text("tagline", item.tagline)
    item.studio, item.content_rating = (
        place.text("studio", item.studio),
        place.text("content_rating", item.content_rating),
    )
    item.year, item.guid = place.number("year", item.year), place.text("guid", item.guid)
    item.added_at = item.updated_at = place.number("added_at", item.added_at) or item.added_at
    _amend_tags(place, item)
    seconds = place.number("duration_seconds")
    if seconds is not None:
        item.duration = seconds * 1000
    item.released = place.text("released", item.released)
    item.external_ids = place.texts("external_ids") or item.external_ids
    if place.get("file") and item.media:
        item.media = (_media_of_file(item.media[0], place.text("file")),)
    return item


def _media_of_file(media: Media, file: str) -> Media:
    """The media of a file that the household names: what its suffix says, and as an MP4 is made."""
    suffix = file.rpartition(".")[2]
    if suffix != "mp4" or not media.video_codec:
        return replace(media, file=file, container=suffix or media.container)
    return replace(
        media, file=file, container=suffix, audio_codec="aac", audio_channels=2, video_codec="h264", width=1920, height=1080,
        resolution="1080", bitrate=9_500,
    )  # fmt: skip


def _amend_tags(place: Place, item: Item) -> None:
    for name, kind in (("genres", "Genre"), ("directors", "Director"), ("writers", "Writer"), ("countries", "Country")):
        if place.get(name):
            item.tags[kind] = place.texts(name)
    actors = place.get("actors")
    if actors is not None:
        item.roles = {str(name): str(role) for name, role in actors.of(dict, "an object of actor: role").items()}
    rating = place.get("rating")
    if rating is not None:
        item.rating = float(rating.of((int, float), "a number"))


def _movie(build: Builder, place: Place, key: str) -> None:
    movie = _amend(build, place, add_movie(build, key, place.text("title")))
    build.trailers_for.append(movie)


def _show(build: Builder, place: Place, key: str) -> None:
    show = _amend(build, place, add_show(build, key, place.text("title"), "Drama", 0, 0))
    for number, season in enumerate(place.list("seasons"), 1):
        season.fields({"index", "title", "episodes"})
        index = season.number("index", number) or 0
        parent = build.add(Item(build.key(), "season", key, season.text("title", f"Season {index}"), show.added_at, show.updated_at,
                                parent=show.key, index=index, year=show.year))  # fmt: skip
        for position, episode in enumerate(season.list("episodes"), 1):
            episode.fields(ITEM_FIELDS | {"index"})
            made = Item(build.key(), "episode", key, episode.text("title"), show.added_at, show.updated_at, parent=parent.key,
                        index=episode.number("index", position), duration=40 * MINUTE, year=show.year,
                        released=f"{show.year}-{index % 12 + 1:02}-{position % 28 + 1:02}", audience_rating=7.2,
                        media=(build.media(f"/media/{key}/{show.key}/S{index:02}E{position:02}.mkv", 40),))  # fmt: skip
            _amend(build, episode, build.add(made))


def _artist(build: Builder, place: Place, key: str) -> None:
    artist = _amend(build, place, add_bare_artist(build, key, place.text("title"), "Folk"))
    for position, album in enumerate(place.list("albums"), 1):
        if isinstance(album.value, str):
            add_album(build, artist, album.value, position, TRACKS)
        else:
            album.fields({"title", "tracks", "guid", "year"})
            made = add_album(build, artist, album.text("title"), position, album.texts("tracks") or TRACKS)
            made.guid, made.year = album.text("guid", made.guid), album.number("year", made.year)


def _album(build: Builder, place: Place, key: str) -> None:
    photos = place.get("photos")
    names = place.texts("photos") if photos and isinstance(photos.value, list) else place.count("photos")
    _amend(build, place, add_photo_album(build, key, place.text("title"), names))


def _user(place: Place, position: int) -> User:
    place.fields({"id", "name", "email", "token", "home", "restricted", "pin"})
    number = place.number("id", 1 if position == 0 else 91_000 + position) or 0
    return User(number, 91_000 + position if number == 1 else number, place.text("name"), place.text("email", ""),
                place.text("token", f"demo-token-{number}"), place.flag("home", default=True),
                place.flag("restricted", default=False), place.text("pin", ""))  # fmt: skip


def _player(place: Place, position: int) -> Player:
    place.fields({"client_identifier", "title", "product", "platform", "platform_version", "device", "device_class", "version",
                  "address", "controllable", "local"})  # fmt: skip
    text = place.text
    return Player(position + 1, text("client_identifier", f"demo-player-{position + 1}"), text("title"), text("product", "Plex HTPC"),
                  text("platform", "linux"), text("platform_version", "6.8"), text("device", "PC"), text("device_class", "pc"),
                  text("version", "1.66.0"), text("address", f"192.168.7.{100 + position}"),
                  controllable=place.flag("controllable", default=False), local=place.flag("local", default=True))  # fmt: skip


def _history(top: Place, build: Builder, users: list[User], players: list[Player]) -> list[Play]:
    count = top.count("generate_history")
    if count and not any(item.type in {"movie", "episode", "track"} for item in build.items):
        raise top.wrong("'generate_history' needs films, episodes or tracks")
    rows = make_history(build, users, players, count) if count else []
    known, people, devices = (
        {item.key for item in build.items},
        {u.id for u in users},
        {p.client_identifier: p.id for p in players},
    )
    for number, place in enumerate(top.list("history"), count + 1):
        place.fields({"rating_key", "viewed_at", "user", "player"})
        user, player, key = (
            place.number("user", 1) or 1,
            place.text("player", players[0].client_identifier),
            place.text("rating_key"),
        )
        for found, what in (
            (key in known, f"no item {key!r}"),
            (user in people, f"no user {user}"),
            (player in devices, f"no player {player!r}"),
        ):
            if not found:
                raise place.wrong(what)
        rows.append(Play(number, key, place.number("viewed_at", build.now) or 0, user, devices[player]))
    return rows
