"""`/art/{rating_key}`, with several servers `/art/{server}/{rating_key}`: posters from Plex's library, fetched with the companion's token and served without it."""

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

from plex_companion.errors import Ambiguous, NotFound, PlexError, TimedOut, TooLarge
from plex_companion.plex.pictures import LARGEST_POSTER, fetch_poster, find_mime
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from plex_companion.companion import Companion

KEPT_BYTES = 32 * LARGEST_POSTER
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
PLACEHOLDER_MIME = "image/png"
_PLACEHOLDER = Path(__file__).parent / "static" / "no-picture.png"


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
        if (found := self._kept.get(key)) is None or not (stale or self._clock() < found.until):
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
        self._limiters = {one.link_id: anyio.CapacityLimiter(AT_ONCE) for one in companion.each}
        self._pending: dict[str, anyio.Event] = {}

    async def get_picture(self, rating_key: str, server: str | None = None) -> CachedPicture | None:
        """Return the picture of an item; `None` when Plex is unreachable and nothing is cached.

        Raises:
            NotFound, Ambiguous: as `Companion.choose_server`.
        """
        companion = self._companion.choose_server(server)
        key = f"{companion.link_id}/{rating_key}"
        if self.pictures.get(key) is None:
            if key in self._pending:
                await self._pending[key].wait()
            else:
                await self._fetch(companion, rating_key, key)
        return self.pictures.get(key, stale=True)

    async def _fetch(self, companion: Companion, rating_key: str, key: str) -> None:
        """Fetch a picture from Plex into the cache. The placeholder is cached when Plex has none."""
        done = self._pending[key] = anyio.Event()
        try:
            async with self._limiters[companion.link_id]:
                body, lasts = await self._ask_plex(companion, rating_key)
            if body is not None:
                mime = find_mime(body) or PLACEHOLDER_MIME
                self.pictures.put(key, CachedPicture.create(body, mime, self._companion.now_ms + lasts))
        finally:
            del self._pending[key]
            done.set()

    async def _ask_plex(self, companion: Companion, key: str) -> tuple[bytes | None, int]:
        """Return the bytes and how many milliseconds they stay fresh; `None` when Plex is unreachable."""
        if not companion.is_live:
            return None, 0
        with suppress(PlexError, TimedOut):
            try:
                body = await companion.gateway.call(lambda plex: fetch_poster(plex, key), timeout=SECONDS)
            except (NotFound, TooLarge):
                body = None
            if body is not None and find_mime(body) is not None:
                return body, FRESH_MS
            return self.placeholder, ABSENT_MS
        return None, 0


def build_art_routes(companion: Companion) -> list[Route]:
    """Return the routes of the pictures. They always answer with a picture: with the placeholder, if there is no other."""
    fetcher = PictureFetcher(companion)
    several = len(companion.each) > 1

    async def find(key: str, server: str | None) -> CachedPicture | None:
        if not _KEY.fullmatch(key) or (several and server is None):
            return None  # the key is another item's on another server
        with suppress(NotFound, Ambiguous):
            return await fetcher.get_picture(key, server)
        return None

    async def picture(request: Request) -> Response:
        found = await find(request.path_params["rating_key"], request.path_params.get("server"))
        headers = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
        if found is None:
            headers["cache-control"] = "no-store"
            return Response(fetcher.placeholder, 200, headers, media_type=PLACEHOLDER_MIME)
        headers |= {"cache-control": "private, max-age=3600", "etag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(None, 304, headers)
        return Response(found.body, 200, headers, media_type=found.mime)

    return [Route(path, picture, methods=["GET"]) for path in ("/art/{rating_key}", "/art/{server}/{rating_key}")]
