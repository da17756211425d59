"""The MCP server: what is on offer, in the SDK's terms, and our errors as MCP's."""

from __future__ import annotations

import base64
import functools
import logging
import secrets
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
    ImageContent,
    InputRequiredResult,
    Prompt,
    Resource,
    ResourceTemplate,
    TextContent,
    Tool,
    ToolAnnotations,
)

from plex_companion.errors import Internal, NotFound, ToolError
from plex_companion.server.mcp import panel_resources, prompt_results
from plex_companion.server.mcp.elicitation import ClientCaller, ElicitationRequired
from plex_companion.server.mcp.limits import refuse_too_long
from plex_companion.text import encode_json
from plex_companion.tools.declare import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    offer: ServerInterface, notifier: Notifier, *, new_ref: Callable[[], str] | None = None
) -> CompanionServer:
    """The server for this offer, subscriptions of both eras included.

    Args:
        offer: what is served.
        notifier: made for the same resources.
        new_ref: names a failure of ours, for the caller and for the log.
    """
    return CompanionServer(offer, notifier, new_ref or functools.partial(secrets.token_hex, 4))


class CompanionServer(MCPServer[Any]):
    """Serves an `ServerInterface`. Our schemas and errors go out as they were declared, not as the SDK would derive them."""

    def __init__(self, offer: ServerInterface, notifier: Notifier, new_ref: Callable[[], str]) -> None:
        super().__init__(
            offer.name,
            version=offer.version,
            instructions=offer.instructions,
            cache_hints=_CACHING,
            extensions=panel_resources.list_extensions(offer.panels),
        )
        self._offer = offer
        self.secrets = offer.secrets
        self._tools = {tool.name: tool for tool in offer.tools}
        self._addresses = notifier.addresses
        self._new_ref = new_ref
        notifier.register_with(self.lowlevel)
        self.lowlevel.add_request_handler("completion/complete", CompleteRequestParams, self._complete)
        # The transports ask for these without arguments, and `listChanged` is an argument.
        self.lowlevel.create_initialization_options = functools.partial(  # type: ignore[method-assign]  # no subclass of Server can be passed in
            self.lowlevel.create_initialization_options, NotificationOptions(resources_changed=True)
        )

    @property
    def lowlevel(self) -> Server[Any]:
        """The SDK's server under this one: subscriptions can be registered nowhere else."""
        return self._lowlevel_server

    async def serve(self, read: ReadStream[SessionMessage | Exception], write: WriteStream[SessionMessage]) -> None:
        """Serve one client over a pair of streams, in the era it opens with, until it leaves."""
        await self.lowlevel.run(read, write, self.lowlevel.create_initialization_options())

    async def list_tools(self) -> list[Tool]:
        """The tools that can be used now. Those that read-only mode refuses are not listed, and can still be called."""
        return self._listed

    @functools.cached_property
    def _listed(self) -> list[Tool]:
        usable = (tool for tool in self._offer.tools if not tool.off)
        return [_build_tool(tool, panel_resources.build_meta(tool.name, self._offer.panels)) for tool in usable]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; what it raises becomes an error result, and cancelling the request cancels the tool.

        Raises:
            MCPError: -32602 for a name that no tool has.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"No tool is called {name[:100]}. See tools/list.", {"name": name[:100]})
        try:
            return _build_result(await self._offer.call(tool, arguments, ClientCaller(context)))
        except ToolError as error:
            return _build_error_result(error)
        except ElicitationRequired as question:
            return question.result
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  # the border: whatever it is, the caller gets a code, the log the rest
            return _build_error_result(self._report_internal("Tool", name, error))

    def is_write(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether such a call may change something, in Plex or in what is noted here."""
        tool = self._tools.get(name)
        return tool is not None and tool.needs_write(arguments)

    async def list_resources(self) -> list[Resource]:
        """The fixed resources and the members of the families that exist now. Panels are found through their tools."""
        return [_build_resource(one) for one in self._offer.list_existing()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The families."""
        return [_build_template(family) for family in self._offer.resources if family.is_family]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents]:
        """The JSON of a resource, or the page of a panel.

        Raises:
            ResourceNotFoundError: nothing has this URI; on the wire -32602 with `data.uri`.
            ResourceError: it cannot be read now.
            MCPError: -32602 with `data.uri` for a URI that is too long to be one.
        """
        del context
        address = str(uri)
        refuse_too_long(address)
        for panel in self._offer.panels:
            if panel.uri == address:
                return [panel_resources.build_contents(panel)]
        try:
            text = await self._offer.read(self._addresses.canonicalize(address) or address)
        except NotFound as error:
            raise ResourceNotFoundError(error.message) from error
        except ToolError as error:
            raise ResourceError(encode_json(error.body(), default=str)) from error
        except Exception as error:  # the border, as in call_tool
            raise ResourceError(
                encode_json(self._report_internal("Resource", address, error).body(), default=str)
            ) from error
        return [ReadResourceContents(content=text, mime_type=JSON)]

    async def list_prompts(self) -> list[Prompt]:
        """The prompts that the served tools can answer."""
        return [prompt_results.build_prompt(prompt) for prompt in self._offer.prompts]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult:
        """What a prompt says; a wrong name or argument the SDK would call an internal error.

        Raises:
            MCPError: -32602 for an unknown prompt, and for an argument that is missing or unknown.
        """
        del context
        return prompt_results.get_prompt(self._offer, name, arguments or {})

    async def _complete(self, _: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        return prompt_results.complete(self._offer, params)

    def _report_internal(self, kind: str, name: str, error: Exception) -> Internal:
        ref = self._new_ref()
        logger.error("%s %r failed, ref %s", kind, name, ref, exc_info=error)
        return Internal(f"{name} failed inside plex-companion. Its log tells more under ref {ref}.", ref=ref)


def _build_result(answer: ToolResult) -> CallToolResult:
    images = [ImageContent(data=base64.b64encode(body).decode(), mime_type=mime) for mime, body in answer.images]
    return CallToolResult(content=[TextContent(text=answer.text), *images], structured_content=answer.structured)


def _build_error_result(error: ToolError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=encode_json(error.body(), default=str))], is_error=True)


def _build_tool(tool: tools.Tool, meta: dict[str, Any] | None) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            read_only_hint=tool.access is Access.READ and not tool.notes,
            destructive_hint=tool.access is not Access.READ and not tool.additive,
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
