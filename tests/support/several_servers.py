"""Several households in this process, and companions that are configured for all of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plex_companion.demo import build_household, open_demo
from support.several_processes import Member, member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.changes.state import State
    from plex_companion.companion import LinkedServer
    from plex_companion.demo import Demo

DEN, CABIN, ATTIC = "d" * 40, "c" * 40, "a" * 40
NAMES = {DEN: "Den", CABIN: "Cabin", ATTIC: "Attic"}


@asynccontextmanager
async def household(identifier: str, port: int = 0, speed: float = 1.0) -> AsyncIterator[Demo]:
    """A server in which nothing happens by itself. All have the same items, people, players and session keys."""
    home = build_household(now=1_700_000_000)
    home = replace(home, name=NAMES[identifier], machine_identifier=identifier, history=home.history[:5])
    async with open_demo(port=port, alive=False, household=home, speed=speed) as running:
        yield running


def join_urls(*demos: Demo) -> str:
    """What PLEX_URL says of these servers."""
    return ",".join(demo.url for demo in demos)


@asynccontextmanager
async def looking_after(folder: Path, *demos: Demo, **more: Any) -> AsyncIterator[Member]:
    """A companion of these servers, on the database of the folder. It keeps no catalogue unless told to."""
    async with member(demos[0], folder, **{"plex_url": join_urls(*demos), "catalogue": False, **more}) as one:
        yield one


def link_of(one: Member, name: str) -> LinkedServer:
    return next(link for link in one.companion.links if link.name == name)


def state_of(one: Member, name: str) -> State:
    return one.companion.choose_server(name).state


async def all_live(one: Member) -> None:
    await one.until(lambda: all(link.connection.state == "live" for link in one.companion.links))
