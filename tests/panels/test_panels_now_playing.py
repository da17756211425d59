"""The panel of what plays, in a browser, shown by a host that speaks MCP Apps."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from support.application import home
from support.deadlines import HANG_SECONDS

from plex_companion.panels import NOW_PLAYING, PANELS

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "No Chromium here: install the package chromium, or name one in CHROMIUM. The panel is not seen in a browser."
HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script>'
browsing = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
Shown = dict[str, Any]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def read_page_and_answer(folder: Path) -> tuple[str, Shown]:
    """Return the page, and a real answer of `live_sessions`."""
    async with home(folder) as it:
        it.demo.start(transcode=True)
        await it.until(lambda: any(one.transcode and one.item.duration_ms for one in it.sessions.values()))
        async with Client(it.application.server) as client:
            tool = next(one for one in (await client.list_tools()).tools if one.name == "live_sessions")
            assert tool.meta is not None
            (page,) = (await client.read_resource(tool.meta["ui"]["resourceUri"])).contents
            answer = await client.call_tool("live_sessions", {})
        return page.text, answer.model_dump(by_alias=True, mode="json", exclude_none=True)  # type: ignore[union-attr]  # a text


def change_answer(answer: Shown, connection: str = "live", **session: Any) -> Shown:
    """Return the answer with other facts about its session or connection."""
    body = json.loads(json.dumps(answer["structuredContent"]))
    body["connection"]["state"] = connection
    body["sessions"][0].update(session)
    return {**answer, "structuredContent": body}


def results(answer: Shown) -> dict[str, Shown]:
    at: Shown = {"state": "playing", "view_offset_ms": 600_000, "duration_ms": 1_200_000, "stale": False}
    empty = {**change_answer(answer)["structuredContent"], "sessions": []}
    text = json.dumps(change_answer(answer, **at, full_title="Told as text")["structuredContent"])
    slow: Shown = {"decision": "transcode", "buffer_count": 2}
    job = {"source_video_codec": "hevc", "video_codec": "h264", "speed": 0.7, "hardware": True, "throttled": False}
    return {
        "real": answer,
        "playing": change_answer(answer, **at),
        "paused": change_answer(answer, **{**at, "state": "paused"}),
        "slow": change_answer(answer, **at, **slow, transcode=job),
        "hostile": change_answer(answer, **at, full_title=HOSTILE, user={"id": "1", "name": HOSTILE}),
        "blind": change_answer(answer, connection="down", **at),
        "nobody": {**answer, "structuredContent": empty},
        "text": {"content": [{"type": "text", "text": text}]},
        "refused": {"content": [{"type": "text", "text": '{"message": "Not now."}'}], "isError": True},
        "nonsense": {"content": [{"type": "text", "text": "not JSON"}]},
        "fresh": change_answer(answer, **at, full_title="Asked anew"),
    }


@pytest.fixture(scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything the page showed and sent in one session, with time sped up."""
    folder = tmp_path_factory.mktemp("panel")
    page, answer = await read_page_and_answer(folder)
    given = json.dumps({"page": page, "results": results(answer)}).replace("<", "\\u003c")
    host = (HERE / "host.html").read_text(encoding="utf-8").replace("GIVEN", given, 1)
    (folder / "host.html").write_text(host, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}")
    command = [str(CHROMIUM), *flags, "--virtual-time-budget=20000", "--dump-dom", (folder / "host.html").as_uri()]
    with anyio.fail_after(HANG_SECONDS):
        done = await anyio.run_process(command, check=False)
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found, done.stderr.decode()[-2000:]
    page_values: dict[str, Any] = json.loads(html.unescape(found[1]))
    return page_values


def methods(shown: dict[str, Any]) -> list[str]:
    return [message["method"] for message in shown["said"] if "method" in message]


@browsing
async def test_the_page_introduces_itself_and_waits_for_the_answer(shown: dict[str, Any]) -> None:
    first = shown["said"][0]
    assert first["method"] == "ui/initialize"
    assert first["params"]["protocolVersion"] == "2026-01-26"
    assert {"appInfo", "appCapabilities"} <= first["params"].keys()
    assert methods(shown)[1] == "ui/notifications/initialized"
    assert "Waiting" in shown["waiting"]["text"]
    assert "ui/notifications/size-changed" in methods(shown)


@browsing
async def test_it_shows_what_the_tool_really_answers(shown: dict[str, Any]) -> None:
    view = shown["real"]
    assert "Now playing: 1" in view["text"]
    assert "Transcoding" in view["text"]
    assert len(view["bars"]) == 1
    assert view["note"] == ""


@browsing
async def test_it_says_where_it_is_how_it_is_delivered_and_what_is_wrong(shown: dict[str, Any]) -> None:
    assert "10:00 of 20:00" in shown["playing"]["text"] or "10:01 of 20:00" in shown["playing"]["text"]
    assert "of 20:00, paused" in shown["paused"]["text"]
    assert "Transcoding hevc → h264, in hardware, slower than real time (0.7x)" in shown["slow"]["text"]
    assert "Buffered 2 times" in shown["slow"]["text"]


@browsing
async def test_the_bar_moves_between_answers_while_plex_is_heard_and_stands_still_when_not(
    shown: dict[str, Any],
) -> None:
    moved = shown["later"]["bars"][0] - shown["begun"]["bars"][0]
    assert 2 / 1200 <= moved <= 5 / 1200
    assert shown["still"]["bars"] == shown["stopped"]["bars"] == [0.5]


@browsing
async def test_what_is_not_the_present_is_marked(shown: dict[str, Any]) -> None:
    assert "No connection to Plex (down). This is the last known state" in shown["blind"]["note"]
    assert "Nothing is playing." in shown["nobody"]["text"]
    for missed in ("blind", "refused", "nonsense"):
        assert "Last known: 1" in shown[missed]["text"]
        assert "Now playing" not in shown[missed]["text"]
        assert "Transcoding " not in shown[missed]["text"]


@browsing
async def test_text_from_plex_stays_text(shown: dict[str, Any]) -> None:
    assert shown["hostile"]["text"].count(HOSTILE) == 2
    assert shown["hostile"]["images"] == 0
    assert shown["violations"] == []


@browsing
async def test_hosts_that_pass_on_the_text_alone_are_shown_the_same(shown: dict[str, Any]) -> None:
    assert "Told as text" in shown["text"]["text"]


@browsing
async def test_what_went_wrong_is_said(shown: dict[str, Any]) -> None:
    assert shown["refused"]["note"] == "Not now."
    assert shown["nonsense"]["note"] == "The tool's answer has no sessions."
    assert "cancelled" in shown["cancelled"]["note"]


@browsing
async def test_a_host_that_passes_questions_on_gets_a_button_for_it(shown: dict[str, Any]) -> None:
    (call,) = [message for message in shown["said"] if message.get("method") == "tools/call"]
    assert call["params"] == {"name": NOW_PLAYING.tool, "arguments": {}}
    assert "Asked anew" in shown["refreshed"]["text"]
    assert shown["refreshed"]["button"]
    assert not shown["bare"]["button"]
    assert "Now playing: 1" in shown["bare"]["text"]


@browsing
async def test_nobody_but_the_host_is_listened_to(shown: dict[str, Any]) -> None:
    assert "Asked anew" in shown["stranger"]["text"]


@browsing
async def test_it_wears_what_the_host_wears(shown: dict[str, Any]) -> None:
    assert (shown["waiting"]["scheme"], shown["waiting"]["ink"]) == ("dark", "#abcdef")
    assert shown["light"]["scheme"] == "light"


@browsing
async def test_it_answers_what_a_host_asks(shown: dict[str, Any]) -> None:
    answers = {message["id"]: message for message in shown["said"] if "method" not in message}
    assert answers["a"]["result"] == answers["b"]["result"] == {}
    assert answers["c"]["error"]["code"] == -32601


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.uri)
def test_a_panel_names_nothing_elsewhere(panel: Any) -> None:
    page = panel.read_html()
    assert page.startswith("<!doctype html>")
    assert re.findall(r"https?://|//[\w.]+/|@import|url\(|<link|<img|src=|innerHTML|eval\(|fetch\(", page) == []
