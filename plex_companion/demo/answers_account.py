"""What a plex.tv account can change: its home, the PINs in it, webhooks, privacy, and where its owner seems to be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from plex_companion.demo.answers_tv import user_node
from plex_companion.demo.ask import DONE, Answer, Refused
from plex_companion.demo.house import OWNER
from plex_companion.demo.household import User
from plex_companion.demo.tree import Node

if TYPE_CHECKING:
    from plex_companion.demo.ask import Ask

PIN_LENGTH = 4
ADDRESS = "198.51.100.7"


def _by_cloud_id(ask: Ask) -> User:
    """The user of the path, or 404."""
    for user in ask.house.users.values():
        if str(user.cloud_id) == ask.args["id"]:
            return user
    raise Refused(404)


def _form(ask: Ask) -> dict[str, list[str]]:
    return parse_qs(ask.body.decode("utf-8", "replace"), keep_blank_values=True)


def invite_to_home(ask: Ask) -> Node:
    """`POST /api/home/users?title=` makes a managed user, `?invitedEmail=` takes somebody who is known into the home."""
    ask.owner_only()
    invited, title = ask.get("invitedEmail"), ask.get("title")
    for user in ask.house.users.values():
        if invited and invited in {user.name, user.email}:
            return user_node(ask, ask.house.change_user(replace(user, home=True)))
    if not title:
        raise Refused(404 if invited else 400)
    number = max(max(user.id, user.cloud_id) for user in ask.house.users.values()) + 1
    made = User(number, number, title, "", f"demo-token-{number}", restricted=True, shared=False)
    return user_node(ask, ask.house.change_user(made))


def leave_home(ask: Ask) -> Answer:
    """`DELETE /api/home/users/ID`: a managed user is gone, anybody else is a friend again."""
    ask.owner_only()
    user = _by_cloud_id(ask)
    if user.id == OWNER:
        raise Refused(400)
    if user.restricted:
        ask.house.forget_user(user)
    else:
        ask.house.change_user(replace(user, home=False))
    return DONE


def change_pin(ask: Ask) -> Answer:
    """`PUT /api/home/users/ID?pin=&currentPin=`: who has a PIN must say it to change it; an empty one takes it away."""
    user, wanted = _by_cloud_id(ask), ask.get("pin")
    if user.id != ask.user.id:
        raise Refused(403)
    if user.pin and ask.get("currentPin") != user.pin:
        raise Refused(401)
    return _set_pin(ask, user, wanted)


def change_managed_pin(ask: Ask) -> Answer:
    """`POST /api/v2/home/users/restricted/ID?pin=` or `removePin=1`: the owner sets a managed user's PIN."""
    ask.owner_only()
    return _set_pin(ask, _by_cloud_id(ask), "" if ask.get("removePin") == "1" else ask.get("pin"))


def _set_pin(ask: Ask, user: User, pin: str) -> Answer:
    if pin and (len(pin) != PIN_LENGTH or not pin.isdigit()):
        raise Refused(400)
    ask.house.change_user(replace(user, pin=pin))
    return DONE


def share_library(ask: Ask) -> Node:
    """`POST /api/servers/MID/shared_servers` with JSON: somebody may use the server."""
    ask.owner_only()
    try:
        wanted = json.loads(ask.body)["shared_server"]["invited_id"]
    except (ValueError, KeyError, TypeError):
        raise Refused(400) from None
    for user in ask.house.users.values():
        if str(user.cloud_id) == str(wanted):
            ask.house.change_user(replace(user, shared=True))
            return Node("MediaContainer", {"size": 1}, [Node("SharedServer", {"id": user.cloud_id + 500})])
    raise Refused(404)


def shared_sections(ask: Ask) -> Node:
    """`GET /api/servers/MID/shared_servers/ID`: which libraries one user may see."""
    for user in ask.house.users.values():
        if str(user.cloud_id + 500) == ask.args["share"] and user.shared:
            node = Node("SharedServer", {"id": user.cloud_id + 500, "userID": user.cloud_id, "username": user.name})
            for number, section in enumerate(ask.house.sections.values(), 70_001):
                node.add("Section", id=number, key=section.key, title=section.title, type=section.type, shared=True)
            return Node("MediaContainer", {"size": 1, "machineIdentifier": ask.house.machine_identifier}, [node])
    raise Refused(404)


def webhooks(ask: Ask) -> Node:
    """`GET /api/v2/user/webhooks`."""
    return Node("webhooks", {}, [Node("webhook", {"url": url}) for url in ask.house.account["webhooks"]])


def change_webhooks(ask: Ask) -> Node:
    """`POST /api/v2/user/webhooks` with `urls[]=`: the new list."""
    ask.house.account["webhooks"] = _form(ask).get("urls[]", [])
    return webhooks(ask)


def privacy(ask: Ask) -> Node:
    """`GET /api/v2/user/privacy`."""
    return Node("privacy", {name: ask.house.account[name] for name in ("optOutPlayback", "optOutLibraryStats")})


def change_privacy(ask: Ask) -> Node:
    """`PUT /api/v2/user/privacy`."""
    form = _form(ask)
    for name in ("optOutPlayback", "optOutLibraryStats"):
        if name in form:
            ask.house.account[name] = form[name][0] == "1"
    return privacy(ask)


def view_state_sync(ask: Ask) -> Answer:
    """`GET /api/v2/user/view_state_sync`: JSON alone."""
    body = json.dumps({"consent": ask.house.account["consent"]}).encode()
    return Answer(body, media_type="application/json")


def change_view_state_sync(ask: Ask) -> Answer:
    """`PUT /api/v2/user/view_state_sync?consent=`."""
    ask.house.account["consent"] = ask.get("consent").lower() in {"1", "true"}
    return DONE


def claim_token(ask: Ask) -> Answer:
    """`GET /api/claim/token.json`: for a server that has no owner yet."""
    body = json.dumps({"token": f"claim-{ask.house.rng.getrandbits(80):020x}"}).encode()
    return Answer(body, media_type="application/json")


def public_address(_: Ask) -> Answer:
    """`GET /:/ip`: bare text."""
    return Answer(ADDRESS.encode(), media_type="text/plain")


def geoip(_: Ask) -> Node:
    """`GET /api/v2/geoip?ip_address=`: everybody is from nowhere."""
    return Node("location", {"code": "NO", "continent_code": "EU", "coordinates": "0.0, 0.0", "country": "Norway", "city": "Nowhere",
                             "european_union_member": False, "in_privacy_restricted_country": True, "postal_code": "0000",
                             "subdivisions": "", "time_zone": "UTC"})  # fmt: skip


def ping(_: Ask) -> Answer:
    """`GET /api/v2/ping`."""
    return Answer(b'<?xml version="1.0" encoding="UTF-8"?>\n<pong>1</pong>\n', media_type="application/xml")


ROUTES = (
    ("POST", "/api/home/users", invite_to_home),
    ("DELETE", "/api/home/users/{id}", leave_home),
    ("PUT", "/api/home/users/{id}", change_pin),
    ("POST", "/api/v2/home/users/restricted/{id}", change_managed_pin),
    ("DELETE", "/api/invites/requested/{id}", leave_home),
    ("POST", "/api/servers/{machine}/shared_servers", share_library),
    ("GET", "/api/servers/{machine}/shared_servers/{share}", shared_sections),
    ("GET", "/api/v2/user/webhooks", webhooks),
    ("POST", "/api/v2/user/webhooks", change_webhooks),
    ("GET", "/api/v2/user/privacy", privacy),
    ("PUT", "/api/v2/user/privacy", change_privacy),
    ("GET", "/api/v2/user/view_state_sync", view_state_sync),
    ("PUT", "/api/v2/user/view_state_sync", change_view_state_sync),
    ("GET", "/api/claim/token.json", claim_token),
    ("GET", "/:/ip", public_address),
    ("GET", "/api/v2/geoip", geoip),
    ("GET", "/api/v2/ping", ping),
)
