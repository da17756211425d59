"""A secret that is planted at each way out of the program does not leave it."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx2
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from support.deadlines import HANG_SECONDS
from support.mcp_server import served

from plex_companion.commands.output import FilteredStream
from plex_companion.server.mcp.stdio import DescriptorWriter, FilteredWriteStream
from plex_companion.text import SecretFilter, encode_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

SECRET = 'canary "qu\'oted" & ünsafe'
SECRETS = SecretFilter([SECRET])
PICTURE = b"\x89PNG" + SECRET.encode()


async def _answer_json(_: Request) -> Response:
    return JSONResponse({"title": SECRET})


async def _answer_page(_: Request) -> Response:
    from markupsafe import escape  # noqa: PLC0415 - as Jinja does

    return HTMLResponse(f"<p>{escape(SECRET)}</p>")


async def _answer_in_parts(_: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield f"before {SECRET[:9]}"
        yield f"{SECRET[9:]} after"

    return StreamingResponse(parts(), media_type="text/plain")


async def _answer_events(_: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        yield f"data: {encode_json({'title': SECRET})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def _answer_picture(_: Request) -> Response:
    return Response(PICTURE, media_type="image/png")


ANSWERS = {
    "/json": (_answer_json, '{"title":"hidden"}'),
    "/page": (_answer_page, "<p>hidden</p>"),
    "/parts": (_answer_in_parts, "before hidden after"),
    "/events": (_answer_events, 'data: {"title":"hidden"}\n\n'),
}


@pytest.mark.parametrize("path", ANSWERS)
async def test_no_route_of_the_http_application_lets_a_secret_out(path: str) -> None:
    async with served(extra_routes=[Route(path, ANSWERS[path][0])]) as running:
        running.lamp_server.server.secrets.add(SECRET)
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as client:
            assert (await client.get(running.url + path)).text == ANSWERS[path][1]


async def test_pictures_pass_as_they_are() -> None:
    async with served(extra_routes=[Route("/picture", _answer_picture)]) as running:
        running.lamp_server.server.secrets.add(SECRET)
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as client:
            assert (await client.get(f"{running.url}/picture")).content == PICTURE


async def test_no_line_of_standard_output_holds_a_secret() -> None:
    reader, writer = os.pipe()
    output = DescriptorWriter(writer, SECRETS)
    inner = encode_json({"title": SECRET})
    output.write(encode_json({"text": inner, "structured": {"title": SECRET}}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(output.send)
        await output.wait_until_written()
        tasks.cancel_scope.cancel()
    line = json.loads(os.read(reader, 10_000))
    os.close(reader)
    os.close(writer)
    assert line == {"text": '{"title":"hidden"}', "structured": {"title": "hidden"}}


async def test_no_message_of_another_transport_holds_a_secret() -> None:
    sending, receiving = anyio.create_memory_object_stream[SessionMessage](1)
    stream = FilteredWriteStream(cast("Any", sending), SECRETS)
    message = JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": SECRET})
    async with stream, receiving:
        await stream.send(SessionMessage(message))
        sent = (await receiving.receive()).message
    assert isinstance(sent, JSONRPCNotification)
    assert sent.params == {"data": "hidden"}


def test_no_command_prints_a_secret() -> None:
    screen = io.StringIO()
    stream = FilteredStream(screen, SECRETS)
    print(f"title: {SECRET}", file=cast("io.StringIO", stream))
    assert screen.getvalue() == "title: hidden\n"
    assert not stream.isatty()


def test_what_goes_into_the_journal_holds_no_secret() -> None:
    assert SECRETS.hide_values({"arguments": {"title": [SECRET, 1]}}) == {"arguments": {"title": ["hidden", 1]}}


def test_a_secret_is_found_however_it_is_spelt() -> None:
    once = json.dumps(SECRET)
    for spelt in (SECRET, once, json.dumps(once), json.dumps(SECRET, ensure_ascii=False)):
        assert "canary" not in SECRETS.hide(spelt)
        assert b"canary" not in SECRETS.hide_bytes(spelt.encode())


def test_a_secret_within_a_secret_leaves_no_rest() -> None:
    assert SecretFilter(["abcdefgh", "abcdefgh-ijkl"]).hide("abcdefgh-ijkl abcdefgh") == "hidden hidden"
