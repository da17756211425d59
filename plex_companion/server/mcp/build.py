"""The MCP server: tools, resources and prompts in the SDK's types, and our errors as MCP's."""

from __future__ import annotations

import base64
import functools
import logging
import secrets
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mcp.server.caching import CacheHint
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptResult,
    Icon,
    ImageContent,
    InputRequiredResult,
    Prompt,
    Resource,
    ResourceLink,
    ResourceTemplate,
    TextContent,
    Tool,
    ToolAnnotations,
)

from plex_companion.errors import Internal, NotFound, ToolError
from plex_companion.server.mcp import panel_resources, prompt_results
from plex_companion.server.mcp.elicitation import ClientCaller, ElicitationRequired
from plex_companion.server.mcp.event_methods.advertisement import advertise_events
from plex_companion.server.mcp.extensions.extension_list import list_extensions
from plex_companion.server.mcp.extensions.skill_methods import build_skill_resource, read_skill
from plex_companion.server.mcp.extensions.task_streams import TaskStreams
from plex_companion.server.mcp.limits import refuse_too_long
from plex_companion.server.mcp.structured_content import attach_structured, hold_structured
from plex_companion.text import encode_json
from plex_companion.tools.declare import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mcp.server.caching import CacheableMethod
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel.server import Server
    from mcp.server.mcpserver import Context
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from pydantic import AnyUrl

    from plex_companion.resources import declare as resources
    from plex_companion.server.mcp.interface import ResourceEntry, ServerInterface, ToolResult
    from plex_companion.server.mcp.notifier import Notifier
    from plex_companion.tools import declare as tools

logger = logging.getLogger(__name__)

JSON = "application/json"
FIRST_WITH_LINKS = "2025-06-18"

_FIXED = CacheHint(300_000, "public")
_CACHING: dict[CacheableMethod, CacheHint] = {
    "tools/list": _FIXED,
    "prompts/list": _FIXED,
    "resources/templates/list": _FIXED,
    "server/discover": _FIXED,
    "resources/list": CacheHint(0, "private"),
    "resources/read": CacheHint(0, "private"),
}


def build_server(
    interface: ServerInterface, notifier: Notifier, *, new_ref: Callable[[], str] | None = None
) -> CompanionServer:
    """Build the server, with the subscriptions of both protocol eras.

    Args:
        interface: the tools, resources and prompts.
        notifier: made for the same resources.
        new_ref: returns a reference for an internal error, which both the caller and the log get.
    """
    return CompanionServer(interface, notifier, new_ref or functools.partial(secrets.token_hex, 4))


class CompanionServer(MCPServer[Any]):
    """Serves a `ServerInterface`. Schemas and errors are sent as we declare them, not as the SDK would derive them."""

    def __init__(self, interface: ServerInterface, notifier: Notifier, new_ref: Callable[[], str]) -> None:
        with _hide_rich():
            super().__init__(
                interface.name,
                version=interface.version,
                instructions=interface.instructions,
                icons=_build_icons(interface.icon_url),
                cache_hints=_CACHING,
                extensions=[*list_extensions(interface), *interface.extensions],
                middleware=[attach_structured, advertise_events],
            )
        self._interface = interface
        self.secrets = interface.secrets
        self._tools = {tool.name: tool for tool in interface.tools}
        self._uri_index = notifier.addresses
        self._new_ref = new_ref
        notifier.register_with(self.lowlevel, TaskStreams(interface.tasks) if interface.tasks else None)
        self.lowlevel.add_request_handler("completion/complete", CompleteRequestParams, self._complete)
        # The transports call this without arguments, and the capability `listChanged` is an argument.
        self.lowlevel.create_initialization_options = functools.partial(  # type: ignore[method-assign]  # no subclass of Server can be passed in
            self.lowlevel.create_initialization_options, NotificationOptions(resources_changed=True)
        )

    @property
    def lowlevel(self) -> Server[Any]:
        """The SDK's low-level server. Only there can subscriptions be registered."""
        return self._lowlevel_server

    async def serve(self, read: ReadStream[SessionMessage | Exception], write: WriteStream[SessionMessage]) -> None:
        """Serve one client over a pair of streams, in the protocol era of its first message, until it leaves."""
        await self.lowlevel.run(read, write, self.lowlevel.create_initialization_options())

    async def list_tools(self) -> list[Tool]:
        """Return the tools that can be used now.

        Tools that the read-only mode refuses are not listed. They can still be called, and answer with the reason.
        """
        return self._listed

    @functools.cached_property
    def _listed(self) -> list[Tool]:
        usable = (tool for tool in self._interface.tools if not tool.off)
        return [_build_tool(tool, panel_resources.build_meta(tool.name, self._interface.panels)) for tool in usable]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Cancelling the request cancels the tool.

        A tool that fails gives a result with `isError`, which the model sees, and not a protocol error (MCP, Tools, Error
        handling).

        Raises:
            MCPError: -32602 for an unknown tool.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"No tool is called {name[:100]}. See tools/list.", {"name": name[:100]})
        try:
            answer = await self._interface.call(tool, arguments, ClientCaller(context))
            return _build_result(answer, may_link=_may_link(context))
        except ToolError as error:
            return _build_error_result(error)
        except ElicitationRequired as required:
            return required.result
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  # the outermost place: the caller gets a code, the log the traceback
            return _build_error_result(self._report_internal("Tool", name, error))

    def is_write(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call may change something in Plex or in the companion's own notes."""
        tool = self._tools.get(name)
        return tool is not None and tool.needs_write(arguments)

    async def list_resources(self) -> list[Resource]:
        """Return the fixed resources, the existing members of the families, and the skills.

        Panels are found through their tools.
        """
        existing = [_build_resource(one) for one in self._interface.list_existing()]
        return [*existing, *map(build_skill_resource, self._interface.skills)]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the families of resources."""
        return [_build_template(family) for family in self._interface.resources if family.is_family]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents]:
        """Return the JSON of a resource, the page of a panel, or the file of a skill.

        Raises:
            ResourceNotFoundError: no resource has this URI; on the wire -32602 with `data.uri`.
            ResourceError: it cannot be read now.
            MCPError: -32602 with `data.uri` for a URI that is too long to be one.
        """
        del context
        text = str(uri)
        refuse_too_long(text)
        for panel in self._interface.panels:
            if panel.uri == text:
                return [panel_resources.build_contents(panel)]
        if skill := read_skill(self._interface.skills, text):
            return [skill]
        try:
            body = await self._interface.read(self._uri_index.canonicalize(text) or text)
        except NotFound as error:
            raise ResourceNotFoundError(error.message) from error
        except ToolError as error:
            raise ResourceError(encode_json(error.body(), default=str)) from error
        except Exception as error:  # the outermost place, as in call_tool
            raise ResourceError(
                encode_json(self._report_internal("Resource", text, error).body(), default=str)
            ) from error
        return [ReadResourceContents(content=body, mime_type=JSON)]

    async def list_prompts(self) -> list[Prompt]:
        """Return the prompts that the served tools can answer."""
        return [prompt_results.build_prompt(prompt) for prompt in self._interface.prompts]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult:
        """Return a filled prompt. For a wrong name or argument, the SDK would report an internal error.

        Raises:
            MCPError: -32602 for an unknown prompt, and for an argument that is missing or unknown.
        """
        del context
        return prompt_results.get_prompt(self._interface, name, arguments or {})

    async def _complete(self, _: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        return prompt_results.complete(self._interface, params)

    def _report_internal(self, kind: str, name: str, error: Exception) -> Internal:
        ref = self._new_ref()
        logger.error("%s %r failed, ref %s", kind, name, ref, exc_info=error)
        return Internal(f"{name} failed inside plex-companion. See its log, ref {ref}.", ref=ref)


@contextmanager
def _hide_rich() -> Iterator[None]:
    """Keep the SDK from importing rich, a thirtieth of a start.

    `MCPServer` imports it for a log handler, which `logging.basicConfig` then ignores, because logging is configured by
    then. Without rich it takes the handler of the standard library.
    """
    if "rich.console" in sys.modules:
        yield
        return
    sys.modules["rich.console"] = None  # type: ignore[assignment]  # the import system's own mark for "cannot be imported"
    try:
        yield
    finally:
        del sys.modules["rich.console"]


def _build_icons(url: str | None) -> list[Icon] | None:
    return None if url is None else [Icon(src=url, mime_type="image/svg+xml", sizes=["any"])]


def _build_result(answer: ToolResult, *, may_link: bool) -> CallToolResult:
    images = [ImageContent(data=base64.b64encode(body).decode(), mime_type=mime) for mime, body in answer.images]
    links = [_build_link(answer.link)] if answer.link and may_link else []
    structured = None if hold_structured(answer.structured) else answer.structured
    return CallToolResult(content=[TextContent(text=answer.text), *images, *links], structured_content=structured)


def _build_link(one: ResourceEntry) -> ResourceLink:
    return ResourceLink(uri=one.uri, name=one.name, title=one.title, mime_type=JSON)


def _may_link(context: Context[Any, Any] | None) -> bool:
    """Return whether the client's version of the protocol has links in answers. Dates compare like texts."""
    return context is not None and context.request_context.protocol_version >= FIRST_WITH_LINKS


def _build_error_result(error: ToolError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=encode_json(error.body(), default=str))], is_error=True)


def _build_tool(tool: tools.Tool, meta: dict[str, Any] | None) -> Tool:
    return Tool(
        name=tool.name,
        title=tool.display_title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            read_only_hint=tool.changes_nothing,
            destructive_hint=tool.access is not Access.READ and not tool.additive,
            idempotent_hint=None if tool.changes_nothing else tool.idempotent,
            open_world_hint=tool.open_world,
        ),
        _meta=meta,
    )


def _build_resource(one: ResourceEntry) -> Resource:
    return Resource(uri=one.uri, name=one.name, title=one.title, description=one.description, mime_type=JSON)


def _build_template(family: resources.Resource) -> ResourceTemplate:
    return ResourceTemplate(
        uri_template=family.uri,
        name=family.name,
        title=family.title,
        description=family.description,
        mime_type=JSON,
    )
