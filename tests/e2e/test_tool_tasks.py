"""A call whose work goes on in Plex is answered with a task where the client knows tasks, and as before where not."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import mcp_types
import pytest
from mcp import Client
from starlette.requests import Request
from support.application import MODERN, Home, home
from support.deadlines import HANG_SECONDS
from support.several_servers import CABIN, DEN, household, join_urls

from plex_companion.demo import open_demo
from plex_companion.server.auth.authenticate import TOKEN_HOLDER, AuthenticatedCaller, store_caller
from plex_companion.server.mcp.extensions.task_wire import OWNER, identify_principal
from plex_companion.tools.follow_up.task_store import ASKED, TaskStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plex_companion.demo import Demo

TASKS = "io.modelcontextprotocol/tasks"
FAST, SLOW = 100.0, 0.001
"""A scan takes four seconds of the household's time, so an hour in the slow one."""


@dataclass
class TaskClient:
    """A client that sends each request as it is."""

    web: httpx2.AsyncClient
    url: str
    declares: bool = True
    asked: int = field(default=0)

    def build(self, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        extensions: dict[str, Any] = {TASKS: {}} if self.declares else {}
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
        }
        self.asked += 1
        body = {"jsonrpc": "2.0", "id": self.asked, "method": method, "params": {**params, "_meta": meta}}
        name = params.get("name") or params.get("taskId")
        headers = {"mcp-method": method, "mcp-protocol-version": MODERN, **({"mcp-name": name} if name else {})}
        return body, {**headers, "accept": "application/json, text/event-stream"}

    async def send(self, method: str, headers: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        """The whole answer: a result or an error."""
        body, own = self.build(method, params)
        answer = await self.web.post(self.url, json=body, headers={**own, **(headers or {})})
        text = answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            text = [line for line in text.splitlines() if line.startswith("data: {")][-1].removeprefix("data: ")
        found: dict[str, Any] = json.loads(text)
        return found

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = (await self.send("tools/call", name=tool, arguments=arguments))["result"]
        return result

    async def get(self, task: str) -> dict[str, Any]:
        result: dict[str, Any] = (await self.send("tasks/get", taskId=task))["result"]
        return result

    async def refuse(self, method: str, **params: Any) -> int:
        """The code of the error that the server must answer with."""
        code: int = (await self.send(method, **params))["error"]["code"]
        return code

    @asynccontextmanager
    async def listen(self, *tasks: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The messages of a stream that follows tasks."""
        body, headers = self.build("subscriptions/listen", {"notifications": {"taskIds": [*tasks]}})
        async with self.web.stream("POST", self.url, json=body, headers=headers, timeout=None) as answer:

            async def read() -> AsyncIterator[dict[str, Any]]:
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        yield json.loads(line.removeprefix("data: "))

            yield read()


@asynccontextmanager
async def running(folder: Path, *, speed: float = FAST) -> AsyncIterator[tuple[Home, TaskClient]]:
    async with (
        open_demo(alive=False, speed=speed) as demo,
        home(folder, demo=demo, read_only="false", catalogue="false") as it,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
    ):
        yield it, TaskClient(web, f"{it.url}/mcp")


async def until(it: Home, client: TaskClient, task: str, fact: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The task once the fact is so."""
    with anyio.fail_after(HANG_SECONDS):
        while True:
            committed = it.application.companion.live.prepare_wait()
            found = await client.get(task)
            if fact(found):
                return found
            await committed.wait()


async def finish(it: Home, client: TaskClient, task: str) -> dict[str, Any]:
    """The task once it has ended."""
    return await until(it, client, task, lambda found: found["status"] != "working")


def end_work(demo: Demo) -> None:
    """End whatever the server does."""
    demo.state.refreshing.clear()
    for uuid in list(demo.state.activities):
        demo.state.end_activity(uuid)


async def test_a_scan_becomes_a_task_that_ends_with_the_scan(tmp_path: Path) -> None:
    async with running(tmp_path, speed=SLOW) as (it, client):  # it must not be over when the task is answered
        task = await client.call("library_scan", library_name="Films")
        assert (task["resultType"], task["status"], task["ttlMs"]) == ("task", "working", 86_400_000)
        assert not {"content", "structuredContent", "result", "task"} & task.keys()
        end_work(it.demo)
        done = await finish(it, client, task["taskId"])
        assert (done["status"], done["createdAt"]) == ("completed", task["createdAt"])
        result = done["result"]
        assert result["structuredContent"]["library_id"] is not None
        assert result["structuredContent"]["finished_at"] is not None
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        assert await client.send("tasks/cancel", taskId=task["taskId"]) == {
            "jsonrpc": "2.0", "id": client.asked, "result": {"resultType": "complete", **_stamp(done)},
        }  # fmt: skip
        assert (await client.get(task["taskId"]))["status"] == "completed"


def _stamp(result: dict[str, Any]) -> dict[str, Any]:
    return {"_meta": result["_meta"]}


async def test_a_refresh_of_every_library_and_a_maintenance_task_become_tasks(tmp_path: Path) -> None:
    async with running(tmp_path) as (it, client):
        for tool, given in (("library_refresh", {}), ("server_run_butler_task", {"task_name": "BackupDatabase"})):
            task = await client.call(tool, **given)
            done = await finish(it, client, task["taskId"])
            assert (done["status"], done["statusMessage"]) == ("completed", "Finished."), tool


async def test_a_cancelled_task_stops_the_scan(tmp_path: Path) -> None:
    async with running(tmp_path, speed=SLOW) as (it, client):
        task = (await client.call("library_scan", library_name="Films"))["taskId"]
        await until(it, client, task, lambda found: "statusMessage" in found)
        assert it.demo.state.activities
        assert "result" in await client.send("tasks/cancel", taskId=task)
        done = await finish(it, client, task)
        assert (done["status"], done["statusMessage"]) == ("cancelled", ASKED)
        assert "result" not in done
        await it.until(lambda: not it.application.companion.state.activities)


async def test_a_client_without_tasks_gets_the_plain_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (it, client):
        client.declares = False
        plain = await client.call("library_scan", library_name="Films")
        assert plain["resultType"] == "complete"
        assert plain["structuredContent"]["success"] is True
        for method in ("tasks/get", "tasks/cancel"):
            assert await client.refuse(method, taskId="x") == mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY
        assert it.application.companion.state.tool_tasks == {}
        async with Client(it.application.server, mode="legacy") as old:
            answer = await old.call_tool("library_scan", {"library_name": "Films"})
            assert answer.structured_content is not None


async def test_what_starts_no_work_is_answered_at_once_also_where_tasks_are_known(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        assert (await client.call("library_scan", library_name="Nothing"))["isError"] is True
        assert (await client.call("library_list"))["resultType"] == "complete"


async def test_bad_requests_about_tasks_have_the_codes_of_the_specification(tmp_path: Path) -> None:
    async with running(tmp_path, speed=SLOW) as (it, client):
        task = (await client.call("library_scan", library_name="Films"))["taskId"]
        assert await client.refuse("tasks/get", taskId="0" * 32) == mcp_types.INVALID_PARAMS
        assert await client.refuse("tasks/get") == mcp_types.INVALID_PARAMS
        for name in ("other", ""):
            misnamed = await client.send("tasks/get", {"mcp-name": name}, taskId=task)
            assert misnamed["error"]["code"] == mcp_types.HEADER_MISMATCH
        assert await client.refuse("tasks/list") == mcp_types.METHOD_NOT_FOUND
        assert "result" in await client.send("tasks/update", taskId=task, inputResponses={})
        wrong = {"notifications": {"taskIds": ["0" * 32]}}
        assert await client.refuse("subscriptions/listen", **wrong) == mcp_types.INVALID_PARAMS
        client.declares = False
        known = {"notifications": {"taskIds": [task]}}
        assert await client.refuse("subscriptions/listen", **known) == mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY
        assert it.application.notifier.count().listen_streams == 0


async def test_a_stream_follows_a_task_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, speed=SLOW) as (it, client):
        task = (await client.call("library_scan", library_name="Films"))["taskId"]
        with anyio.fail_after(HANG_SECONDS):
            async with client.listen(task) as messages:
                acknowledged = await anext(messages)
                assert acknowledged["params"]["notifications"]["taskIds"] == [task]
                stream = acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"]
                first = await anext(messages)
                assert (first["method"], first["params"]["status"]) == ("notifications/tasks", "working")
                it.demo.state.speed = FAST
                end_work(it.demo)
                async for message in messages:
                    assert message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == stream
                    if message["params"]["status"] == "completed":
                        assert message["params"]["result"]["structuredContent"]["finished_at"]
                        break
        await it.left()


async def test_a_task_survives_a_restart_of_the_companion(tmp_path: Path) -> None:
    async with open_demo(alive=False, speed=SLOW) as demo, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        async with home(tmp_path, demo=demo, read_only="false", catalogue="false") as it:
            task = (await TaskClient(web, f"{it.url}/mcp").call("library_scan", library_name="Films"))["taskId"]
        demo.state.refreshing.clear()
        demo.state.activities.clear()  # it ends while nobody listens
        async with home(tmp_path, demo=demo, read_only="false", catalogue="false") as it:
            done = await finish(it, TaskClient(web, f"{it.url}/mcp"), task)
            assert done["status"] == "completed"
            assert await TaskStore(it.application.companion).read(task, "somebody else") is None


def request_of(caller: AuthenticatedCaller | None) -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": []}
    store_caller(scope, caller)
    return Request(scope)


def test_a_principal_is_a_user_of_an_issuer_or_the_household() -> None:
    ann = identify_principal(request_of(AuthenticatedCaller("https://issuer.example", "ann@example.org")))
    assert ann == identify_principal(request_of(AuthenticatedCaller("https://issuer.example", "ann@example.org")))
    others = [("https://issuer.example", "ben"), ("https://other.example", "ann@example.org")]
    assert ann not in [identify_principal(request_of(AuthenticatedCaller(*one))) for one in others]
    assert "ann" not in ann
    assert {identify_principal(None), *(identify_principal(request_of(one)) for one in (None, TOKEN_HOLDER))} == {OWNER}


@pytest.mark.parametrize("read_only", ["true", "false"])
async def test_tasks_are_offered_where_something_can_be_started(tmp_path: Path, read_only: str) -> None:
    async with home(tmp_path, read_only=read_only, catalogue="false") as it:
        async with Client(it.application.server, mode=MODERN) as client:
            declared = (await client.session.send_discover(MODERN))["capabilities"]["extensions"]
        assert (TASKS in declared) is (read_only == "false")


async def test_of_two_servers_a_task_follows_the_scan_of_its_own(tmp_path: Path) -> None:
    async with (
        household(DEN, speed=SLOW) as den,
        household(CABIN, speed=FAST) as cabin,
        home(tmp_path, demo=den, plex_url=join_urls(den, cabin), read_only="false", catalogue="false") as it,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
    ):
        await it.until(lambda: all(link.connection.state == "live" for link in it.application.companion.links))
        client = TaskClient(web, f"{it.url}/mcp")
        of_den = await client.call("library_scan", library_name="Films", server="Den")
        of_cabin = await client.call("library_scan", library_name="Films", server="Cabin")
        assert (await finish(it, client, of_cabin["taskId"]))["status"] == "completed"
        going_on = await until(it, client, of_den["taskId"], lambda found: "statusMessage" in found)
        assert going_on["status"] == "working"
        await client.send("tasks/cancel", taskId=of_den["taskId"])
        assert (await finish(it, client, of_den["taskId"]))["status"] == "cancelled"
        stopped = [demo for demo in (den, cabin) if any(method == "DELETE" for method, _ in demo.requests.log)]
        assert stopped == [den]
