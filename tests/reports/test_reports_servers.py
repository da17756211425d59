"""What the commands about the past print where there are several servers."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from support.recorded_plays import DAY, HOUR, NOW, alert, change, reconnected, running, said, seen
from support.recorded_servers import at_cabin, open_two, write_two

from plex_companion.commands.reports.queries import Body, ReportQuery, fetch_answers
from plex_companion.commands.reports.tables import TableLayout, render

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
