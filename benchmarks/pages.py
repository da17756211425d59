"""`python -m benchmarks.pages [PLAYS] [ITEMS]`: the pages on a million plays and 100,000 items, beside a static file of the same server.

With Chromium, also how soon the largest part of each page is painted, beside the same page as a static file of the same server,
and beside a nearly empty page in the same frame.
See docs/benchmarks.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from playwright.async_api import async_playwright

from benchmarks.figures import REPEATS, Figure, Spread, compare, describe_machine, print_table
from benchmarks.history_database import create_database
from benchmarks.played_items import FIRST_SHOW, fill_items
from benchmarks.programs import COMPANION, run_program
from benchmarks.tools_load import read_cpu_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from benchmarks.programs import Program

PLAYS = 1_000_000
ITEMS = 100_000
DAY_MS = 86_400_000
MOST_MS = 100
MAX_RATIO = 20
MOST_PAINT_MS = 500
MAX_PAINT_RATIO = 1.5
QUIET_SECONDS = 15
QUIET_MS = 12
"""Milliseconds of processor time per second."""
NOWHERE = "http://127.0.0.1:9"
"""An address without a Plex: the pages need none."""
LEAST_CPU_MS = 0.05
"""Less is not measured: the clock of another process can stand still over one short answer."""
STATIC = "/static/dashboard.css"
EMPTY = "/plays/x"
"""A page in the same frame, with its styles and scripts, that asks and shows nothing: its address names no play."""
COPIES = ("-m", "benchmarks.static_copies")
REST_SECONDS = 0.2
"""After each paint: what a page asks for after it is done before the next page is opened."""
HTML = {"accept": "text/html"}
PATHS = (
    "/",
    "/history",
    "/history?user=Ada",
    "/history?user=Jon&since=30d",
    "/history?title=harbour",
    "/history?title=copper+raven",
    "/history?type=movie&decision=direct+play",
    "/history?player=Jon%27s+Roku",
    "/plays/10000",
    "/items/1001",  # a film
    f"/items/{FIRST_SHOW}",  # a show of 60 episodes
    f"/items/{FIRST_SHOW + 1}",  # its first season
    "/items/5001",  # its first episode
    "/users",
    "/users?period=30d",
    "/users/1",
    "/users/10",
    "/stats",
    "/stats?period=1y",
    "/stats?period=all",
    "/stats?period=all&zone=Asia/Kolkata&measure=hours",
    "/libraries",
    "/libraries?period=30d",
    "/libraries/1",
    "/libraries/2",
    "/libraries/3",
    "/neglected",
    "/neglected?days=90&type=movie",
    "/digest",
    "/digest?period=30d",
    "/alerts",
    "/rules",
    "/settings",
)
LARGEST_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
    const entries = list.getEntries();
    done(entries[entries.length - 1].startTime);
}).observe({ type: "largest-contentful-paint", buffered: true }))"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class PageFigures:
    """A page, how long it and the static file took, and the processor time of the program."""

    path: str
    took: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    static: list[float] = field(default_factory=list)
    static_cpu: list[float] = field(default_factory=list)
    paint: list[float] = field(default_factory=list)
    static_paint: list[float] = field(default_factory=list)
    """Of the page as a static file."""
    empty_paint: list[float] = field(default_factory=list)
    html: bytes = b""
    first: tuple[float, float] = (0.0, 0.0)
    """How long the first answer took, which compiles the template, and its processor time."""


async def time_answer(web: httpx2.AsyncClient, pid: int, path: str) -> tuple[float, float, bytes]:
    """Return the milliseconds of an answer, those of the program's processor time, and its body."""
    cpu, began = read_cpu_ms(pid), time.perf_counter()
    answer = await web.get(path, headers=HTML)
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200, (path, answer.status_code)
    return took, read_cpu_ms(pid) - cpu, answer.content


async def wait_until_prepared(pid: int) -> None:
    """Wait until the program hardly uses the processor: until it has counted what it counts after a start."""
    while True:
        before = read_cpu_ms(pid)
        await anyio.sleep(QUIET_SECONDS)
        if read_cpu_ms(pid) - before < QUIET_SECONDS * QUIET_MS:
            return


async def measure_answers(pages: list[PageFigures], web: httpx2.AsyncClient, pid: int) -> None:
    """Measure every page and the static file in turn."""
    for repeat in range(REPEATS + 1):
        for page in pages:
            static, page_answer = await time_answer(web, pid, STATIC), await time_answer(web, pid, page.path)
            if repeat == 0:
                page.first = page_answer[:2]
                continue
            page.static.append(static[0])
            page.static_cpu.append(max(static[1], LEAST_CPU_MS))
            page.took.append(page_answer[0])
            page.cpu.append(page_answer[1])
            page.html = page_answer[2]


async def measure_paints(pages: list[PageFigures], url: str, chromium: str) -> None:
    """Measure when the largest part is painted of each page and of its copy, in turn, each after an empty page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        for repeat in range(REPEATS + 1):
            for number, one in enumerate(pages):
                await time_paint(page, url + EMPTY)
                static = await time_paint(page, f"{url}/static/{name_copy(number)}")
                empty = await time_paint(page, url + EMPTY)
                paint = await time_paint(page, url + one.path)
                if repeat:
                    one.empty_paint.append(empty)
                    one.static_paint.append(static)
                    one.paint.append(paint)
        await browser.close()


def save_copies(pages: list[PageFigures], folder: Path) -> None:
    """Save the HTML of each page in a new folder."""
    folder.mkdir()
    for number, page in enumerate(pages):
        (folder / name_copy(number)).write_bytes(page.html)


def name_copy(number: int) -> str:
    """Return the name of the static file that is a copy of a page."""
    return f"page-{number}.html"


async def time_paint(page: Page, url: str) -> float:
    """Return the milliseconds until the largest part is painted."""
    await page.goto(url, wait_until="load")
    found: Any = await page.evaluate(LARGEST_PAINT)
    await anyio.sleep(REST_SECONDS)
    return float(found)


def list_figures(pages: list[PageFigures]) -> list[Figure]:
    table = []
    for page in pages:
        took = Spread.from_repeats(page.took)
        what = f"{page.path} ({len(page.html) / 1000:.0f} kB)"
        table.append(Figure("P1", what, took.format("ms"), "", "", f"≤ {MOST_MS} ms", took.median <= MOST_MS))
        first, cpu = page.first
        shown = f"{first:.3g} ms, {cpu:.3g} ms of processor"
        table.append(Figure("", "  the first time", shown, "", "", f"≤ {MOST_MS} ms", first <= MOST_MS))
        table.append(compare("", "  to a static file", page.took, page.static, unit="ms", most=MAX_RATIO))
        table.append(compare("", "  processor time", page.cpu, page.static_cpu, unit="ms", most=MAX_RATIO))
        if page.paint:
            paint = Spread.from_repeats(page.paint)
            met = paint.median <= MOST_PAINT_MS
            table.append(Figure("P2", "  largest paint", paint.format("ms"), "", "", f"≤ {MOST_PAINT_MS} ms", met))
            table.append(
                compare("P2", "  to its static copy", page.paint, page.static_paint, unit="ms", most=MAX_PAINT_RATIO)
            )
            table.append(compare("P3", "  to an empty page", page.paint, page.empty_paint, unit="ms"))
    return table


@asynccontextmanager
async def run_served(folder: Path, *arguments: str) -> AsyncIterator[tuple[str, Program]]:
    """Run a companion, and yield the address of its pages, and the program."""
    async with run_program(folder, *arguments) as program:
        url = await program.wait_for_line(r"(http://\S+/mcp)")
        yield url.removesuffix("/mcp"), program


async def run(folder: Path, plays: int, items: int) -> None:
    before = describe_machine()
    now_ms = int(time.time() * 1000) // DAY_MS * DAY_MS
    path = await anyio.to_thread.run_sync(create_database, folder, plays, now_ms, items, fill_items)
    options = ("--transport", "http", "--port", "0", "--plex-url", NOWHERE, "--plex-token", "benchmark-token")
    given = (*options, "--database", str(path))
    pages = [PageFigures(path) for path in PATHS]
    with tempfile.TemporaryDirectory() as name:
        home, copies = Path(name), Path(name, "copies")
        async with (
            run_served(home, *COMPANION, *given) as (url, program),
            httpx2.AsyncClient(base_url=url, timeout=60) as web,
        ):
            await wait_until_prepared(program.pid)
            await measure_answers(pages, web, program.pid)
        if chromium := os.environ.get("CHROMIUM") or shutil.which("chromium"):
            save_copies(pages, copies)
            async with run_served(home, *COPIES, str(copies), *given) as (url, program):
                await wait_until_prepared(program.pid)
                await measure_paints(pages, url, chromium)
    after = describe_machine().rpartition(", ")[2]
    print_table(list_figures(pages), f"{before} before, {after} after; {plays:,} plays, {items:,} items")


def main(plays: int = PLAYS, items: int = ITEMS) -> None:
    folder = Path(tempfile.gettempdir()) / "plex-companion-history"
    folder.mkdir(exist_ok=True)
    anyio.run(run, folder, plays, items)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
