"""Reads one line of standard input as a message, or says what is wrong with it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from mcp_types import INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp_types import JSONRPCMessage

BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_NUMBER = re.compile(rb"NaN|Infinity|[\d.][eE]\+?\d{3}|\d{309}")
"""What may hold a number that JSON has no word for; Pydantic reads it as `nan` or `inf`."""
_UNREADABLE = "This line is no JSON text in UTF-8. Send one JSON-RPC message a line."
_BATCH = "Batches are no part of MCP. Send one JSON-RPC message a line."
_NO_MESSAGE = (
    "This line is JSON but no JSON-RPC 2.0 message. Send an object with jsonrpc, method and, to be answered, id."
)


class UnreadableLine(Exception):
    """A line that is no message. `answer` is what its sender is told, `None` where it asked for nothing."""

    def __init__(self, code: int, message: str, request_id: str | int | None = None, *, answered: bool = True) -> None:
        super().__init__(message)
        error = {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
        self.answer = json.dumps(error) if answered else None


def read_message(line: bytes) -> JSONRPCMessage | None:
    """Return the message of a line, `None` for an empty one.

    A byte order mark is skipped. Bytes that are no UTF-8 and lone surrogates are read as U+FFFD.

    Raises:
        UnreadableLine: it is no message; it holds the answer of JSON-RPC 2.0, section 5.1.
    """
    text = line.removeprefix(BOM).strip()
    if not text:
        return None
    if _NO_NUMBER.search(text):
        return _check(_parse(text))
    try:
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        return _check(_parse(text))
    if isinstance(message, JSONRPCNotification) and b'"id"' in text:
        return _check(_parse(text))
    return message


def too_long(limit: int) -> UnreadableLine:
    """Say that a line is longer than `limit` bytes."""
    return UnreadableLine(PARSE_ERROR, f"This line is longer than {limit} bytes and was not read.")


def _parse(text: bytes) -> Any:
    """Parse as `json` does, which takes lone surrogates, but strictly as to numbers."""
    try:
        value = json.loads(text.decode("utf-8", "replace"), parse_constant=_refuse, parse_float=_finite)
        clean = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False))
        return json.loads(clean)
    except (ValueError, RecursionError):
        raise UnreadableLine(PARSE_ERROR, _UNREADABLE) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(digits)
    return number


def _check(value: Any) -> JSONRPCMessage:
    if isinstance(value, list):
        raise UnreadableLine(INVALID_REQUEST, _BATCH)
    if not isinstance(value, dict):
        raise UnreadableLine(INVALID_REQUEST, _NO_MESSAGE)
    try:
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
    except (ValidationError, RecursionError):
        raise _no_message(value) from None
    if isinstance(message, JSONRPCNotification) and "id" in value:  # null, or a fraction
        raise _no_message(value)
    return message


def _no_message(value: dict[str, Any]) -> UnreadableLine:
    """An answer is never answered (JSON-RPC 2.0, section 4): it would go back and forth."""
    request_id = value.get("id")
    known = isinstance(request_id, str | int) and not isinstance(request_id, bool)
    is_answer = "method" not in value and ("result" in value or "error" in value)
    return UnreadableLine(INVALID_REQUEST, _NO_MESSAGE, request_id if known else None, answered=not is_answer)
