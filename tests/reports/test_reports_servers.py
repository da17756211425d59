"""What the commands about the past print where there are several servers."""

from __future__ import annotations

import io
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from support.recorded_plays import DAY, HOUR, NOW, SERVER, alert, change, reconnected, running, said, seen
from support.recorded_servers import CABIN, at_cabin, open_two, write_two

from plex_companion.commands.reports.queries import Body, ReportQuery, fetch_answers
from plex_companion.commands.reports.show import report
from plex_companion.commands.reports.tables import TableLayout, render
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("history", "stats", "events", "alerts", "digest")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two(
        tmp_path_factory.mktemp("servers") / "cache.sqlite3",
        plays=[seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR)), at_cabin(running(3, NOW - 3 * HOUR))],
        alerts=[alert(1, NOW - HOUR), at_cabin(alert(2, NOW - 2 * HOUR, resolved_at=None))],
        events=[said(1, NOW - HOUR), at_cabin(reconnected(2, NOW - 4 * HOUR, NOW - 2 * HOUR))],
        library_changes=[change(1, NOW - HOUR, "7"), at_cabin(change(2, NOW - HOUR, "7", title="Other"))],
    )


def draw(command: str, bodies: list[Body], width: int = 120) -> str:
    page = Console(file=io.StringIO(), width=width)
    page.print(render(command, bodies, TableLayout(width, NOW), narrow_question=False))
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


async def ask(path: Path, command: str, server: str | None = None, **more: Any) -> list[Body]:
    async with open_two(path) as both:
        archive = both if server is None else await both.limit_to(server)
        return await fetch_answers(archive, ReportQuery(command, since="all" if command == "stats" else "7d", **more))


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("command", [*COMMANDS[:1], *COMMANDS[2:]])
async def test_rows_of_two_servers_name_theirs_and_those_of_one_do_not(path: Path, command: str, width: int) -> None:
    both = draw(command, await ask(path, command), width)
    assert {"Den", "Cabin"} <= set(re.findall(r"Den|Cabin", both))
    one = draw(command, await ask(path, command, "Cabin"), width)
    assert "Den" not in one


async def test_libraries_are_named_with_their_servers(path: Path) -> None:
    said_by = draw("stats", await ask(path, "stats", by="library"))
    assert "Films (Den)" in said_by
    assert "Films (Cabin)" in said_by
    assert "Films (Cabin)" not in draw("stats", await ask(path, "stats", "Cabin", by="library"))


def set_live(bodies: list[Body], name: str) -> list[Body]:
    """The answers as they would be if this server were connected."""
    for body in bodies:
        body["connection"] = {**body["connection"], "state": "down"}
        for server in body["servers"]:
            server["connection"] = {
                "state": "live" if server["name"] == name else "offline",
                "since": "2026-11-22T12:00:00.000Z",
                "stale_seconds": DAY / 1000,
            }
    return bodies


async def test_one_server_that_is_away_makes_only_its_own_rows_uncertain(path: Path) -> None:
    bodies = await ask(path, "history")
    assert " playing" in draw("history", set_live(bodies, "Cabin"))
    shown = draw("history", set_live(bodies, "Den"))
    assert " playing" not in shown
    assert "Cabin can't be reached. It last heard from Cabin at" not in draw("history", set_live(bodies, "Cabin"))
    assert "unknown" in shown
    assert "Cabin can't be reached." in shown
    assert "Den can't be reached." not in shown
    alerts = await ask(path, "alerts")
    assert "was open" in draw("alerts", set_live(alerts, "Den"))
    assert "was open" not in draw("alerts", set_live(alerts, "Cabin"))


# What the listening process has left, in the words of a whole command

URLS = "http://den,http://cabin,http://attic"


def load_settings(path: Path) -> Settings:
    return Settings.load({"plex_url": URLS, "plex_token": "a-token", "database": path, "timezone": "UTC"})


def set_links(path: Path, states: dict[str, str | None], *, listening: bool, name: str = "Cabin") -> Settings:
    """Make the database look as if a companion of three servers had these connections; it has never reached the attic."""
    settings, now = load_settings(path), int(time.time() * 1000)
    write_two(path, name=name, plays=[running(1, now - HOUR), at_cabin(seen(2, now - 2 * HOUR))])
    servers = dict(zip(("den", "cabin", "attic"), (SERVER, CABIN, None), strict=True))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM links")
        database.execute("INSERT OR REPLACE INTO listener VALUES (1, 1, ?, '{}')", (int(listening),))
        for link, (key, server) in zip(settings.links(), servers.items(), strict=True):
            heard = now if states[key] == "live" else now - 30 * 60_000
            row = (link.link_id, server, states[key], heard, heard, heard)
            database.execute("INSERT INTO links VALUES (?, ?, ?, ?, 1, NULL, ?, ?, 1, 1)", row)
    if listening:
        path.with_name(f"{path.name}.lock").touch()
    return settings


async def print_report(settings: Settings, capsys: pytest.CaptureFixture[str], command: str, **more: Any) -> str:
    await report(settings, ReportQuery(command, **more), demo=0, as_json=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["search", "storage", "neglected", "recommend", "why"])
async def test_a_server_that_was_never_reached_is_in_every_answer_about_the_libraries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    settings = set_links(
        tmp_path / "c.sqlite3", {"den": "live", "cabin": "down", "attic": "unauthorized"}, listening=True
    )
    more = {"text": "lamp"} if command == "search" else {"user": "Ada"} if command == "recommend" else {}
    out = await print_report(settings, capsys, command, **more)
    assert re.findall(r"^(?:Den|Cabin|server \d of 3)$", out, re.MULTILINE) == ["Den", "Cabin", "server 3 of 3"]
    assert out.endswith("server 3 of 3\nNo plex-companion has connected to it yet, so nothing of it is known.\n")


async def test_each_server_that_is_away_is_called_by_name_or_place_and_the_reason_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.sqlite3"
    settings = set_links(path, {"den": "live", "cabin": "unauthorized", "attic": "unauthorized"}, listening=True)
    out = await print_report(settings, capsys, "history")
    assert "Cabin rejects the token. It last heard from Cabin at" in out
    assert "No plex-companion has connected to server 3 of 3 yet: the token is refused." in out
    assert "Den" not in out.partition("Cabin rejects")[2]
    settings = set_links(tmp_path / "d.sqlite3", {"den": "down", "cabin": "down", "attic": "offline"}, listening=True)
    out = await print_report(settings, capsys, "history")
    assert "is not running" not in out, "it runs, and reaches none"
    assert "Den can't be reached. It last heard from Den at" in out
    assert "Cabin can't be reached. It last heard from Cabin at" in out
    assert "No plex-companion has connected to server 3 of 3 yet." in out


async def test_while_nobody_listens_it_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = set_links(tmp_path / "c.sqlite3", {"den": "down", "cabin": "down", "attic": "down"}, listening=False)
    out = await print_report(settings, capsys, "history")
    assert out.count("plex-companion is not running. It last heard from") == 2
    assert "No plex-companion has connected to server 3 of 3 yet." in out


async def test_servers_of_one_name_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states: dict[str, str | None] = {"den": "live", "cabin": "live", "attic": "live"}
    settings = set_links(tmp_path / "c.sqlite3", states, listening=True, name="Den")
    out = await print_report(settings, capsys, "history")
    assert set(re.findall(r"Den \(\S+\)", out)) == {"Den (den-0001)", "Den (cabin-00)"}
    out = await print_report(settings, capsys, "storage")
    assert re.findall(r"^Den.*$", out, re.MULTILINE) == ["Den (den-0001)", "Den (cabin-00)"]
    out = await print_report(settings, capsys, "stats", by="library", since="all")
    assert {"Films (Den (den-0001))", "Films (Den (cabin-00))"} <= set(re.findall(r"Films \(.*?\)\)", out))


async def test_the_past_of_a_server_that_was_removed_is_not_that_of_one_that_was_never_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.sqlite3"
    set_links(path, {"den": "live", "cabin": "live", "attic": "live"}, listening=True)
    settings = Settings.load({"plex_url": "http://den", "plex_token": "a-token", "database": path})
    out = await print_report(settings, capsys, "history", server="cabin")
    assert "This server is not configured any more." in out
    assert "No plex-companion has connected" not in out
