"""The commands about the libraries and what plays: the program itself, with nobody listening."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import fromstring

import pytest
from support.deadlines import HANG_SECONDS
from support.recorded_plays import DAY, HOUR, SERVER, imported, running, write

from plex_companion.cache.record import Statements
from plex_companion.changes.kinds import CatalogueRowsRead
from plex_companion.models import CatalogueSection
from plex_companion.plex.xml.catalogue_rows import parse_catalogue_item

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FILMS = {
    "1": ("The \x1b[31mLamp", "Comedy", 4, 700),
    "2": ("Nine Copper Kettles", "Comedy", 20, 800),
    "3": ("Salt Orchard", "Crime", 8, 900),
}
"""Titles, genres, gigabytes, and how many days ago they were added."""


def film(key: str) -> Any:
    title, genre, size, days = FILMS[key]
    added = int(time.time()) - days * DAY // 1000
    shown = title.replace("\x1b", "&#x2028;")
    text = f"""
    <Video ratingKey="{key}" type="movie" title="{shown}" guid="plex://movie/{key}" year="1999" duration="5400000" addedAt="{added}">
      <Media id="{key}" videoResolution="1080" videoCodec="hevc"><Part id="{key}" size="{size}000000000"/></Media>
      <Genre tag="{genre}"/>
    </Video>
    """
    return parse_catalogue_item(fromstring(text), section_id="1", private=True, detailed=True)  # noqa: S314 - our own


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("home")
    path, now = folder / ".local" / "share" / "plex-companion" / "demo.sqlite3", int(time.time() * 1000)
    path.parent.mkdir(parents=True)
    plays = [
        imported(1, now - 2 * DAY, rating_key="1", guid="plex://movie/1", watched_ms=5_400_000),
        running(2, now - HOUR, user_id="3", user_name="Zoë", decision="transcode"),
    ]
    write(path, plays=plays)
    section = CatalogueSection("1", "Films", "movie", as_of=now, total=3, complete=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        statements = Statements(SERVER, now)
        statements.add(CatalogueRowsRead(SERVER, tuple(map(film, FILMS)), (), (section,), ()))
        statements.run(database)
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments, "--demo"],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


WORDS = {
    ("search", "kettles"): ("1 item, 20.0 GB", "Nine Copper Kettles (1999)", "1:30:00"),
    ("search", "--genre", "comedy", "--unwatched-by", "anyone", "--sort", "size"): ("1 item, 20.0 GB",),
    ("search", "no such word"): ("Nothing matches",),
    ("storage",): ("3 items, 32.0 GB", "Films", "█", "1 h 30"),
    ("storage", "--by", "codec"): ("hevc",),
    ("neglected",): ("2 items, 28.0 GB", "Nine Copper Kettles", "Salt Orchard", "never"),
    ("recommend", "--user", "ada"): ("Nine Copper Kettles", "Comedy, like"),
    ("why",): ("Zoë: The Lamp", "transcode", "Plex does not say what is converted. (inferred)"),
    ("why", "1"): ("Ada", "unknown"),
}


@pytest.mark.parametrize("asked", WORDS, ids=" ".join)
def test_a_command_answers_in_plain_words(home: Path, asked: tuple[str, ...]) -> None:
    done = run(home, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\u2028" not in done.stdout
    for word in WORDS[asked]:
        assert word in done.stdout, done.stdout


KEYS = {
    "search": {"items", "total", "total_size_bytes", "next_cursor", "catalogue"},
    "storage": {"by", "groups", "growth", "total", "total_items", "total_size_bytes", "next_cursor", "catalogue"},
    "neglected": {"days", "since", "items", "total", "total_size_bytes", "next_cursor", "catalogue"},
    "recommend": {"user", "items", "total", "total_size_bytes", "next_cursor", "catalogue"},
    "why": {"sessions", "count", "transcoding", "bandwidth_kbps"},
}


@pytest.mark.parametrize("command", KEYS)
def test_as_json_it_is_the_answer_of_the_tool(home: Path, command: str) -> None:
    done = run(home, command, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    body: dict[str, Any] = json.loads(done.stdout)
    assert body.keys() == {"as_of", "connection", "server"} | KEYS[command]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (("search", "--sort", "colour"), 2, "last_watched"),
        (("search", "--library", "Nowhere"), 1, "Films"),
        (("search", "!!!"), 2, "word"),
        (("storage", "--by", "colour"), 2, "resolution"),
        (("neglected", "--days", "0"), 2, "--days"),
        (("recommend", "--user", "Nobody"), 1, "Ada, Ben, Zoë"),
        (("why", "12345"), 1, "12345"),
        (("why", "x"), 2, "whole number"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(home: Path, asked: tuple[str, ...], code: int, words: str) -> None:
    done = run(home, *asked)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
