"""The dashboard as a person has it: in a browser, while the household goes on."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import anyio
import pytest
from playwright.async_api import expect
from pydantic import SecretStr
from support.application import Home, home
from support.browser import CHROMIUM, MISSING, Window, browser, window
from support.deadlines import HANG_SECONDS
from support.pages import save_rules

from plex_companion.demo import Demo, frames, open_demo
from plex_companion.plex.disconnects import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser

    from plex_companion.demo.sessions import DemoSession

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]
HOSTILE = (
    '<img src=x onerror="window.hit=1"><script>window.hit=1</script> \u202eeno \U0001f469\u200d\U0001f52c \u6f22\u5b57 '
    + "Long" * 60
)
HIDE = """() => {
    Object.defineProperty(document, "hidden", { value: HIDDEN, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
WIDTHS = (390, 1280, 1920)
SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as opened:
        yield opened


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Home]:
    """An application with the default timeouts."""
    async with home(tmp_path, timeouts=DEFAULT_TIMEOUTS) as running:
        yield running


@pytest.fixture
async def seen(it: Home, chromium: Browser) -> AsyncIterator[Window]:
    async with window(chromium, it.url) as opened:
        yield opened
        assert opened.complaints == [], "the console is quiet, and the Content-Security-Policy is kept"


async def test_a_session_appears_moves_and_pauses_without_a_reload(it: Home, seen: Window) -> None:
    cards = seen.page.locator(".session")
    film = it.demo.get_movie(1)
    playing: list[DemoSession] = []

    async def appear() -> None:
        if playing:
            it.demo.stop(playing.pop())
            await expect(cards).to_have_count(0)
        playing.append(it.demo.start(film))
        await expect(cards).to_have_count(1)

    async def pause() -> None:
        it.demo.pause(playing[0])
        await expect(cards.locator(".state")).to_contain_text("Paused")
        it.demo.resume(playing[0])
        await expect(cards.locator(".state")).to_contain_text("Watching")

    async def move() -> None:
        it.demo.seek(playing[0], playing[0].offset + 600_000)
        minutes = playing[0].offset // 60_000
        await expect(cards.locator(".position")).to_contain_text(f"{minutes}:")

    await appear()
    await expect(cards.locator("h2")).to_have_text(film.title)
    await pause()
    await move()


async def test_time_goes_on_between_events_without_asking_and_stands_while_paused(it: Home, seen: Window) -> None:
    session = it.demo.start(it.demo.get_movie(), offset=60_000)
    position = seen.page.locator(".position")
    await expect(seen.page.locator(".session h2").filter(has_text=it.demo.get_movie().title)).to_be_visible()
    asked = len([url for url in seen.requests if "/art/" not in url])
    await expect(position).to_have_text(re.compile(r"^(1:0[2-9]|1:[1-5]\d|[2-9]:\d\d)$"))  # a look may miss a second
    assert len([url for url in seen.requests if "/art/" not in url]) == asked
    bar = seen.page.locator(".session progress")
    assert int(await bar.get_attribute("value") or 0) >= 62_000
    it.demo.pause(session)
    await expect(seen.page.locator(".state")).to_contain_text("Paused")
    assert "data-moving" not in (await seen.page.locator(".session").evaluate("card => card.outerHTML"))


async def test_the_page_outlives_a_restart_of_the_companion(chromium: Browser, tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as first:
            port = int(first.url.rpartition(":")[2])
            opened = window(chromium, first.url)
            seen = await opened.__aenter__()
            await seen.page.evaluate("window.same = true")
            await expect(seen.page.locator("#lost")).to_be_hidden()
        await expect(seen.page.locator("#lost")).to_contain_text("plex-companion isn't responding")
        await expect(seen.page.locator(".pill")).to_be_hidden()
        async with home(tmp_path, demo=demo, port=port):
            await expect(seen.page.locator("#lost")).to_be_hidden()
            await expect(seen.page.locator(".pill")).to_have_text("Live")
            demo.start(demo.get_movie(2))
            await expect(seen.page.locator(".session h2")).to_have_text(demo.get_movie(2).title)
            assert await seen.page.evaluate("window.same"), "it was not reloaded"
            await opened.__aexit__(None, None, None)


async def test_the_page_outlives_a_restart_of_plex_and_says_while_it_lasts_that_it_is_blind(
    chromium: Browser, tmp_path: Path
) -> None:
    async with home(tmp_path) as it, window(chromium, it.url) as seen:
        await seen.page.evaluate("window.same = true")
        it.demo.start(it.demo.get_movie(2), offset=60_000)
        await expect(seen.page.locator(".session .state")).to_contain_text("Watching")
        await it.demo.shut_down()
        await expect(seen.page.get_by_role("alert").filter(has_text="Can't reach Plex")).to_be_visible()
        await expect(seen.page.locator(".pill")).to_have_text("Disconnected")
        await expect(seen.page.locator(".session .state")).to_contain_text("Was watching")
        await it.demo.reopen()
        await expect(seen.page.locator(".pill")).to_have_text("Live")
        await expect(seen.page.locator(".now")).to_contain_text("Nothing is playing")
        it.demo.start(it.demo.get_movie(3))
        await expect(seen.page.locator(".session h2")).to_have_text(it.demo.get_movie(3).title)
        assert await seen.page.evaluate("window.same"), "it was not reloaded"
        assert seen.complaints == []


PRESENT = re.compile(
    r"Nothing is|Now playing|Nothing needs|Nothing right now|Plex is working|Nothing playing|nothing right now|nothing new|\d playing|Nothing new"
    r"|\bLive\b|can't play|the player wants|(?<!Was )\b(?:Watching|Listening|Paused|Buffering|Transcoding)\b"
)
"""What may be said while it is known to be so, and not when it is only the last that is known."""


async def _read_text(seen: Window) -> str:
    """Return the title and all text of the page, hidden text included."""
    return f"{await seen.page.title()}\n{await seen.page.locator('body').text_content()}"


async def _until_past(seen: Window, title: str) -> str:
    await expect(seen.page).to_have_title(f"{title} \u2013 plex-companion")
    await expect(seen.page.locator("h2").filter(has_text="Plex was working on")).to_be_visible()
    said = await _read_text(seen)
    assert PRESENT.findall(said) == []
    return said


@pytest.mark.parametrize("is_busy", [False, True])
async def test_while_the_companion_is_away_the_page_says_what_was_and_nothing_of_what_is(
    chromium: Browser, tmp_path: Path, is_busy: bool
) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as first:
            port = int(first.url.rpartition(":")[2])
            opened = window(chromium, first.url)
            seen = await opened.__aenter__()
            if is_busy:
                await fill_household(demo)
                await expect(seen.page.locator(".session .state-name")).to_have_text(["Watching", "Watching"])
                await expect(seen.page.locator(".session .why")).to_be_visible()
                await expect(seen.page.locator(".alert, .task")).to_have_count(2)
            await expect(seen.page.locator(".pill")).to_have_text("Live")
            before = await _read_text(seen)
            assert len(PRESENT.findall(before)) >= 4
        await expect(seen.page.locator("#lost")).to_contain_text("plex-companion isn't responding")
        past = await _until_past(seen, "plex-companion not responding")
        if is_busy:
            assert past.count("Was watching") == 2
            assert "last known" in (await seen.page.locator(".alert").text_content() or "")
            assert "the player couldn't play" in past or "was too slow" in past
        else:
            assert "Nothing was playing." in past
            assert "Nothing needed attention." in past
        assert await seen.violations() == []
        async with home(tmp_path, demo=demo, port=port):
            await expect(seen.page.locator(".pill")).to_have_text("Live")
            await expect(seen.page.locator("h2").filter(has_text="Plex is working on")).to_be_visible()
            with anyio.fail_after(HANG_SECONDS):
                while len(PRESENT.findall(await _read_text(seen))) < 4:  # noqa: ASYNC110 - the page tells nobody
                    await anyio.sleep(0.02)
            await opened.__aexit__(None, None, None)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_while_plex_is_away_the_page_says_what_was_and_nothing_of_what_is(
    chromium: Browser, tmp_path: Path, is_busy: bool
) -> None:
    async with home(tmp_path) as it, window(chromium, it.url) as seen:
        if is_busy:
            await fill_household(it.demo)
            await expect(seen.page.locator(".session")).to_have_count(2)
        await it.demo.shut_down()
        await expect(seen.page.locator(".pill")).to_have_text("Disconnected")
        past = await _until_past(seen, "Plex disconnected")
        assert ("Can't tell what's playing" in past) is not is_busy
        await seen.page.reload()
        assert PRESENT.findall(await _read_text(seen)) == [], "drawn by the server"
        await it.demo.reopen()
        await expect(seen.page.locator("h2").filter(has_text="Plex is working on")).to_be_visible()


async def test_the_title_of_a_page_that_nobody_looks_at_says_nothing_that_may_be_over(
    it: Home, chromium: Browser
) -> None:
    async with window(chromium, it.url) as seen:
        await seen.page.clock.install()
        async with seen.connects():
            await seen.page.reload()
        await expect(seen.page).to_have_title("Nothing playing \u2013 plex-companion")
        await seen.page.evaluate(HIDE.replace("HIDDEN", "true"))
        await seen.page.clock.fast_forward(11_000)
        await expect(seen.page).to_have_title("plex-companion")
        assert PRESENT.findall(await _read_text(seen)) == []
        it.demo.start(it.demo.get_movie(2))
        await seen.page.evaluate(HIDE.replace("HIDDEN", "false"))
        await expect(seen.page).to_have_title("1 playing \u2013 plex-companion")
        await expect(seen.page.locator(".session .state")).to_contain_text("Watching")


async def test_tabs_that_nobody_looks_at_leave_room_for_the_one_that_is_opened(it: Home, chromium: Browser) -> None:
    async with window(chromium, it.url) as seen:
        await seen.page.clock.install()  # of all tabs
        tabs = [seen.page, *[await seen.page.context.new_page() for _ in range(5)]]
        for tab in tabs:
            async with tab.expect_response(lambda answer: "/events" in answer.url):
                await tab.goto(it.url)
            await tab.evaluate(HIDE.replace("HIDDEN", "true"))
        await seen.page.clock.fast_forward(11_000)
        for tab in tabs:
            await expect(tab).to_have_title("plex-companion")
        opened = await seen.page.context.new_page()
        await opened.goto(f"{it.url}/history")
        await expect(opened.locator("h1")).to_have_text("History")


async def test_a_stream_that_died_unseen_is_opened_again(it: Home, chromium: Browser) -> None:
    async with window(chromium, it.url) as seen:
        await seen.page.clock.install()
        async with seen.connects():
            await seen.page.reload()
        await expect(seen.page.locator("#lost")).to_be_hidden()
        before = seen.asked("/events")
        async with seen.connects():
            await seen.page.clock.fast_forward(41_000)
        assert seen.asked("/events") == before + 1
        await expect(seen.page.locator("#lost")).to_be_hidden()


async def fill_household(demo: Demo) -> None:
    """Give the household one of everything."""
    demo.get_movie(4).title = HOSTILE
    demo.start(demo.get_movie(4), player=0, transcode=True)
    paused = demo.start(demo.get_episode(2), player=1, user=1)
    demo.pause(paused)
    for _ in range(4):
        demo.buffer(paused)
        demo.resume(paused)
    demo.state.start_activity("library.update.section", "Scanning Films", cancellable=True)
    await demo.add_movie("Saffron Sky")


async def test_axe_finds_nothing_by_day_or_night_live_or_blind(it: Home, seen: Window) -> None:
    await fill_household(it.demo)
    await expect(seen.page.locator(".session")).to_have_count(2)
    await expect(seen.page.locator(".alert, .task")).to_have_count(2)
    for scheme in SCHEMES:
        await seen.page.emulate_media(color_scheme=scheme)
        assert await seen.violations() == [], scheme
    await it.demo.shut_down()
    await expect(seen.page.locator(".banner")).to_contain_text("Can't reach Plex")
    for scheme in SCHEMES:
        await seen.page.emulate_media(color_scheme=scheme)
        assert await seen.violations() == [], f"{scheme}, blind"


async def test_hostile_titles_are_text_and_nothing_is_wider_than_the_window(it: Home, seen: Window) -> None:
    await fill_household(it.demo)
    await expect(seen.page.locator(".session h2").first).to_contain_text("<img src=x onerror")
    for width in WIDTHS:
        await seen.page.set_viewport_size({"width": width, "height": 900})
        assert await seen.overflow() <= 0, width
    assert await seen.page.evaluate("window.hit") is None


async def test_the_first_paint_holds_what_plays(it: Home, chromium: Browser) -> None:
    it.demo.start(it.demo.get_movie(1))
    await it.until(lambda: it.sessions and next(iter(it.sessions.values())).listed)
    async with open_title_without_script(chromium, it.url) as title:
        assert title == it.demo.get_movie(1).title, "the server draws it, not the script"


@asynccontextmanager
async def open_title_without_script(chromium: Browser, url: str) -> AsyncIterator[str | None]:
    """Open the page without scripts and return the first title on it."""
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(url)
    yield await page.locator(".session h2").first.text_content()
    await context.close()


async def test_pictures_come_from_the_companion_and_are_there(it: Home, seen: Window) -> None:
    it.demo.start(it.demo.get_movie(1))
    poster = seen.page.locator(".session img")
    await expect(poster).to_have_js_property("complete", value=True)
    assert await poster.evaluate("image => image.naturalWidth") > 100
    assert {url.split("/")[2] for url in seen.requests} == {it.url.split("/")[2]}, "nothing from other hosts"


WITHHOLD = """() => {
    const image = new Image();
    image.loading = "lazy";
    image.src = "/art/107?0";
    document.body.append(image);
    const show = withholdPictures();
    const withheld = !image.hasAttribute("src");
    show();
    return [withheld, image.getAttribute("src")];
}"""


async def test_a_picture_that_is_withheld_until_the_first_paint_has_its_own_address_again(seen: Window) -> None:
    assert await seen.page.evaluate(WITHHOLD) == [True, "/art/107?0"]


async def test_plays_far_down_the_history_are_drawn_after_the_first_screen(it: Home, chromium: Browser) -> None:
    await it.until(lambda: it.application.companion.state.history.complete)
    async with window(chromium, f"{it.url}/history") as seen:
        rows = seen.page.locator(".play")
        waits = [await rows.nth(n).evaluate("row => getComputedStyle(row).animationName") for n in (9, 10, 30)]
        assert waits == ["none", "after-first-paint", "after-first-paint"]
        row = rows.nth(30)
        title = await row.locator(".title").text_content()
        await row.locator(".title").click()
        await expect(seen.page.locator("h1")).to_contain_text(title or "no title")


async def test_what_has_the_focus_keeps_it_when_its_part_is_told_anew(it: Home, seen: Window) -> None:
    it.demo.start(it.demo.get_movie(0))
    days = seen.page.locator(".days summary")
    await days.focus()
    await days.press("Enter")
    before = await seen.page.locator(".days figcaption p").text_content() or ""
    it.demo.start(it.demo.get_movie(1), player=1, user=1)
    await expect(seen.page.locator(".days figcaption p")).not_to_have_text(before)
    await expect(days).to_be_focused()
    await expect(seen.page.locator(".days details")).to_have_attribute("open", "")


async def test_an_alert_is_acknowledged_with_its_button_and_leaves(it: Home, seen: Window) -> None:
    await it.add_alert("The roof is being repaired")
    alert = seen.page.locator(".alert")
    await expect(alert).to_contain_text("The roof is being repaired")
    await alert.get_by_role("button", name="Mark as seen: The roof is being repaired").press("Enter")
    await expect(alert).to_have_count(0)
    await expect(seen.page.get_by_text("Nothing needs attention.")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
async def test_a_stream_is_stopped_in_a_dialog_that_escape_and_cancel_leave_without_sending(
    chromium: Browser, tmp_path: Path, script: bool
) -> None:
    async with home(tmp_path, read_only=False) as it:
        it.demo.start(it.demo.get_movie(1))
        await it.until(lambda: any(one.listed for one in it.sessions.values()))
        context = await chromium.new_context(java_script_enabled=script)
        page = await context.new_page()
        await page.goto(it.url)
        dialog = page.get_by_role("dialog")
        for leave in ("Escape", "Cancel"):
            await page.get_by_role("button", name="Stop ").click()
            await expect(dialog).to_be_visible()
            if leave == "Escape":
                await page.keyboard.press("Escape")
            else:
                await dialog.get_by_role("button", name="Cancel").click()
            await expect(dialog).to_be_hidden()
        assert it.demo.requests.count("/status/sessions/terminate") == 0
        await page.get_by_role("button", name="Stop ").click()
        await dialog.get_by_label("Message").fill("Dinner is ready")
        await dialog.get_by_role("button", name="Stop it").click()
        await expect(page.locator(".now")).to_contain_text("Nothing is playing")
        assert it.demo.requests.count("/status/sessions/terminate") == 1
        await context.close()


@pytest.mark.parametrize("script", [True, False])
async def test_a_rule_is_turned_on_in_a_dialog_that_escape_and_cancel_leave_without_sending(
    chromium: Browser, tmp_path: Path, script: bool
) -> None:
    async with home(tmp_path) as it:
        await save_rules(it.application)
        rules = it.application.companion.live.state.rules
        context = await chromium.new_context(java_script_enabled=script)
        page = await context.new_page()
        await page.goto(f"{it.url}/rules")
        dialog = page.get_by_role("dialog")
        for leave in ("Escape", "Cancel"):
            await page.get_by_role("button", name="Turn on").click()
            await expect(dialog).to_contain_text("Turn this rule on?")
            if leave == "Escape":
                await page.keyboard.press("Escape")
            else:
                await dialog.get_by_role("button", name="Cancel").click()
            await expect(dialog).to_be_hidden()
        assert it.application.companion.live.state.rules.stored == rules.stored
        await page.get_by_role("button", name="Turn on").click()
        await dialog.get_by_role("button", name="Turn it on").click()
        await expect(page.get_by_role("button", name="Turn off")).to_have_count(3)
        await page.get_by_role("button", name="Turn off: Anybody plays").click()
        await expect(page.get_by_role("button", name="Turn off")).to_have_count(2)
        await context.close()


async def test_what_is_typed_in_the_dialog_survives_reports_of_progress(chromium: Browser, tmp_path: Path) -> None:
    async with home(tmp_path, read_only=False) as it:
        playing = it.demo.start(it.demo.get_movie(1))
        await it.until(lambda: any(one.listed for one in it.sessions.values()))
        async with window(chromium, it.url) as seen:
            await seen.page.get_by_role("button", name="Stop ").click()
            await seen.page.get_by_label("Message").fill("Dinner")
            it.demo.pause(playing)
            await expect(seen.page.locator(".session .state")).to_contain_text("Paused")
            await expect(seen.page.get_by_label("Message")).to_have_value("Dinner")
            assert await seen.violations() == []


async def test_who_listens_is_told_of_what_begins_and_of_nothing_that_was_there(it: Home, chromium: Browser) -> None:
    it.demo.start(it.demo.get_movie(1))
    await it.until(lambda: it.sessions and next(iter(it.sessions.values())).listed)
    async with window(chromium, it.url) as seen:
        await expect(seen.page.locator(".session")).to_have_count(1)
        await expect(seen.page.locator("#said")).to_be_empty()
        it.demo.start(it.demo.get_movie(2), player=1, user=1)
        await expect(seen.page.locator("#said")).to_contain_text(f"is watching {it.demo.get_movie(2).title}")


async def test_the_keyboard_begins_with_a_way_to_the_content(seen: Window) -> None:
    await seen.page.keyboard.press("Tab")
    skip = seen.page.locator(".skip")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await skip.press("Enter")
    await expect(seen.page.locator("#main")).to_be_focused()


async def test_a_page_of_another_version_loads_itself_anew_when_it_connects(seen: Window) -> None:
    await seen.page.evaluate("window.same = true; document.documentElement.dataset.build = 'older'")
    async with seen.page.expect_event("load"):
        await seen.page.evaluate("connect()")
    assert await seen.page.evaluate("window.same") is None


async def test_the_token_opens_the_page_which_then_moves_and_writes_by_the_cookie_alone(
    chromium: Browser, tmp_path: Path
) -> None:
    token = "canary-bearer-4815"
    async with home(tmp_path, token=SecretStr(token)) as it:
        context = await chromium.new_context()
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(it.url)
        await expect(page.locator(".session")).to_have_count(0)
        await page.get_by_label("Token").fill("not the token")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        await page.get_by_label("Token").fill(token)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".brand")).to_contain_text(it.demo.state.name)
        complaints.clear()  # until here the browser was told 401, as it should be
        session = it.demo.start()
        await expect(page.locator(".session")).to_have_count(1)
        it.demo.announce(frames.build_reachability(reachable=False))
        await page.get_by_role("button", name="Mark as seen").click()
        await expect(page.get_by_role("button", name="Mark as seen")).to_have_count(0)
        it.demo.stop(session)
        await expect(page.locator(".session")).to_have_count(0)
        (cookie,) = await context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert token not in cookie["value"] + page.url
        assert complaints == []
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        assert await context.cookies() == []
        await context.close()
