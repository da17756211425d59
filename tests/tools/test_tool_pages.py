"""What is read out of a list of Plex: no page is taken for the whole, whatever Plex says or leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tools import tools_home

from plex_companion.errors import PlexError
from plex_companion.plex.query import count_rows, cut_page, get_all

if TYPE_CHECKING:
    from pathlib import Path


def answered(rows: range, **said: int) -> Element:
    """A list with these rows."""
    found = Element("MediaContainer", {name: str(value) for name, value in said.items()})
    for number in rows:
        SubElement(found, "Video", ratingKey=str(number))
    return found


def keys(rows: list[Element]) -> list[int]:
    return [int(row.get("ratingKey", "")) for row in rows]


@given(length=st.integers(0, 30), limit=st.integers(1, 10), states_total=st.booleans(), pages=st.booleans())
def test_page_after_page_every_row_comes_once(length: int, limit: int, states_total: bool, pages: bool) -> None:
    """Of servers that cut lists and of those that never do, with a total or without."""
    found: list[int] = []
    for _ in range(length + 2):
        offset = len(found)
        part = range(offset, min(length, offset + limit)) if pages else range(length)
        said = (
            {"size": len(part)}
            | ({"totalSize": length} if states_total else {})
            | ({"offset": offset} if pages else {})
        )
        page = cut_page(answered(part, **said), offset, limit)
        found += keys(page.rows)
        if not page.as_dict()["truncated"]:
            assert page.total == length
            break
    assert found == list(range(length))


def test_a_total_that_plex_does_not_state_is_more_than_a_full_page() -> None:
    assert cut_page(answered(range(5), size=5), 0, 5).as_dict()["truncated"] is True
    assert cut_page(answered(range(4), size=4), 0, 5).as_dict() == {
        "total": 4, "offset": 0, "limit": 5, "size": 4, "truncated": False,
    }  # fmt: skip


@pytest.mark.parametrize("length", [0, 3])
async def test_a_list_without_a_total_is_read_to_be_counted(length: int, tmp_path: Path) -> None:
    rows = "".join(f'<Video ratingKey="{number}"/>' for number in range(length))
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_with(200, f'<MediaContainer size="{length}">{rows}</MediaContainer>'.encode())
        ask = tools.application.companion.gateway.call
        assert await ask(lambda plex: count_rows(plex, "/library/sections/1/all")) == length
        assert keys(await ask(lambda plex: get_all(plex, "/library/sections/1/all"))) == list(range(length))


async def test_a_list_without_end_is_plexs_fault(tmp_path: Path) -> None:
    body = '<MediaContainer size="1" totalSize="999999999" offset="0"><Video ratingKey="1"/></MediaContainer>'
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_with(200, body.encode())
        with pytest.raises(PlexError, match="has not come to its end"):
            await tools.application.companion.gateway.call(lambda plex: get_all(plex, "/library/sections/1/all"))


async def test_a_limit_over_the_cap_is_cut_and_the_answer_shows_it(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.well("media_search", query="comet", limit=5000))["limit"] == 100
        assert (await tools.well("server_get_alerts", timeout=0, limit=5000))["limit"] == 500
        assert (await tools.well("playlist_list", limit=5000))["limit"] == 500
