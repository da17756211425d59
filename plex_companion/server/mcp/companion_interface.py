"""Builds what the MCP server serves from a companion: tools, resources, prompts, panels and instructions."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion import __version__
from plex_companion.errors import PlexUnauthorized, ToolError
from plex_companion.panels import PANELS
from plex_companion.prompts.completions import propose_values
from plex_companion.prompts.prompt_list import select_prompts
from plex_companion.resources.registry import list_declared, list_existing, read_resource
from plex_companion.server.mcp.elicitation import ElicitationRequired
from plex_companion.server.mcp.interface import ResourceEntry, ServerInterface, ToolResult
from plex_companion.settings import APP, ICON
from plex_companion.text import format_count
from plex_companion.tools.declare import ALLOW_WRITES, Access
from plex_companion.tools.elicitation.renew_login import LoginRenewal
from plex_companion.tools.follow_up.resource_links import find_link
from plex_companion.tools.follow_up.task_store import TaskStore
from plex_companion.tools.run import call_tool
from plex_companion.tools.server_argument import choose_companion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mcp.server.extension import Extension

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller, Tool

INSTRUCTIONS = """\
plex-companion listens to a Plex Media Server and records what happens, so it can answer about the present and the past
without asking Plex, even while Plex is down.

- What is playing now: resource plex://sessions (subscribe to be notified), or the tool live_sessions.
- To wait for an event: events_wait. For events since the last call: events_since with the last next_cursor.
- The past: what_happened(since="12h") sums up plays, additions, alerts and outages; history_query, history_stats,
  library_changes and play_get give details. Times are spans (24h, 7d), dates, or ISO 8601. While `history.complete` is
  false, Plex's own history is still being imported; `notes` and `outages` say which times are not covered.
- Every answer of the live toolset has `connection.state`. Unless it is "live", the data is the last known state, and an
  empty list does not mean that nothing is playing.
- Ids (rating_key, library_id …) may be numbers or strings, and are more reliable than titles. If several items match a
  title, the answer is a list with status "multiple_matches" and nothing was changed: repeat the call with the right id.
- {writing}
- What is unknown is left out of the rows of a list; the answer about one thing has it as null.
- Instructions for tasks that take several steps: skill_get.
- An error is an object with a stable `code`, and a `message` that says what to try.
"""


ASKS_FIRST = """\
Destructive tools ask the user first. If the host cannot ask, they need confirm=true: then ask the user yourself."""


SEVERAL = """\
- There are several Plex servers, which plex://servers and companion_status name. Tools with a required `server` work on one of them:
  an id means something else on another. Rows say in `server_name` which server they are of."""


CHANGES_NOTHING = "None of these tools changes anything in Plex."


OFF = """\
The companion is read-only: it hides {hidden} that can change Plex, and a call of a hidden tool fails with code
  "read_only". If the user asks for a change, say so. {allow}"""


def build_instructions(tools: Sequence[Tool]) -> str:
    """Return the instructions for a model. If tools are hidden, they say how many, and how to allow them."""
    if hidden := count_hidden_tools(tools):
        return INSTRUCTIONS.format(writing=OFF.format(hidden=format_count(hidden, "tool"), allow=ALLOW_WRITES))
    writes = any(tool.access is not Access.READ for tool in tools)
    return INSTRUCTIONS.format(writing=ASKS_FIRST if writes else CHANGES_NOTHING)


def build_server_instructions(tools: Sequence[Tool]) -> str:
    """Return the further instructions where several servers are configured."""
    return f"{SEVERAL}\n" if any(tool.several for tool in tools) else ""


def count_hidden_tools(tools: Sequence[Tool]) -> int:
    """Count the tools that are served and not listed, because the companion is read-only."""
    return sum(tool.off for tool in tools)


@dataclass(slots=True)
class ToolCallTimer:
    """Reports each call of a tool: its name, the outcome and the seconds. On stdio nothing observes it."""

    observe: Callable[[str, str, float], None] | None = None

    @contextmanager
    def time_call(self, tool: str) -> Iterator[None]:
        """Time one call of a tool."""
        began, outcome = time.perf_counter(), "internal"
        try:
            yield
            outcome = "ok"
        except ToolError as error:
            outcome = error.code
            raise
        except ElicitationRequired:
            outcome = "question"
            raise
        except anyio.get_cancelled_exc_class():
            outcome = "cancelled"
            raise
        finally:
            if self.observe is not None:
                self.observe(tool, outcome, time.perf_counter() - began)


async def _call_renewing(
    companion: Companion,
    tool: Tool,
    arguments: Mapping[str, Any],
    caller: Caller,
    renewals: Mapping[str, LoginRenewal],
) -> tuple[dict[str, Any], str, tuple[tuple[str, bytes], ...]]:
    """Call a tool. If Plex refuses the token and a person renews it, call it again."""
    try:
        return await call_tool(companion, tool, arguments, caller)
    except PlexUnauthorized:
        if not await renewals[companion.link_id].renew(caller):
            raise
    return await call_tool(companion, tool, arguments, caller)


def find_icon_url(public_url: str | None) -> str | None:
    """Return the address of the icon, or `None` where clients have no https address of this server.

    Hosts refuse other schemes (MCP, Icons), and a `data:` address would be repeated in every answer.
    """
    if public_url is None or not public_url.startswith("https://"):
        return None
    return f"{public_url.rstrip('/')}{ICON}"


def build_server_interface(
    companion: Companion, tools: Sequence[Tool], calls: ToolCallTimer, extensions: Sequence[Extension] = ()
) -> ServerInterface:
    """Build the interface that the MCP server serves."""
    renewals = {one.link_id: LoginRenewal(one) for one in companion.each}

    async def run_tool(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> ToolResult:
        with calls.time_call(tool.name):
            chosen, given = choose_companion(companion, tool, arguments, caller)
            answer = await _call_renewing(chosen, tool, given, caller, renewals)
            found = await find_link(chosen, tool, answer[0])
        link = ResourceEntry(found[0], found[1].name, found[1].title, found[1].description) if found else None
        return ToolResult(*answer, link)

    async def read_uri(uri: str) -> str:
        return await read_resource(companion, uri)

    def list_entries() -> list[ResourceEntry]:
        return [ResourceEntry(uri, one.name, title, one.description) for one, uri, title in list_existing(companion)]

    def propose(name: str, typed: str) -> list[str]:
        return propose_values(companion, name, typed)

    names = {tool.name for tool in tools}
    return ServerInterface(
        APP,
        __version__,
        build_instructions(tools) + build_server_instructions(tools),
        tools,
        run_tool,
        list_declared(companion),
        list_entries,
        read_uri,
        secrets=companion.secrets,
        prompts=select_prompts(tools),
        propose=propose,
        icon_url=find_icon_url(companion.settings.public_url),
        skills=companion.skills,
        tasks=TaskStore(companion) if any(tool.follow and not tool.off for tool in tools) else None,
        panels=[panel for panel in PANELS if panel.tool in names],
        extensions=extensions,
    )
