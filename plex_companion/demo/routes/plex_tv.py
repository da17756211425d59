"""The parts of plex.tv that a companion needs: account, users, home, shares, resources, devices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.request import DemoAnswer, DemoRequest, HttpRefusal
from plex_companion.demo.routes.pins import get_resources_as_json
from plex_companion.demo.server_state import OWNER

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoUser

ENTITLEMENTS = ("all", "ios", "roku", "android", "xbox_one", "xbox_360", "windows", "windows_phone")
INVALID_TOKEN = DemoAnswer(b"<errors><error>Invalid token</error></errors>", 422, "application/xml")


def build_user_node(request: DemoRequest, user: DemoUser) -> Node:
    """Build the `<user>` of `/api/v2/user`. python-plexapi requires scrobbleTypes, subscription and profile."""
    owner = user.id == OWNER
    node = Node("user", {
        "id": user.cloud_id, "uuid": f"demo{user.cloud_id:012x}", "username": user.name, "title": user.name, "email": user.email,
        "friendlyName": user.name, "locale": "", "confirmed": True, "joinedAt": 1_500_000_000, "emailOnlyAuth": False,
        "hasPassword": True, "protected": bool(user.pin), "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1",
        "authToken": request.find_token(user), "authenticationToken": request.find_token(user), "mailingListStatus": "unsubscribed",
        "mailingListActive": False, "scrobbleTypes": "", "country": "NO", "subscriptionDescription": "",
        "restricted": user.restricted, "anonymous": "", "home": user.home, "guest": False,
        "homeSize": sum(u.home for u in request.state.users.values()), "homeAdmin": owner, "maxHomeSize": 15,
        "rememberExpiresAt": request.state.now + 1_209_600, "experimentalFeatures": False, "twoFactorEnabled": False,
        "backupCodesCreated": False, "pin": user.pin or None,
    })  # fmt: skip
    node.add("subscription", active=owner, subscribedAt="2023-01-01 00:00:00 UTC", status="Active" if owner else "Inactive",
             paymentService="", plan="lifetime" if owner else "")  # fmt: skip
    features = node.children[-1].add("features")
    for name in ("pass", "sync", "webhooks", "premium_music_metadata", "hardware_transcoding"):
        features.add("feature", id=name)
    node.add("profile", autoSelectAudio=False, defaultAudioLanguage="en", defaultSubtitleLanguage="en", autoSelectSubtitle=0,
             defaultSubtitleAccessibility=0, defaultSubtitleForced=0)  # fmt: skip
    node.add("entitlements").children += [Node("entitlement", {"id": name}) for name in ENTITLEMENTS]
    node.add("roles").add("role", id="plexpass")
    node.add("subscriptions")
    node.add("services")
    return node


def get_account(request: DemoRequest) -> Node:
    """Answer `GET /api/v2/user`: the user of the token."""
    return build_user_node(request, request.user)


def list_other_users(request: DemoRequest) -> list[DemoUser]:
    """Return every user but the one of the request."""
    return [user for user in request.state.users.values() if user.id != request.user.id]


def get_users(request: DemoRequest) -> Node:
    """Answer `GET /api/users/`: friends and the rest of the home."""
    rows = []
    for user in list_other_users(request):
        node = Node("User", {
            "id": user.cloud_id, "title": user.name, "username": "" if user.restricted else user.name, "email": user.email,
            "recommendationsPlaylistId": "", "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1",
            "protected": bool(user.pin), "home": user.home, "allowTuners": 0, "allowSync": False, "allowCameraUpload": False,
            "allowChannels": False, "allowSubtitleAdmin": False, "filterAll": "", "filterMovies": "", "filterMusic": "",
            "filterPhotos": "", "filterTelevision": "", "restricted": user.restricted,
        })  # fmt: skip
        if user.shared:
            node.add("Server", id=user.cloud_id + 500, serverId=1, machineIdentifier=request.state.machine_identifier,
                     name=request.state.name, lastSeenAt=request.state.now, numLibraries=len(request.state.sections), allLibraries=True,
                     owned=True, pending=False)  # fmt: skip
        rows.append(node)
    return build_container(rows, friendlyName="myPlex", identifier="com.plexapp.plugins.myplex", totalSize=len(rows),
                     machineIdentifier=request.state.machine_identifier)  # fmt: skip


def get_home_users(request: DemoRequest) -> Node:
    """Answer `GET /api/home/users`: every user of the home, with the owner."""
    rows = [
        Node("User", {"id": user.cloud_id, "uuid": f"demo{user.cloud_id:012x}", "admin": user.id == OWNER, "guest": False,
                      "restricted": user.restricted, "protected": bool(user.pin), "title": user.name,
                      "username": "" if user.restricted else user.name, "email": user.email,
                      "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1"})
        for user in request.state.users.values() if user.home
    ]  # fmt: skip
    return build_container(rows, id=1, name="Demo home", guestUserID=0, friendlyName="myPlex")


def switch_user(request: DemoRequest) -> Node | DemoAnswer:
    """Answer `POST /api/home/users/ID/switch`: the token of another home user; a wrong PIN is refused."""
    for user in request.state.users.values():
        if str(user.cloud_id) == request.args["id"] and user.home:
            if user.pin and request.get("pin") != user.pin:
                raise HttpRefusal(401)
            return build_user_node(request, user)
    raise HttpRefusal(404)


def _require_this_server(request: DemoRequest) -> None:
    if request.args["machine"] != request.state.machine_identifier:
        raise HttpRefusal(404)


def get_server(request: DemoRequest) -> Node:
    """Answer `GET /api/servers/MID`: the server and its sections, with plex.tv's own section ids."""
    _require_this_server(request)
    server = request.state
    node = Node("Server", {"name": server.name, "address": "198.51.100.7", "port": 32400, "version": server.version, "scheme": "http",
                           "host": "198.51.100.7", "localAddresses": "127.0.0.1", "machineIdentifier": server.machine_identifier,
                           "createdAt": 1_600_000_000, "updatedAt": server.now, "owned": True, "synced": False})  # fmt: skip
    for number, section in enumerate(server.sections.values(), 70_001):
        node.add("Section", id=number, key=section.key, type=section.type, title=section.title)
    return build_container([node], friendlyName="myPlex", machineIdentifier=server.machine_identifier)


def get_shared_servers(request: DemoRequest) -> Node:
    """Answer `GET /api/servers/MID/shared_servers`: every user's token for this server."""
    _require_this_server(request)
    request.require_owner()
    rows = []
    for user in filter(lambda other: other.shared, list_other_users(request)):
        node = Node("SharedServer", {"id": user.cloud_id + 500, "username": user.name, "email": user.email, "userID": user.cloud_id,
                                     "accessToken": user.token, "name": request.state.name, "acceptedAt": 1_600_000_000,
                                     "invitedAt": 1_600_000_000, "allowSync": False, "allLibraries": True, "owned": False})  # fmt: skip
        for number, section in enumerate(request.state.sections.values(), 70_001):
            node.add("Section", id=number, key=section.key, title=section.title, type=section.type, shared=True)
        rows.append(node)
    return build_container(rows, friendlyName="myPlex", identifier="com.plexapp.plugins.myplex",
                     machineIdentifier=request.state.machine_identifier)  # fmt: skip


def _format_iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def get_resources(request: DemoRequest) -> Node | DemoAnswer:
    """Answer `GET /api/v2/resources`: this server and the players."""
    if "application/json" in request.headers.get("accept", ""):
        return get_resources_as_json(request)
    server = request.state
    rows = [Node("resource", {
        "name": server.name, "product": "Plex Media Server", "productVersion": server.version, "platform": "Linux",
        "platformVersion": "6.8.0", "device": "Demo", "clientIdentifier": server.machine_identifier, "createdAt": _format_iso(1_600_000_000),
        "lastSeenAt": _format_iso(server.now), "provides": "server", "owned": request.user.id == OWNER, "accessToken": request.find_token(request.user),
        "publicAddress": "198.51.100.7", "httpsRequired": False, "synced": False, "relay": False, "home": request.user.home,
        "dnsRebindingProtection": False, "natLoopbackSupported": False, "publicAddressMatches": True, "presence": True,
    })]  # fmt: skip
    rows[0].add("connections").add("connection", protocol="http", address="127.0.0.1", port=request.state.port, uri=request.state.url,
                                   local=True, relay=False, IPv6=False)  # fmt: skip
    for player in server.players.values():
        node = Node("resource", {
            "name": player.title, "product": player.product, "productVersion": player.version, "platform": player.platform,
            "platformVersion": player.platform_version, "device": player.device, "clientIdentifier": player.client_identifier,
            "createdAt": _format_iso(1_600_000_000), "lastSeenAt": _format_iso(server.now), "provides": "client,player,pubsub-player", "owned": True,
            "publicAddress": "198.51.100.7", "httpsRequired": False, "synced": False, "relay": False, "home": False,
            "dnsRebindingProtection": False, "natLoopbackSupported": False, "publicAddressMatches": player.local, "presence": True,
        })  # fmt: skip
        node.add("connections")
        rows.append(node)
    return Node("resources", {}, rows)


def get_devices(request: DemoRequest) -> Node:
    """Answer `GET /devices.xml`. Unlike the real one it has no tokens, which nothing here needs."""
    rows = [
        Node("Device", {"name": player.title, "publicAddress": "198.51.100.7", "product": player.product,
                        "productVersion": player.version, "platform": player.platform, "platformVersion": player.platform_version,
                        "device": player.device, "model": player.model, "vendor": player.vendor, "provides": "client,player",
                        "clientIdentifier": player.client_identifier, "version": player.version, "id": 5000 + player.id,
                        "createdAt": 1_600_000_000, "lastSeenAt": request.state.now, "screenResolution": "", "screenDensity": ""},
             [Node("Connection", {"uri": f"http://{player.address}:{player.port}"})])
        for player in request.state.players.values()
    ]  # fmt: skip
    return build_container([_build_server_device(request), *rows], publicAddress="198.51.100.7")


def _build_server_device(request: DemoRequest) -> Node:
    server = request.state
    return Node("Device", {"name": server.name, "publicAddress": "198.51.100.7", "product": "Plex Media Server",
                           "productVersion": server.version, "platform": "Linux", "platformVersion": "6.8.0", "device": "Demo",
                           "model": "", "vendor": "", "provides": "server", "clientIdentifier": server.machine_identifier,
                           "version": server.version, "id": 5000, "createdAt": 1_600_000_000, "lastSeenAt": server.now,
                           "screenResolution": "", "screenDensity": ""}, [Node("Connection", {"uri": request.state.url})])  # fmt: skip


def get_nothing(_: DemoRequest) -> Node:
    """Answer with an empty list: there are no invites."""
    return build_container()


ROUTES = (
    ("GET", "/api/v2/user", get_account),
    ("GET", "/users/account", get_account),
    ("GET", "/api/users", get_users),
    ("GET", "/api/users/", get_users),
    ("GET", "/api/home/users", get_home_users),
    ("POST", "/api/home/users/{id}/switch", switch_user),
    ("GET", "/api/servers/{machine}", get_server),
    ("GET", "/api/servers/{machine}/shared_servers", get_shared_servers),
    ("GET", "/api/v2/resources", get_resources),
    ("GET", "/devices.xml", get_devices),
    ("GET", "/api/invites/requested", get_nothing),
    ("GET", "/api/invites/requests", get_nothing),
)
