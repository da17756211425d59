"""`/art/{rating_key}`: pictures of Plex's library, fetched with our token and given out without it."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from starlette.responses import Response
from starlette.routing import Route

from plex_companion.errors import NotFound, PlexError, TimedOut, TooLarge
from plex_companion.plex.pictures import find_mime
from plex_companion.plex.query import build_path, download, get
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer

WIDTH, HEIGHT = 360, 540
LARGEST = 1024 * 1024
"""Bytes of one picture,"""
KEPT_BYTES = 32 * LARGEST
"""of all that are kept,"""
KEPT = 500
"""and how many."""
FRESH_MS = 6 * HOUR_MS
ABSENT_MS = 10 * 60_000
"""How long it is believed that Plex has none."""
AT_ONCE = 3
"""Pictures fetched at a time: tools must not wait behind them."""
SECONDS = 8.0
_KEY = re.compile(r"\d{1,10}", re.ASCII)
_OF_LIBRARY = re.compile(r"/library/(metadata|collections)/\d+/[\w/.-]+", re.ASCII)
_PLACEHOLDER = Path(__file__).parent / "static" / "no-picture.svg"
_ATTRIBUTES = {
    "episode": ("grandparentThumb", "parentThumb", "thumb"),
    "season": ("thumb", "parentThumb"),
    "track": ("parentThumb", "grandparentThumb", "thumb"),
}
"""Where an item's poster stands: an episode's own picture is a scene, not a poster."""


@dataclass(frozen=True, slots=True)
class CachedPicture:
    """A picture as it is given out. `until`: how long it is believed."""

    body: bytes
    mime: str
    etag: str
    until: int

    @classmethod
    def create(cls, body: bytes, mime: str, until: int) -> CachedPicture:
        """With its tag."""
        return cls(body, mime, f'"{hashlib.sha256(body).hexdigest()[:16]}"', until)


class PictureCache:
    """The pictures that were asked for lately, bounded in number and bytes; the ones used longest ago go first."""

    def __init__(self, clock: Callable[[], int], *, most_bytes: int = KEPT_BYTES, most: int = KEPT) -> None:
        self._clock, self._most_bytes, self._most = clock, most_bytes, most
        self._kept: OrderedDict[str, CachedPicture] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def get(self, key: str, *, stale: bool = False) -> CachedPicture | None:
        """A kept picture; an old one only if that is better than none."""
        found = self._kept.get(key)
        if found is None or not (stale or self._clock() < found.until):
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, key: str, picture: CachedPicture) -> None:
        """Take one in, and let go of what no longer fits."""
        self.bytes += len(picture.body) - len(self._kept[key].body if key in self._kept else b"")
        self._kept[key] = picture
        self._kept.move_to_end(key)
        while self.bytes > self._most_bytes or len(self._kept) > self._most:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= len(gone.body)


class PictureFetcher:
    """Fetches each picture once, however many ask for it."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self.pictures = PictureCache(lambda: companion.now_ms)
        self.placeholder = _PLACEHOLDER.read_bytes()
        self._few = anyio.CapacityLimiter(AT_ONCE)
        self._under_way: dict[str, anyio.Event] = {}

    async def get_picture(self, key: str) -> CachedPicture | None:
        """The picture of an item; `None` when Plex cannot be asked now and none is kept."""
        if self.pictures.get(key) is None:
            if key in self._under_way:
                await self._under_way[key].wait()
            else:
                await self._fetch(key)
        return self.pictures.get(key, stale=True)

    async def _fetch(self, key: str) -> None:
        """Ask Plex, and keep what it has; keep the placeholder when it has none."""
        done = self._under_way[key] = anyio.Event()
        try:
            async with self._few:
                body, lasts = await self._ask_plex(key)
            if body is not None:
                mime = find_mime(body) or "image/svg+xml"
                self.pictures.put(key, CachedPicture.create(body, mime, self._companion.now_ms + lasts))
        finally:
            del self._under_way[key]
            done.set()

    async def _ask_plex(self, key: str) -> tuple[bytes | None, int]:
        """The bytes and how long they are believed; `None` when Plex is away."""
        if not self._companion.is_live:
            return None, 0
        with suppress(PlexError, TimedOut):
            try:
                body = await self._companion.gateway.call(lambda plex: fetch_poster(plex, key), timeout=SECONDS)
            except (NotFound, TooLarge):
                body = None
            if body is not None and find_mime(body) is not None:
                return body, FRESH_MS
            return self.placeholder, ABSENT_MS
        return None, 0


def fetch_poster(plex: PlexServer, key: str) -> bytes | None:
    """The poster of an item, made small by Plex; `None` if it has none. Two requests.

    Raises:
        TooLarge: more than `LARGEST` bytes.
        ToolError: Plex has no such item, or did not answer as it should.
    """
    row = next(iter(get(plex, f"/library/metadata/{key}")), None)
    path = None if row is None else find_poster_path(row)
    if path is None:
        return None
    wish = {"url": path, "width": WIDTH, "height": HEIGHT, "minSize": 1, "upscale": 0, "format": "jpeg"}
    return download(plex, build_path("/photo/:/transcode", wish), LARGEST)


def find_poster_path(row: Element) -> str | None:
    """Where the poster of an item is, if it is one of Plex's own library: never an address elsewhere."""
    names = _ATTRIBUTES.get(row.get("type", ""), ("thumb",))
    paths = (row.get(name, "") for name in names)
    return next((path for path in paths if _OF_LIBRARY.fullmatch(path) and ".." not in path), None)


def build_art_route(companion: Companion) -> Route:
    """The route. Whatever goes wrong, a picture comes: of no picture, if need be."""
    gallery = PictureFetcher(companion)

    async def picture(request: Request) -> Response:
        key = request.path_params["rating_key"]
        found = await gallery.get_picture(key) if _KEY.fullmatch(key) else None
        headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
        if found is None:
            headers["cache-control"] = "no-store"
            return Response(gallery.placeholder, 200, headers, media_type="image/svg+xml")
        headers |= {"cache-control": "private, max-age=3600", "etag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(None, 304, headers)
        return Response(found.body, 200, headers, media_type=found.mime)

    return Route("/art/{rating_key}", picture, methods=["GET"])
