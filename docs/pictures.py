"""Makes the pictures of the dashboard in `docs/pictures/` from the demo household: `make pictures`. Needs Chromium."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from playwright.async_api import async_playwright, expect
from pydantic import SecretStr

from plex_companion.app import open_application
from plex_companion.demo import Demo, open_demo
from plex_companion.server.web import serve_http
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOLDER = Path(__file__).parent / "pictures"
SHOTS = (("phone", 390, 844, "dark"), ("laptop", 1280, 960, "light"), ("television", 1920, 1080, "dark"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
MINUTE = 60_000
ALL_SHOWN = """Promise.all([...document.images]
    .filter((image) => image.getBoundingClientRect().top < innerHeight).map((image) => image.decode()))"""


async def household(demo: Demo) -> None:
    """An evening at the Lighthouse."""
    for title in ("Saffron Sky", "The Quiet Lighthouse", "A Winter of Kites", "Paper Comets", "The Last Orchard"):
        await demo.add_movie(title)
    film = demo.start(demo.movie(12), user=0, player=0, offset=31 * MINUTE, transcode=True)
    if film.transcode:
        film.transcode.speed, film.transcode.hardware = 1.4, True
    demo.start(demo.episode(3), user=1, player=1, offset=11 * MINUTE)
    demo.start(demo.house.of_kind("track")[2], user=2, player=2, offset=MINUTE)
    paused = demo.start(demo.movie(6), user=1, player=3, offset=50 * MINUTE)
    demo.pause(paused)
    demo.house.refreshing.add("1")
    scan = demo.house.start_activity("library.update.section", "Scanning Films", cancellable=True)
    demo.house.move_activity(scan, 62)


@asynccontextmanager
async def companion(demo: Demo, folder: Path) -> AsyncIterator[str]:
    """The address of a companion that listens to it."""
    given = {"plex_url": demo.url, "plex_tv_url": demo.url, "database": folder / "cache.sqlite3"}
    settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})
    address: list[str] = []
    bound = anyio.Event()

    def started(host: str, port: int) -> None:
        address.append(f"http://{host}:{port}")
        bound.set()

    async with open_application(settings) as application, anyio.create_task_group() as tasks:

        async def serve() -> None:
            await serve_http(application.http(), "127.0.0.1", 0, notifier=application.notifier, started=started)

        tasks.start_soon(serve)
        await bound.wait()
        while not application.companion.is_live:
            await application.companion.live.changed()
        yield address[0]
        tasks.cancel_scope.cancel()


async def shoot(url: str, chromium: str) -> None:
    """Three windows as they are seen without scrolling; of the middle one the whole page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, height, scheme in SHOTS:
            page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            await page.goto(url)
            await expect(page.locator(".session[data-said]")).to_have_count(4)
            await page.evaluate(ALL_SHOWN)
            path = FOLDER / f"{name}.png"
            await page.screenshot(path=path, full_page=name == "laptop")
            sys.stdout.write(f"{path.relative_to(Path.cwd())}: {path.stat().st_size // 1024} kB\n")
        await browser.close()


async def main(chromium: str) -> None:
    """Set the scene, and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_demo(alive=False, speed=50) as demo,
            companion(demo, Path(folder)) as url,
        ):
            await household(demo)
            await shoot(url, chromium)


if __name__ == "__main__":
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("No Chromium here: install the package chromium, or name one in CHROMIUM.")
    anyio.run(main, found)
