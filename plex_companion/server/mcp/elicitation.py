"""The client of a tool call, as the tool sees it: it can get progress, and its user can be asked."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from plex_companion.server.auth.scopes import may_write
from plex_companion.server.mcp.limits import LONGEST_BYTES
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.mcpserver import Context
    from mcp_types import InputRequest

CHOSEN = "choice"
_PAGE = "page"
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
        return _is_yes(await _ask(self._context, _KEY, question, _FORM))

    async def choose(self, question: str, choices: Mapping[str, str]) -> str | None:
        """Ask the user to choose one of several values, which have a title each. Return the value, or `None`.

        In the modern era, an answer that was given before an earlier question of the same call is remembered in the
        state that the client sends back.

        Raises:
            ElicitationRequired: in the modern era, without an answer; do not catch it.
        """
        if self._context is None or not _can_ask(self._context):
            return None
        form = _build_choice(choices)
        chosen = _read_choice(await _ask(self._context, CHOSEN, question, form))
        return chosen if chosen in choices else None

    @property
    def can_open_pages(self) -> bool:
        """Whether the client declares that it can show its user a page (`elicitation.url`)."""
        return self._context is not None and _can_open(self._context)

    async def open_page(self, message: str, url: str) -> bool:
        """Ask the user to open a page. Return whether they agreed to.

        Raises:
            ElicitationRequired: in the modern era, without an answer; do not catch it.
        """
        if self._context is None or not _can_open(self._context):
            return False
        if self._context.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            params = ElicitRequestURLParams(message=message, url=url)
            return _read_answer(self._context, _PAGE, params).action == "accept"
        session = self._context.request_context.session
        answer = await session.elicit_url(message, url, _digest([message, url]), self._context.request_id)
        return answer.action == "accept"


def _build_choice(choices: Mapping[str, str]) -> dict[str, Any]:
    options = [{"const": value, "title": title} for value, title in choices.items()]
    return {
        "type": "object",
        "properties": {CHOSEN: {"type": "string", "title": "Which one", "oneOf": options}},
        "required": [CHOSEN],
    }


def _can_open(context: Context[Any, Any]) -> bool:
    capabilities = context.request_context.session.client_capabilities
    return bool(capabilities and capabilities.elicitation and capabilities.elicitation.url is not None)


def _digest(asked: object) -> str:
    return hashlib.sha256(encode_json(asked).encode()).hexdigest()


def _is_long(context: Context[Any, Any]) -> bool:
    meta = context.request_context.meta or {}
    return len(str(meta.get("progress_token", ""))) > LONGEST_BYTES


def _can_ask(context: Context[Any, Any]) -> bool:
    capabilities = context.request_context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # A client that names neither mode supports forms (2025-06-18).
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def _ask(context: Context[Any, Any], key: str, question: str, form: dict[str, Any]) -> ElicitResult:
    """Return the user's answer to this question.

    Raises:
        ElicitationRequired: in the modern era, there is no answer to this question yet.
    """
    if context.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _read_answer(context, key, ElicitRequestFormParams(message=question, requested_schema=form))
    return await context.request_context.session.elicit_form(question, form, context.request_id)


def _read_answer(
    context: Context[Any, Any], key: str, asked: ElicitRequestFormParams | ElicitRequestURLParams
) -> ElicitResult:
    """Return the user's answer to this question. The client sends it with the state, which has the question's digest.

    The SDK seals the state, so a client can neither read nor change it.

    Raises:
        ElicitationRequired: there is no answer to this question yet.
    """
    digest = _digest(asked.model_dump(mode="json"))
    state = _read_state(context)
    chosen: dict[str, str | None] = state.get("chosen", {})
    if digest in chosen:
        return ElicitResult(action="accept", content={CHOSEN: chosen[digest]})
    answer = (context.input_responses or {}).get(key)
    if isinstance(answer, ElicitResult) and state.get("asked") == digest:
        return answer
    if state.get("asked") != digest and (earlier := (context.input_responses or {}).get(CHOSEN)):
        chosen = {**chosen, str(state.get("asked")): _read_choice(earlier)}
    new_state = encode_json({"asked": digest, "chosen": chosen})
    requests: dict[str, InputRequest] = {key: ElicitRequest(params=asked)}
    raise ElicitationRequired(InputRequiredResult(input_requests=requests, request_state=new_state))


def _read_state(context: Context[Any, Any]) -> dict[str, Any]:
    try:
        state = json.loads(context.request_state or "{}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _read_choice(answer: object) -> str | None:
    """Return the value that was chosen; `None` if none was."""
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    value = (answer.content or {}).get(CHOSEN)
    return value if isinstance(value, str) else None


def _is_yes(answer: ElicitResult) -> bool:
    return answer.action == "accept" and (answer.content or {}).get(_KEY) is True
