"""The companion before judges that nobody here wrote: the protocol's conformance suite, and the TypeScript clients."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from support.application import home
from support.deadlines import HANG_SECONDS
from support.task_server import task_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import Process

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INSTALLED = ROOT / ".node"
SUITE = INSTALLED / "node_modules" / ".bin" / "conformance"
EVENTS_CLIENT = INSTALLED / "node_modules" / "@ai-sdk" / "mcp"
BASELINE = HERE / "conformance.yaml"
MISSING = (
    "The conformance suite and the TypeScript clients are not installed: `make conformance` does it, and needs npm."
)
REVISIONS = ("2025-11-25", "2026-07-28")
MUST_PASS = {
    "2025-11-25": {
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "completion-complete",
        "tools-list",
        "prompts-list",
        "resources-list",
        "resources-subscribe",
        "resources-unsubscribe",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    },
    "2026-07-28": {
        "completion-complete",
        "tools-list",
        "prompts-list",
        "resources-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "sep-2164-resource-not-found",
        "caching",
        "http-header-validation",
        "server-stateless",
        "input-required-result-missing-input-response",
        "input-required-result-unsupported-methods",
        "input-required-result-ignore-extra-params",
        "input-required-result-validate-input",
    },
}
"""Scenarios that need no tools of the suite's own."""
SKILLS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest", "sep-2640-skills-directory")
"""Scenarios of the extension Skills. They run only when forced."""
TASKS = (
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-wire-fields",
)
"""Scenarios of the extension Tasks. Those about input and about tools that cannot do without tasks have no counterpart here."""
OF_OTHER_TOOLS = {
    "tasks-server-directed-creation-no-hint",
    "tasks-result-type-complete-on-non-task-responses",
    "sep-2663-tool-error-uses-completed-status",
    "sep-2663-tasks-get-status-failed",
}
"""Checks that call tools which fail or ask within a task. Here both come before the task."""
installed = pytest.mark.skipif(not SUITE.exists(), reason=MISSING)


def node() -> str:
    """The one that was installed beside the suite, which needs version 22; the machine's own elsewhere."""
    own = INSTALLED / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node") or "node"


def excused() -> list[str]:
    return re.findall(r"^ {2}- (\S+)$", BASELINE.read_text(encoding="utf-8"), re.MULTILINE)


def checks(results: Path) -> dict[str, list[dict[str, Any]]]:
    """The checks of every scenario that was run."""
    found = {}
    for file in results.glob("*/checks.json"):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        found[scenario] = json.loads(file.read_text(encoding="utf-8"))
    return found


@installed
@pytest.mark.slow
@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_conformance_suite_finds_what_is_expected_and_nothing_else(revision: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    async with home(tmp_path) as it:
        it.demo.start()
        await it.until(lambda: it.sessions)
        command = [node(), str(SUITE), "server", "--url", f"{it.url}/mcp", "--suite", "all", "--spec-version", revision]
        command += ["--expected-failures", str(BASELINE), "--output-dir", str(results)]
        with anyio.fail_after(HANG_SECONDS):
            done = await anyio.run_process(command, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout.decode()[-4000:]
    found = checks(results)
    passed = {
        scenario
        for scenario, run in found.items()
        if run and all(one["status"] != "FAILURE" or f"{scenario}:{one['id']}" in excused() for one in run)
        if any(one["status"] == "SUCCESS" for one in run)
    }
    assert MUST_PASS[revision] - passed == set()


async def judge(url: str, scenario: str, folder: Path) -> dict[str, str]:
    """The status of every check of a scenario that runs only when forced."""
    results = folder / scenario
    command = [node(), str(SUITE), "server", "--url", url, "--force", "--scenario", scenario]
    with anyio.fail_after(HANG_SECONDS):
        await anyio.run_process([*command, "--output-dir", str(results)], cwd=folder, check=False)
    return {one["id"]: one["status"] for run in checks(results).values() for one in run}


@installed
@pytest.mark.slow
async def test_the_conformance_suite_finds_the_skills_in_order(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        for scenario in SKILLS:
            statuses = (await judge(f"{it.url}/mcp", scenario, tmp_path)).values()
            assert "SUCCESS" in statuses
            assert {"FAILURE", "WARNING"}.isdisjoint(statuses)


@installed
@pytest.mark.slow
@pytest.mark.parametrize("scenario", TASKS)
async def test_the_conformance_suite_finds_the_tasks_in_order(scenario: str, tmp_path: Path) -> None:
    async with task_server() as url:
        statuses = await judge(url, scenario, tmp_path)
    assert "SUCCESS" in statuses.values()
    assert {check for check, status in statuses.items() if status in {"FAILURE", "WARNING"}} <= OF_OTHER_TOOLS


def test_what_must_pass_is_not_excused_but_where_the_suite_asks_for_tools_of_its_own() -> None:
    must = set().union(*MUST_PASS.values())
    fixtures = {"server-stateless", *(scenario for scenario in must if scenario.startswith("input-required-result-"))}
    assert {entry.split(":")[0] for entry in excused()} & must <= fixtures
    assert [entry for entry in excused() if ":" not in entry] == [], "single checks are excused, no whole scenarios"


def test_every_expected_failure_is_explained() -> None:
    shown = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert [entry for entry in excused() if f"`{entry.split(':')[0]}`" not in shown] == []
    named = re.findall(r"^\| (`[^|]+`) \|", shown, re.MULTILINE)
    explained = {scenario for row in named for scenario in re.findall(r"`([^`]+)`", row)}
    assert explained - {entry.split(":")[0] for entry in excused()} == set(), "nothing is explained that passes"


def test_the_packages_are_pinned_and_no_registry_is_named() -> None:
    asked = json.loads((HERE / "package.json").read_text(encoding="utf-8"))
    text = (HERE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    for group in ("dependencies", "optionalDependencies"):
        for name, version in asked[group].items():
            assert packages[f"node_modules/{name}"]["version"] == version
    assert [name for name, one in packages.items() if name and not one.get("integrity")] == []
    assert not re.search(r'"resolved"|registry', text)


def _install(name: str) -> Path:
    """Put a script beside the modules, where it finds them. At once: another test may be about to run it."""
    copied = INSTALLED / f"{name}.{os.getpid()}"
    shutil.copyfile(HERE / name, copied)
    return copied.replace(INSTALLED / name)


async def _lines(process: Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield json.loads(line)


@installed
@pytest.mark.parametrize("client", ["sdk-http", "sdk-sse", "client-legacy", "client-modern"])
async def test_a_typescript_client_subscribes_and_is_told(client: str, tmp_path: Path) -> None:
    script = _install("subscribe.mjs")
    async with home(tmp_path) as it:
        session = it.demo.start()
        await it.until(lambda: it.sessions)
        url = f"{it.url}/{'sse' if client == 'sdk-sse' else 'mcp'}"
        with anyio.fail_after(HANG_SECONDS):
            async with await anyio.open_process([node(), str(script), client, url]) as process:
                shown = _lines(process)
                assert await anext(shown) == {"subscribed": "plex://sessions", "server": "plex-companion"}
                it.demo.pause(session)
                async for update in shown:
                    assert update["uri"] == "plex://sessions"
                    if update["states"] == ["paused"]:
                        break
                assert process.stdin is not None
                await process.stdin.aclose()
                assert await process.wait() == 0
        await it.left()


@pytest.mark.skipif(not EVENTS_CLIENT.exists(), reason=MISSING)
async def test_the_ai_sdk_subscribes_a_webhook_and_receives_refreshes_and_ends_it(tmp_path: Path) -> None:
    script = _install("events.mjs")
    token, name = "a-token-of-the-companion", "play.started"
    webhooks: dict[str, Any] = {"token": token, "event_webhooks": True, "event_webhooks_loopback": True}
    async with home(tmp_path, **webhooks) as it:
        with anyio.fail_after(HANG_SECONDS):
            async with await anyio.open_process([node(), str(script), f"{it.url}/mcp", token, name]) as process:
                assert process.stdin is not None
                shown = _lines(process)
                assert name in (await anext(shown))["listed"]
                subscribed = (await anext(shown))["subscribed"]
                it.demo.start()
                got = await anext(shown)
                assert (got["subscription"], got["received"]["name"]) == (subscribed, name)
                await process.stdin.send(b"refresh\n")
                assert await anext(shown) == {"refresh": subscribed}
                it.demo.start(user=1, player=1)
                again = await anext(shown)
                assert again["received"]["eventId"] != got["received"]["eventId"]
                await process.stdin.send(b"unsubscribe\n")
                assert await anext(shown) == {"unsubscribe": None}
                rows = await it.application.companion.cache.reader.execute_fetchall("SELECT 1 FROM event_subscriptions")
                assert list(rows) == []
                await process.stdin.aclose()
                assert await process.wait() == 0
