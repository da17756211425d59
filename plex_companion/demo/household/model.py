"""The data of a household: sections, items, people, players, playlists, collections, plays."""

from __future__ import annotations

from dataclasses import dataclass, field

# PLEX.md 1.2: the numbers Plex gives to kinds, in timeline entries and in `type=` queries.
TYPE_NUMBERS = {
    "movie": 1,
    "show": 2,
    "season": 3,
    "episode": 4,
    "artist": 8,
    "album": 9,
    "track": 10,
    "clip": 12,
    "photo": 13,
    "photoalbum": 14,
    "playlist": 15,
    "collection": 18,
}
TYPE_NAMES = {number: name for name, number in TYPE_NUMBERS.items()}
# The item types of a section of each type, outermost first.
LEVELS = {
    "movie": ("movie",),
    "show": ("show", "season", "episode"),
    "artist": ("artist", "album", "track"),
    "photo": ("photoalbum", "photo"),
}


@dataclass(frozen=True, slots=True)
class DemoSection:
    """A library. `type` is one of `LEVELS`."""

    key: str
    title: str
    type: str
    uuid: str
    path: str
    agent: str
    scanner: str
    language: str = "en-US"
    created_at: int = 1_700_000_000
    more_paths: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every folder of the library."""
        return (self.path, *self.more_paths)


@dataclass(frozen=True, slots=True)
class DemoPart:
    """One of the files of a version that lies in several; `size` in bytes."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class DemoMedia:
    """One version of an item; `bitrate` in kbps. `file` and `size` in bytes are its first part, `more_parts` the others.

    `hdr` is what Plex's stream titles say (`HDR10`, `DoVi`, `HLG`), `subtitle` the codec of the subtitles inside the file.
    """

    id: int
    file: str
    size: int
    container: str
    bitrate: int
    audio_codec: str = ""
    audio_channels: int = 2
    video_codec: str = ""
    width: int = 0
    height: int = 0
    resolution: str = ""
    hdr: str = ""
    subtitle: str = "srt"
    more_parts: tuple[DemoPart, ...] = ()

    @property
    def parts(self) -> tuple[DemoPart, ...]:
        """Every file of the version."""
        return (DemoPart(self.file, self.size), *self.more_parts)

    @property
    def total_size(self) -> int:
        """The bytes of all files of the version."""
        return self.size + sum(part.size for part in self.more_parts)


@dataclass(slots=True)
class DemoItem:
    """An item of a section, with a rating key. `duration` in ms; `type` is one of `TYPE_NUMBERS`."""

    key: str
    type: str
    section: str
    title: str
    added_at: int
    updated_at: int
    title_sort: str = ""
    original_title: str = ""
    edition_title: str = ""
    parent: str | None = None
    index: int | None = None
    guid: str = ""
    external_ids: tuple[str, ...] = ()
    summary: str = ""
    tagline: str = ""
    year: int | None = None
    released: str = ""
    studio: str = ""
    content_rating: str = ""
    rating: float | None = None
    audience_rating: float | None = None
    duration: int | None = None
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    media: tuple[DemoMedia, ...] = ()
    extras: tuple[str, ...] = ()
    locked: set[str] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)
    disc: int = 1
    """Which disc of its album a track is on."""
    missing: set[str] = field(default_factory=set)
    """Attributes that Plex does not send for the item, on any element: `title`, `size`. `parent` stands for all about parents."""


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A person. `id` is the number on the server (1 is the owner), `cloud_id` the one at plex.tv; `shared`: may use the server."""

    id: int
    cloud_id: int
    name: str
    email: str
    token: str
    home: bool = True
    restricted: bool = False
    pin: str = ""
    shared: bool = True


@dataclass(frozen=True, slots=True)
class DemoPlayer:
    """A device that plays. `controllable` players are listed by `/clients` and accept `/player/…`."""

    id: int
    client_identifier: str
    title: str
    product: str
    platform: str
    platform_version: str
    device: str
    device_class: str
    version: str
    address: str
    vendor: str = ""
    model: str = ""
    profile: str = ""
    port: int = 32500
    controllable: bool = False
    local: bool = True
    capabilities: str = "timeline,playback,navigation,mirror,playqueues"


@dataclass(slots=True)
class DemoPlaylist:
    """A playlist of one user; `entries` are (playlist item id, rating key). A smart one has `content` instead."""

    key: str
    title: str
    kind: str
    user: int
    added_at: int
    updated_at: int
    summary: str = ""
    smart: bool = False
    content: str = ""
    entries: list[tuple[int, str]] = field(default_factory=list)
    title_sort: str = ""
    locked: set[str] = field(default_factory=set)


@dataclass(slots=True)
class DemoCollection:
    """A collection of one section; `subtype` is the type of its items."""

    key: str
    title: str
    section: str
    subtype: str
    added_at: int
    updated_at: int
    summary: str = ""
    title_sort: str = ""
    content_rating: str = ""
    smart: bool = False
    content: str = ""
    items: list[str] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    mode: int = -1
    sort: int = 0
    filter_by_user: int = 0
    rating: float | None = None
    audience_rating: float | None = None
    locked: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class DemoPlay:
    """A row of the server's history; `viewed_at` in epoch seconds."""

    id: int
    rating_key: str
    viewed_at: int
    account_id: int
    device_id: int


@dataclass(slots=True)
class ViewState:
    """How far one user is with one item."""

    offset: int = 0
    count: int = 0
    viewed_at: int = 0
    rating: float | None = None
    rated_at: int = 0


@dataclass(slots=True)
class Household:
    """The data that a demo server starts from. A server works on a copy, so one household may be used many times."""

    name: str
    machine_identifier: str
    version: str
    sections: list[DemoSection]
    items: list[DemoItem]
    users: list[DemoUser]
    players: list[DemoPlayer]
    playlists: list[DemoPlaylist] = field(default_factory=list)
    collections: list[DemoCollection] = field(default_factory=list)
    history: list[DemoPlay] = field(default_factory=list)
    views: dict[int, dict[str, ViewState]] = field(default_factory=dict)
    house: int = 0
    """Its number among several households, which keeps the guids of their items apart."""
