"""`python -m benchmarks.importing [ROWS]`: Plex's whole history imported while somebody presses pause and play.

The demo server and the companion are programs of their own; what is pressed and heard here is not in their way.
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

from benchmarks.figures import Figure, Spread, machine, percentile, show
from benchmarks.listening import MODERN, subscribed, text, until_listed
from benchmarks.programs import COMPANION, peak_mb, running
from plex_companion.demo import load_household, open_demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from mcp import Client

    from benchmarks.listening import Ear
    from benchmarks.programs import Program

SECTIONS = (
    {"title": "Films", "type": "movie", "generate": 3_000},
    {"title": "Series", "type": "show", "generate": {"count": 200, "seasons": 3, "episodes": 10}},
)
HOUSE = ("-m", "benchmarks.importing", "house")
KEY = "1"
QUIET = 0.15
PAGE = 5_000
HISTORY = "/status/sessions/history/all"


async def measure(rows: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home.json"
        home.write_text(json.dumps({"sections": SECTIONS, "generate_history": rows}))
        async with running(folder, *HOUSE, str(home)) as plex:
            plex.url = await plex.until(r"serves (\S+)")
            return [figure async for figure in _figures(folder, plex, rows)]


async def _figures(folder: Path, plex: Program, rows: int) -> Any:
    database = folder / "cache.sqlite3"
    options = ("--transport", "http", "--port", "0", "--plex-url", plex.url, "--plex-token", "benchmark-token")
    began = time.monotonic()
    async with running(folder, *COMPANION, *options, "--database", str(database)) as companion:
        companion.url = await companion.until(r"(http://\S+/mcp)")
        async with subscribed(companion.url, MODERN) as (client, ear):
            await until_listed(client, 1)
            during = await _pressed(plex, client, ear)
            took = time.monotonic() - began
            after = [await _press(plex, number, ear) for number in range(40)]
        memory = peak_mb(companion.pid)
    same = await anyio.to_thread.run_sync(_counted, database) == await anyio.to_thread.run_sync(_recounted, plex.url)
    yield Figure("I1", f"{rows:,} rows, from the start of the program", f"{took:.1f} s, {rows / took:,.0f} /s")
    yield Figure("I1", "plays per user and per day equal a recount of Plex's rows", "yes" if same else "NO")
    yield Figure("I2", f"press to notification meanwhile, p50 of {len(during)}", Spread.of(during).text("ms"))
    yield Figure("I2", "the same, p95; p99", f"{percentile(during, 95):.1f}; {percentile(during, 99):.1f} ms")
    yield Figure("I2", "afterwards, p50 of 40", Spread.of(after).text("ms"))
    yield Figure("I3", "the most memory held", f"{memory:.0f} MB")
    yield Figure("I3", "database", f"{database.stat().st_size / 1e6:.0f} MB")


async def _pressed(plex: Program, client: Client, ear: Ear) -> list[float]:
    found: list[float] = []
    while not json.loads(await text(client, "plex://server"))["history"]["complete"]:
        found.append(await _press(plex, len(found), ear))
    return found


async def _press(plex: Program, number: int, ear: Ear) -> float:
    """Milliseconds from the press to the notification."""
    await anyio.sleep(QUIET)
    at = time.monotonic()
    await anyio.to_thread.run_sync(_post, plex.url, f"/demo/sessions/{KEY}/{('pause', 'resume')[number % 2]}")
    return (await ear.after(at) - at) * 1000


def _post(url: str, path: str, **values: Any) -> str:
    given = urlencode({name: value for name, value in values.items() if value != ""})
    with urlopen(Request(f"{url}{path}?{given}", method="POST")) as answer:  # noqa: S310 - the demo server's address
        return str(answer.read().decode())


def _recounted(url: str) -> Counter[tuple[str, str]]:
    return Counter(
        (str(row.get("accountID")), datetime.fromtimestamp(int(row.get("viewedAt", 0)), UTC).date().isoformat())
        for row in _every_row(url)
    )


def _every_row(url: str) -> Iterator[Element]:
    start = 0
    while True:
        asked = f"{url}{HISTORY}?X-Plex-Container-Start={start}&X-Plex-Container-Size={PAGE}"
        with urlopen(asked) as answer:  # noqa: S310 - the demo server's address
            rows = list(fromstring(answer.read()))  # noqa: S314 - our own
        yield from rows
        start += len(rows)
        if not rows:
            return


def _counted(database: Path) -> Counter[tuple[str, str]]:
    with closing(connect(database)) as rows:
        found = rows.execute("""
            SELECT user_id, date(viewed_at / 1000, 'unixepoch'), count(*) FROM plays WHERE history_key IS NOT NULL
            GROUP BY 1, 2
        """)
        return Counter({(user, day): plays for user, day, plays in found})


async def house(home: str) -> None:
    """The program that plays Plex: somebody watches a film."""
    async with open_demo(alive=False, household=load_household(home)) as demo:
        demo.start(demo.get_movie())
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


def main() -> None:
    match sys.argv[1:]:
        case ["house", home]:
            anyio.run(house, home)
        case [rows]:
            show(anyio.run(measure, int(rows)), machine())
        case _:
            show(anyio.run(measure, 100_000), machine())


if __name__ == "__main__":
    main()
