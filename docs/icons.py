"""Makes the icons of the installed page, `plex_companion/dashboard/static/icon-*.png`, from `icon.svg`, and what stands for
a poster that Plex does not have, `no-picture.png`, from `docs/no-picture.svg`: `make icons`.

A browser builds a document for each SVG picture it shows, so that a page of posters would show late. Needs Chromium.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from playwright.async_api import Browser

FOLDER = Path(__file__).parents[1] / "plex_companion" / "dashboard" / "static"
GROUND = "#1b1e25"
"""As in the icon: a maskable one has no corners of its own (W3C, Web Application Manifest, icon masks)."""
ICONS = (("icon-192.png", 192, 1.0, ""), ("icon-512.png", 512, 1.0, ""), ("icon-maskable-512.png", 512, 0.8, GROUND))
"""Name, width in pixels, how much of it the icon takes, and the ground behind it."""
ICON, NO_PICTURE = (FOLDER / "icon.svg").read_bytes(), Path(__file__).with_name("no-picture.svg").read_bytes()
NO_PICTURE_SIZE = (200, 300)


async def draw_icons(chromium: str) -> None:
    """Draw every icon."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, width, part, ground in ICONS:
            side, edge = round(width * part), round(width * (1 - part) / 2)
            await draw_picture(browser, ICON, name, (side, side), edge, ground)
        await draw_picture(browser, NO_PICTURE, "no-picture.png", NO_PICTURE_SIZE)
        await browser.close()


async def draw_picture(
    browser: Browser, source: bytes, name: str, size: tuple[int, int], edge: int = 0, ground: str = ""
) -> None:
    """Draw an SVG picture, with an edge around it."""
    (width, height), image = size, base64.b64encode(source).decode()
    page = await browser.new_page(viewport={"width": width + 2 * edge, "height": height + 2 * edge})
    style = f"margin:0;background:{ground or 'transparent'}"
    await page.set_content(
        f"<body style='{style}'><img src='data:image/svg+xml;base64,{image}' width={width} height={height} "
        f"style='display:block;margin:{edge}px'></body>"
    )
    await page.screenshot(path=FOLDER / name, omit_background=True)


if __name__ == "__main__":
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("No Chromium here: install the package chromium, or name one in CHROMIUM.")
    anyio.run(draw_icons, found)
