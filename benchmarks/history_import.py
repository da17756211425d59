"""`python -m benchmarks.history_import [ROWS]`: import Plex's whole history while a viewer presses pause and play.

The demo server and the companion are programs of their own; this one only presses buttons and measures.
See docs/benchmarks.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from xml.etree.ElementTree import fromstring

import anyio
import anyio.to_thread

from benchmarks.figures import Figure, Spread, describe_machine, percentile, print_table
from benchmarks.mcp_clients import MODERN, read_text, subscribe, wait_for_sessions
from benchmarks.programs import COMPANION, read_peak_mb, run_program
from plex_companion.demo import load_household, open_demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from mcp import Client

    from benchmarks.mcp_clients import NotificationTimes
    from benchmarks.programs import Program

SECTIONS = (
    {"title": "Films", "type": "movie", "generate": 3_000},
    {"title": "Series", "type": "show", "generate": {"count": 200, "seasons": 3, "episodes": 10}},
)
DEMO_PROGRAM = ("-m", "benchmarks.history_import", "demo")
KEY = "1"
PRESS_INTERVAL = 0.15
PAGE = 5_000
HISTORY = "/status/sessions/history/all"


async def measure(rows: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home.json"
        home.write_text(json.dumps({"sections": SECTIONS, "generate_history": rows}))
        async with run_program(folder, *DEMO_PROGRAM, str(home)) as plex:
            plex.url = await plex.wait_for_line(r"serves (\S+)")
            return [figure async for figure in _list_figures(folder, plex, rows)]


async def _list_figures(folder: Path, plex: Program, rows: int) -> Any:
    database = folder / "cache.sqlite3"
    options = ("--transport", "http", "--port", "0", "--plex-url", plex.url, "--plex-token", "benchmark-token")
    began = time.monotonic()
    async with run_program(folder, *COMPANION, *options, "--database", str(database)) as companion:
        companion.url = await companion.wait_for_line(r"(http://\S+/mcp)")
        async with subscribe(companion.url, MODERN) as (client, updates):
            await wait_for_sessions(client, 1)
            during = await _press_during_import(plex, client, updates)
            took = time.monotonic() - began
            after = [await _press(plex, number, updates) for number in range(40)]
        memory = read_peak_mb(companion.pid)
    same = await anyio.to_thread.run_sync(_count_plays, database) == await anyio.to_thread.run_sync(
        _recount_rows, plex.url
    )
    yield Figure("I1", f"{rows:,} rows, from the start of the program", f"{took:.1f} s, {rows / took:,.0f} /s")
    yield Figure("I1", "plays per user and per day equal a recount of Plex's rows", "yes" if same else "NO")
    yield Figure(
        "I2", f"press to notification meanwhile, p50 of {len(during)}", Spread.from_repeats(during).format("ms")
    )
    yield Figure("I2", "the same, p95; p99", f"{percentile(during, 95):.1f}; {percentile(during, 99):.1f} ms")
    yield Figure("I2", "afterwards, p50 of 40", Spread.from_repeats(after).format("ms"))
    yield Figure("I3", "the most memory held", f"{memory:.0f} MB")
    yield Figure("I3", "database", f"{database.stat().st_size / 1e6:.0f} MB")


async def _press_during_import(plex: Program, client: Client, updates: NotificationTimes) -> list[float]:
    found: list[float] = []
    while not json.loads(await read_text(client, "plex://server"))["history"]["complete"]:
        found.append(await _press(plex, len(found), updates))
    return found


async def _press(plex: Program, number: int, updates: NotificationTimes) -> float:
    """Return the milliseconds from the press to the notification."""
    await anyio.sleep(PRESS_INTERVAL)
    at = time.monotonic()
    await anyio.to_thread.run_sync(_post, plex.url, f"/demo/sessions/{KEY}/{('pause', 'resume')[number % 2]}")
    return (await updates.wait_after(at) - at) * 1000


def _post(url: str, path: str, **values: Any) -> str:
    given = urlencode({name: value for name, value in values.items() if value != ""})
    with urlopen(Request(f"{url}{path}?{given}", method="POST")) as answer:  # noqa: S310 - the demo server's address
        return str(answer.read().decode())


def _recount_rows(url: str) -> Counter[tuple[str, str]]:
    return Counter(
        (str(row.get("accountID")), datetime.fromtimestamp(int(row.get("viewedAt", 0)), UTC).date().isoformat())
        for row in _list_rows(url)
    )


def _list_rows(url: str) -> Iterator[Element]:
    start = 0
    while True:
        asked = f"{url}{HISTORY}?X-Plex-Container-Start={start}&X-Plex-Container-Size={PAGE}"
        with urlopen(asked) as answer:  # noqa: S310 - the demo server's address
            rows = list(fromstring(answer.read()))  # noqa: S314 - our own
        yield from rows
        start += len(rows)
        if not rows:
            return


def _count_plays(database: Path) -> Counter[tuple[str, str]]:
    with closing(connect(database)) as rows:
        found = rows.execute("""
            SELECT user_id, date(viewed_at / 1000, 'unixepoch'), count(*) FROM plays WHERE history_key IS NOT NULL
            GROUP BY 1, 2
        """)
        return Counter({(user, day): plays for user, day, plays in found})


async def serve_demo_program(home: str) -> None:
    """Serve a demo server on which one film plays."""
    async with open_demo(alive=False, household=load_household(home)) as demo:
        demo.start(demo.get_movie())
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


def main() -> None:
    match sys.argv[1:]:
        case ["demo", home]:
            anyio.run(serve_demo_program, home)
        case [rows]:
            print_table(anyio.run(measure, int(rows)), describe_machine())
        case _:
            print_table(anyio.run(measure, 100_000), describe_machine())


if __name__ == "__main__":
    main()
