"""plex.tv's pins: how a program that cannot be typed into gets a token. JSON alone, as recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from plex_companion.demo.request import DemoAnswer
from plex_companion.demo.server_state import OWNER

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

SECONDS = 900
"""How long a pin may be confirmed; strong ones twice as long."""
GONE = {"errors": [{"code": 1020, "message": "Code not found or expired", "status": 404}]}


@dataclass(slots=True)
class DemoPin:
    """One pin. `token` is there once somebody has confirmed it."""

    id: int
    code: str
    client_identifier: str
    product: str
    created_at: int
    seconds: int
    token: str | None = None


def _build_json(body: Any, status: int = 200) -> DemoAnswer:
    return DemoAnswer(json.dumps(body, separators=(",", ":")).encode(), status, "application/json")


def _describe_pin(ask: DemoRequest, pin: DemoPin, status: int = 200) -> DemoAnswer:
    end = pin.created_at + pin.seconds
    body = {
        "id": pin.id, "code": pin.code, "product": pin.product, "trusted": False, "clientIdentifier": pin.client_identifier,
        "location": {"code": "NO", "european_union_member": False, "country": "Norway", "city": "Nowhere", "time_zone": "UTC"},
        "expiresIn": max(0, end - ask.state.now), "createdAt": _format_iso(pin.created_at), "expiresAt": _format_iso(end),
        "authToken": pin.token, "newRegistration": None,
    }  # fmt: skip
    return _build_json(body, status)


def _format_iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create_pin(ask: DemoRequest) -> DemoAnswer:
    """`POST /api/v2/pins`: a strong one is long and confirmed on a page, another is typed in at plex.tv/link."""
    client = ask.headers.get("x-plex-client-identifier")
    if not client:
        body = {"errors": [{"code": 1000, "message": "X-Plex-Client-Identifier is missing", "status": 400}]}
        return _build_json(body, 400)
    house, strong = ask.state, ask.get("strong") in {"1", "true"}
    letters = house.rng.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=25 if strong else 4)
    number = max(house.pins, default=111_222_332) + 1
    product = ask.headers.get("x-plex-product", "0")
    pin = DemoPin(number, "".join(letters), client, product, house.now, SECONDS * (2 if strong else 1))
    house.pins[number] = pin
    return _describe_pin(ask, pin, 201)


def get_pin(ask: DemoRequest) -> DemoAnswer:
    """`GET /api/v2/pins/ID`: who made it sees when it is confirmed."""
    found = ask.state.pins.get(int(ask.args["id"])) if ask.args["id"].isdecimal() else None
    if found is None or found.client_identifier != ask.headers.get("x-plex-client-identifier"):
        return _build_json(GONE, 404)
    if found.created_at + found.seconds <= ask.state.now:
        return _build_json(GONE, 404)
    return _describe_pin(ask, found)


def link_pin(ask: DemoRequest) -> DemoAnswer:
    """`PUT /api/v2/pins/link` with a code: whoever is signed in lets the program in."""
    code = ask.get("code") or next(iter(parse_qs(ask.body.decode("utf-8", "replace")).get("code", [])), "")
    for found in ask.state.pins.values():
        if found.code == code and found.created_at + found.seconds > ask.state.now:
            found.token = ask.find_token(ask.user)
            return DemoAnswer(status=204)
    return _build_json(GONE, 404)


def get_resources_as_json(ask: DemoRequest) -> DemoAnswer:
    """`GET /api/v2/resources` with `Accept: application/json`: a bare list. An own server answers at more than one address."""
    house, port = ask.state, ask.demo.port
    roads = [("http", "127.0.0.1", ask.demo.url, True), ("http", "localhost", f"http://localhost:{port}", True)]
    rows = [{
        "name": house.name, "product": "Plex Media Server", "productVersion": house.version, "platform": "Linux",
        "clientIdentifier": house.machine_identifier, "provides": "server", "ownerId": None, "publicAddress": "198.51.100.7",
        "accessToken": ask.find_token(ask.user), "owned": ask.user.id == OWNER, "home": ask.user.home, "relay": False, "presence": True,
        "httpsRequired": False, "publicAddressMatches": True,
        "connections": [
            {"protocol": protocol, "address": address, "port": port, "uri": uri, "local": local, "relay": False, "IPv6": False}
            for protocol, address, uri, local in roads
        ],
    }]  # fmt: skip
    rows += [
        {"name": player.title, "product": player.product, "clientIdentifier": player.client_identifier,
         "provides": "client,player,pubsub-player", "owned": True, "accessToken": None, "connections": []}
        for player in house.players.values()
    ]  # fmt: skip
    return _build_json([*rows, *ask.state.more_servers])


ROUTES = (
    ("POST", "/api/v2/pins", create_pin),
    ("PUT", "/api/v2/pins/link", link_pin),
    ("GET", "/api/v2/pins/{id}", get_pin),
)
