"""Parses one line of standard input as a message, or explains what is wrong with it."""

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
"""Matches text that may contain a number without a form in JSON; Pydantic reads it as `nan` or `inf`."""
_UNREADABLE = "This line is not JSON in UTF-8. Send one JSON-RPC message per line."
_BATCH = "MCP has no batches. Send one JSON-RPC message per line."
_NO_MESSAGE = (
    "This line is JSON, but not a JSON-RPC 2.0 message. Send an object with jsonrpc, method and, for a request, id."
)


class UnreadableLine(Exception):
    """A line that is not a message. `answer` is the error for its sender; `None` if it must not be answered."""

    def __init__(self, code: int, message: str, request_id: str | int | None = None, *, answered: bool = True) -> None:
        super().__init__(message)
        error = {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
        self.answer = json.dumps(error) if answered else None


def read_message(line: bytes) -> JSONRPCMessage | None:
    """Return the message in a line; `None` for an empty line.

    A byte order mark is skipped (RFC 8259, section 8.1, allows it). Invalid UTF-8 and lone surrogates become U+FFFD.

    Raises:
        UnreadableLine: the line is not a message. The error has the answer of JSON-RPC 2.0, section 5.1.
    """
    text = line.removeprefix(BOM).strip()
    if not text:
        return None
    if _NO_NUMBER.search(text):
        return _check_message(_parse(text))
    try:
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        return _check_message(_parse(text))
    if isinstance(message, JSONRPCNotification) and b'"id"' in text:
        return _check_message(_parse(text))
    return message


def build_too_long(limit: int) -> UnreadableLine:
    """Return the error for a line longer than `limit` bytes."""
    return UnreadableLine(PARSE_ERROR, f"This line is longer than {limit} bytes and was not read.")


def _parse(text: bytes) -> Any:
    """Parse with `json`, which accepts lone surrogates, but refuse numbers that JSON does not have."""
    try:
        value = json.loads(text.decode("utf-8", "replace"), parse_constant=_refuse_constant, parse_float=_parse_finite)
        clean = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False))
        return json.loads(clean)
    except (ValueError, RecursionError):
        raise UnreadableLine(PARSE_ERROR, _UNREADABLE) from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _parse_finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(digits)
    return number


def _check_message(value: Any) -> JSONRPCMessage:
    if isinstance(value, list):
        raise UnreadableLine(INVALID_REQUEST, _BATCH)
    if not isinstance(value, dict):
        raise UnreadableLine(INVALID_REQUEST, _NO_MESSAGE)
    try:
        message = jsonrpc_message_adapter.validate_python(value, by_name=False)
    except (ValidationError, RecursionError):
        raise _build_error(value) from None
    if isinstance(message, JSONRPCNotification) and "id" in value:  # null, or a fraction
        raise _build_error(value)
    return message


def _build_error(value: dict[str, Any]) -> UnreadableLine:
    """Build the error for a value that is not a message. A malformed response gets no answer (JSON-RPC 2.0, section 5),
    or two programs could answer each other forever.
    """
    request_id = value.get("id")
    known = isinstance(request_id, str | int) and not isinstance(request_id, bool)
    is_answer = "method" not in value and ("result" in value or "error" in value)
    return UnreadableLine(INVALID_REQUEST, _NO_MESSAGE, request_id if known else None, answered=not is_answer)
