"""Two servers on the wire: rows and answers say which they are of, and nothing of one is told to who follows the other."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from support.application import LEGACY, MODERN, Home, body, home, known, subscribed
from support.deadlines import HANG_SECONDS
from support.several_servers import ATTIC, CABIN, DEN, NAMES, household, join_urls

from plex_companion.demo import Demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from plex_companion.demo.sessions import DemoSession

LONG = f"plex://servers/{DEN}/sessions"
LISTS = ("sessions", "clients", "activity", "libraries")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def both(folder: Path, *demos: Demo, **more: Any) -> AsyncIterator[Home]:
    async with home(folder, demo=demos[0], plex_url=join_urls(*demos), **{"catalogue": False, **more}) as it:
        await it.until(lambda: all(link.connection.state == "live" for link in it.application.companion.links))
        yield it


@pytest.fixture(scope="module")
async def demos() -> AsyncIterator[tuple[Demo, Demo]]:
    async with household(DEN) as den, household(CABIN) as cabin:
        yield den, cabin


@pytest.fixture(scope="module")
async def it(demos: tuple[Demo, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """Both servers play an item of the same rating key, in a session of the same key, on the same player."""
    async with both(tmp_path_factory.mktemp("two"), *demos, read_only=False) as running:
        for demo in demos:
            demo.start()
        states = running.application.companion.live.states.values()
        await running.until(lambda: all(one.user for state in states for one in state.sessions.values()))
        await running.until(lambda: all(len(state.sessions) == 1 and state.clients for state in states))
        yield running


@pytest.fixture(scope="module")
async def client(it: Home) -> AsyncIterator[Client]:
    async with Client(f"{it.url}/mcp") as running:
        yield running


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The answer of a tool, or its error."""
    result = await client.call_tool(tool, arguments)
    found: dict[str, Any] = json.loads(result.content[0].text) if result.is_error else result.structured_content  # type: ignore[union-attr]  # errors are text
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_sums_both_servers_and_each_row_says_which_it_is_of(client: Client, name: str) -> None:
    found = await body(client, f"plex://{name}")
    (rows,) = [value for key, value in found.items() if key in {"sessions", "clients", "recent", "libraries"}]
    assert found["server"] is None
    assert [(one["name"], one["connection"]["state"]) for one in found["servers"]] == [
        ("Den", "live"),
        ("Cabin", "live"),
    ]
    if name != "activity":
        assert {(row["server"], row["server_name"]) for row in rows} == set(NAMES.items()) - {(ATTIC, "Attic")}


async def test_plex_servers_counts_what_each_has(client: Client) -> None:
    found = await body(client, "plex://servers")
    assert [one["machine_identifier"] for one in found["servers"]] == [DEN, CABIN]
    for row in found["servers"]:
        assert (row["sessions"], row["connection"]["state"]) == (1, "live")
        assert row["libraries"] > 0
        assert row["items"] > 0


@pytest.mark.parametrize("named", [DEN, "Den", "den"])
@pytest.mark.parametrize("name", [*LISTS, "history"])
async def test_a_long_uri_is_of_one_server_by_identifier_or_name(client: Client, name: str, named: str) -> None:
    found = await body(client, f"plex://servers/{named}/{name}")
    assert found["server"]["machine_identifier"] == DEN
    assert "servers" not in found
    rows = next(value for key, value in found.items() if isinstance(value, list) and key != "servers")
    assert {row["server"] for row in rows} <= {DEN}


async def test_a_short_uri_that_fits_both_names_the_long_ones(it: Home, client: Client) -> None:
    (key,) = it.application.companion.state.sessions
    with pytest.raises(MCPError) as error:
        await body(client, f"plex://sessions/{key}")
    assert "ambiguous" in str(error.value)
    for server in (DEN, CABIN):
        assert f"plex://servers/{server}/sessions/{key}" in str(error.value)
        one = await body(client, f"plex://servers/{server}/sessions/{key}")
        assert one["session"]["server"] == server


async def test_a_library_and_a_player_of_both_are_ambiguous_too(it: Home, client: Client) -> None:
    state = it.application.companion.state
    for uri in (
        f"plex://libraries/{state.sections[0].section_id}",
        f"plex://clients/{next(iter(state.list_timelines()))}/timeline",
    ):
        with pytest.raises(MCPError, match="ambiguous"):
            await body(client, uri)


async def test_an_unknown_server_is_not_found(client: Client) -> None:
    with pytest.raises(MCPError, match="no server 'barn'"):
        await body(client, "plex://servers/barn/sessions")


async def test_what_belongs_to_one_server_is_listed_by_its_long_uri(it: Home, client: Client) -> None:
    (key,) = it.application.companion.state.sessions
    listed = {str(one.uri) for one in (await client.list_resources()).resources}
    assert {"plex://sessions", LONG, f"{LONG}/{key}", "plex://servers", "plex://alerts"} <= listed
    assert f"plex://sessions/{key}" not in listed
    templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
    assert "plex://servers/{server}/sessions/{session_key}" in templates
    assert "plex://sessions/{session_key}" not in templates


async def test_tools_that_ask_plex_require_the_server_and_those_of_the_cache_do_not(client: Client) -> None:
    tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    assert tools["media_delete"]["required"][0] == "server"
    assert "server" in tools["live_sessions"]["properties"]
    assert "server" not in tools["live_sessions"].get("required", ())
    for name in ("play_get", "alert_acknowledge", "watchlist_list", "user_list_all_users"):
        assert "server" not in tools[name]["properties"], name


@pytest.mark.parametrize("given", [{}, {"server": ""}, {"server": None}])
async def test_a_missing_server_is_invalid_and_the_answer_names_those_there_are(
    client: Client, given: dict[str, Any]
) -> None:
    error = await call(client, "library_list", **given)
    assert (error["code"], error["allowed"]) == ("invalid", ["Den", "Cabin"])


async def test_a_server_that_is_not_there_is_not_found(client: Client) -> None:
    error = await call(client, "library_list", server="Barn")
    assert (error["code"], error["available"]) == ("not_found", ["Den", "Cabin"])


async def test_a_tool_asks_the_server_that_is_named_and_no_other(demos: tuple[Demo, Demo], client: Client) -> None:
    den, cabin = demos
    key = cabin.get_movie(2).key
    assert den.state.items[key].title == cabin.state.items[key].title
    answer = await call(client, "media_edit_metadata", server="cabin", media_id=key, new_title="Only in the cabin")
    assert "code" not in answer
    assert cabin.state.items[key].title == "Only in the cabin"
    assert den.state.items[key].title != "Only in the cabin"
    events = await call(client, "events_wait", cursor=0, types=["audit"], server="Cabin")
    (audit,) = events["events"]
    assert audit["server"] == CABIN
    assert audit["payload"]["arguments"]["server"] == CABIN
    assert (await call(client, "events_since", types=["audit"], server="Den"))["events"] == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("live_sessions", {}),
        ("client_timelines", {}),
        ("alerts_list", {}),
        ("events_since", {}),
        ("occurrences_since", {}),
        ("activity_list", {}),
        ("history_query", {}),
        ("history_stats", {"period": "all"}),
        ("what_happened", {"since": "24h"}),
        ("library_changes", {"since": "24h"}),
        ("companion_status", {}),
    ],
)
async def test_a_tool_of_the_cache_narrows_to_one_server(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    whole, one = await call(client, tool, **arguments), await call(client, tool, server="Cabin", **arguments)
    assert [row["name"] for row in whole["servers"]] == ["Den", "Cabin"]
    assert one["server"]["machine_identifier"] == CABIN
    rows = [row for value in one.values() if isinstance(value, list) for row in value]
    assert {row["server"] for row in rows if isinstance(row, dict) and "server" in row} <= {CABIN}


async def test_the_page_names_the_server_of_each_session_and_takes_posters_by_server(
    it: Home, demos: tuple[Demo, Demo]
) -> None:
    key = demos[1].get_movie(0).key
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        page = (await web.get(f"{it.url}/")).text
        for path in ("/libraries", "/users", "/history", "/stats", "/alerts", "/settings", f"/items/{DEN}/{key}"):
            assert (await web.get(it.url + path)).status_code in {200, 303}, path
        placeholder = (await web.get(f"{it.url}/static/no-picture.png")).content
        assert (await web.get(f"{it.url}/art/{CABIN}/{key}")).content != placeholder
        assert (await web.get(f"{it.url}/art/{key}")).content == placeholder
        assert (await web.get(f"{it.url}/items/{key}")).status_code == 404, "it is another item on each"
        metrics = (await web.get(f"{it.url}/metrics")).text
    assert page.count('class="pill live"') == 2
    for server, name in ((DEN, "Den"), (CABIN, "Cabin")):
        assert f"/art/{server}/" in page
        assert f'plex_companion_transcodes{{server="{name}"}}' in metrics


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_who_follows_one_server_is_told_nothing_of_the_other(
    era: str, demos: tuple[Demo, Demo], tmp_path: Path
) -> None:
    den, cabin = demos
    async with both(tmp_path, den, cabin) as it:
        states = it.application.companion.live.states
        by_name = "plex://servers/den/sessions"
        async with subscribed(f"{it.url}/mcp", era, by_name, "plex://sessions") as (_, updates):
            session = cabin.start(item=cabin.get_movie(3))
            await updates.until("plex://sessions")
            await it.until(lambda: session.key in list(states.values())[1].sessions)
            assert by_name not in updates.uris
            mine = den.start(item=den.get_movie(3))
            await updates.until(by_name)
            den.stop(mine)
            cabin.stop(session)
            links = list(states)
            await it.until(lambda: mine.key not in states[links[0]].sessions)
            await it.until(lambda: session.key not in states[links[1]].sessions)


async def test_a_list_is_never_empty_without_saying_which_server_is_lost(tmp_path: Path) -> None:
    async with household(DEN) as den, household(CABIN) as cabin, both(tmp_path, den, cabin) as it:
        await cabin.shut_down()
        companion = it.application.companion
        await it.until(lambda: companion.choose_server("Cabin").state.connection.state == "down")
        async with Client(f"{it.url}/mcp") as client, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            for name in LISTS:
                found = await body(client, f"plex://{name}")
                assert found["connection"]["state"] == "down", "the worst of all"
                assert {one["name"]: one["connection"]["state"] for one in found["servers"]} == {
                    "Den": "live",
                    "Cabin": "down",
                }
            assert (await body(client, LONG))["connection"]["state"] == "live"
            page = (await web.get(f"{it.url}/")).text
            assert "Can&#39;t tell what&#39;s playing on Cabin" in page
            assert page.count("<strong>Cabin") == 1
            assert (await web.get(f"{it.url}/healthz/ready")).status_code == 200, "the other answers"
            assert (await web.get(f"{it.url}/healthz")).json()["connection"] == "down"


async def refuse(demo: Demo) -> None:
    demo.revoke_token()
    demo.reset_connections()


async def hang(demo: Demo) -> None:
    demo.go_silent(everything=True)


FAILURES = [(Demo.shut_down, "down"), (refuse, "unauthorized"), (hang, "live")]
"""How a server fails, and what its connection says at once: that it hangs is noticed by a ping, later."""


@pytest.mark.parametrize(("fail", "state"), FAILURES, ids=("killed", "refused", "hung"))
async def test_beside_one_server_that_fails_and_one_that_floods_every_press_of_the_third_is_told(
    fail: Callable[[Demo], Awaitable[None]], state: str, tmp_path: Path
) -> None:
    async with (
        household(DEN) as den,
        household(CABIN) as cabin,
        household(ATTIC) as attic,
        both(tmp_path, den, cabin, attic) as it,
        subscribed(f"{it.url}/mcp", MODERN, LONG) as (client, updates),
        anyio.create_task_group() as tasks,
    ):
        mine, noisy = den.start(), attic.start()
        await updates.until(LONG)
        tasks.start_soon(flood, attic, noisy)
        await fail(cabin)
        companion = it.application.companion
        await it.until(lambda: companion.choose_server("Cabin").state.connection.state == state)
        for press in (den.pause, den.resume, den.pause):
            seen = updates.uris.count(LONG)
            press(mine)
            await updates.until(LONG, more_than=seen)
        shown = await body(client, "plex://sessions")
        assert {row["server_name"] for row in shown["sessions"]} >= {"Den", "Attic"}
        states = {one["name"]: one["connection"]["state"] for one in shown["servers"]}
        assert states == {"Den": "live", "Cabin": state, "Attic": "live"}
        tasks.cancel_scope.cancel()


async def flood(demo: Demo, session: DemoSession) -> None:
    """Send 5,000 frames a second, or as many as are taken."""
    while True:
        await demo.burst(50, session)
        await anyio.sleep(0.01)


async def test_with_one_server_long_uris_answer_and_notify_and_nothing_requires_a_server(tmp_path: Path) -> None:
    async with (
        household(DEN) as den,
        home(tmp_path, demo=den, catalogue=False) as it,
        subscribed(f"{it.url}/mcp", LEGACY, LONG) as (client, updates),
    ):
        tools = (await client.list_tools()).tools
        assert not [tool.name for tool in tools if "server" in tool.input_schema["properties"]]
        den.start()
        await updates.until(LONG)
        found = await known(client, LONG, lambda found: found["sessions"])
        assert found["server"]["name"] == "Den"
        assert found["sessions"][0]["server"] == DEN
        listed = {str(one.uri) for one in (await client.list_resources()).resources}
        assert "plex://servers" in listed
        assert not {uri for uri in listed if uri.startswith("plex://servers/")}
