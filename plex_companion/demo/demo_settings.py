"""The settings of a companion that listens to the demo server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from plex_companion.demo.serve import open_demo
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.settings import Settings


@asynccontextmanager
async def open_demo_settings(settings: Settings) -> AsyncIterator[Settings]:
    """Run an embedded demo server while the block does; give the settings with its address, token and database."""
    async with open_demo() as demo:
        address = {"plex_url": demo.url, "plex_token": SecretStr(demo.token), "plex_tv_url": demo.url}
        yield settings.model_copy(update={**address, "database": find_database_path(settings, demo=True)})
