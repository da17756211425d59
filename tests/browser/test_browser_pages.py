"""Every page in a browser: at three widths, by day and by night, with few and many streams, blind and abandoned."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal

import anyio
import pytest
from playwright.async_api import expect
from support.application import home
from support.browser import CHROMIUM, MISSING, browser, window
from support.deadlines import HANG_SECONDS
from support.pages import PAGES, PageCase, save_rules, start_streams

from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from playwright.async_api import Browser
    from support.application import Home
    from support.browser import Window

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
Scheme = Literal["dark", "light"]
WIDTHS = (390, 1280, 1920)
LOOKS: tuple[tuple[int, Scheme, tuple[str, ...]], ...] = (
    (390, "dark", ()),
    (390, "light", ("color-contrast",)),
    (1280, "light", ()),
    (1920, "dark", ()),
)
"""The widths and colours in which axe looks, and the rules if not all. Colours are the same at every width, and nothing but
the contrast depends on them.
"""
PRESENT = re.compile(
    r"Nothing is playing|Now playing|Nothing needs attention|Plex is working|Nothing playing|\d playing|\bLive\b"
    r"|(?<!Was )\b(?:Watching|Listening|Paused|Buffering)\b"
)
"""Sentences in the present tense."""
every_page = pytest.mark.parametrize("case", PAGES, ids=str)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as opened:
        yield opened


@pytest.fixture(scope="module", params=[0, 1, 25])
async def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A household with so many streams."""
    async with home(tmp_path_factory.mktemp("crowd")) as it:
        await save_rules(it.application)
        start_streams(it.demo, request.param)
        await it.until(lambda: len([one for one in it.sessions.values() if one.listed]) == request.param)
        yield it


async def check_widths(seen: Window, what: str) -> None:
    """Check that nothing is wider than the window."""
    for width in WIDTHS:
        await seen.page.set_viewport_size({"width": width, "height": 900})
        assert await seen.overflow() <= 0, f"{what}, {width} px"


async def check_looks(seen: Window, what: str, looks: Sequence[tuple[int, Scheme, tuple[str, ...]]] = LOOKS) -> None:
    """Check a page at every width, by day and by night."""
    await check_widths(seen, what)
    for width, scheme, rules in looks:
        await seen.page.set_viewport_size({"width": width, "height": 900})
        await seen.page.emulate_media(color_scheme=scheme)
        assert await seen.violations(*rules) == [], f"{what}, {width} px, {scheme}"


@every_page
async def test_a_page_is_sound_whatever_plays(case: PageCase, crowd: Home, chromium: Browser) -> None:
    async with window(chromium, f"{crowd.url}{case.path}") as seen:
        await expect(seen.page.locator("h1")).to_contain_text(case.heading)
        # Other pages than the first differ in nothing but plays that go on: those of the largest crowd are looked at.
        is_crowded = len(crowd.sessions) > 1 or case.path == "/"
        await check_looks(seen, "live", LOOKS if is_crowded else LOOKS[2:3])
        assert await seen.page.evaluate("window.hit") is None
        assert len([url for url in seen.requests if "/art/" in url]) <= 80
        assert seen.complaints == [] or case.is_error


@pytest.fixture(scope="module")
async def blind(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[PageCase, Window]]:
    """Every page, opened while Plex was there; it is away now."""
    async with home(tmp_path_factory.mktemp("blind")) as it, AsyncExitStack() as stack:
        await save_rules(it.application)
        start_streams(it.demo, 1)
        await it.until(lambda: it.sessions)
        opened = {case: await stack.enter_async_context(window(chromium, f"{it.url}{case.path}")) for case in PAGES}
        await it.demo.shut_down()
        yield opened


@every_page
async def test_a_page_without_plex_has_the_banner_and_claims_nothing_of_the_present(
    case: PageCase, blind: dict[PageCase, Window]
) -> None:
    seen = blind[case]
    await expect(seen.page.locator(".banner")).to_contain_text("Can't reach Plex")
    with anyio.fail_after(HANG_SECONDS):  # the banner is the first part that comes, and the title is in the second
        while PRESENT.findall(await read_text(seen)):  # noqa: ASYNC110 - the page tells nobody
            await anyio.sleep(0.02)
    await seen.page.reload()
    await expect(seen.page.locator(".banner")).to_contain_text("Can't reach Plex")
    assert PRESENT.findall(await read_text(seen)) == []
    await check_looks(seen, "blind")
    assert seen.complaints == [] or case.is_error


SAID = """() => {
    const body = document.body.cloneNode(true);
    for (const name of body.querySelectorAll(".rule h2 bdi, .rule pre")) name.remove();
    return body.textContent;
}"""


async def read_text(seen: Window) -> str:
    """Return the title and all text of the page, hidden text included, but for what people call their rules."""
    return f"{await seen.page.title()}\n{await seen.page.evaluate(SAID)}"


async def test_pages_whose_companion_is_gone_say_so_and_claim_nothing_of_the_present(
    chromium: Browser, tmp_path: Path
) -> None:
    async with open_demo(alive=False) as demo, AsyncExitStack() as stack:
        async with home(tmp_path, demo=demo) as it:
            await save_rules(it.application)
            start_streams(demo, 2)
            await it.until(lambda: it.sessions)
            opened = [await stack.enter_async_context(window(chromium, f"{it.url}{case.path}")) for case in PAGES]
            for seen in opened:
                await expect(seen.page.locator("#lost")).to_be_hidden()
        for seen, case in zip(opened, PAGES, strict=True):
            await expect(seen.page.locator("#lost")).to_contain_text("plex-companion isn't responding")
            await expect(seen.page).to_have_title("plex-companion not responding \u2013 plex-companion")
            assert PRESENT.findall(await read_text(seen)) == [], case.path
            assert await seen.page.locator("main").evaluate("main => getComputedStyle(main).opacity") < "1"
            await check_looks(
                seen, f"{case.path}, gone", LOOKS[1:3]
            )  # what is new is the banner, and that colours fade


async def test_a_printed_page_is_without_menus_and_forms(chromium: Browser, tmp_path: Path) -> None:
    async with home(tmp_path) as it, window(chromium, f"{it.url}/history") as seen:
        form = seen.page.locator("form.filters")
        await expect(form).to_be_visible()
        await seen.page.emulate_media(media="print")
        for hidden in (
            form,
            seen.page.locator("nav").first,
            seen.page.locator("footer"),
            seen.page.locator(".exports"),
        ):
            await expect(hidden).to_be_hidden()
        await expect(seen.page.locator("h1")).to_be_visible()
