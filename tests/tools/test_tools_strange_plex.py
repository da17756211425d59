"""What a Plex server that tells less than it should must not be able to make a tool do."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tools_home import tools_home

from plex_companion.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tools_home import Tools

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
        body = await tools.well("events_wait", cursor=0, types=["audit"], timeout=5)
        assert body["events"][0]["payload"]["arguments"]["new_summary"] == f"my token is {HIDDEN}"
    assert all(tools.demo.token.encode() not in content for content in _files(tmp_path))
