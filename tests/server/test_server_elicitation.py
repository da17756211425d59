"""Asking a person before something is destroyed, in both eras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult, InputResponses
from support.mcp_server import ERAS, MODERN, Served, served, transport_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.client.session import ElicitationFnT

everywhere = pytest.mark.parametrize("era", ERAS)
YES, NO = {"confirm": True}, {"confirm": False}


@pytest.fixture
async def running() -> AsyncIterator[Served]:
    async with served() as one:
        yield one


def _person(asked: list[str], result: ElicitResult) -> ElicitationFnT:
    async def answer(context: Any, params: Any) -> ElicitResult:
        del context
        asked.append(params.message)
        return result

    return answer


@everywhere
@pytest.mark.parametrize("kind", ["sse", "http"])
@pytest.mark.parametrize(
    ("result", "sure"),
    [
        (ElicitResult(action="accept", content=dict(YES)), True),
        (ElicitResult(action="accept", content=dict(NO)), False),
        (ElicitResult(action="decline"), False),
        (ElicitResult(action="cancel"), False),
    ],
    ids=["yes", "no", "declined", "closed"],
)
async def test_a_person_is_asked_once(running: Served, era: str, kind: str, result: ElicitResult, sure: bool) -> None:
    asked: list[str] = []
    transport = transport_to(running.url, kind)
    async with Client(transport, mode=era, elicitation_callback=_person(asked, result)) as client:
        answer = await client.call_tool("lamp_smash", {})
    assert answer.structured_content == {"sure": sure}
    assert asked == ["Smash the lamp?"]


@everywhere
async def test_a_client_that_cannot_ask_is_known(running: Served, era: str) -> None:
    async with Client(f"{running.url}/mcp", mode=era) as client:
        answer = await client.call_tool("lamp_smash", {})
    assert answer.structured_content == {"sure": None}


def _chooser(asked: list[str], choice: str | None, sure: ElicitResult) -> ElicitationFnT:
    """A person who chooses this, and then answers that."""

    async def answer(context: Any, params: Any) -> ElicitResult:
        del context
        asked.append(params.message)
        if "choice" not in params.requested_schema["properties"]:
            return sure
        return ElicitResult(action="accept", content={"choice": choice}) if choice else ElicitResult(action="decline")

    return answer


@everywhere
@pytest.mark.parametrize("kind", ["sse", "http"])
async def test_a_person_chooses_and_is_asked_for_both_once(running: Served, era: str, kind: str) -> None:
    asked: list[str] = []
    person = _chooser(asked, "b2", ElicitResult(action="accept", content=dict(YES)))
    async with Client(transport_to(running.url, kind), mode=era, elicitation_callback=person) as client:
        answer = await client.call_tool("lamp_unscrew", {})
    assert answer.structured_content == {"bulb": "b2", "sure": True}
    assert asked == ["Which bulb?", "Unscrew b2?"]


@everywhere
@pytest.mark.parametrize("choice", [None, "b3"])
async def test_no_choice_and_a_wrong_one_choose_nothing(running: Served, era: str, choice: str | None) -> None:
    person = _chooser([], choice, ElicitResult(action="accept", content=dict(YES)))
    async with Client(f"{running.url}/mcp", mode=era, elicitation_callback=person) as client:
        answer = await client.call_tool("lamp_unscrew", {})
    assert answer.structured_content == {"bulb": None, "sure": None}


async def test_a_choice_without_the_state_of_its_question_does_not_count(running: Served) -> None:
    person = _chooser([], None, ElicitResult(action="decline"))
    async with Client(f"{running.url}/mcp", mode=MODERN, elicitation_callback=person) as client:
        given: InputResponses = {"choice": ElicitResult(action="accept", content={"choice": "b1"})}
        answer = await client.session.call_tool("lamp_unscrew", {}, input_responses=given, allow_input_required=True)
        assert isinstance(answer, InputRequiredResult)
        assert list(answer.input_requests or {}) == ["choice"]


async def test_an_answer_to_another_question_does_not_count(running: Served) -> None:
    person = _person([], ElicitResult(action="decline"))
    async with Client(f"{running.url}/mcp", mode=MODERN, elicitation_callback=person) as client:
        first = await client.session.call_tool("lamp_smash", {}, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        running.lamp_server.question = "Smash the larger lamp?"
        yes: InputResponses = {"confirm": ElicitResult(action="accept", content=dict(YES))}
        again = await client.session.call_tool(
            "lamp_smash", {}, input_responses=yes, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(again, InputRequiredResult)
        sure = await client.session.call_tool(
            "lamp_smash", {}, input_responses=yes, request_state=again.request_state, allow_input_required=True
        )
        assert isinstance(sure, CallToolResult)
        assert sure.structured_content == {"sure": True}
