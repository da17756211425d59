"""What a Plex server that tells less than it should must not be able to make a tool do."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp_types import ElicitResult
from support.tools import tools_home

from plex_companion.text import HIDDEN
from plex_companion.tools.toolsets import TOOLSETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from support.tools import Tools

    from plex_companion.tools.declare import Toolset

pytestmark = pytest.mark.slow


NAMELESS = '<MediaContainer size="1"><Video type="movie" title="Foo" librarySectionID="1"/></MediaContainer>'
ANOTHER = (
    '<MediaContainer size="1"><Video ratingKey="6" type="movie" title="Foo" librarySectionID="1"/></MediaContainer>'
)
WRITES: dict[str, dict[str, Any]] = {
    "media_edit_metadata": {"media_id": 5, "new_title": "Bar", "new_genre": "Noir"},
    "media_set_watched_status": {"media_id": 5, "watched": True},
    "media_delete": {"media_id": 5, "confirm": True},
    "collection_delete": {"collection_id": 5, "confirm": True},
    "collection_edit": {"collection_id": 5, "new_title": "Bar"},
    "client_start_playback": {"rating_key": 5, "client_name": "demo-study-htpc"},
}


@asynccontextmanager
async def strange(folder: Path, body: str) -> AsyncIterator[Tools]:
    """A server that answers every question with this."""
    async with tools_home(folder) as tools:
        tools.demo.answer_with(200, body.encode(), {"Content-Type": "text/xml"})
        tools.demo.requests.clear()
        yield tools


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize("body", [NAMELESS, ANOTHER], ids=["without an id", "another item"])
@pytest.mark.parametrize("tool", WRITES)
async def test_an_item_that_is_not_the_one_asked_for_is_never_written_to(tool: str, body: str, tmp_path: Path) -> None:
    async with strange(tmp_path, body) as tools:
        error = await tools.refused(tool, **WRITES[tool])
        assert error["code"] != "internal"
        changing = [asked for asked in tools.demo.requests.log if asked[0] in {"PUT", "POST", "DELETE"}]
        assert changing == []


async def test_the_token_is_in_no_journal_when_a_caller_writes_it(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.ask("media_edit_metadata", media_id=1, new_summary=f"my token is {tools.demo.token}")
        body = await tools.well("events_wait", cursor=0, types=["audit"], timeout=120)
        assert body["events"][0]["payload"]["arguments"]["new_summary"] == f"my token is {HIDDEN}"
    assert all(tools.demo.token.encode() not in content for content in _files(tmp_path))


# -- what Plex passes on from elsewhere

FOREIGN = "http://ada:s3cretpw@art.example/a.jpg?sig=s1gned&w=600&api_key=k3yk3y"
ARTIST = f"""<MediaContainer size="1"><Hub type="artist"><Directory ratingKey="5" type="artist" title="Marlow"
 art="{FOREIGN.replace("&", "&amp;")}" thumb="/library/metadata/5/thumb/17"/></Hub></MediaContainer>"""
SETTINGS = f"""<MediaContainer><Directory key="1" type="movie" title="Films"/>
<Setting id="tmdbApiKey" type="text" value="k3yk3y"/><Setting id="subtitles.password" type="text" value="s3cretpw"/>
<Setting id="poster" type="text" value="{FOREIGN.replace("&", "&amp;")}"/><Setting id="who" type="text" value="ada@example.org"/>
<Setting id="country" type="text" value="NO"/><Setting id="hasKey" type="bool" value="1"/></MediaContainer>"""


async def test_keys_and_passwords_of_other_services_are_not_passed_on_in_addresses(tmp_path: Path) -> None:
    async with strange(tmp_path, ARTIST) as tools:
        body = await tools.well("media_search", query="marlow")
        (artist,) = body["results_by_type"]["artist"]
        assert artist["thumb"] == "/library/metadata/5/thumb/17"
        assert artist["art"] == "http://hidden@art.example/a.jpg?sig=hidden&w=600&api_key=hidden"


@pytest.mark.parametrize(("privacy", "who"), [("on", "hidden"), ("off", "ada@example.org")])
async def test_secrets_among_the_settings_of_a_library_are_hidden(privacy: str, who: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path, privacy=privacy) as tools:
        tools.demo.answer_with(200, SETTINGS.encode(), {"Content-Type": "text/xml"})
        said = await tools.ask("library_get_details", library_name="Films")
        settings = said.body["advancedSettings"]
        assert (settings["tmdbApiKey"], settings["subtitles.password"]) == (HIDDEN, HIDDEN)
        assert (settings["who"], settings["country"], settings["hasKey"]) == (who, "NO", True)
        assert all(secret not in str(said) for secret in ("s3cretpw", "s1gned", "k3yk3y"))


# -- titles without end

ENDLESS = "The Paper Comet " * 400


async def test_an_endless_title_is_cut_in_questions_and_in_lists_of_matches(tmp_path: Path) -> None:
    asked: list[str] = []

    async def declining(_: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with tools_home(tmp_path, answer=declining, era="legacy") as tools:
        first, second = tools.demo.get_movie(0), tools.demo.get_movie(1)
        first.title = second.title = ENDLESS
        await tools.refused("media_delete", media_id=first.key)
        assert len(asked[0]) < 500
        choices = await tools.well("media_get_details", media_title=ENDLESS)
        assert (choices["status"], choices["count"]) == ("multiple_matches", 2)
        assert all(len(match["title"]) == 200 for match in choices["matches"])
        assert len((await tools.refused("media_get_details", media_title="Nowhere " * 10_000))["message"]) <= 2000


# -- arguments that nobody should send


def _odd(schema: dict[str, Any], rest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """For every parameter the values that are most likely to be mishandled; the others as they should be."""
    for name in schema.get("properties", {}):
        for value in ODD:
            yield {**rest, name: value}


ODD: tuple[Any, ...] = (
    -1, 0, 2**53, 10**400, -(10**20), 1e308, None, " ", "9" * 400, "½", "x" * 5000, "\x00", "\ud800", "../../etc/passwd",
    "a&b=c#d?e/f%00", [""], [10**20], {"": [[]]},
)  # fmt: skip
SENSIBLE: dict[str, Any] = {
    "library_name": "Films", "media_id": "103", "rating_key": 103, "query": "paper", "media_title": "Salt & Ember",
    "playlist_title": "Nothing of the kind", "collection_title": "Nothing of the kind", "client_name": "Living Room",
    "action": "pause", "task_name": "BackupDatabase", "guid": "plex://movie/5f0c", "watched": True, "timeout": 0,
    "item_ids": [103], "item_titles": ["Salt & Ember"],
}  # fmt: skip


@pytest.mark.parametrize("toolset", list(TOOLSETS), ids=lambda toolset: toolset.name)
async def test_no_argument_makes_a_tool_fail_inside(toolset: Toolset, tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        for tool in toolset.tools:
            known = tool.input_schema.get("properties", {})
            rest = {name: value for name, value in SENSIBLE.items() if name in known}
            for given in _odd(tool.input_schema, rest):
                if given.get("timeout", 0) in (None, " "):
                    continue  # counts as not given, and then the tool waits for half a minute
                said = await tools.ask(tool.name, **given)
                assert said.code not in {"internal", "not_confirmed", "timeout"}, (tool.name, given, said.body)


# -- numbers that are none

NUMBERS = (
    "size", "totalSize", "offset", "year", "index", "parentIndex", "duration", "viewOffset", "viewCount", "leafCount", "id",
    "viewedLeafCount", "childCount", "addedAt", "updatedAt", "viewedAt", "accountID", "deviceID", "userID", "bitrate", "rating",
    "userRating", "playlistItemID", "timespan", "at", "count", "bytes", "lan", "interval", "time", "volume", "createdAt", "joinedAt",
)  # fmt: skip
ROWS = {
    "Video": "movie", "Directory": "show", "Track": "track", "Playlist": "playlist", "Account": "", "Device": "", "User": "",
    "ButlerTask": "", "StatisticsBandwidth": "", "StatisticsResources": "", "StatisticsMedia": "", "Timeline": "video", "Server": "",
    "SharedServer": "", "Photo": "photo",
}  # fmt: skip


def _numbered(value: str) -> str:
    """Rows of every sort whose every number is this."""
    answer = " ".join(f'{name}="{value}"' for name in NUMBERS)
    rows = [
        f'<{tag} ratingKey="103" key="1" type="{kind}" title="Films" librarySectionID="1" machineIdentifier="p" {answer}>'
        f"<Media {answer}><Part {answer}/></Media><Session {answer}/><Server {answer}/></{tag}>"
        for tag, kind in ROWS.items()
    ]
    return f"<MediaContainer {answer}>{''.join(rows)}</MediaContainer>"


@pytest.mark.parametrize("value", ["", "x", "--5", "9" * 400], ids=["none", "a word", "two signs", "endless"])
async def test_no_number_of_plex_makes_a_tool_fail_inside(value: str, tmp_path: Path) -> None:
    async with strange(tmp_path, _numbered(value)) as tools:
        for tool in (tool for toolset in TOOLSETS for tool in toolset.tools):
            known = tool.input_schema.get("properties", {})
            given = {name: fitting for name, fitting in SENSIBLE.items() if name in known}
            said = await tools.ask(tool.name, **given)
            assert said.code not in {"internal", "timeout"}, (tool.name, said.body)
