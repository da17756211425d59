"""Tables and bars fit what they are drawn on, whatever is in them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from support.recorded_plays import (
    DAY,
    HOUR,
    NOW,
    alert,
    change,
    episode,
    imported,
    reconnected,
    running,
    said,
    seen,
    write,
)

from plex_companion.cache.load import load_state
from plex_companion.cache.read_only import open_read_only
from plex_companion.commands.reports.archive import Archive
from plex_companion.commands.reports.queries import Body, ReportQuery, fetch_answers
from plex_companion.commands.reports.tables import TableLayout, render
from plex_companion.models import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COMMANDS = ("history", "stats", "events", "alerts", "digest")
LONG = "Nine Copper Kettles and the Very Long Winter of Somebody Else, 名探偵と銀の灯台 \x1b[31m\n"


async def asked(path: Path, questions: Iterable[ReportQuery]) -> dict[str, list[Body]]:
    async with open_read_only(path) as cache:
        archive = Archive(cache, (await load_state(cache, Moment(NOW, 0)),), NOW, UTC, {})
        return {question.command: await fetch_answers(archive, question) for question in questions}


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Body]]:
    who = {"user_name": LONG, "player_title": LONG, "library": LONG}
    plays = [
        running(1, NOW - HOUR, title=LONG, **who),
        seen(2, NOW - 90 * 60_000, user_id="2", user_name=None, player_title=None),
        imported(3, NOW - 400 * DAY, **{**episode(LONG, 1, 2), **who}),
        *(seen(n, NOW - n * HOUR, title=f"Film {n}") for n in range(4, 40)),
    ]
    path = write(
        tmp_path_factory.mktemp("tables") / "cache.sqlite3",
        plays=plays,
        alerts=[alert(n, NOW - n * HOUR, title=LONG, resolved_at=None if n == 3 else NOW) for n in range(1, 30)],
        library_changes=[
            change(n, NOW - n, str(n), title=LONG, change=("created", "deleted")[n % 2]) for n in range(1, 60)
        ],
        events=[said(1, NOW - DAY), reconnected(2, NOW - 3 * HOUR, NOW - HOUR), said(3, NOW, summary=LONG)],
    )
    return anyio.run(asked, path, [ReportQuery(command) for command in COMMANDS])


def drawn(command: str, answer: list[Body], width: int) -> list[str]:
    console = Console(width=width, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(render(command, answer, TableLayout(width, NOW, UTC), narrow_question=False))
    return captured.get().splitlines()


@settings(max_examples=40)
@given(width=st.integers(40, 200), command=st.sampled_from(COMMANDS))
def test_no_line_is_wider_than_the_terminal_and_no_word_of_strangers_breaks_one(
    bodies: dict[str, list[Body]], width: int, command: str
) -> None:
    lines = drawn(command, bodies[command], width)
    assert lines
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b" not in "".join(lines)


def test_narrow_terminals_are_told_less_of_each_thing(bodies: dict[str, list[Body]]) -> None:
    narrow, wide = (drawn("history", bodies["history"], width)[0].split() for width in (60, 100))
    assert narrow == ["when", "who", "what"]
    assert wide == ["when", "who", "what", "where", "watched", "ended"]


def test_wide_terminals_show_pictures_side_by_side(bodies: dict[str, list[Body]]) -> None:
    assert any("Days (UTC)" in line and "Hours of day (UTC)" in line for line in drawn("stats", bodies["stats"], 130))
    assert not any("Days (UTC)" in line and "Hours" in line for line in drawn("stats", bodies["stats"], 100))


def test_bars_are_as_long_as_their_numbers(bodies: dict[str, list[Body]]) -> None:
    (hours,) = (body for body in bodies["stats"] if body["by"] == "hour")
    bars = {
        line.split()[0]: line.count("█") for line in drawn("stats", [hours], 100) if line[:1].isdigit() and ":" in line
    }
    plays = {entry["name"]: entry["plays"] for entry in hours["entries"]}
    most = max(plays.values())
    longest = max(bars.values())
    assert longest > 40
    for hour, count in plays.items():
        assert abs(bars[hour] - longest * count / most) <= 1


def test_times_of_another_year_say_so() -> None:
    paper = TableLayout(100, NOW, UTC)
    assert paper.format_time("2026-11-22T09:08:07Z") == "09:08"
    assert paper.format_time("2026-11-21T09:08:07Z") == "21 Nov 09:08"
    assert paper.format_time("2025-11-22T09:08:07Z") == "22 Nov 2025"
    assert paper.format_time(None) == "-"
