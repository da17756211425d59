"""`python -m benchmarks.catalogue [ITEMS]`: fill the catalogue of a big library, then search it.

`python -m benchmarks.catalogue written [ITEMS]` searches one that was written directly, with as many plays.

The demo server and the companion are programs of their own; this one presses buttons, asks and measures. A search is
compared with the SQL that a person would write and a call of the SDK that answers the same bytes, by processor time. See docs/benchmarks.md.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import anyio
import anyio.to_thread
from mcp import Client

from benchmarks.big_library import build_big_library
from benchmarks.catalogue_database import create_catalogue_database
from benchmarks.figures import REPEATS, Figure, Spread, compare, describe_machine, print_table
from benchmarks.mcp_clients import MODERN, read_text, subscribe, wait_for_sessions
from benchmarks.programs import COMPANION, read_peak_mb, run_bare_server, run_program
from benchmarks.tools_load import read_cpu_ms
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.mcp_clients import NotificationTimes
    from benchmarks.programs import Program

ITEMS = 20_000
WRITTEN = 100_000
NOWHERE = "http://127.0.0.1:9"
"""An address without a Plex: the questions need none."""
DEMO_PROGRAM = ("-m", "benchmarks.catalogue", "demo")
EMPTY = "nothing"
REPORTS: tuple[tuple[str, dict[str, str]], ...] = (
    *(
        ("catalogue_storage", {"by": by})
        for by in ("library", "show", "resolution", "codec", "year_added", "user_watched")
    ),
    ("catalogue_neglected", {}),
    ("catalogue_duplicates", {}),
    ("recommend", {}),
    ("recap", {}),
)
KEY = "1"
PRESS_INTERVAL = 0.15
PRESSES = 40
MOST_REQUESTS = 60
"""For 20,000 items; more items need as many more pages."""
MAX_SEARCH_RATIO, MAX_PRESS_RATIO = 1.5, 1.5
MAX_REPORT_RATIO = 20
"""How often an empty call a report on the whole catalogue may take."""
UNLIMITED = frozenset({"recommend", "recap"})
"""Reports without a target: they weigh or count what was played, too."""
MAX_BYTES_AN_ITEM, MAX_MEMORY_MB = 1_500, 15


@dataclass
class Search:
    """A search, and the SQL that a person at a prompt would write for its rows and totals."""

    what: str
    given: dict[str, Any]
    where: str
    answer: dict[str, Any] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in ("ours", "sql", "same")})

    def run_sql(self, database: sqlite3.Connection) -> int:
        """Run the SQL for the totals and for a page of rows; return how many fit."""
        found = f"FROM items WHERE {self.where}"
        (count, _) = database.execute(f"SELECT count(*), sum(size_bytes) {found}").fetchone()
        database.execute(
            f"SELECT items.* {found} ORDER BY coalesce(sort_title, title) COLLATE NOCASE, id LIMIT 20"
        ).fetchall()
        return int(count)


def list_searches() -> list[Search]:
    watched = "(SELECT item_id FROM finishes)"
    words = "id IN (SELECT rowid FROM item_words WHERE item_words MATCH '\"har\"*')"
    comedy = (
        "id IN (SELECT item_id FROM item_tags JOIN tags ON tags.id = tag_id WHERE kind = 'genre' AND name = 'Comedy')"
    )
    return [
        Search("films of a word's beginning", {"text": "har", "type": "movie"}, f"type = 'movie' AND {words}"),
        Search(
            "unwatched comedies under two hours",
            {"genre": "comedy", "type": "movie", "duration_max_minutes": 120, "unwatched_by": "anyone"},
            f"type = 'movie' AND duration_ms <= 7200000 AND {comedy} AND id NOT IN {watched}",
        ),
        Search("all episodes", {"type": "episode"}, "type = 'episode'"),
        Search("everything", {}, "1"),
        Search(
            "films in 4K",
            {"type": "movie", "resolution": "4k"},
            "type = 'movie' AND id IN (SELECT item_id FROM files WHERE resolution = '4k')",
        ),
    ]


async def measure(items: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with run_program(folder, *DEMO_PROGRAM, str(items), str(folder)) as plex:
            plex.url = await plex.wait_for_line(r"serves (\S+)")
            without = [figure async for figure in _run_without(folder, plex)]
            return [*without, *[figure async for figure in _list_figures(folder, plex, items)]]


async def measure_written(items: int) -> list[Figure]:
    """Measure the searches and reports alone, on items and plays that were written directly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, now_ms = folder / "cache.sqlite3", int(time.time() * 1000)
        await anyio.to_thread.run_sync(create_catalogue_database, path, items, items, now_ms)
        options = (*_list_options(NOWHERE), "--database", str(path))
        async with run_program(folder, *COMPANION, *options) as companion:
            companion.url = await companion.wait_for_line(r"(http://\S+/mcp)")
            return [figure async for figure in _list_search_figures(folder, companion, path)]


async def _run_without(folder: Path, plex: Program) -> AsyncIterator[Figure]:
    """Measure the same program without a catalogue: its memory and its presses are the floors."""
    own = folder / "without"
    own.mkdir()
    (own / ".env").write_text("PLEX_COMPANION_CATALOGUE=false\n")  # read from the working directory
    database = folder / "without.sqlite3"
    async with run_program(own, *COMPANION, *_list_options(plex.url), "--database", str(database)) as companion:
        companion.url = await companion.wait_for_line(r"(http://\S+/mcp)")
        async with subscribe(companion.url, MODERN) as (client, ear):
            await wait_for_sessions(client, 1)
            idle = [await _press(plex, number, ear) for number in range(PRESSES)]
        _FLOORS.update(memory=read_peak_mb(companion.pid), press=statistics.median(idle))
    yield Figure(
        "C2", f"press to notification without a catalogue, p50 of {PRESSES}", Spread.from_repeats(idle).format("ms")
    )


_FLOORS: dict[str, float] = {}


def _list_options(plex_url: str) -> tuple[str, ...]:
    return ("--transport", "http", "--port", "0", "--plex-url", plex_url, "--plex-token", "benchmark-token")


async def _list_figures(folder: Path, plex: Program, items: int) -> AsyncIterator[Figure]:
    database = folder / "cache.sqlite3"
    await anyio.to_thread.run_sync(_call, plex.url, "/demo/requests", "DELETE")
    began = time.monotonic()
    async with run_program(folder, *COMPANION, *_list_options(plex.url), "--database", str(database)) as companion:
        companion.url = await companion.wait_for_line(r"(http://\S+/mcp)")
        async with subscribe(companion.url, MODERN) as (client, ear):
            await wait_for_sessions(client, 1)
            during = await _press_during_fill(plex, client, ear)
            took = time.monotonic() - began
            listings = await anyio.to_thread.run_sync(_count_listings, plex.url)
            memory = read_peak_mb(companion.pid)
        most = MOST_REQUESTS * max(1, items / 20_000)
        yield Figure("C1", f"{items:,} items", f"{took:.1f} s, {items / took:,.0f} /s")
        yield Figure(
            "C1", "requests for pages of libraries", str(listings), target=f"≤ {most:.0f}", met=listings <= most
        )
        press = Spread.from_repeats(during)
        ratio = press.median / _FLOORS["press"]
        yield Figure(
            "C2", f"press to notification meanwhile, p50 of {len(during)}", press.format("ms"), ratio=f"{ratio:.2f}",
            target=f"≤ {MAX_PRESS_RATIO}", met=ratio <= MAX_PRESS_RATIO,
        )  # fmt: skip
        more = memory - _FLOORS["memory"]
        yield Figure(
            "C3", "more memory than without", f"{more:.0f} MB", target=f"≤ {MAX_MEMORY_MB}", met=more <= MAX_MEMORY_MB
        )
        async for figure in _list_search_figures(folder, companion, database):
            yield figure
    size = (database.stat().st_size - (folder / "without.sqlite3").stat().st_size) / items
    yield Figure(
        "C3",
        "bytes of database an item",
        f"{size:,.0f}",
        target=f"≤ {MAX_BYTES_AN_ITEM}",
        met=size <= MAX_BYTES_AN_ITEM,
    )


async def _list_search_figures(folder: Path, companion: Program, path: Path) -> AsyncIterator[Figure]:
    searches = list_searches()
    async with Client(companion.url, mode=MODERN) as client:
        with closing(sqlite3.connect(path)) as database:
            for search in searches:
                search.answer = await _ask(client, search)
                assert search.answer["total"] == search.run_sql(database), search
            answers = folder / "answers.json"
            answers.write_text(json.dumps({EMPTY: {}, **{search.what: search.answer for search in searches}}))
            async with (
                run_bare_server(folder, "answers", str(answers)) as bare,
                Client(bare.url, mode=MODERN) as other,
            ):
                pids = {"ours": companion.pid, "sql": os.getpid(), "same": bare.pid}
                for _ in range(REPEATS):
                    for search in searches:
                        await _time(search, client, other, database, pids)
                async for figure in _list_report_figures(client, other, pids):
                    yield figure
    for search in searches:
        floor = [sql + call for sql, call in zip(search.took["sql"], search.took["same"], strict=True)]
        what = f"{search.what} ({search.answer['total']:,})"
        yield compare("C4", what, search.took["ours"], floor, unit="ms", most=MAX_SEARCH_RATIO)


async def _list_report_figures(client: Client, other: Client, pids: dict[str, int]) -> AsyncIterator[Figure]:
    """Measure the reports on the whole catalogue, in turns with a call that answers nothing."""
    both = {kind: (pids[kind], pids["sql"]) for kind in ("ours", "same")}  # a call takes the caller's time, too
    for tool, given in REPORTS:
        took: list[float] = []
        floor: list[float] = []
        for _ in range(REPEATS):
            before = _sum_cpu(both["ours"])
            answer = await client.call_tool(tool, given)
            took.append(_sum_cpu(both["ours"]) - before)
            assert not answer.is_error, answer
            before = _sum_cpu(both["same"])
            await other.call_tool("same", {"name": EMPTY})
            floor.append(_sum_cpu(both["same"]) - before)
        most = None if tool in UNLIMITED else MAX_REPORT_RATIO
        yield compare("C5", " ".join([tool, *given.values()]), took, floor, unit="ms", most=most)


async def _time(
    search: Search, client: Client, other: Client, database: sqlite3.Connection, pids: dict[str, int]
) -> None:
    """Add the processor time of each program. They take turns, so that a busy moment meets all alike."""
    own = pids["sql"]
    found: dict[str, list[float]] = {kind: [] for kind in search.took}
    for _ in range(5):
        before = _sum_cpu((pids["ours"], own))
        await _ask(client, search)
        found["ours"].append(_sum_cpu((pids["ours"], own)) - before)
        before = _sum_cpu((own,))
        search.run_sql(database)
        found["sql"].append(_sum_cpu((own,)) - before)
        before = _sum_cpu((pids["same"], own))
        await other.call_tool("same", {"name": search.what})
        found["same"].append(_sum_cpu((pids["same"], own)) - before)
    for kind, times in found.items():
        search.took[kind].append(statistics.median(times))


def _sum_cpu(pids: tuple[int, ...]) -> float:
    return sum(map(read_cpu_ms, pids))


async def _ask(client: Client, search: Search) -> dict[str, Any]:
    answer = await client.call_tool("catalogue_search", search.given)
    assert not answer.is_error, answer
    return answer.structured_content or {}


async def _press_during_fill(plex: Program, client: Client, ear: NotificationTimes) -> list[float]:
    found: list[float] = []
    while not json.loads(await read_text(client, "plex://server"))["catalogue"]["complete"]:
        found.append(await _press(plex, len(found), ear))
    return found


async def _press(plex: Program, number: int, ear: NotificationTimes) -> float:
    """Return the milliseconds from the press to the notification."""
    await anyio.sleep(PRESS_INTERVAL)
    at = time.monotonic()
    await anyio.to_thread.run_sync(_call, plex.url, f"/demo/sessions/{KEY}/{('pause', 'resume')[number % 2]}", "POST")
    return (await ear.wait_after(at) - at) * 1000


def _count_listings(url: str) -> int:
    asked = json.loads(_call(url, "/demo/requests", "GET"))["requests"]
    return sum("/library/sections/" in json.dumps(one) and "includeGuids" in json.dumps(one) for one in asked)


def _call(url: str, path: str, method: str) -> str:
    with urlopen(Request(f"{url}{path}", method=method)) as answer:  # noqa: S310 - the demo server's address
        return str(answer.read().decode())


async def serve_demo_program(items: int, folder: Path) -> None:
    """Serve a demo server on which one film plays."""
    async with open_demo(alive=False, household=build_big_library(folder, items)) as demo:
        demo.start(demo.get_movie())
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


def main() -> None:
    match sys.argv[1:]:
        case ["demo", items, folder]:
            anyio.run(serve_demo_program, int(items), Path(folder))
        case ["written", *items]:
            print_table(anyio.run(measure_written, int(items[0]) if items else WRITTEN), describe_machine())
        case [items]:
            print_table(anyio.run(measure, int(items)), describe_machine())
        case _:
            print_table(anyio.run(measure, ITEMS), describe_machine())


if __name__ == "__main__":
    main()
