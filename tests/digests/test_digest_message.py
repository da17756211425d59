"""The weekly digest of the demo household: what it says, and what it does not know."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from support.catalogue import TOKEN, catalogue_home

from plex_companion.demo import open_demo
from plex_companion.digests.content import DigestContent, NewTitle, OpenAlert, WatchedRow, read_digest
from plex_companion.digests.message import build_digest_message
from plex_companion.history.play_counts import count_plays
from plex_companion.models import Poster
from plex_companion.occurrences.reading import read_occurrences
from plex_companion.times import DAY_MS, Window
from plex_companion.zones import find_zone

if TYPE_CHECKING:
    from pathlib import Path

MARKUP = '<img src="http://example.net/x.png"><script>alert(1)</script> & "quoted"'
WINDOW = Window(1_763_971_200_000, 1_764_576_000_000)
EMPTY = DigestContent(WINDOW, ["Lighthouse"], [], 0, 0, 0, [], [], [], [])


class Reader(HTMLParser):
    """Collects the text of a document, and what it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.fetched: list[str | None] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value for name, value in attrs if name in {"src", "href", "background", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str | None) -> Reader:
    reader = Reader()
    reader.feed(html or "")
    return reader


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.slow
async def test_it_names_what_was_added_what_was_watched_and_by_whom(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo, catalogue_home(tmp_path, demo=demo) as it:
        companion = it.application.companion
        await it.until_complete()

        async def is_imported() -> bool:
            return companion.state.history.complete

        async def is_recorded() -> bool:
            return bool((await read_occurrences(companion.cache, None, ["media.added"])).occurrences)

        await it.until(is_imported)
        show = demo.add_show("Quiet Water", seasons=1, episodes=4)
        await it.until(is_recorded)
        window = Window(companion.now_ms - 7 * DAY_MS, companion.now_ms)
        content = await read_digest(companion, window)
        message = build_digest_message(content, companion.zone)
        counted: dict[str, Any] = await count_plays(companion, "user", window, 1)
    assert message.title == f"{demo.state.name}: 1 new title, {counted['plays']} plays"
    assert re.search(r"first listened at \d\d \w{3} \d{4}, \d\d:\d\d;", message.text), message.text
    assert counted["plays"] > 0
    for text in (message.text, read(message.html).text):
        assert f"{show.title} - Season 1" in text
        assert "4 episodes" in text
        assert counted["entries"][0]["name"] in text
    assert companion.settings.plex_token
    assert companion.settings.plex_token.get_secret_value() not in f"{message.text}{message.html}"


def test_an_empty_week_says_so_in_every_part() -> None:
    message = build_digest_message(EMPTY, find_zone("Europe/Vienna"))
    assert message.title == "Lighthouse: 0 new titles, 0 plays"
    for text in (message.text, read(message.html).text):
        assert "Nothing new was added." in text
        assert "Nothing was watched." in text
        assert "None." in text
    assert "Monday, 24 November 2025 to Monday, 1 December 2025" in message.text


def test_titles_from_elsewhere_stay_text_and_nothing_is_fetched() -> None:
    content = DigestContent(
        WINDOW,
        [MARKUP],
        [NewTitle(MARKUP, MARKUP, 1, "movie", "4k", "den", MARKUP, "1")],
        1,
        1,
        60_000,
        [WatchedRow(MARKUP, 1, 60_000)],
        [WatchedRow(MARKUP, 1, 60_000)],
        [OpenAlert(MARKUP, WINDOW.until, MARKUP)],
        [MARKUP],
    )
    message = build_digest_message(content, find_zone("UTC"))
    found = read(message.html)
    assert found.fetched == ["cid:picture-1.jpg"], "which comes with the message"
    assert message.inline == (Poster("den", "1"),)
    assert not {"script", "link", "iframe"} & found.tags
    assert found.text.count(MARKUP) == message.text.count(MARKUP) + 2, "the title stands in the head and above the text"


def test_beyond_thirty_new_titles_it_says_how_many_there_are() -> None:
    new = [NewTitle(f"Film {number}", "Films", 1, "movie", "1080", "den", None, str(number)) for number in range(30)]
    content = DigestContent(WINDOW, ["Den", "Cabin", "Attic"], new, 1_234, 0, 0, [], [], [], [])
    message = build_digest_message(content, find_zone("UTC"))
    assert message.title == "3 servers: 1,234 new titles, 0 plays"
    assert "and 1,204 more." in message.text
    assert "and 1,204 more." in squeeze(read(message.html).text)
    assert "* Film 0 (1080p, Films)" in message.text


@pytest.mark.parametrize("note", ["Plex is disconnected: it was last heard from at 2026-11-28T10:00:00Z."])
def test_what_it_cannot_know_is_said(note: str) -> None:
    content = DigestContent(WINDOW, ["Den"], [], 0, 0, 0, [], [], [], [note])
    message = build_digest_message(content, find_zone("UTC"))
    for text in (message.text, read(message.html).text):
        assert note in text
