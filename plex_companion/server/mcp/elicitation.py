"""The client of a tool call, as the tool sees it: it can get progress, and its user can be asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from plex_companion.server.auth.scopes import may_write
from plex_companion.server.mcp.limits import LONGEST_BYTES

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

_KEY = "confirm"
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {_KEY: {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": [_KEY],
}


class ElicitationRequired(Exception):
    """The user must be asked first (2026-07-28). Not an error: the call ends, and the client repeats it with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("A person must be asked first.")
        self.result = result


class ClientCaller:
    """The client of one call (a `Caller`)."""

    def __init__(self, context: Context[Any, Any] | None) -> None:
        self._context = context

    @property
    def may_write(self) -> bool:
        """Whether the token of the client has the scope `write`. Only tokens of an issuer have scopes."""
        return may_write(self._context.request_context.request if self._context else None)

    async def report_progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress. Does nothing if the client did not ask for it, or its progress token is too long to repeat."""
        if self._context is not None and not _is_long(self._context):
            await self._context.report_progress(done, total, message)

    async def confirm(self, question: str) -> bool | None:
        """Ask the user yes or no. Return `None` if the client cannot ask.

        In the modern era the first call ends with the question, and the whole tool runs again with the answer, so
        nothing may be changed before this. An answer counts only for exactly this question: if a fact in it has
        changed meanwhile, the user is asked again.

        Raises:
            ElicitationRequired: in the modern era, without an answer; do not catch it.
        """
        if self._context is None or not _can_ask(self._context):
            return None
        if self._context.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return _is_yes(_read_answer(self._context, question))
        session = self._context.request_context.session
        return _is_yes(await session.elicit_form(question, _FORM, self._context.request_id))


def _is_long(context: Context[Any, Any]) -> bool:
    meta = context.request_context.meta or {}
    return len(str(meta.get("progress_token", ""))) > LONGEST_BYTES


def _can_ask(context: Context[Any, Any]) -> bool:
    capabilities = context.request_context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # A client that names neither mode supports forms (2025-06-18).
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _read_answer(context: Context[Any, Any], question: str) -> ElicitResult:
    """Return the user's answer to this question. The client sends it with the digest of the question.

    Raises:
        ElicitationRequired: there is no answer to this question yet.
    """
    digest = hashlib.sha256(question.encode()).hexdigest()
    answer = (context.input_responses or {}).get(_KEY)
    if isinstance(answer, ElicitResult) and context.request_state == digest:
        return answer
    request = ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=_FORM))
    raise ElicitationRequired(InputRequiredResult(input_requests={_KEY: request}, request_state=digest))


def _is_yes(answer: ElicitResult) -> bool:
    return answer.action == "accept" and (answer.content or {}).get(_KEY) is True
