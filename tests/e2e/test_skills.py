"""The skills are listed and read by clients, and each is tried: its calls are made in order, in the demo household."""

from __future__ import annotations

import ast
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import mcp_types
import pytest
from mcp import Client, MCPError
from support.catalogue import TOKEN, CatalogueHome, catalogue_home

from plex_companion.demo import open_demo
from plex_companion.skills.skill_files import NAMES, SKILLS, Skill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Bodies = list[dict[str, Any]]

MODERN = "2026-07-28"
every = pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)


class SkillRequest(mcp_types.Request[dict[str, Any], Literal["skills/list", "skills/get"]]):
    """A request of the extension, which the SDK's client does not know."""

    method: Literal["skills/list", "skills/get"]
    params: dict[str, Any]


class SkillResult(mcp_types.Result, extra="allow"):
    """Its result, unchecked."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueHome]:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        demo.copy_item(demo.get_movie().key)
        folder = tmp_path_factory.mktemp("home")
        async with catalogue_home(folder, demo=demo, read_only="false", timezone="UTC") as home:
            await home.until_as_plex()
            await home.until_detailed()
            companion = home.application.companion
            await home.tools.until(lambda: companion.state.history.complete)
            demo.start(transcode=True)
            await home.tools.until(lambda: any(one.user for one in companion.state.sessions.values()))
            yield home


async def send(client: Client, method: Literal["skills/list", "skills/get"], **params: Any) -> dict[str, Any]:
    result = await client.session.send_request(SkillRequest(method=method, params=params), SkillResult)
    return result.model_dump(by_alias=True, exclude_none=True)


@every
async def test_a_skill_is_listed_got_and_read_with_one_digest(skill: Skill, it: CatalogueHome) -> None:
    async with Client(it.application.server, mode=MODERN) as client:
        listed = await send(client, "skills/list")
        entry = next(one for one in listed["skills"] if one["uri"] == skill.uri)
        got = await send(client, "skills/get", uri=skill.uri)
        (contents,) = (await client.read_resource(skill.uri)).contents
    assert got["skill"] == entry
    assert {"ttlMs", "cacheScope"} <= listed.keys() & got.keys()
    assert contents.mime_type == "text/markdown"
    body = contents.text.encode()  # type: ignore[union-attr]  # skills are text
    (file,) = entry["resources"]
    assert (file["digest"], file["size"]) == (f"sha256:{hashlib.sha256(body).hexdigest()}", len(body))
    assert entry["frontmatter"] == {"name": skill.name, "description": skill.description}


async def test_an_unknown_skill_and_a_foreign_cursor_are_refused(it: CatalogueHome) -> None:
    async with Client(it.application.server, mode=MODERN) as client:
        for method, given in (("skills/get", {"uri": SKILLS[0].name}), ("skills/list", {"cursor": "x"})):
            with pytest.raises(MCPError) as raised:
                await send(client, method, **given)  # type: ignore[arg-type]  # one of the two
            assert raised.value.error.code == mcp_types.INVALID_PARAMS
        with pytest.raises(MCPError) as raised:
            await client.read_resource("skill://plex/sing/SKILL.md")
        assert raised.value.error.code == mcp_types.INVALID_PARAMS


async def test_the_extension_is_declared_to_modern_clients_alone(it: CatalogueHome) -> None:
    async with Client(it.application.server, mode=MODERN) as client:
        found = await client.session.send_discover(MODERN)
        assert found["capabilities"]["extensions"]["io.modelcontextprotocol/skills"] == {}
        assert "resources" in found["capabilities"]
    async with Client(it.application.server, mode="legacy") as client:
        with pytest.raises(MCPError) as raised:
            await send(client, "skills/list")
        assert raised.value.error.code == mcp_types.METHOD_NOT_FOUND


async def test_a_host_without_the_extension_gets_skills_from_a_tool(it: CatalogueHome) -> None:
    listed = await it.tools.well("skill_get")
    assert [one["name"] for one in listed["skills"]] == list(NAMES)
    one = await it.tools.well("skill_get", name=NAMES[0])
    assert one["instructions"] == SKILLS[0].instructions
    assert (await it.tools.refused("skill_get", name="sing"))["code"] == "not_found"


def list_calls(skill: Skill) -> list[tuple[str, dict[str, Any]]]:
    """The calls that the text makes, in order. The values that depend on the case are `...`."""
    found = []
    for text in re.findall(r"`(\w+\([^`]*\))`", skill.instructions):
        call = ast.parse(" ".join(text.replace("…", "...").split()), mode="eval").body
        assert isinstance(call, ast.Call)
        found.append((ast.unparse(call.func), {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}))
    return found


def find_first(bodies: Bodies, *path: str) -> Any:
    """The value at this path of the newest answer that has it; of a list, the first entry counts."""
    for body in reversed(bodies):
        value: Any = body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
            value = value[0] if isinstance(value, list) and value else value
        if value:
            return value
    raise AssertionError(path)


def find_id(bodies: Bodies) -> Any:
    """The id of the rule that was saved, otherwise of a play."""
    saved = any((body.get("rule") or {}).get("id") for body in bodies)
    return find_first(bodies, "rule", "id") if saved else find_first(bodies, "plays", "id")


FILLED: dict[str, Callable[[Bodies, CatalogueHome], Any]] = {
    "session_key": lambda bodies, _: find_first(bodies, "sessions", "session_key"),
    "title": lambda _, it: it.demo.get_movie().title,
    "play_id": lambda bodies, _: find_first(bodies, "plays", "id"),
    "id": lambda bodies, _: find_id(bodies),
    "rule": lambda bodies, _: find_first(bodies, "templates", "rule"),
    "since": lambda _, __: "30d",
    "user": lambda _, it: it.demo.state.owner.name,
    "media_id": lambda bodies, _: find_first(bodies, "items", "rating_key"),
    "rating_key": lambda bodies, _: find_first(bodies, "items", "rating_key"),
    "item_ids": lambda bodies, _: [find_first(bodies, "items", "rating_key")],
    "playlist_title": lambda _, __: "Film night",
    "client_name": lambda _, it: next(one.title for one in it.demo.state.players.values() if one.controllable),
    "duration_max_minutes": lambda _, __: 240,
    "period": lambda _, it: str(datetime.fromtimestamp(it.demo.state.now, UTC).year),
    "cursor": lambda bodies, _: find_first(bodies, "next_cursor"),
}
"""What a person or an earlier answer gives, by the name of the argument."""
ACTS = {"alert_acknowledge", "media_delete", "playlist_create", "client_start_playback"}
"""Calls that a skill leaves to a decision of the user."""


@every
async def test_the_calls_of_a_skill_work_in_order(skill: Skill, it: CatalogueHome) -> None:
    bodies: Bodies = []
    for tool, given in list_calls(skill):
        if tool == "alert_acknowledge":
            assert (await it.tools.refused(tool, id="0"))["code"] == "not_found"
            continue
        filled = {name: FILLED[name](bodies, it) if value is ... else value for name, value in given.items()}
        if tool == "occurrences_wait":
            it.demo.start(user=1, player=1)
        if tool in {"media_delete", "rule_enable"}:
            refusal = await it.tools.refused(tool, **filled)
            assert refusal["code"] == "confirmation_required"
            filled["confirm"] = True
        answer = await it.tools.ask(tool, **filled)
        assert not answer.is_error, (tool, filled, answer.body)
        assert answer.body.get("status") != "multiple_matches", (tool, filled)
        bodies.append(answer.body)


@every
def test_a_skill_asks_before_it_changes_anything(skill: Skill) -> None:
    called = [tool for tool, _ in list_calls(skill)]
    acts = [tool for tool in called if tool in ACTS]
    reads = [tool for tool in called if tool not in ACTS and tool != "companion_status"]
    assert called.index(acts[0]) >= len(reads) if acts else True
