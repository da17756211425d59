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
from typing import TYPE_CHECKING

import anyio
from playwright.async_api import async_playwright, expect
from pydantic import SecretStr
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from plex_companion.app import open_application
from plex_companion.commands.terminal.view import render
from plex_companion.commands.terminal.view_model import ViewModel
from plex_companion.demo import Demo, open_demo
from plex_companion.server.http.web import serve_http
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from plex_companion.companion import Companion

FOLDER = Path(__file__).parent / "pictures"
SHOTS = (("phone", 390, 844, "dark"), ("laptop", 1280, 960, "light"), ("television", 1920, 1080, "dark"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
MINUTE = 60_000
ALL_SHOWN = """Promise.all([...document.images]
    .filter((image) => image.getBoundingClientRect().top < innerHeight).map((image) => image.decode()))"""


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


@asynccontextmanager
async def companion(demo: Demo, folder: Path) -> AsyncIterator[tuple[str, Companion]]:
    """Run a companion that listens to the demo server, and yield its address."""
    given = {"plex_url": demo.url, "plex_tv_url": demo.url, "database": folder / "cache.sqlite3"}
    settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})
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
        yield address[0], application.companion
        tasks.cancel_scope.cancel()


async def shoot(url: str, known: Companion, chromium: str) -> None:
    """Three windows as they are seen without scrolling, of the middle one the whole page; then the terminal."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, height, scheme in SHOTS:
            page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            await page.goto(url)
            await expect(page.locator(".session[data-said]")).to_have_count(4)
            await page.evaluate(ALL_SHOWN)
            path = FOLDER / f"{name}.png"
            await page.screenshot(path=path, full_page=name == "laptop")
            _say(path)
        await _terminal(browser, ViewModel(known.state, known.now_ms, [], known.live.storage))
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
            companion(demo, Path(folder)) as (url, known),
        ):
            await household(demo)
            await shoot(url, known, chromium)


if __name__ == "__main__":
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("No Chromium here: install the package chromium, or name one in CHROMIUM.")
    anyio.run(main, found)
