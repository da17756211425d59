"""The settings of a plex.tv account: its home and PINs, sharing, webhooks, privacy, and its public address."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from plex_companion.demo.household.model import DemoUser
from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal
from plex_companion.demo.routes.plex_tv import build_user_node
from plex_companion.demo.server_state import OWNER

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

PIN_LENGTH = 4
ADDRESS = "198.51.100.7"


def _find_by_cloud_id(request: DemoRequest) -> DemoUser:
    """Return the user of the path, or refuse with 404."""
    for user in request.state.users.values():
        if str(user.cloud_id) == request.args["id"]:
            return user
    raise HttpRefusal(404)


def _parse_form(request: DemoRequest) -> dict[str, list[str]]:
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def invite_to_home(request: DemoRequest) -> Node:
    """Answer `POST /api/home/users`: `title=` creates a managed user, `invitedEmail=` adds a known user to the home."""
    request.require_owner()
    invited, title = request.get("invitedEmail"), request.get("title")
    for user in request.state.users.values():
        if invited and invited in {user.name, user.email}:
            return build_user_node(request, request.state.change_user(replace(user, home=True)))
    if not title:
        raise HttpRefusal(404 if invited else 400)
    number = max(max(user.id, user.cloud_id) for user in request.state.users.values()) + 1
    made = DemoUser(number, number, title, "", f"demo-token-{number}", restricted=True, shared=False)
    return build_user_node(request, request.state.change_user(made))


def remove_from_home(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /api/home/users/ID`: a managed user is deleted, another user stays a friend."""
    request.require_owner()
    user = _find_by_cloud_id(request)
    if user.id == OWNER:
        raise HttpRefusal(400)
    if user.restricted:
        request.state.forget_user(user)
    else:
        request.state.change_user(replace(user, home=False))
    return DONE


def change_pin(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /api/home/users/ID?pin=&currentPin=`: a user with a PIN must give it to change it; an empty one removes it."""
    user, requested = _find_by_cloud_id(request), request.get("pin")
    if user.id != request.user.id:
        raise HttpRefusal(403)
    if user.pin and request.get("currentPin") != user.pin:
        raise HttpRefusal(401)
    return _set_pin(request, user, requested)


def change_managed_pin(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /api/v2/home/users/restricted/ID?pin=` or `removePin=1`: the owner sets a managed user's PIN."""
    request.require_owner()
    return _set_pin(request, _find_by_cloud_id(request), "" if request.get("removePin") == "1" else request.get("pin"))


def _set_pin(request: DemoRequest, user: DemoUser, pin: str) -> DemoAnswer:
    if pin and (len(pin) != PIN_LENGTH or not pin.isdigit()):
        raise HttpRefusal(400)
    request.state.change_user(replace(user, pin=pin))
    return DONE


def share_library(request: DemoRequest) -> Node:
    """Answer `POST /api/servers/MID/shared_servers` with JSON: share the server with a user."""
    request.require_owner()
    try:
        requested = json.loads(request.body)["shared_server"]["invited_id"]
    except (ValueError, KeyError, TypeError):
        raise HttpRefusal(400) from None
    for user in request.state.users.values():
        if str(user.cloud_id) == str(requested):
            request.state.change_user(replace(user, shared=True))
            return Node("MediaContainer", {"size": 1}, [Node("SharedServer", {"id": user.cloud_id + 500})])
    raise HttpRefusal(404)


def get_shared_sections(request: DemoRequest) -> Node:
    """Answer `GET /api/servers/MID/shared_servers/ID`: the libraries that one user may see."""
    for user in request.state.users.values():
        if str(user.cloud_id + 500) == request.args["share"] and user.shared:
            node = Node("SharedServer", {"id": user.cloud_id + 500, "userID": user.cloud_id, "username": user.name})
            for number, section in enumerate(request.state.sections.values(), 70_001):
                node.add("Section", id=number, key=section.key, title=section.title, type=section.type, shared=True)
            return Node("MediaContainer", {"size": 1, "machineIdentifier": request.state.machine_identifier}, [node])
    raise HttpRefusal(404)


def get_webhooks(request: DemoRequest) -> Node:
    """Answer `GET /api/v2/user/webhooks`."""
    return Node("webhooks", {}, [Node("webhook", {"url": url}) for url in request.state.account["webhooks"]])


def change_webhooks(request: DemoRequest) -> Node:
    """Answer `POST /api/v2/user/webhooks` with `urls[]=`: the new list."""
    request.state.account["webhooks"] = _parse_form(request).get("urls[]", [])
    return get_webhooks(request)


def get_privacy(request: DemoRequest) -> Node:
    """Answer `GET /api/v2/user/privacy`."""
    return Node("privacy", {name: request.state.account[name] for name in ("optOutPlayback", "optOutLibraryStats")})


def change_privacy(request: DemoRequest) -> Node:
    """Answer `PUT /api/v2/user/privacy`."""
    form = _parse_form(request)
    for name in ("optOutPlayback", "optOutLibraryStats"):
        if name in form:
            request.state.account[name] = form[name][0] == "1"
    return get_privacy(request)


def get_view_state_sync(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /api/v2/user/view_state_sync`, which is always JSON."""
    body = json.dumps({"consent": request.state.account["consent"]}).encode()
    return DemoAnswer(body, media_type="application/json")


def change_view_state_sync(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /api/v2/user/view_state_sync?consent=`."""
    request.state.account["consent"] = request.get("consent").lower() in {"1", "true"}
    return DONE


def create_claim_token(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /api/claim/token.json`: for a server that has no owner yet."""
    body = json.dumps({"token": f"claim-{request.state.rng.getrandbits(80):020x}"}).encode()
    return DemoAnswer(body, media_type="application/json")


def get_public_address(_: DemoRequest) -> DemoAnswer:
    """Answer `GET /:/ip` with bare text."""
    return DemoAnswer(ADDRESS.encode(), media_type="text/plain")


def get_location(_: DemoRequest) -> Node:
    """Answer `GET /api/v2/geoip?ip_address=`: always the same invented place."""
    return Node("location", {"code": "NO", "continent_code": "EU", "coordinates": "0.0, 0.0", "country": "Norway", "city": "Nowhere",
                             "european_union_member": False, "in_privacy_restricted_country": True, "postal_code": "0000",
                             "subdivisions": "", "time_zone": "UTC"})  # fmt: skip


def answer_ping(_: DemoRequest) -> DemoAnswer:
    """Answer `GET /api/v2/ping`."""
    return DemoAnswer(b'<?xml version="1.0" encoding="UTF-8"?>\n<pong>1</pong>\n', media_type="application/xml")


ROUTES = (
    ("POST", "/api/home/users", invite_to_home),
    ("DELETE", "/api/home/users/{id}", remove_from_home),
    ("PUT", "/api/home/users/{id}", change_pin),
    ("POST", "/api/v2/home/users/restricted/{id}", change_managed_pin),
    ("DELETE", "/api/invites/requested/{id}", remove_from_home),
    ("POST", "/api/servers/{machine}/shared_servers", share_library),
    ("GET", "/api/servers/{machine}/shared_servers/{share}", get_shared_sections),
    ("GET", "/api/v2/user/webhooks", get_webhooks),
    ("POST", "/api/v2/user/webhooks", change_webhooks),
    ("GET", "/api/v2/user/privacy", get_privacy),
    ("PUT", "/api/v2/user/privacy", change_privacy),
    ("GET", "/api/v2/user/view_state_sync", get_view_state_sync),
    ("PUT", "/api/v2/user/view_state_sync", change_view_state_sync),
    ("GET", "/api/claim/token.json", create_claim_token),
    ("GET", "/:/ip", get_public_address),
    ("GET", "/api/v2/geoip", get_location),
    ("GET", "/api/v2/ping", answer_ping),
)
