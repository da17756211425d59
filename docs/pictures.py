"""Makes the pictures of the dashboard and of `watch` in `docs/pictures/` from the demo household: `make pictures`.

Needs Chromium.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from playwright.async_api import async_playwright, expect
from pydantic import SecretStr
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from plex_companion.app import open_application
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.commands.terminal.view import render
from plex_companion.commands.terminal.view_model import ViewModel
from plex_companion.demo import Demo, open_demo
from plex_companion.demo.demo_settings import open_demo_settings
from plex_companion.rules.templates import list_templates
from plex_companion.server.http.web import serve_http
from plex_companion.settings import Settings
from plex_companion.tools.rules.changing import save_new_rule, switch_rule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from plex_companion.companion import Companion

FOLDER = Path(__file__).parent / "pictures"
SHOTS: tuple[tuple[str, int, int, Literal["dark", "light"]], ...] = (
    ("phone", 390, 844, "dark"),
    ("laptop", 1280, 960, "light"),
    ("television", 1920, 1080, "dark"),
)
PAGES = (
    ("history", "/history"),
    ("person", "/users/1"),
    ("title", "/items/201"),
    ("statistics", "/stats"),
    ("rules", "/rules"),
    ("neglected", "/neglected?days=90"),
)
"""Pages that are taken at the size of a laptop, by the names of their pictures."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
MINUTE = 60_000
ALL_SHOWN = """() => [...document.images]
    .filter((image) => { const at = image.getBoundingClientRect(); return at.top < innerHeight && at.left < innerWidth; })
    .every((image) => image.src && image.complete)"""
"""Whether the pictures in view are there, which are asked for after the first paint; the others are when they come into view."""
ALL_DRAWN = "() => !document.querySelector('figure[data-chart] .canvas:empty')"
"""Whether the charts are drawn, which is after the first paint."""
RULES = ("More than 3 streams", "Paused for 30 minutes", "Pip after 21:00", "Plex out of reach for 5 minutes")
"""The ready-made rules of the household. The last one is turned off."""


async def write_rules(known: Companion) -> None:
    """Save some ready-made rules, and turn on all but the last."""
    ready = {rule.name: rule for rule in list_templates()}
    for name in RULES:
        stored = await save_new_rule(known, ready[name])
        if name != RULES[-1]:
            await switch_rule(known, stored, enabled=True)


async def household(demo: Demo) -> None:
    """Simulate an evening in the demo household."""
    for title in ("Saffron Sky", "The Quiet Lighthouse", "A Winter of Kites", "Paper Comets", "The Last Orchard"):
        await demo.add_movie(title)
    film = demo.start(demo.get_movie(12), user=0, player=0, offset=31 * MINUTE, transcode=True)
    if film.transcode:
        film.transcode.speed, film.transcode.hardware = 1.4, True
    demo.start(demo.get_episode(3), user=1, player=1, offset=11 * MINUTE)
    demo.start(demo.state.list_kind("track")[2], user=2, player=2, offset=MINUTE)
    paused = demo.start(demo.get_movie(6), user=1, player=3, offset=50 * MINUTE)
    demo.pause(paused)
    demo.state.refreshing.add("1")
    scan = demo.state.start_activity("library.update.section", "Scanning Films", cancellable=True)
    demo.state.move_activity(scan, 62)


def listen_to(demo: Demo, folder: Path) -> Settings:
    """Return the settings of a companion that listens to the demo server."""
    given = {"plex_url": demo.url, "plex_tv_url": demo.url, "database": folder / "cache.sqlite3"}
    return Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})


@asynccontextmanager
async def companion(settings: Settings) -> AsyncIterator[tuple[str, Companion]]:
    """Run a companion, and yield its address."""
    address: list[str] = []
    bound = anyio.Event()

    def started(host: str, port: int) -> None:
        address.append(f"http://{host}:{port}")
        bound.set()

    async with open_application(settings) as application, anyio.create_task_group() as tasks:

        async def serve() -> None:
            await serve_http(
                application.build_http_app(), "127.0.0.1", 0, notifier=application.notifier, started=started
            )

        tasks.start_soon(serve)
        await bound.wait()
        while not application.companion.is_live:
            await application.companion.live.wait_for_commit()
        await _wait_until_read(application.companion)
        yield address[0], application.companion
        tasks.cancel_scope.cancel()


async def _wait_until_read(known: Companion) -> None:
    """Wait until Plex's history and libraries are read, so that the pages have something to show."""
    while not (known.state.history.complete and (await describe_catalogue(known))["complete"]):
        await known.live.wait_for_commit()


async def shoot(url: str, known: Companion, chromium: str) -> None:
    """Three windows as they are seen without scrolling, of the middle one the whole page; then the terminal."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, height, scheme in SHOTS:
            page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            await page.goto(url)
            await expect(page.locator(".session[data-said]")).to_have_count(4)
            await page.wait_for_function(ALL_SHOWN)
            path = FOLDER / f"{name}.png"
            await page.screenshot(path=path, full_page=name == "laptop")
            _say(path)
        await _shoot_pages(browser, url)
        await _terminal(browser, ViewModel(known.state, known.now_ms, [], known.live.storage))
        await browser.close()


async def _shoot_pages(browser: Browser, url: str) -> None:
    page = await browser.new_page(viewport={"width": 1280, "height": 960}, color_scheme="light")
    for name, address in PAGES:
        await page.goto(url + address)
        await page.wait_for_function(ALL_SHOWN)
        await page.wait_for_function(ALL_DRAWN)
        path = FOLDER / f"{name}.png"
        await page.screenshot(path=path)
        _say(path)


async def shoot_servers(folder: Path, chromium: str) -> None:
    """Take the first page of a companion of three servers."""
    async with (
        open_demo_settings(Settings.load({}), 3) as settings,
        companion(settings.model_copy(update={"database": folder / "several.sqlite3"})) as (url, known),
        async_playwright() as playwright,
    ):
        while not all(state.sessions for state in known.states):
            await known.live.wait_for_commit()
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 960}, color_scheme="dark")
        await page.goto(url)
        await page.wait_for_function(ALL_SHOWN)
        path = FOLDER / "servers.png"
        await page.screenshot(path=path)
        _say(path)
        await browser.close()


async def _terminal(browser: Browser, scene: ViewModel) -> None:
    """Render what `watch` shows in a terminal of a hundred columns."""
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(render(scene))
    drawn = console.export_svg(title="plex-companion watch", code_format=_plain())
    page = await browser.new_page(viewport={"width": 1240, "height": 600})
    await page.set_content(f"<body style='margin:0'>{drawn}</body>")
    path = FOLDER / "watch.png"
    await page.locator("svg").first.screenshot(path=path, omit_background=True)
    _say(path)


def _plain() -> str:
    """Remove fonts of another host from the picture."""
    return re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def _say(path: Path) -> None:
    sys.stdout.write(f"{path.relative_to(Path.cwd())}: {path.stat().st_size // 1024} kB\n")


async def main(chromium: str) -> None:
    """Set the scene, and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_demo(alive=False, speed=50) as demo,
            companion(listen_to(demo, Path(folder))) as (url, known),
        ):
            await write_rules(known)
            await household(demo)
            await shoot(url, known, chromium)
        await shoot_servers(Path(folder), chromium)


if __name__ == "__main__":
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("No Chromium here: install the package chromium, or name one in CHROMIUM.")
    anyio.run(main, found)
