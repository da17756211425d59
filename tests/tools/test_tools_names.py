"""A user is the same person by whatever name, in every tool and on the command line."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import Tools, tools_home

from plex_companion.commands.reports.archive import open_archive
from plex_companion.demo import build_household
from plex_companion.history.filters import find_user
from plex_companion.names.usernames import find_user_ids
from plex_companion.prompts.completions import propose_values

if TYPE_CHECKING:
    from pathlib import Path

OWNER, JASPER, PIP, MEI = 1, 90002, 90003, 90004
EVERY_NAME = ("Jasper O'Dell", "jasper odell", "JASPER O\u2019DELL", "Jasper", "jásper", "jazz", "@jazz", "90002")


def renamed_on_plex_tv(tools: Tools, user_id: int, name: str) -> None:
    """From now on plex.tv calls a user otherwise than the server did when its accounts were read."""
    tools.demo.state.users[user_id] = replace(tools.demo.state.users[user_id], name=name)


async def ids_in_tools(tools: Tools, name: str) -> set[int]:
    """Whom each kind of tool takes for the user of a name."""
    watched = await tools.well("user_get_watch_history", username=name)
    info = await tools.well("user_get_info", username=name)
    stats = await tools.well("user_get_statistics", username=name, time_period="all_time")
    await tools.well("history_query", user=name)
    meant = await find_user(tools.application.companion, name)
    assert stats["user_filter"] == "Jasper O'Dell"
    return {watched["user_id"], info["id"], int(meant)}


@pytest.mark.parametrize("name", EVERY_NAME)
async def test_every_name_means_the_same_person_in_every_tool(tmp_path: Path, name: str) -> None:
    async with tools_home(tmp_path, hushed=True) as tools:
        renamed_on_plex_tv(tools, JASPER, "jazz")
        assert await ids_in_tools(tools, name) == {JASPER}


async def test_a_user_name_that_was_seen_at_plex_tv_is_known_to_the_command_line_too(tmp_path: Path) -> None:
    async with tools_home(tmp_path, hushed=True) as tools:
        renamed_on_plex_tv(tools, JASPER, "jazz")
        await tools.well("user_list_all_users")
        await tools.until(lambda: tools.application.companion.state.plex_tv_users)
        assert propose_values(tools.application.companion, "user", "jaz") == ["Jasper O'Dell"]
        settings = tools.application.companion.settings
        async with open_archive(settings, demo=False) as archive:
            for name in EVERY_NAME:
                assert await find_user(archive, name) == str(JASPER)
            for name in ("Ottilie", "ottilie brandt", "1"):
                assert await find_user(archive, name) == str(OWNER)


async def test_a_stranger_to_the_history_is_looked_up_at_plex_tv_once(tmp_path: Path) -> None:
    async with tools_home(tmp_path, hushed=True) as tools:
        renamed_on_plex_tv(tools, MEI, "linlin")
        assert (await tools.well("history_query", user="linlin"))["plays"] == []
        await tools.until(lambda: tools.application.companion.state.plex_tv_users)
        await tools.well("history_query", user="linlin")
        assert tools.requests == 0


async def test_no_address_is_kept_with_the_names(tmp_path: Path) -> None:
    async with tools_home(tmp_path, hushed=True, privacy="off") as tools:
        renamed_on_plex_tv(tools, JASPER, "jasper@example.net")
        await tools.well("user_list_all_users")
        await tools.until(lambda: tools.application.companion.state.plex_tv_users)
    with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
        kept = database.execute("SELECT * FROM plex_tv_users ORDER BY id").fetchall()
    assert [row[1] for row in kept] == ["1", "90002", "90003", "90004"]
    assert "@" not in str(kept)


async def test_a_first_name_of_two_is_ambiguous_and_a_whole_name_beats_it(tmp_path: Path) -> None:
    built = build_household(now=time.time())
    names = {PIP: "Jasper", MEI: "Ottilie Lin"}
    built.users = [replace(user, name=names.get(user.id, user.name)) for user in built.users]
    async with tools_home(tmp_path, household=built, hushed=True) as tools:
        for tool, argument in (("user_get_info", "username"), ("history_query", "user")):
            error = await tools.refused(tool, **{argument: "ottilie"})
            assert error["code"] == "ambiguous"
            assert {str(match["id"]) for match in error["matches"]} == {str(OWNER), str(MEI)}
        assert (await tools.well("user_get_info", username="jasper"))["id"] == PIP
        assert await find_user(tools.application.companion, "jasper") == str(PIP)


NAMES: dict[str, list[str | None]] = {
    "1": ["Ada Brandt"],
    "2": ["Zoë", "zo"],
    "3": ["Zoe Lin"],
    "4": ["bob", "Bob Müller"],
    "5": ["7"],
    "7": ["hidden", None],
}


@pytest.mark.parametrize(
    ("expected", "ids"),
    [
        ("ada", ["1"]), ("ADA BRANDT", ["1"]), ("Ada  Brandt.", ["1"]), ("zoë", ["2"]), ("zoe", ["2"]), ("zoe lin", ["3"]),
        ("bob", ["4"]), ("Bob Mu\u0308ller", ["4"]), ("bob muller", ["4"]), ("7", ["7"]), ("brandt", []), ("", []), (" ", []),
        ("hidden", []), ("!", []), ("Müller", []),
    ],
)  # fmt: skip
def test_a_name_means_whom_it_fits_best(expected: str, ids: list[str]) -> None:
    found: Any = find_user_ids(expected, NAMES)
    assert found == ids
