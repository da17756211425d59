"""A real browser for tests: Debian's Chromium, driven by Playwright, and what a page may not do in it."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # a small package
from playwright.async_api import async_playwright, expect

from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = (
    "No Chromium here: install the package chromium, or name one in CHROMIUM. The pages are not seen in a browser."
)
FLAGS = (
    "--no-sandbox",  # tests may run as root, and open nothing but their own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=HANG_SECONDS * 1000)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield chromium
        finally:
            await chromium.close()


@dataclass
class Window:
    """A page, and what it complained of, asked for and loaded."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loads: int = 0

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(f"{path}" in url for url in self.requests)

    @asynccontextmanager
    async def connects(self) -> AsyncIterator[None]:
        """Leave when the page has a new stream of updates, which it opens after its first paint."""
        async with self.page.expect_response(lambda answer: "/events" in answer.url):
            yield

    async def violations(self, *rules: str) -> list[str]:
        """What axe-core finds, grave or not: by all its rules, or by these alone."""
        if not await self.page.evaluate("'axe' in window"):  # half a megabyte, which a document needs once
            await self.page.evaluate(Axe().axe_script)
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found: Any = await self.page.evaluate("options => axe.run(options)", options)
        return [
            f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    async def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        wider: int = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return wider


@asynccontextmanager
async def window(
    chromium: Browser, url: str, *, width: int = 1280, height: int = 900, scheme: Any = "dark", **more: Any
) -> AsyncIterator[Window]:
    """A page that is open and connected."""
    context = await chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
    opened = Window(await context.new_page())
    page = opened.page
    page.on("console", lambda said: opened.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    try:
        async with opened.connects():
            await page.goto(url)
        yield opened
    finally:
        await context.close()
