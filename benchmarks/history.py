"""`python -m benchmarks.history`: queries over a million plays, against the bare SQL and a call that does nothing.

See docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from benchmarks.figures import REPEATS, Figure, Spread, compare, describe_machine, print_table
from benchmarks.history_database import create_database
from benchmarks.mcp_clients import MODERN
from benchmarks.programs import COMPANION, run_bare_server, run_program
from benchmarks.tools_load import read_cpu_ms
from plex_companion.text import encode_json

PLAYS = 1_000_000
DAY_MS = 86_400_000
CALLS, FEW = 10, 3
"""Calls of each kind and repeat, of which the median counts; fewer where the bare SQL takes a second."""
MAX_RATIO = 1.3
"""To the SQL and a call that answers the same bytes."""
MOST_KB = 20
"""Of an answer without `limit`."""
SHOW = "copper raven ennerfell"
NOWHERE = "http://127.0.0.1:9"
"""An address without a Plex: the queries need none."""


KINDS = ("ours", "sql", "nothing", "same")


@dataclass
class Question:
    """A call, and the SQL that a person at a prompt would write for it."""

    id: str
    what: str
    tool: str
    given: dict[str, Any]
    sql: str
    values: dict[str, Any] = field(default_factory=dict)
    calls: int = CALLS
    answer: dict[str, Any] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    cpu: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Milliseconds of processor time of the program that answers."""


BY_USER = "SELECT * FROM plays WHERE user_id = :user ORDER BY started_at DESC, id DESC LIMIT :most"
NEXT = (
    "SELECT * FROM plays WHERE user_id = :user AND (started_at, id) < (:at, :id) "
    "ORDER BY started_at DESC, id DESC LIMIT :most"
)
PER_DAY = (
    "SELECT started_at / 86400000 AS day, count(*), count(watched_ms), sum(watched_ms) FROM plays "
    "WHERE started_at BETWEEN :since AND :until GROUP BY 1"
)
TITLED = (
    "SELECT plays.* FROM play_titles JOIN plays ON plays.id = play_titles.rowid WHERE play_titles MATCH :words "
    "ORDER BY plays.started_at DESC, plays.id DESC LIMIT :most"
)


def list_questions() -> list[Question]:
    return [
        Question("H1", "last 50 plays of a user", "history_query", {"user": "Ada", "limit": 50}, BY_USER, {"user": "1", "most": 50}),
        Question("H2", "the next page", "history_query", {"user": "Ada", "limit": 50}, NEXT, {"user": "1", "most": 50}),
        Question("H1", "last plays of a user, as many as by default", "history_query", {"user": "Ada"}, BY_USER, {"user": "1", "most": 20}),
        Question("H3", "plays per day, 30 days", "history_stats", {"by": "day"}, PER_DAY),
        Question("H3", "plays per day, all five years", "history_stats", {"by": "day", "period": "all"}, PER_DAY, calls=FEW),
        Question("H4", "search for a show", "history_query", {"title": SHOW}, TITLED, {"words": " ".join(f'"{word}"*' for word in SHOW.split()), "most": 20}),
        Question("H4", "search for a word of very many titles", "history_query", {"title": "orchard"}, TITLED, {"words": '"orchard"*', "most": 20}, FEW),
    ]  # fmt: skip


async def ask(client: Client, question: Question) -> dict[str, Any]:
    answer = await client.call_tool(question.tool, question.given)
    assert not answer.is_error, answer
    return answer.structured_content or {}


def parse_ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


async def prepare(client: Client, asked: list[Question], database: sqlite3.Connection) -> None:
    """Set the cursor of the second page, and check every answer against its SQL."""
    first, second = asked[:2]
    page = await ask(client, first)
    second.given = {**second.given, "cursor": page["next_cursor"]}
    last = database.execute("SELECT started_at, id FROM plays WHERE id = ?", (page["plays"][-1]["id"],)).fetchone()
    second.values |= {"at": last[0], "id": last[1]}
    for question in asked:
        question.answer = await ask(client, question)
        if question.tool == "history_stats":
            question.values = {name: parse_ms(question.answer[name]) for name in ("since", "until")}
        rows = database.execute(question.sql, question.values).fetchall()
        if question.tool == "history_query":
            assert [int(play["id"]) for play in question.answer["plays"]] == [row[0] for row in rows], question
        else:
            assert question.answer["plays"] == sum(row[1] for row in rows), question


async def measure(
    asked: list[Question], client: Client, bare: Client, database: sqlite3.Connection, pids: dict[str, int]
) -> None:
    async def call(kind: str, question: Question) -> None:
        match kind:
            case "ours":
                await ask(client, question)
            case "sql":
                database.execute(question.sql, question.values).fetchall()
            case "same":
                await bare.call_tool("same", {"name": question.what})
            case _:
                await bare.call_tool("nothing", {})

    for _ in range(REPEATS):
        for question in asked:
            took: dict[str, list[float]] = {kind: [] for kind in KINDS}
            cpu: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for _ in range(question.calls):
                for kind in KINDS:
                    began, before = time.monotonic(), read_cpu_ms(pids[kind])
                    await call(kind, question)
                    took[kind].append((time.monotonic() - began) * 1000)
                    cpu[kind].append(read_cpu_ms(pids[kind]) - before)
            for kind in KINDS:
                question.took[kind].append(statistics.median(took[kind]))
                question.cpu[kind].append(statistics.median(cpu[kind]))


def _add_up(first: list[float], second: list[float]) -> list[float]:
    return [one + other for one, other in zip(first, second, strict=True)]


def figures(asked: list[Question]) -> list[Figure]:
    table = []
    for question in asked:
        took = question.took
        size = len(encode_json(question.answer).encode()) / 1000
        what, floor = f"{question.what} ({size:.1f} kB)", _add_up(took["sql"], took["same"])
        table.append(compare(question.id, what, took["ours"], floor, unit="ms", most=MAX_RATIO))
        ours, floor = question.cpu["ours"], _add_up(question.cpu["sql"], question.cpu["same"])
        table.append(compare("", "  processor time of the same", ours, floor, unit="ms", most=MAX_RATIO))
        parts = ", ".join(f"{kind} {Spread.from_repeats(took[kind]).format()}" for kind in ("sql", "same", "nothing"))
        table.append(Figure("", f"  SQL, a call of the same bytes, one that does nothing: {parts}", ""))
        floor = _add_up(took["sql"], took["nothing"])
        table.append(compare("", "  against a call that does nothing", took["ours"], floor, unit="ms"))
        if "limit" not in question.given and question.tool == "history_query":
            table.append(
                Figure("R6", "  bytes by default", f"{size:.1f} kB", "", "", f"≤ {MOST_KB} kB", size <= MOST_KB)
            )
    return table


async def run(folder: Path, plays: int) -> None:
    began, before = time.monotonic(), describe_machine()
    now_ms = int(time.time() * 1000) // DAY_MS * DAY_MS
    path = await anyio.to_thread.run_sync(create_database, folder, plays, now_ms)
    made = time.monotonic() - began
    options = ("--transport", "http", "--port", "0", "--plex-url", NOWHERE, "--plex-token", "benchmark-token")
    asked = list_questions()
    with tempfile.TemporaryDirectory() as name, closing(sqlite3.connect(path)) as database:
        async with run_program(Path(name), *COMPANION, *options, "--database", str(path)) as program:
            program.url = await program.wait_for_line(r"(http://\S+/mcp)")
            async with Client(program.url, mode=MODERN) as client:
                await prepare(client, asked, database)
                answers = Path(name) / "answers.json"
                answers.write_text(json.dumps({question.what: question.answer for question in asked}))
                async with (
                    run_bare_server(Path(name), "answers", str(answers)) as bare,
                    Client(bare.url, mode=MODERN) as other,
                ):
                    pids = {"ours": program.pid, "sql": os.getpid(), "nothing": bare.pid, "same": bare.pid}
                    await measure(asked, client, other, database, pids)
    took = f"{time.monotonic() - began:.0f} s, of which {made:.0f} s to make {plays:,} plays"
    print_table(figures(asked), f"{before} before, {describe_machine().rpartition(', ')[2]} after; {took}")


def main(plays: int) -> None:
    folder = Path(tempfile.gettempdir()) / "plex-companion-history"
    folder.mkdir(exist_ok=True)
    anyio.run(run, folder, plays)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PLAYS)
