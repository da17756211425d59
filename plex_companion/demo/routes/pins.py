"""plex.tv's pins, by which a program without a keyboard gets a token. Always JSON, as recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from plex_companion.demo.request import DemoAnswer
from plex_companion.demo.server_state import OWNER, DemoPin

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

VALID_SECONDS = 900
"""How long a pin can be confirmed; strong ones twice as long."""
EXPIRED = {"errors": [{"code": 1020, "message": "Code not found or expired", "status": 404}]}


def _build_json(body: Any, status: int = 200) -> DemoAnswer:
    return DemoAnswer(json.dumps(body, separators=(",", ":")).encode(), status, "application/json")


def _describe_pin(request: DemoRequest, pin: DemoPin, status: int = 200) -> DemoAnswer:
    end = pin.created_at + pin.seconds
    body = {
        "id": pin.id, "code": pin.code, "product": pin.product, "trusted": False, "clientIdentifier": pin.client_identifier,
        "location": {"code": "NO", "european_union_member": False, "country": "Norway", "city": "Nowhere", "time_zone": "UTC"},
        "expiresIn": max(0, end - request.state.now), "createdAt": _format_iso(pin.created_at), "expiresAt": _format_iso(end),
        "authToken": pin.token, "newRegistration": None,
    }  # fmt: skip
    return _build_json(body, status)


def _format_iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create_pin(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /api/v2/pins`: a strong pin is long and confirmed on a page, a short one is typed in at plex.tv/link."""
    client = request.headers.get("x-plex-client-identifier")
    if not client:
        body = {"errors": [{"code": 1000, "message": "X-Plex-Client-Identifier is missing", "status": 400}]}
        return _build_json(body, 400)
    server, strong = request.state, request.get("strong") in {"1", "true"}
    letters = server.rng.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=25 if strong else 4)
    number = max(server.pins, default=111_222_332) + 1
    product = request.headers.get("x-plex-product", "0")
    pin = DemoPin(number, "".join(letters), client, product, server.now, VALID_SECONDS * (2 if strong else 1))
    server.pins[number] = pin
    return _describe_pin(request, pin, 201)


def get_pin(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /api/v2/pins/ID`: the client that created the pin sees when it is confirmed."""
    found = request.state.pins.get(int(request.args["id"])) if request.args["id"].isdecimal() else None
    if found is None or found.client_identifier != request.headers.get("x-plex-client-identifier"):
        return _build_json(EXPIRED, 404)
    if found.created_at + found.seconds <= request.state.now:
        return _build_json(EXPIRED, 404)
    return _describe_pin(request, found)


def link_pin(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /api/v2/pins/link` with a code: the signed-in user confirms the pin."""
    code = request.get("code") or next(iter(parse_qs(request.body.decode("utf-8", "replace")).get("code", [])), "")
    for found in request.state.pins.values():
        if found.code == code and found.created_at + found.seconds > request.state.now:
            found.token = request.find_token(request.user)
            return DemoAnswer(status=204)
    return _build_json(EXPIRED, 404)


def get_resources_as_json(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /api/v2/resources` with `Accept: application/json`: a bare list.

    An own server has more than one address.
    """
    server, port = request.state, request.state.port
    connections = [("http", "127.0.0.1", server.url, True), ("http", "localhost", f"http://localhost:{port}", True)]
    rows = [{
        "name": server.name, "product": "Plex Media Server", "productVersion": server.version, "platform": "Linux",
        "clientIdentifier": server.machine_identifier, "provides": "server", "ownerId": None, "publicAddress": "198.51.100.7",
        "accessToken": request.find_token(request.user), "owned": request.user.id == OWNER, "home": request.user.home, "relay": False, "presence": True,
        "httpsRequired": False, "publicAddressMatches": True,
        "connections": [
            {"protocol": protocol, "address": address, "port": port, "uri": uri, "local": local, "relay": False, "IPv6": False}
            for protocol, address, uri, local in connections
        ],
    }]  # fmt: skip
    rows += [
        {"name": player.title, "product": player.product, "clientIdentifier": player.client_identifier,
         "provides": "client,player,pubsub-player", "owned": True, "accessToken": None, "connections": []}
        for player in server.players.values()
    ]  # fmt: skip
    return _build_json([*rows, *request.state.more_servers])


ROUTES = (
    ("POST", "/api/v2/pins", create_pin),
    ("PUT", "/api/v2/pins/link", link_pin),
    ("GET", "/api/v2/pins/{id}", get_pin),
)
