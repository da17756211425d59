"""plex.tv, as much as a companion asks: account, users, home, shares, resources, devices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plex_companion.demo.answers_pins import resources_as_json
from plex_companion.demo.ask import Answer, Ask, Refused
from plex_companion.demo.house import OWNER
from plex_companion.demo.tree import Node, container

if TYPE_CHECKING:
    from plex_companion.demo.household import User

ENTITLEMENTS = ("all", "ios", "roku", "android", "xbox_one", "xbox_360", "windows", "windows_phone")
INVALID_TOKEN = Answer(b"<errors><error>Invalid token</error></errors>", 422, "application/xml")


def user_node(ask: Ask, user: User) -> Node:
    """`<user>` of `/api/v2/user`: scrobbleTypes, subscription and profile are what python-plexapi cannot do without."""
    owner = user.id == OWNER
    node = Node("user", {
        "id": user.cloud_id, "uuid": f"demo{user.cloud_id:012x}", "username": user.name, "title": user.name, "email": user.email,
        "friendlyName": user.name, "locale": "", "confirmed": True, "joinedAt": 1_500_000_000, "emailOnlyAuth": False,
        "hasPassword": True, "protected": bool(user.pin), "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1",
        "authToken": ask.token_of(user), "authenticationToken": ask.token_of(user), "mailingListStatus": "unsubscribed",
        "mailingListActive": False, "scrobbleTypes": "", "country": "NO", "subscriptionDescription": "",
        "restricted": user.restricted, "anonymous": "", "home": user.home, "guest": False,
        "homeSize": sum(u.home for u in ask.house.users.values()), "homeAdmin": owner, "maxHomeSize": 15,
        "rememberExpiresAt": ask.house.now + 1_209_600, "experimentalFeatures": False, "twoFactorEnabled": False,
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


def account(ask: Ask) -> Node:
    """`GET /api/v2/user`: whose token it is."""
    return user_node(ask, ask.user)


def others(ask: Ask) -> list[User]:
    """Everybody but the asker."""
    return [user for user in ask.house.users.values() if user.id != ask.user.id]


def users(ask: Ask) -> Node:
    """`GET /api/users/`: friends and the rest of the home."""
    rows = []
    for user in others(ask):
        node = Node("User", {
            "id": user.cloud_id, "title": user.name, "username": "" if user.restricted else user.name, "email": user.email,
            "recommendationsPlaylistId": "", "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1",
            "protected": bool(user.pin), "home": user.home, "allowTuners": 0, "allowSync": False, "allowCameraUpload": False,
            "allowChannels": False, "allowSubtitleAdmin": False, "filterAll": "", "filterMovies": "", "filterMusic": "",
            "filterPhotos": "", "filterTelevision": "", "restricted": user.restricted,
        })  # fmt: skip
        if user.shared:
            node.add("Server", id=user.cloud_id + 500, serverId=1, machineIdentifier=ask.house.machine_identifier,
                     name=ask.house.name, lastSeenAt=ask.house.now, numLibraries=len(ask.house.sections), allLibraries=True,
                     owned=True, pending=False)  # fmt: skip
        rows.append(node)
    return container(rows, friendlyName="myPlex", identifier="com.plexapp.plugins.myplex", totalSize=len(rows),
                     machineIdentifier=ask.house.machine_identifier)  # fmt: skip


def home_users(ask: Ask) -> Node:
    """`GET /api/home/users`: everybody in the home, the owner too."""
    rows = [
        Node("User", {"id": user.cloud_id, "uuid": f"demo{user.cloud_id:012x}", "admin": user.id == OWNER, "guest": False,
                      "restricted": user.restricted, "protected": bool(user.pin), "title": user.name,
                      "username": "" if user.restricted else user.name, "email": user.email,
                      "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1"})
        for user in ask.house.users.values() if user.home
    ]  # fmt: skip
    return container(rows, id=1, name="Demo home", guestUserID=0, friendlyName="myPlex")


def switch_user(ask: Ask) -> Node | Answer:
    """`POST /api/home/users/ID/switch`: the token of another home user; a wrong PIN is refused."""
    for user in ask.house.users.values():
        if str(user.cloud_id) == ask.args["id"] and user.home:
            if user.pin and ask.get("pin") != user.pin:
                raise Refused(401)
            return user_node(ask, user)
    raise Refused(404)


def _this_server(ask: Ask) -> None:
    if ask.args["machine"] != ask.house.machine_identifier:
        raise Refused(404)


def server(ask: Ask) -> Node:
    """`GET /api/servers/MID`: the server and its sections, with plex.tv's own section ids."""
    _this_server(ask)
    house = ask.house
    node = Node("Server", {"name": house.name, "address": "198.51.100.7", "port": 32400, "version": house.version, "scheme": "http",
                           "host": "198.51.100.7", "localAddresses": "127.0.0.1", "machineIdentifier": house.machine_identifier,
                           "createdAt": 1_600_000_000, "updatedAt": house.now, "owned": True, "synced": False})  # fmt: skip
    for number, section in enumerate(house.sections.values(), 70_001):
        node.add("Section", id=number, key=section.key, type=section.type, title=section.title)
    return container([node], friendlyName="myPlex", machineIdentifier=house.machine_identifier)


def shared_servers(ask: Ask) -> Node:
    """`GET /api/servers/MID/shared_servers`: every user's token for this server."""
    _this_server(ask)
    ask.owner_only()
    rows = []
    for user in filter(lambda other: other.shared, others(ask)):
        node = Node("SharedServer", {"id": user.cloud_id + 500, "username": user.name, "email": user.email, "userID": user.cloud_id,
                                     "accessToken": user.token, "name": ask.house.name, "acceptedAt": 1_600_000_000,
                                     "invitedAt": 1_600_000_000, "allowSync": False, "allLibraries": True, "owned": False})  # fmt: skip
        for number, section in enumerate(ask.house.sections.values(), 70_001):
            node.add("Section", id=number, key=section.key, title=section.title, type=section.type, shared=True)
        rows.append(node)
    return container(rows, friendlyName="myPlex", identifier="com.plexapp.plugins.myplex",
                     machineIdentifier=ask.house.machine_identifier)  # fmt: skip


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resources(ask: Ask) -> Node | Answer:
    """`GET /api/v2/resources`: this server and the players."""
    if "application/json" in ask.headers.get("accept", ""):
        return resources_as_json(ask)
    house = ask.house
    rows = [Node("resource", {
        "name": house.name, "product": "Plex Media Server", "productVersion": house.version, "platform": "Linux",
        "platformVersion": "6.8.0", "device": "Demo", "clientIdentifier": house.machine_identifier, "createdAt": _iso(1_600_000_000),
        "lastSeenAt": _iso(house.now), "provides": "server", "owned": ask.user.id == OWNER, "accessToken": ask.token_of(ask.user),
        "publicAddress": "198.51.100.7", "httpsRequired": False, "synced": False, "relay": False, "home": ask.user.home,
        "dnsRebindingProtection": False, "natLoopbackSupported": False, "publicAddressMatches": True, "presence": True,
    })]  # fmt: skip
    rows[0].add("connections").add("connection", protocol="http", address="127.0.0.1", port=ask.demo.port, uri=ask.demo.url,
                                   local=True, relay=False, IPv6=False)  # fmt: skip
    for player in house.players.values():
        node = Node("resource", {
            "name": player.title, "product": player.product, "productVersion": player.version, "platform": player.platform,
            "platformVersion": player.platform_version, "device": player.device, "clientIdentifier": player.client_identifier,
            "createdAt": _iso(1_600_000_000), "lastSeenAt": _iso(house.now), "provides": "client,player,pubsub-player", "owned": True,
            "publicAddress": "198.51.100.7", "httpsRequired": False, "synced": False, "relay": False, "home": False,
            "dnsRebindingProtection": False, "natLoopbackSupported": False, "publicAddressMatches": player.local, "presence": True,
        })  # fmt: skip
        node.add("connections")
        rows.append(node)
    return Node("resources", {}, rows)


def devices(ask: Ask) -> Node:
    """`GET /devices.xml`. No tokens in it, unlike the real one: nobody needs them."""
    rows = [
        Node("Device", {"name": player.title, "publicAddress": "198.51.100.7", "product": player.product,
                        "productVersion": player.version, "platform": player.platform, "platformVersion": player.platform_version,
                        "device": player.device, "model": player.model, "vendor": player.vendor, "provides": "client,player",
                        "clientIdentifier": player.client_identifier, "version": player.version, "id": 5000 + player.id,
                        "createdAt": 1_600_000_000, "lastSeenAt": ask.house.now, "screenResolution": "", "screenDensity": ""},
             [Node("Connection", {"uri": f"http://{player.address}:{player.port}"})])
        for player in ask.house.players.values()
    ]  # fmt: skip
    return container([_server_device(ask), *rows], publicAddress="198.51.100.7")


def _server_device(ask: Ask) -> Node:
    house = ask.house
    return Node("Device", {"name": house.name, "publicAddress": "198.51.100.7", "product": "Plex Media Server",
                           "productVersion": house.version, "platform": "Linux", "platformVersion": "6.8.0", "device": "Demo",
                           "model": "", "vendor": "", "provides": "server", "clientIdentifier": house.machine_identifier,
                           "version": house.version, "id": 5000, "createdAt": 1_600_000_000, "lastSeenAt": house.now,
                           "screenResolution": "", "screenDensity": ""}, [Node("Connection", {"uri": ask.demo.url})])  # fmt: skip


def nothing(_: Ask) -> Node:
    """Lists that are always empty: invites."""
    return container()


ROUTES = (
    ("GET", "/api/v2/user", account),
    ("GET", "/users/account", account),
    ("GET", "/api/users", users),
    ("GET", "/api/users/", users),
    ("GET", "/api/home/users", home_users),
    ("POST", "/api/home/users/{id}/switch", switch_user),
    ("GET", "/api/servers/{machine}", server),
    ("GET", "/api/servers/{machine}/shared_servers", shared_servers),
    ("GET", "/api/v2/resources", resources),
    ("GET", "/devices.xml", devices),
    ("GET", "/api/invites/requested", nothing),
    ("GET", "/api/invites/requests", nothing),
)
