"""Whose server it is, asked of plex.tv where there are several: an owner may be a guest on another server."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr
from support.application import settings_for
from support.several_processes import FAST, Member

from plex_companion.app import open_companion
from plex_companion.commands.reports.archive import open_archive
from plex_companion.companion import read_clock
from plex_companion.demo import build_households, open_demo
from plex_companion.history.play_counts import count_plays
from plex_companion.times import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.history.source import HistorySource
    from plex_companion.settings import Settings

PEOPLE = {"90001", "90002", "90003", "90004"}


@asynccontextmanager
async def den_and_attic(folder: Path) -> AsyncIterator[Settings]:
    """The settings of a companion of two servers with different owners, each of whom is the other's guest."""
    den, _, attic = (replace(one, history=one.history[:30]) for one in build_households(3, now=time.time()))
    async with open_demo(alive=False, household=den) as first, open_demo(alive=False, household=attic) as second:
        settings = settings_for(first, folder, plex_url=f"{first.url},{second.url}", catalogue=False)
        yield settings.model_copy(update={"plex_token": SecretStr(f"{first.token},{second.token}")})


async def count_people(source: HistorySource) -> dict[str, int]:
    body = await count_plays(source, "user", Window(0, read_clock().at), 50)
    return {entry["id"]: entry["plays"] for entry in body["entries"]}


async def test_owners_who_are_guests_of_each_other_are_one_person_each(tmp_path: Path) -> None:
    async with den_and_attic(tmp_path) as settings:
        async with open_companion(settings, lambda _: None, timeouts=FAST) as companion:
            await Member(companion).until(
                lambda: all(state.plex_tv_users and state.history.complete for state in companion.states)
            )
            found = await count_people(companion)
            assert found.keys() == PEOPLE
            assert sum(found.values()) == 60
            one = companion.choose_server("Attic")
            assert sum((await count_people(one)).values()) == 30
        async with open_archive(settings, demo=0) as archive:
            assert await count_people(archive) == found, "the commands count the same people"
