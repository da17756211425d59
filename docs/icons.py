"""Makes the icons of the installed page, `plex_companion/dashboard/static/icon-*.png`, from `icon.svg`: `make icons`.

Needs Chromium.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path

import anyio
from playwright.async_api import async_playwright

FOLDER = Path(__file__).parents[1] / "plex_companion" / "dashboard" / "static"
GROUND = "#1b1e25"
"""As in the icon: a maskable one has no corners of its own (W3C, Web Application Manifest, icon masks)."""
ICONS = (("icon-192.png", 192, 1.0, ""), ("icon-512.png", 512, 1.0, ""), ("icon-maskable-512.png", 512, 0.8, GROUND))
"""Name, width in pixels, how much of it the icon takes, and the ground behind it."""


async def draw_icons(chromium: str) -> None:
    """Draw every icon."""
    image = base64.b64encode((FOLDER / "icon.svg").read_bytes()).decode()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, width, part, ground in ICONS:
            page = await browser.new_page(viewport={"width": width, "height": width})
            side, edge = round(width * part), round(width * (1 - part) / 2)
            style = f"margin:0;background:{ground or 'transparent'}"
            await page.set_content(
                f"<body style='{style}'><img src='data:image/svg+xml;base64,{image}' width={side} height={side} "
                f"style='display:block;margin:{edge}px'></body>"
            )
            await page.screenshot(path=FOLDER / name, omit_background=True)
        await browser.close()


if __name__ == "__main__":
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("No Chromium here: install the package chromium, or name one in CHROMIUM.")
    anyio.run(draw_icons, found)
