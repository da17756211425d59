"""What the MCP server serves: tools, resources, prompts and panels of one companion, and its instructions."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion import __version__
from plex_companion.errors import ToolError
from plex_companion.panels import PANELS
from plex_companion.prompts.completions import propose_values
from plex_companion.prompts.prompt_list import select_prompts
from plex_companion.resources.registry import RESOURCES, list_existing, read_resource
from plex_companion.server.mcp.elicitation import ElicitationRequired
from plex_companion.server.mcp.interface import ResourceEntry, ServerInterface, ToolResult
from plex_companion.settings import APP
from plex_companion.tools.declare import ALLOW_WRITES, Access
from plex_companion.tools.run import call_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller, Tool

INSTRUCTIONS = """\
plex-companion listens to a Plex Media Server and remembers what it heard, so live questions cost nothing and old ones
can be answered while Plex is away.

- What plays now: resource plex://sessions (subscribe to be told), or the tool live_sessions.
- Waiting for something to happen: events_wait. What happened since: events_since with the last next_cursor.
- The past: what_happened(since="12h") is a digest of plays, additions, alerts and outages; history_query, history_stats,
  library_changes and play_get ask more exactly. Times are spans (24h, 7d), dates, or ISO 8601. While `history.complete` is
  false, Plex's own history is still being read in; `notes` and `outages` say when nobody listened.
- Every answer of the live toolset carries `connection.state`. Unless it is "live", the data is the last known, and an
  empty list does not mean that nothing happens.
- Ids (rating_key, library_id …) may be given as numbers or as strings, and beat titles. When several things fit a title,
  the answer is a list with status "multiple_matches" and nothing was changed: repeat the call with the id that is meant.
- {writing}
- An error is an object with a stable `code` and a `message` that says what to try.
"""


ASKS_FIRST = """\
What destroys something asks a person first; where the host cannot ask, the call needs confirm=true, so ask the person
  yourself."""


CHANGES_NOTHING = "None of the tools served here changes anything in Plex."


OFF = """\
The companion is read-only: {hidden} tools that change Plex are not listed, and answer with code "read_only" when
  called. When a person asks for a change, tell them so. {allow}"""


def build_instructions(tools: Sequence[Tool]) -> str:
    """Return what a model is told of the server. While tools are off, it says how many and how to allow them."""
    if hidden := count_hidden_tools(tools):
        return INSTRUCTIONS.format(writing=OFF.format(hidden=hidden, allow=ALLOW_WRITES))
    writes = any(tool.access is not Access.READ for tool in tools)
    return INSTRUCTIONS.format(writing=ASKS_FIRST if writes else CHANGES_NOTHING)


def count_hidden_tools(tools: Sequence[Tool]) -> int:
    """Count the tools that are served and not listed, because the companion is read-only."""
    return sum(tool.off for tool in tools)


@dataclass(slots=True)
class ToolCallTimer:
    """Tells of each call of a tool: its name, what came of it, seconds. Nobody listens on stdio."""

    observe: Callable[[str, str, float], None] | None = None

    @contextmanager
    def time_call(self, tool: str) -> Iterator[None]:
        """One call."""
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


def build_server_interface(companion: Companion, tools: Sequence[Tool], calls: ToolCallTimer) -> ServerInterface:
    """What the MCP server serves."""

    async def run_tool(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> ToolResult:
        with calls.time_call(tool.name):
            return ToolResult(*await call_tool(companion, tool, arguments, caller))

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
        build_instructions(tools),
        tools,
        run_tool,
        RESOURCES,
        list_entries,
        read_uri,
        secrets=companion.secrets,
        prompts=select_prompts(tools),
        propose=propose,
        panels=[panel for panel in PANELS if panel.tool in names],
    )
