"""`/api/…`: every resource as JSON under a path of its own, for dashboards that would rather ask than speak MCP.

The paths derive from the resources: `plex://clients/{client_identifier}/timeline` is
`/api/clients/{client_identifier}/timeline`.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from plex_companion.errors import Invalid, NotFound, ToolError
from plex_companion.resources import RESOURCES, read
from plex_companion.text import without

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.resources.declare import Resource

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def api(companion: Companion) -> list[Route]:
    """A route for each resource, and one that lists them."""

    async def index(_: Request) -> JSONResponse:
        return JSONResponse({"resources": [_listed(resource) for resource in RESOURCES]}, headers=HEADERS)

    return [Route("/api/", index, methods=["GET"]), *(_route(companion, resource) for resource in RESOURCES)]


def path_of(resource: Resource) -> str:
    """`/api/sessions/{session_key}` for `plex://sessions/{session_key}`."""
    return f"/api/{resource.uri.removeprefix('plex://')}"


def _listed(resource: Resource) -> dict[str, Any]:
    paged = {"cursor": "next_cursor of the last answer"} if resource.paged else {}
    return {"path": path_of(resource), "title": resource.title, "description": resource.description, **paged}


def _route(companion: Companion, resource: Resource) -> Route:
    async def answer(request: Request) -> Response:
        cursor = request.query_params.get("cursor")
        try:
            if cursor is not None and not resource.paged:
                message = f"{path_of(resource)} has one page: leave cursor out."
                raise Invalid(message, argument="cursor")
            body = await read(companion, resource.expand(request.path_params), cursor)
        except ToolError as error:
            return Response(json.dumps(error.body()), _status(error), HEADERS, media_type="application/json")
        told = without(body, companion.settings.secrets())
        return Response(told, headers=HEADERS, media_type="application/json")

    return Route(path_of(resource), answer, methods=["GET"])


def _status(error: ToolError) -> HTTPStatus:
    match error:
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Invalid():
            return HTTPStatus.BAD_REQUEST
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
