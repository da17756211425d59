"""The settings of a companion that listens to demo servers."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from plex_companion.demo.household.neighbours import build_households
from plex_companion.demo.serve import open_demo
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.demo.demo_server import Demo
    from plex_companion.settings import Settings


@asynccontextmanager
async def open_demo_settings(settings: Settings, count: int = 1) -> AsyncIterator[Settings]:
    """Run embedded demo servers while the block does; give the settings with their addresses, tokens and database.

    One serves the built-in household; several serve households that have a few films and people in common.
    """
    async with AsyncExitStack() as stack:
        demos = [await stack.enter_async_context(open_demo())] if count == 1 else await _open_neighbours(stack, count)
        yield settings.model_copy(
            update={
                "plex_url": ",".join(demo.url for demo in demos),
                "plex_token": SecretStr(",".join(demo.token for demo in demos)),
                "plex_tv_url": demos[0].url,
                "database": find_database_path(settings, demo=count),
                "chronicle": None,  # invented plays belong in no household's log
            }
        )


async def _open_neighbours(stack: AsyncExitStack, count: int) -> list[Demo]:
    households = build_households(count, now=time.time())
    return [
        await stack.enter_async_context(open_demo(household=household, seed=seed))
        for seed, household in enumerate(households, 1)
    ]
