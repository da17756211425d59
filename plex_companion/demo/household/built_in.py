"""The household that ships with the program: every title, name and device in it is made up."""

from __future__ import annotations

import hashlib
import random
import uuid
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plex_companion.demo.household import versions
from plex_companion.demo.household.model import (
    DemoCollection,
    DemoItem,
    DemoMedia,
    DemoPlay,
    DemoPlayer,
    DemoPlaylist,
    DemoSection,
    DemoUser,
    Household,
    ViewState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAY = 86_400
MINUTE = 60_000  # ms

# Awkward letters on purpose: an ampersand, an apostrophe, quotes, an emoji, CJK, an umlaut, an angle bracket.
MOVIES = (
    "The Lamplighter of Lower Quay", "Salt & Ember", "A Goat Called Wednesday", "Nine Doors Down", "The Moth's Almanac",
    "雨の中の時計屋", "Marzipan Heist", "Under a Paper Moon Bridge", "The Last Ferry to Ormsby", "Copper Weather",
    "Ünder dem Apfelbaum", "Signal Hill Blues", "The Cartographer's Daughter", "Velvet Static", "Eleven Quiet Robots",
    "Tinned Peaches 🍑", "The Orchard Ledger", "Dust on the Piano", "Hollow Bay", "Miss Pelham Regrets",
    "The Snow Accountant", "Kite Season", "Brass Tortoise", "The Unlikely Baker", "Midnight at Platform <Four>",
    "Thirteen Umbrellas", "The Glass Canal", "Pigeon Diplomacy", "Rook and Rye", "An Inventory of Storms",
    "海风与旧信", "Little Harbour, Big Trouble", "The Second Violin", "Quarry", "Mr. Abernathy's Third Act",
    "Lanterns for Leopold", "Slow Comet", "The Hush Protocol", "Pepper & Vine", "Tomorrow's Fishermen",
    "The Beekeeper's Alibi", "Cold Soup", "Where the Trams Sleep", "Operation Dandelion", "Blue Hour, Red Door",
    'A "Perfectly" Good Boat', "The Weathervane Thief", "Sister Comet", "Gravel Kings", "Plum Street",
    "The Museum of Lost Mittens", "Halfway to Hollyhock", "Ferrous", "The Clockmaker Rebellion", "Juniper Falls",
    "Postcards from Nowhere", "The Bassoon Conspiracy", "Owl Country", "One Lemon Left", "Zephyr & Sons",
)  # fmt: skip
SHOWS = (
    ("Harbour Street", "Drama", 3, 8),
    ("The Night Gardeners", "Mystery", 2, 6),
    ("Kettle & Crow", "Comedy", 4, 6),
    ("小さな台所", "Food", 1, 10),
    ("Orbit Club", "Science Fiction", 2, 8),
    ("What the Dog Knew", "Family", 1, 5),
)
EPISODES = (
    "The Wrong Key", "A Visitor from Upstairs", "Low Tide", "Three Cups of Tea", "The Borrowed Coat", "Static",
    "Who Moved the Piano?", "Fog Warning", "The Long Sunday", "Don't Feed the Gulls", "Half a Map", "Paper Walls",
)  # fmt: skip
ARTISTS = (
    ("The Velvet Kettles", "Indie", ("Steam Songs", "Boil & Bubble")),
    ("Marlow Finch", "Folk", ("Gravel Lullabies",)),
    ("星屑オーケストラ", "Electronic", ("Neon Tea House", "Quiet Circuits")),
    ("Ottoline's Parade", "Pop", ("Confetti Weather 🎉",)),
)
TRACKS = (
    "Morning Kettle",
    "Rust",
    "Seven Magpies",
    "Don't Tell the Moon",
    "Slow Lift",
    "Ink & Honey",
    "Goodnight, Dock",
)
ALBUMS = (("Summer at the Quay", 9), ("Grandma's 80th", 7), ("Foggy Morning Walk", 6))
GENRES = ("Drama", "Comedy", "Mystery", "Adventure", "Science Fiction", "Family", "Romance", "Thriller")
PEOPLE = (
    "Odile Marchetti", "Bram Okonkwo", "Tess Vanderlaan", "Ishaan Pell", "Greta Lindqvist", "Mateo Quill",
    "Noor Ashby", "Fenwick O'Hara", "Yumi Castellane", "Ruben Thistle", "Alma Drago", "Piet Halloran",
    "Sunniva Reyes", "Caspian Woźniak", "Lila Umarov", "Hugh Pemberton-Ito",
)  # fmt: skip
STUDIOS = ("Lanternfish Pictures", "Tall Heron Films", "Copperplate Studio", "Blue Gate")
COUNTRIES = ("Norland", "Estavia", "Kanto Isles")
RATINGS = ("G", "PG", "PG-13", "R")
SUBJECTS = (
    "A retired ferryman",
    "Two rival bakers",
    "A shy astronomer",
    "An unlucky courier",
    "A town that never sleeps",
)
VERBS = ("finds a letter meant for someone else", "makes a bet with the sea", "loses the only key", "learns to listen")
ENDINGS = (
    "before the winter fair.",
    "and must give it back.",
    "while the clocks run slow.",
    "as the last tram leaves.",
)


@dataclass(slots=True)
class HouseholdBuilder:
    """Generates rating keys, media ids and dates. One seed always builds the same household."""

    now: int
    rng: random.Random = field(default_factory=lambda: random.Random(20261122))  # noqa: S311  # content, not secrets
    next_key: int = 100
    next_media: int = 5000
    items: list[DemoItem] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    """The rating keys that are taken."""
    house: int = 0
    """The number of the household, so that items of several do not share guids by accident."""

    def take_key(self) -> str:
        """Return the next rating key."""
        self.next_key += 1
        return str(self.next_key)

    def build_media(self, file: str, minutes_kbps: int, *, video: bool = True) -> DemoMedia:
        """Build a file of a plausible size. About one video in six is 4K."""
        self.next_media += 1
        if not video:
            return DemoMedia(self.next_media, file, minutes_kbps * 40_000, "mp3", 320, "mp3")
        quality = self.rng.choice((("4k", 3840, 2160, 42_000, "hevc"), *[("1080", 1920, 1080, 9_500, "h264")] * 4,
                                   ("720", 1280, 720, 4_200, "h264")))  # fmt: skip
        name, width, height, bitrate, codec = quality
        audio = self.rng.choice(("aac", "ac3", "eac3", "dca"))
        size = bitrate * 125 * minutes_kbps * 60
        return DemoMedia(
            self.next_media, file, size, "mkv", bitrate, audio, 6 if audio != "aac" else 2, codec, width, height, name
        )

    def copy_media(self, media: DemoMedia) -> DemoMedia:
        """Return the media under an id of its own."""
        self.next_media += 1
        return replace(media, id=self.next_media)

    def build_guid(self, kind: str, key: str) -> str:
        """Build a guid in Plex's form that belongs to nothing real."""
        text = f"{kind} {key} {self.house}" if self.house else f"{kind} {key}"
        return f"plex://{kind}/{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def number_externally(self, key: str) -> int:
        """Return the number that databases of films and shows have for an item of this rating key."""
        return int(key) + self.house * 100_000

    def add(self, item: DemoItem) -> DemoItem:
        """Add the item, with a guid and a sort title if it has none."""
        item.guid = item.guid or self.build_guid(item.type, item.key)
        item.title_sort = item.title_sort or build_sort_title(item.title)
        if item.type in {"season", "episode"} and not item.external_ids and item.key.isdigit():
            number = self.number_externally(item.key)
            item.external_ids = (f"tmdb://8{number:06}", f"tvdb://8{number:06}")
        if item.type in {"artist", "album", "track"} and not item.external_ids:
            item.external_ids = (f"mbid://{uuid.UUID(int=zlib.crc32(item.key.encode()), version=4)}",)
        self.items.append(item)
        self.keys.add(item.key)
        return item

    def pick_added_at(self, days: int) -> int:
        """Pick a moment within the last `days` days."""
        return self.now - self.rng.randrange(3600, days * DAY)


def build_sort_title(title: str) -> str:
    """Return the title without its leading article, as Plex sorts."""
    for article in ("The ", "A ", "An "):
        if title.startswith(article):
            return title[len(article) :]
    return title


def build_sentence(rng: random.Random) -> str:
    """Return an invented summary."""
    return f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(ENDINGS)}"


def pick_film_tags(rng: random.Random) -> dict[str, tuple[str, ...]]:
    """Pick genres, people and a country for one film."""
    return {
        "Genre": tuple(rng.sample(GENRES, 2)),
        "Director": (rng.choice(PEOPLE),),
        "Writer": tuple(rng.sample(PEOPLE, 2)),
        "Producer": (rng.choice(PEOPLE),),
        "Country": (rng.choice(COUNTRIES),),
    }


def add_movie(builder: HouseholdBuilder, section: str, title: str, *, days: int = 900) -> DemoItem:
    """Add one film."""
    rng, key, year = builder.rng, builder.take_key(), builder.rng.randrange(1961, 2026)
    number = builder.number_externally(key)
    minutes, added = rng.randrange(72, 165), builder.pick_added_at(days)
    movie = DemoItem(
        key, "movie", section, title, added, added + 600, summary=build_sentence(rng), year=year,
        released=f"{year}-{rng.randrange(1, 13):02}-{rng.randrange(1, 28):02}", studio=rng.choice(STUDIOS),
        content_rating=rng.choice(RATINGS), rating=rng.randrange(30, 98) / 10, audience_rating=rng.randrange(30, 98) / 10,
        duration=minutes * MINUTE, tags=pick_film_tags(rng), tagline=rng.choice(("", "Mind the tide.", "It began with soup.")),
        roles={name: rng.choice(("The Stranger", "Auntie", "Captain Bo", "Dr. Elm")) for name in rng.sample(PEOPLE, 3)},
        media=(builder.build_media(f"/media/{section}/{title.replace('/', '-')} ({year}).mkv", minutes),),
        external_ids=(f"imdb://tt9{number:07}", f"tmdb://9{number:06}"),
    )  # fmt: skip
    versions.vary_film(movie, PEOPLE, GENRES)
    return builder.add(movie)


def add_twin(builder: HouseholdBuilder, movie: DemoItem, section: str, *, edition: str = "") -> DemoItem:
    """Add the same film once more, with a file of its own: in another library, or as another edition."""
    key = builder.take_key()
    file = f"/media/{section}/{movie.title.replace('/', '-')} ({movie.year}){f' {{edition-{edition}}}' if edition else ''}.mkv"
    media = replace(builder.copy_media(movie.media[0]), file=file, more_parts=())
    return builder.add(replace(movie, key=key, section=section, edition_title=edition, media=(media,), extras=(),
                               tags=dict(movie.tags), added_at=movie.added_at + DAY))  # fmt: skip


def add_extra(builder: HouseholdBuilder, movie: DemoItem) -> DemoItem:
    """Add a trailer. It has no section of its own, which Plex writes as `-1` in timelines."""
    extra = DemoItem(builder.take_key(), "clip", "-1", f"{movie.title}: Trailer", movie.added_at, movie.added_at, duration=2 * MINUTE,
                 media=(builder.build_media(f"/extras/{movie.key}.mkv", 2),), year=movie.year, parent=None)  # fmt: skip
    movie.extras = (*movie.extras, extra.key)
    return builder.add(extra)


def add_show(builder: HouseholdBuilder, section: str, title: str, genre: str, seasons: int, episodes: int) -> DemoItem:
    """Add a show with its seasons and episodes."""
    rng, added = builder.rng, builder.pick_added_at(700)
    year = rng.randrange(2004, 2024)
    show = builder.add(
        DemoItem(builder.take_key(), "show", section, title, added, added, index=1, summary=build_sentence(rng), year=year,
             released=f"{year}-03-01", studio=rng.choice(STUDIOS), content_rating="TV-PG", rating=rng.randrange(60, 95) / 10,
             audience_rating=7.4,
             duration=42 * MINUTE, tags={"Genre": (genre, "Drama")}, roles={name: name for name in rng.sample(PEOPLE, 3)},
             external_ids=(f"tvdb://9{builder.next_key}", f"tmdb://9{builder.next_key}", f"imdb://tt9{builder.next_key:07}")))  # fmt: skip
    versions.vary_show(show, PEOPLE)
    for number in range(1, seasons + 1):
        add_season(builder, show, number, episodes)
    return show


def add_season(builder: HouseholdBuilder, show: DemoItem, number: int, episodes: int) -> DemoItem:
    """Add a season with its episodes."""
    year = (show.year or 2000) + number - 1
    season = builder.add(DemoItem(builder.take_key(), "season", show.section, f"Season {number}", show.added_at, show.updated_at,
                            parent=show.key, index=number, year=year))  # fmt: skip
    for index in range(1, episodes + 1):
        add_episode(builder, season, f"{EPISODES[(number * 5 + index) % len(EPISODES)]}", number, index)
    return season


def add_episode(builder: HouseholdBuilder, season: DemoItem, title: str, number: int, index: int) -> DemoItem:
    """Add one episode."""
    rng, minutes = builder.rng, builder.rng.randrange(22, 58)
    added = season.added_at + index * 3600
    return builder.add(
        DemoItem(builder.take_key(), "episode", season.section, title, added, added, parent=season.key, index=index,
             summary=build_sentence(rng), year=season.year, released=f"{season.year}-03-{index:02}", content_rating="TV-PG",
             audience_rating=7.2,
             rating=rng.randrange(60, 95) / 10, duration=minutes * MINUTE, tags={"Director": (rng.choice(PEOPLE),)},
             media=(builder.build_media(f"/media/shows/{season.parent}/S{number:02}E{index:02}.mkv", minutes),)))  # fmt: skip


def add_artist(builder: HouseholdBuilder, section: str, name: str, genre: str, albums: Iterable[str]) -> DemoItem:
    """Add an artist with albums and tracks."""
    artist = add_bare_artist(builder, section, name, genre)
    for position, title in enumerate(albums, 1):
        add_album(builder, artist, title, position, TRACKS)
    return artist


def add_bare_artist(builder: HouseholdBuilder, section: str, name: str, genre: str) -> DemoItem:
    """Add an artist without albums."""
    added = builder.pick_added_at(1200)
    return builder.add(DemoItem(builder.take_key(), "artist", section, name, added, added, index=1, summary=f"{name} live on a barge.",
                          tags={"Genre": (genre,), "Country": ("Norland",)}))  # fmt: skip


def add_album(
    builder: HouseholdBuilder, artist: DemoItem, title: str, position: int, tracks: Iterable[str]
) -> DemoItem:
    """Add an album with its tracks."""
    section, added = artist.section, artist.added_at
    album = builder.add(DemoItem(builder.take_key(), "album", section, title, added, added, parent=artist.key, index=position,
                           year=2015 + position, released=f"{2015 + position}-05-05", studio="Kettle Records",
                           tags={"Genre": artist.tags["Genre"]}))  # fmt: skip
    for index, track in enumerate(tracks, 1):
        length = builder.rng.randrange(140, 330)
        builder.add(DemoItem(builder.take_key(), "track", section, track, added, added, parent=album.key, index=index,
                       duration=length * 1000,
                       media=(builder.build_media(f"/media/music/{artist.key}/{album.key}/{index:02}.mp3", length, video=False),)))  # fmt: skip
    return album


def add_photo_album(builder: HouseholdBuilder, section: str, title: str, photos: int | Sequence[str]) -> DemoItem:
    """Add a folder of photos: a number of them, or these titles."""
    added = builder.pick_added_at(400)
    album = builder.add(DemoItem(builder.take_key(), "photoalbum", section, title, added, added, index=1))
    names = [f"IMG_{number:04}" for number in range(1, photos + 1)] if isinstance(photos, int) else photos
    for number, name in enumerate(names, 1):
        builder.next_media += 1
        file = DemoMedia(
            builder.next_media,
            f"/media/photos/{album.key}/{name}.jpg",
            3_200_000,
            "jpeg",
            0,
            width=4000,
            height=3000,
        )
        builder.add(DemoItem(builder.take_key(), "photo", section, name, added + number, added + number, parent=album.key,
                       index=number, year=2025, released="2025-08-02", media=(file,)))  # fmt: skip
    return album


def make_section(key: str, title: str, kind: str) -> DemoSection:
    """Create a section with the agent and scanner that Plex would name."""
    agents = {"movie": ("tv.plex.agents.movie", "Plex Movie"), "show": ("tv.plex.agents.series", "Plex TV Series"),
              "artist": ("tv.plex.agents.music", "Plex Music"), "photo": ("com.plexapp.agents.none", "Plex Photo Scanner")}  # fmt: skip
    agent, scanner = agents[kind]
    return DemoSection(key, title, kind, str(uuid.UUID(int=0x5EC7 << 96 | int(key))), f"/media/{key}", agent, scanner)


def build_users() -> list[DemoUser]:
    """Create the owner, a partner, a managed child and a friend."""
    return [
        DemoUser(1, 90001, "Ottilie Brandt", "ottilie@example.net", "demo-token-ottilie"),
        DemoUser(90002, 90002, "Jasper O'Dell", "jasper@example.net", "demo-token-jasper"),
        DemoUser(90003, 90003, "Pip", "", "demo-token-pip", restricted=True),
        DemoUser(90004, 90004, "Mei 林", "mei@example.org", "demo-token-mei", home=False),
    ]


def build_players() -> list[DemoPlayer]:
    """Create two players that can be controlled and four that only play."""
    return [
        DemoPlayer(1, "demo-livingroom-stb", "Living Room", "Plex for Android (TV)", "Android", "12", "Glowbox 4", "stb",
               "10.4.1", "192.168.7.21", "Glowbox", "GB4", "Android", controllable=True),
        DemoPlayer(2, "demo-study-htpc", "Study & Den", "Plex HTPC", "linux", "6.8", "PC", "pc", "1.66.0", "192.168.7.34",
               profile="HTPC", controllable=True),
        DemoPlayer(3, "demo-jasper-phone", "Jasper's Phone", "Plex for iOS", "iOS", "18.2", "Pocket 9", "phone", "8.40",
               "192.168.7.52", "Orchard", "Pocket9,1", "iOS"),
        DemoPlayer(4, "demo-kitchen-web", "Firefox", "Plex Web", "Firefox", "140.0", "Linux", "pc", "4.146.0", "192.168.7.60",
               profile="Web"),
        DemoPlayer(5, "demo-pip-tablet", "Pip's Tablet 🦖", "Plex for Android (Mobile)", "Android", "14", "Slate 7", "tablet",
               "10.4.1", "192.168.7.77", "Slate", "S7", "Android"),
        DemoPlayer(6, "demo-mei-tv", "Mei's TV", "Plex for Smart TV", "Tizzle", "7.0", "Wide TV", "tv", "5.90.0", "203.0.113.40",
               local=False, profile="HTML TV App"),
    ]  # fmt: skip


PLAYS_BY_HOUR = (2, 1, 0, 0, 0, 0, 1, 3, 4, 3, 3, 4, 5, 4, 4, 5, 7, 10, 14, 20, 26, 24, 14, 6)
"""The relative number of plays that begin in each hour of a day."""


def make_history(
    builder: HouseholdBuilder, users: Sequence[DemoUser], players: Sequence[DemoPlayer], rows: int
) -> list[DemoPlay]:
    """Generate rows over the last year, newest first: more recent than old ones, more evenings than mornings."""
    keys = [item.key for item in builder.items if item.type in {"movie", "episode", "track"}]
    rng = builder.rng
    # Drawn in bulk: a hundred thousand single draws take a second.
    hours = rng.choices(range(24), PLAYS_BY_HOUR, k=rows)
    midnight = builder.now - builder.now % DAY - DAY
    moments = sorted(
        (midnight - int(365 * rng.random() ** 2) * DAY + hour * 3600 + int(3600 * rng.random()) for hour in hours),
        reverse=True,
    )
    drawn = zip(
        rng.choices(keys, k=rows), moments, rng.choices(users, k=rows), rng.choices(players, k=rows), strict=True
    )
    return [DemoPlay(rows - n, key, at, user.id, player.id) for n, (key, at, user, player) in enumerate(drawn)]


def derive_views(history: Sequence[DemoPlay]) -> dict[int, dict[str, ViewState]]:
    """Derive from the history how often each user has watched each item."""
    views: dict[int, dict[str, ViewState]] = {}
    for play in history:
        view = views.setdefault(play.account_id, {}).setdefault(play.rating_key, ViewState())
        view.count += 1
        view.viewed_at = max(view.viewed_at, play.viewed_at)
    return views


def add_half_watched(
    builder: HouseholdBuilder, views: dict[int, dict[str, ViewState]], users: Sequence[DemoUser]
) -> None:
    """Store positions half-way through a few items, for On Deck."""
    unfinished = [item for item in builder.items if item.type in {"movie", "episode"}]
    for user in users:
        for item in builder.rng.sample(unfinished, min(3, len(unfinished))):
            offset = int((item.duration or 0) * builder.rng.uniform(0.2, 0.7))
            views.setdefault(user.id, {})[item.key] = ViewState(offset, 0, builder.pick_added_at(20))


def make_collections(builder: HouseholdBuilder) -> list[DemoCollection]:
    """Create two collections of films and one of shows."""
    movies, now = [i.key for i in builder.items if i.type == "movie"], builder.now
    shows = [i.key for i in builder.items if i.type == "show"]
    return [
        DemoCollection(
            builder.take_key(),
            "Rainy Sundays",
            "1",
            "movie",
            now - 90 * DAY,
            now - DAY,
            "For the sofa.",
            items=movies[:6],
        ),
        DemoCollection(
            builder.take_key(), "Boats & Harbours ⚓", "1", "movie", now - 60 * DAY, now - DAY, items=movies[8:12]
        ),
        DemoCollection(builder.take_key(), "Cosy Crime", "2", "show", now - 50 * DAY, now - DAY, items=shows[1:3]),
    ]


def make_playlists(builder: HouseholdBuilder) -> list[DemoPlaylist]:
    """Create a film list, a smart one and two of music, of two owners."""
    movies, tracks = ([i.key for i in builder.items if i.type == kind] for kind in ("movie", "track"))
    now = builder.now
    uri = "/library/sections/1/all?type=1&sort=movie.addedAt%3Adesc&limit=10"
    return [
        DemoPlaylist(builder.take_key(), "Friday Films", "video", 1, now - 80 * DAY, now - DAY, entries=list(enumerate(movies[:5], 900))),
        DemoPlaylist(builder.take_key(), "Newest Ten", "video", 1, now - 70 * DAY, now - DAY, smart=True, content=uri),
        DemoPlaylist(builder.take_key(), "Washing Up", "audio", 1, now - 60 * DAY, now - DAY, entries=list(enumerate(tracks[::4], 950))),
        DemoPlaylist(builder.take_key(), "Jasper's Mix", "audio", 90002, now - 30 * DAY, now - DAY, entries=list(enumerate(tracks[1:6], 980))),
    ]  # fmt: skip


def fill_sections(builder: HouseholdBuilder) -> None:
    """Add the content of every section."""
    for number, title in enumerate(MOVIES):
        movie = add_movie(builder, "1" if number % 10 else "5", title)
        if number % 5 == 0:
            add_extra(builder, movie)
    for title, genre, seasons, episodes in SHOWS:
        add_show(builder, "2", title, genre, seasons, episodes)
    for name, genre, albums in ARTISTS:
        add_artist(builder, "3", name, genre, albums)
    for title, count in ALBUMS:
        add_photo_album(builder, "4", title, count)
    add_special_cases(builder)


def add_special_cases(builder: HouseholdBuilder) -> None:
    """Add what every real library has: specials, a film that two libraries hold, another edition, a title in Korean."""
    shows, films = ([item for item in builder.items if item.type == kind] for kind in ("show", "movie"))
    add_season(builder, shows[-1], 0, 2).title = "Specials"
    add_twin(builder, films[5], "5")
    add_twin(builder, films[13], "1", edition="Director's Cut")
    add_movie(builder, "1", "안개 속의 등대지기").original_title = "The Keeper in the Fog"


def build_household(*, now: float) -> Household:
    """Build the invented household that ships with the program; the same `now` gives the same household."""
    builder = HouseholdBuilder(int(now))
    fill_sections(builder)
    users, players = build_users(), build_players()
    history = make_history(builder, users, players, 320)
    views = derive_views(history)
    add_half_watched(builder, views, users)
    sections = [make_section("1", "Films", "movie"), make_section("2", "Series", "show"), make_section("3", "Music", "artist"),
                make_section("4", "Photos", "photo"), make_section("5", "Pip's Films", "movie")]  # fmt: skip
    return Household("Lighthouse", "d3m0" + "1234abcd" * 4 + "5eaf", "1.43.3.10101-5afe0c0de", sections, builder.items, users,
                     players, make_playlists(builder), make_collections(builder), history, views)  # fmt: skip
