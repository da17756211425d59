"""`/api/…`: every resource as plain JSON, for dashboards that do not speak MCP.

The paths derive from the URIs: `plex://clients/{client_identifier}/timeline` is
`/api/clients/{client_identifier}/timeline`.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from plex_companion.errors import Ambiguous, Invalid, NotFound, ToolError
from plex_companion.resources.registry import RESOURCES, read_resource
from plex_companion.resources.server_uris import is_of_server, lengthen

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.resources.declare import Resource

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def build_api_routes(companion: Companion) -> list[Route]:
    """Return a route for each resource, and one that lists them."""

    async def index(_: Request) -> JSONResponse:
        return JSONResponse({"resources": [_describe_resource(resource) for resource in RESOURCES]}, headers=HEADERS)

    return [Route("/api/", index, methods=["GET"]), *(_build_route(companion, resource) for resource in RESOURCES)]


def build_path(resource: Resource) -> str:
    """Return the path of a resource: `/api/sessions/{session_key}` for `plex://sessions/{session_key}`."""
    return f"/api/{resource.uri.removeprefix('plex://')}"


def _describe_resource(resource: Resource) -> dict[str, Any]:
    paged = {"cursor": "next_cursor of the last answer"} if resource.paged else {}
    return {"path": build_path(resource), "title": resource.title, "description": resource.description, **paged}


def _build_route(companion: Companion, resource: Resource) -> Route:
    async def answer(request: Request) -> Response:
        cursor = request.query_params.get("cursor")
        try:
            if cursor is not None and not resource.paged:
                message = f"{build_path(resource)} has only one page: leave cursor out."
                raise Invalid(message, argument="cursor")
            uri = _find_uri(resource, request)
            body = await read_resource(companion, uri, cursor)
        except ToolError as error:
            return Response(json.dumps(error.body()), _choose_status(error), HEADERS, media_type="application/json")
        return Response(body, headers=HEADERS, media_type="application/json")

    return Route(build_path(resource), answer, methods=["GET"])


def _find_uri(resource: Resource, request: Request) -> str:
    """Return the URI that an address asks for: with `?server=` that of one server.

    Raises:
        Invalid: the resource is not of one server, or its address names one already.
    """
    uri, given = resource.expand(request.path_params), request.query_params.get("server")
    if given is None:
        return uri
    if not is_of_server(uri):
        message = f"{request.url.path} does not take a server: leave server out."
        raise Invalid(message, argument="server")
    return lengthen(uri, given)


def _choose_status(error: ToolError) -> HTTPStatus:
    match error:
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Invalid():
            return HTTPStatus.BAD_REQUEST
        case Ambiguous():
            return HTTPStatus.CONFLICT
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
