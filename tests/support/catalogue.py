"""A companion that keeps the catalogue of a demo server, in little time, and what the demo itself holds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client
from pydantic import SecretStr

from plex_companion.app import open_application
from plex_companion.catalogue.item_updater import CatalogueTimeouts
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.demo import open_demo
from plex_companion.plex.disconnects import ListenerTimeouts
from plex_companion.settings import Settings
from support.application import quick
from support.deadlines import HANG_SECONDS
from support.tools import Tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from plex_companion.app import Application
    from plex_companion.demo import Demo, Household

TOKEN = "owner-token"
SOON = CatalogueTimeouts(merge=0.02, settle=0.05, share=0.0, failed=0.05, again=0.3)
LISTENER = ListenerTimeouts(
    merge=0.02, library=0.05, failed=0.1, refused=0.3, after_play=0.02, after_play_again=0.1, waits=quick
)
KEPT = ("movie", "show", "season", "episode", "artist", "album", "track", "photoalbum")


@dataclass
class CatalogueHome:
    """A demo server, a companion and a client of it."""

    demo: Demo
    application: Application
    tools: Tools

    async def status(self) -> dict[str, Any]:
        """What the companion says of its catalogue."""
        return await describe_catalogue(self.application.companion)

    async def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        found = await self.application.companion.cache.archive.execute_fetchall(sql, values)
        return [tuple(row) for row in found]

    async def until(self, fact: Callable[[], Awaitable[object]]) -> None:
        """Return as soon as a commit makes the fact so."""
        with anyio.fail_after(HANG_SECONDS):
            while True:
                committed = self.application.companion.live.prepare_wait()
                if await fact():
                    return
                await committed.wait()

    async def until_complete(self) -> None:
        """Return when everything was read."""

        async def is_complete() -> bool:
            return bool((await self.status())["complete"])

        await self.until(is_complete)

    async def until_as_plex(self) -> None:
        """Return when the catalogue holds exactly what the demo server does."""

        async def is_same() -> bool:
            return await self.kept() == self.there() and bool((await self.status())["complete"])

        await self.until(is_same)

    async def until_detailed(self) -> None:
        """Return when nothing is left that only a listing was read of."""

        async def is_detailed() -> bool:
            return await self.rows("SELECT 1 FROM items WHERE detailed = 0 LIMIT 1") == []

        await self.until(is_detailed)

    async def kept(self) -> set[tuple[str, ...]]:
        """The rows of the catalogue: key, type, title, library."""
        return set(await self.rows("SELECT rating_key, type, title, section_id FROM items"))

    def there(self) -> set[tuple[str, ...]]:
        """The same of the demo server itself."""
        items = self.demo.state.items.values()
        return {(one.key, one.type, one.title, one.section) for one in items if one.type in KEPT}


@asynccontextmanager
async def catalogue_home(
    folder: Path,
    *,
    household: Household | None = None,
    demo: Demo | None = None,
    timeouts: CatalogueTimeouts = SOON,
    **more: Any,
) -> AsyncIterator[CatalogueHome]:
    """Yield a companion on a demo server of its own, or on one that runs already."""
    if demo is None:
        async with (
            open_demo(alive=False, household=household, require_token=TOKEN) as own,
            catalogue_home(folder, demo=own, timeouts=timeouts, **more) as home,
        ):
            yield home
        return
    given = {"plex_url": demo.url, "plex_tv_url": demo.url, "database": folder / "cache.sqlite3"}
    settings = Settings.load({**given, **more}).model_copy(update={"plex_token": SecretStr(demo.token)})
    async with (
        open_application(settings, timeouts=LISTENER, catalogue_timeouts=timeouts) as application,
        Client(application.server) as client,
    ):
        yield CatalogueHome(demo, application, Tools(demo, application, client))
