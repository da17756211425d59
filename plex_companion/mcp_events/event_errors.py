"""The one table of error codes of MCP Events.

The numbers are those of SEP-3415. They were provisional when this was written: ChatGPT's guide counts from -32011.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from plex_companion.errors import CompanionError

CallbackProblem = Literal["connection_refused", "timeout", "tls_error", "http_4xx", "http_5xx", "challenge_failed"]
"""All that a client learns of a callback that failed, so that it cannot explore the network with it."""


class EventErrorCode(IntEnum):
    """What a JSON-RPC error of `events/*` says."""

    INVALID_PARAMS = -32602
    INTERNAL = -32603
    NOT_FOUND = -32023
    FORBIDDEN = -32024
    RESOURCE_EXHAUSTED = -32025
    UNSUPPORTED = -32026
    CALLBACK_ENDPOINT = -32027


class EventError(CompanionError):
    """A refused request of MCP Events. The facts become `data` of the JSON-RPC error."""

    def __init__(self, code: EventErrorCode, message: str, **facts: object) -> None:
        super().__init__(message, **facts)
        self.code = code


def build_invalid(message: str, argument: str) -> EventError:
    """Build the error for a parameter that cannot be used."""
    return EventError(EventErrorCode.INVALID_PARAMS, message, argument=argument)


def build_exhausted(message: str, limit: str, most: int) -> EventError:
    """Build the error for one more than there may be."""
    return EventError(EventErrorCode.RESOURCE_EXHAUSTED, message, limit=limit, max=most)


def build_callback_error(problem: CallbackProblem) -> EventError:
    """Build the error for a callback that did not pass its verification."""
    words = "did not return the challenge" if problem == "challenge_failed" else f"cannot be used: {problem}"
    return EventError(EventErrorCode.CALLBACK_ENDPOINT, f"The callback URL {words}.", reason=problem)


def build_error_body(error: EventError) -> dict[str, object]:
    """Build the `error` object of a notification or an envelope."""
    return {"code": int(error.code), "message": error.message, **({"data": error.facts} if error.facts else {})}
