"""Tasks on the wire: their fields, their results, and who may see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.mcp_events.principals import name_issuer_principal
from plex_companion.serialize import format_iso
from plex_companion.server.auth.authenticate import find_caller
from plex_companion.text import encode_json
from plex_companion.tools.follow_up.task_store import TTL_MS

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from plex_companion.models import ToolTask

IDENTIFIER = "io.modelcontextprotocol/tasks"
POLL_MS = 2_000
OWNER = "owner"
"""The principal of everybody who has the companion's own token, or needs none: they are the household."""


def identify_principal(request: Any) -> str:
    """Return who sent a request: a digest for a user of an OAuth issuer, `owner` otherwise and on standard input."""
    caller = find_caller(request)
    if caller is None or caller.issuer is None:
        return OWNER
    return name_issuer_principal(caller.issuer, caller.subject or "")


def encode_result(result: CallToolResult, structured: dict[str, Any]) -> str:
    """Encode the result of a call, with its object, to be kept."""
    plain = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return encode_json({**plain, "structuredContent": structured})


def describe_task(task: ToolTask, *, whole: bool) -> dict[str, Any]:
    """Return the fields of a task, `whole` with its result once there is one."""
    fields: dict[str, Any] = {
        "taskId": task.id,
        "status": task.status,
        "createdAt": format_iso(task.created_at),
        "lastUpdatedAt": format_iso(task.updated_at),
        "ttlMs": TTL_MS,
        "pollIntervalMs": POLL_MS,
    }
    if task.message is not None:
        fields["statusMessage"] = task.message
    if whole and task.status == "completed":
        fields["result"] = _build_result(task)
    return fields


def _build_result(task: ToolTask) -> dict[str, Any]:
    """Return the result of the call, with what is known of its end."""
    result: dict[str, Any] = json.loads(task.result)
    finished = None if task.finished_at is None else format_iso(task.finished_at)
    structured = {**result["structuredContent"], "outcome": task.message, "finished_at": finished}
    result["structuredContent"] = structured
    result["content"] = [{"type": "text", "text": encode_json(structured)}, *result["content"][1:]]
    return {**result, "resultType": "complete"}
