"""`/art/{rating_key}`: posters from Plex's library, fetched with the companion's token and served without it."""

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
"""The most bytes of one picture."""
KEPT_BYTES = 32 * LARGEST
"""The most bytes of all cached pictures."""
KEPT = 500
"""The most cached pictures."""
FRESH_MS = 6 * HOUR_MS
ABSENT_MS = 10 * 60_000
"""How long the placeholder is cached for an item without a picture."""
AT_ONCE = 3
"""Pictures fetched at a time, so that tools do not queue behind them."""
SECONDS = 8.0
_KEY = re.compile(r"\d{1,10}", re.ASCII)
_OF_LIBRARY = re.compile(r"/library/(metadata|collections)/\d+/[\w/.-]+", re.ASCII)
_PLACEHOLDER = Path(__file__).parent / "static" / "no-picture.svg"
_ATTRIBUTES = {
    "episode": ("grandparentThumb", "parentThumb", "thumb"),
    "season": ("thumb", "parentThumb"),
    "track": ("parentThumb", "grandparentThumb", "thumb"),
}
"""The attributes that may hold an item's poster, best first: an episode's own `thumb` is a scene, not a poster."""


@dataclass(frozen=True, slots=True)
class CachedPicture:
    """A picture as it is served. It is fresh until the time `until`, in milliseconds since 1970."""

    body: bytes
    mime: str
    etag: str
    until: int

    @classmethod
    def create(cls, body: bytes, mime: str, until: int) -> CachedPicture:
        """Build a picture with an ETag derived from its bytes (RFC 9110, section 8.8.3)."""
        return cls(body, mime, f'"{hashlib.sha256(body).hexdigest()[:16]}"', until)


class PictureCache:
    """A least-recently-used cache of pictures, bounded in number and bytes."""

    def __init__(self, clock: Callable[[], int], *, most_bytes: int = KEPT_BYTES, most: int = KEPT) -> None:
        self._clock, self._most_bytes, self._most = clock, most_bytes, most
        self._kept: OrderedDict[str, CachedPicture] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """Return the number of cached pictures."""
        return len(self._kept)

    def get(self, key: str, *, stale: bool = False) -> CachedPicture | None:
        """Return a fresh picture, or with `stale` also an expired one; `None` if there is none."""
        found = self._kept.get(key)
        if found is None or not (stale or self._clock() < found.until):
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, key: str, picture: CachedPicture) -> None:
        """Add or replace a picture, and evict the least recently used ones that no longer fit."""
        self.bytes += len(picture.body) - len(self._kept[key].body if key in self._kept else b"")
        self._kept[key] = picture
        self._kept.move_to_end(key)
        while self.bytes > self._most_bytes or len(self._kept) > self._most:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= len(gone.body)


class PictureFetcher:
    """Fetches each picture once, however many requests wait for it."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self.pictures = PictureCache(lambda: companion.now_ms)
        self.placeholder = _PLACEHOLDER.read_bytes()
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._pending: dict[str, anyio.Event] = {}

    async def get_picture(self, key: str) -> CachedPicture | None:
        """Return the picture of an item; `None` when Plex is unreachable and nothing is cached."""
        if self.pictures.get(key) is None:
            if key in self._pending:
                await self._pending[key].wait()
            else:
                await self._fetch(key)
        return self.pictures.get(key, stale=True)

    async def _fetch(self, key: str) -> None:
        """Fetch a picture from Plex into the cache. The placeholder is cached when Plex has none."""
        done = self._pending[key] = anyio.Event()
        try:
            async with self._limiter:
                body, lasts = await self._ask_plex(key)
            if body is not None:
                mime = find_mime(body) or "image/svg+xml"
                self.pictures.put(key, CachedPicture.create(body, mime, self._companion.now_ms + lasts))
        finally:
            del self._pending[key]
            done.set()

    async def _ask_plex(self, key: str) -> tuple[bytes | None, int]:
        """Return the bytes and how many milliseconds they stay fresh; `None` when Plex is unreachable."""
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
    """Fetch the poster of an item, resized by Plex; `None` if it has none. Takes two requests.

    Raises:
        TooLarge: the picture has more than `LARGEST` bytes.
        ToolError: Plex has no such item, or its answer is unusable.
    """
    row = next(iter(get(plex, f"/library/metadata/{key}")), None)
    path = None if row is None else find_poster_path(row)
    if path is None:
        return None
    parameters = {"url": path, "width": WIDTH, "height": HEIGHT, "minSize": 1, "upscale": 0, "format": "jpeg"}
    return download(plex, build_path("/photo/:/transcode", parameters), LARGEST)


def find_poster_path(row: Element) -> str | None:
    """Return the path of an item's poster in Plex's own library; `None` for any other address."""
    names = _ATTRIBUTES.get(row.get("type", ""), ("thumb",))
    paths = (row.get(name, "") for name in names)
    return next((path for path in paths if _OF_LIBRARY.fullmatch(path) and ".." not in path), None)


def build_art_route(companion: Companion) -> Route:
    """Return the route of the pictures. It always answers with a picture: with the placeholder, if there is no other."""
    fetcher = PictureFetcher(companion)

    async def picture(request: Request) -> Response:
        key = request.path_params["rating_key"]
        found = await fetcher.get_picture(key) if _KEY.fullmatch(key) else None
        headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
        if found is None:
            headers["cache-control"] = "no-store"
            return Response(fetcher.placeholder, 200, headers, media_type="image/svg+xml")
        headers |= {"cache-control": "private, max-age=3600", "etag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(None, 304, headers)
        return Response(found.body, 200, headers, media_type=found.mime)

    return Route("/art/{rating_key}", picture, methods=["GET"])
