"""`/metrics` and readiness on a whole home; what the documentation shows of them is there."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from support.application import Home, home
from support.deadlines import HANG_SECONDS
from support.event_clients import events_client

from plex_companion.metrics import AREAS, METHODS
from plex_companion.server.auth.config import build_auth_config
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOKEN = "canary-token-http"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("metrics"), token=TOKEN) as running:
        running.demo.send_raw(json.dumps({"NotificationContainer": {"type": "invented", "size": 0}}))
        await running.until(
            lambda: running.application.companion.state.last_event_at
        )  # without one, its time is missing
        yield running


async def _get(it: Home, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.get(it.url + path, headers={"authorization": f"Bearer {TOKEN}", **headers})


async def _scraped(it: Home) -> str:
    answer = await _get(it, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def _samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def _value(it: Home, name: str, **labels: str) -> float:
    """The sum over servers, of which there is one here."""
    found = _samples(await _scraped(it)).get(name, {})
    wanted = set(labels.items())
    fitting = {pairs: value for pairs, value in found.items() if {one for one in pairs if one[0] != "server"} == wanted}
    return sum(fitting.values())


async def test_a_session_that_begins_pauses_and_ends_is_counted_so(it: Home) -> None:
    session = it.demo.start(transcode=True)
    await it.until(lambda: any(one.decision for one in it.sessions.values()))
    name = "plex_companion_sessions"
    assert await _value(it, name, state="playing", decision="transcode") == 1
    assert await _value(it, "plex_companion_transcodes") == 1
    it.demo.pause(session)
    await it.until(lambda: it.sessions[session.key].state == "paused")
    assert await _value(it, name, state="paused", decision="transcode") == 1
    assert await _value(it, "plex_companion_events_total", type="playing") >= 2
    it.demo.stop(session)
    await it.until(lambda: not it.sessions)
    samples = _samples(await _scraped(it))
    assert set(samples[name].values()) == {0.0}


async def test_an_open_stream_of_mcp_events_is_counted_until_it_ends(it: Home) -> None:
    name = "plex_companion_mcp_event_streams"
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=HANG_SECONDS) as web,
        events_client(streamable_http_client(f"{it.url}/mcp", http_client=web)) as client,
    ):
        async with client.stream("play.started"):
            assert await _value(it, name) == 1
        with anyio.fail_after(HANG_SECONDS):
            while await _value(it, name):  # noqa: ASYNC110 - the end of a request has no event to wait for
                await anyio.sleep(0.01)


async def test_bandwidth_is_the_sum_of_what_plex_reserves(it: Home) -> None:
    session = it.demo.start()
    await it.until(lambda: any(one.bandwidth_kbps for one in it.sessions.values()))
    (known,) = it.sessions.values()
    total = sum(_samples(await _scraped(it))["plex_companion_bandwidth_bits_per_second"].values())
    assert total == (known.bandwidth_kbps or 0) * 1000
    it.demo.stop(session)
    await it.until(lambda: not it.sessions)


async def test_the_state_of_the_connection_is_the_one_of_five_that_is_1(it: Home) -> None:
    states = _samples(await _scraped(it))["plex_companion_connection_state"]
    assert {dict(labels)["state"]: value for labels, value in states.items()} == {
        "live": 1.0,
        "connecting": 0.0,
        "down": 0.0,
        "unauthorized": 0.0,
        "offline": 0.0,
    }


async def test_answers_are_counted_by_route_and_what_nobody_routes_is_one(it: Home) -> None:
    name = "plex_companion_http_request_duration_seconds_count"
    before = _samples(await _scraped(it)).get(name, {})
    for path in ("/healthz", "/secret-film-title", "/another-title?token=x"):
        await _get(it, path)
    await _get(it, "/healthz", authorization="Bearer wrong")
    text = await _scraped(it)
    count = _samples(text)[name]
    for route, status, times in (("/healthz", "200", 1), ("none", "404", 2), ("none", "401", 1)):
        labels = ("method", "GET"), ("route", route), ("status", status)
        assert count[labels] - before.get(labels, 0) == times
    assert "title" not in text


async def test_a_stream_is_counted_when_it_begins(it: Home) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, timeout=HANG_SECONDS) as web, web.stream("GET", f"{it.url}/events"):
        labels = {"route": "/events", "method": "GET", "status": "200"}
        assert await _value(it, "plex_companion_http_request_duration_seconds_count", **labels) == 1
        with anyio.fail_after(HANG_SECONDS):  # requests of earlier tests may just be ending
            while await _value(it, "plex_companion_http_requests_open") != 2:  # noqa: ASYNC110 - that has no event
                await anyio.sleep(0.01)


@asynccontextmanager
async def _open_client(it: Home) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=HANG_SECONDS) as web,
        Client(streamable_http_client(f"{it.url}/mcp", http_client=web)) as client,
    ):
        yield client


async def test_calls_of_tools_are_counted_by_what_came_of_them(it: Home) -> None:
    async with _open_client(it) as client:
        await client.call_tool("live_sessions", {})
        await client.call_tool("library_list", {})
        await client.call_tool("library_scan", {"library_name": "x"})
    name = "plex_companion_tool_call_duration_seconds_count"
    assert await _value(it, name, tool="live_sessions", outcome="ok") == 1
    assert await _value(it, name, tool="library_list", outcome="ok") == 1
    assert await _value(it, name, tool="library_scan", outcome="read_only") == 1
    assert await _value(it, "plex_companion_plex_requests_total", method="GET", area="library") >= 1


async def test_no_label_can_grow_with_what_others_send(it: Home) -> None:
    for number in range(5):
        it.demo.send_raw(json.dumps({"NotificationContainer": {"type": f"invented.{number}", "size": 0}}))
    counters = it.application.companion.live.counters
    await it.until(lambda: counters.unrecognized >= 5)
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        await web.request("BREW", f"{it.url}/healthz", headers={"authorization": f"Bearer {TOKEN}"})
    text = await _scraped(it)
    assert "invented" not in text
    assert "BREW" not in text
    assert await _value(it, "plex_companion_events_total", type="other") >= 5
    samples = _samples(text)
    labels = {
        key: {value for name in samples for one in samples[name] for k, value in one if k == key}
        for key in ("method", "area")
    }
    assert labels["method"] <= {*METHODS, "other"}
    assert labels["area"] <= {*AREAS, "other"}


async def test_no_title_name_address_or_token_is_in_it(it: Home) -> None:
    playing = it.demo.start()
    await it.until(lambda: any(one.user and one.user.name for one in it.sessions.values()))
    text = await _scraped(it)
    (session, *_) = it.sessions.values()
    assert session.user
    assert session.player
    secrets = [TOKEN, it.demo.token, session.item.title, session.user.name, session.player.title, "127.0.0.1"]
    assert [one for one in secrets if one and one in text] == []
    it.demo.stop(playing)
    await it.until(lambda: not it.sessions)


def test_nothing_of_it_is_in_the_registry_of_the_process() -> None:
    assert [metric.name for metric in REGISTRY.collect() if metric.name.startswith("plex_companion")] == []


async def test_ready_is_whoever_hears_plex_and_can_write_it_down(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        ready = await _get(it, "/healthz/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
        await it.demo.shut_down()
        await it.until(lambda: not it.application.companion.is_live)
        ready = await _get(it, "/healthz/ready")
        assert ready.status_code == 503
        assert ready.json()["connection"] in {"down", "connecting"}
        assert (await _get(it, "/healthz/live")).status_code == 200


# What the documentation shows


async def test_every_metric_is_documented_and_every_documented_one_is_there(it: Home) -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(plex_companion_\w+)", text, re.MULTILINE))
    documented = {name for name in listed if not name.startswith("plex_companion_chronicle_")}
    assert len(listed - documented) == 4, "which are there with a chronicle, as its own tests show"
    families = {family.name for family in text_string_to_metric_families(await _scraped(it))}
    assert documented == {
        name for name in families if name.startswith("plex_companion_") and not name.endswith("_created")
    }


async def test_the_dashboard_of_grafana_asks_for_metrics_that_are_there(it: Home) -> None:
    dashboard: dict[str, Any] = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"plex_companion_\w+", target["expr"])
    }
    assert len(asked) > 10
    async with _open_client(it) as client:
        await client.call_tool("companion_status", {})
    assert asked - set(_samples(await _scraped(it))) == set()


async def test_what_homepage_asks_for_is_answered_with_the_fields_it_shows(it: Home) -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- snippet: homepage -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert shown
    urls = re.findall(r"http://plex-companion\.lan:3001(/\S*)", shown[1])
    assert len(urls) >= 3
    for path in urls:
        assert (await _get(it, path)).status_code == 200, path
    widget = re.search(r"url: http://plex-companion\.lan:3001(/\S+)\n.*?mappings:(.*)", shown[1], re.DOTALL)
    assert widget
    body: Any = (await _get(it, widget[1])).json()
    for field in re.findall(r"field: (\S+)", widget[2]):
        found = body
        for part in field.split("."):
            found = found[part]


async def test_what_prometheus_is_given_works(it: Home) -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert "metrics_path: /metrics" in text
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        assert (await web.get(f"{it.url}/metrics")).status_code == 401


def test_beyond_this_machine_its_names_and_addresses_are_hosts() -> None:
    settings = Settings.load({"host": "0.0.0.0", "public_url": "https://plex.example:8443"})  # noqa: S104 - on purpose
    entry = build_auth_config(settings.model_copy(update={"token": SecretStr(TOKEN)}))
    assert entry.any_address
    assert "plex.example:8443" in entry.hosts
    assert "https://plex.example:8443" in entry.origins
    assert not build_auth_config(Settings.load({})).any_address
