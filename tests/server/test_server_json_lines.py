"""What is no message on standard input is answered; what can be read is read."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from support.deadlines import HANG_SECONDS
from support.mcp_server import script

from plex_companion.server.mcp.json_lines import BOM, UnreadableLine, read_message

pytestmark = pytest.mark.slow


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


def request(text: str = "x", request_id: object = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "m", "params": {"text": text}}).encode()


def params(line: bytes) -> Any:
    message: Any = read_message(line)
    return message.params


def refused(line: bytes) -> dict[str, Any]:
    with pytest.raises(UnreadableLine) as raised:
        read_message(line)
    assert raised.value.answer is not None
    found: dict[str, Any] = json.loads(raised.value.answer)
    return found


def test_a_byte_order_mark_is_skipped() -> None:
    assert params(BOM + request()) == {"text": "x"}
    assert params(BOM + b"  " + request() + b"\r") == {"text": "x"}


def test_lone_surrogates_and_bytes_that_are_no_utf_8_are_read_as_the_replacement_character() -> None:
    assert params(request().replace(b'"x"', rb'"a\ud83d \ud83d\ude00 \ude00b"')) == {
        "text": "a\ufffd \U0001f600 \ufffdb"
    }
    assert params(request().replace(b'"x"', b'"a\xffb"')) == {"text": "a\ufffdb"}
    assert params(request().replace(b'"x"', rb'"\\ud83d"')) == {"text": r"\ud83d"}, "an escaped backslash, no surrogate"


@pytest.mark.parametrize("line", [b"", b"\r", b"   ", BOM, BOM + b"\r"])
def test_an_empty_line_is_nothing(line: bytes) -> None:
    assert read_message(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 40",
        b"\x00",
        request()[:-1],
        "{}".encode("utf-16"),
        b"[" * 200_000,
        request().replace(b'"x"', b"NaN"),
        request().replace(b'"x"', b"-Infinity"),
        request().replace(b'"x"', b"1e999"),
        request().replace(b'"x"', b"9" * 400 + b".0"),
        request().replace(b'"x"', b"9" * 5_000),
        request().replace(b"x", b"a\x00b"),
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_is_no_json_is_a_parse_error(line: bytes) -> None:
    found = refused(line)
    assert (found["id"], found["error"]["code"]) == (None, PARSE_ERROR)


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"[" + request() + b"," + request() + b"]", None),
        (b"[]", None),
        (b"{}", None),
        (b"17", None),
        (b'{"jsonrpc":"2.0","id":4,"method":"m","params":[1]}', 4),
        (b'{"jsonrpc":"1.0","id":"a","method":"m"}', "a"),
        (b'{"jsonrpc":"2.0","id":null,"method":"m"}', None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"m"}', None),
    ],
)
def test_what_is_json_but_no_message_is_an_invalid_request(line: bytes, request_id: object) -> None:
    found = refused(line)
    assert (found["id"], found["error"]["code"]) == (request_id, INVALID_REQUEST)


def test_an_answer_that_cannot_be_read_is_not_answered() -> None:
    with pytest.raises(UnreadableLine) as raised:
        read_message(b'{"jsonrpc":"2.0","id":4,"result":7}')
    assert raised.value.answer is None


def test_a_text_that_only_looks_like_a_number_is_a_text() -> None:
    assert params(request("NaN, 1e999, Infinity")) == {"text": "NaN, 1e999, Infinity"}


async def test_the_server_answers_each_unreadable_line_once_with_a_warning_and_goes_on() -> None:
    lines = [
        BOM + json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}).encode(),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode() + b"\r",
        b"no json",
        b"",
        b"[" + request() + b"]",
        b"x" * 5_000_000,
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"}).encode(),
    ]
    said = b""
    async with await anyio.open_process(script("stdio"), stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        out = BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(HANG_SECONDS):
            await process.stdin.send(b"\n".join([*lines, b""]))
            answers = [json.loads(await out.receive_until(b"\n", 1_000_000)) for _ in range(5)]
            await process.stdin.aclose()
            said = b"".join([part async for part in process.stderr])
    reported = [(answer["id"], answer.get("error", {}).get("code")) for answer in answers]
    assert sorted(reported, key=str) == sorted(
        [(1, None), (None, PARSE_ERROR), (None, INVALID_REQUEST), (None, PARSE_ERROR), (2, None)], key=str
    )
    assert said.count(b"A line of standard") == 3
    assert b"no json" not in said


async def test_a_host_that_sends_and_never_reads_ends_the_server_with_a_line() -> None:
    flood = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "lamp_flood", "arguments": {}}}
    greeting = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    async with await anyio.open_process(script("stdio"), stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        await process.stdin.send(json.dumps(greeting).encode() + b"\n")
        with anyio.fail_after(HANG_SECONDS):
            try:
                for number in range(2, 10_000):
                    await process.stdin.send(json.dumps(flood | {"id": number}).encode() + b"\n")
            except (BrokenPipeError, anyio.BrokenResourceError):
                pass
            said = b"".join([part async for part in process.stderr])
            assert await process.wait() == 1
    assert b"The host does not read its messages" in said
