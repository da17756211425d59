"""The server itself: identity, settings, activities, butler, statistics, pictures, logs."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.household.model import TYPE_NUMBERS, DemoPlayer, DemoUser
from plex_companion.demo.nodes.describe import build_client_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.placeholder_images import draw_placeholder
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page, find_or_404
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from plex_companion.demo.prefs import Pref
    from plex_companion.demo.request import DemoRequest

DIRECTORIES = ("activities", "butler", "clients", "devices", "diagnostics", "hubs", "library", "media", "playQueues", "player",
               "playlists", "resources", "search", "servers", "statistics", "status", "system", "transcode", "updater", "user")  # fmt: skip
# PLEX.md 2.2, names of the specification; titles and rhythm are ours.
BUTLER = (
    "AutomaticUpdates", "BackupDatabase", "ButlerTaskGenerateAdMarkers", "ButlerTaskGenerateCreditsMarkers",
    "ButlerTaskGenerateIntroMarkers", "ButlerTaskGenerateVoiceActivity", "CleanOldBundles", "CleanOldCacheFiles",
    "DeepMediaAnalysis", "GarbageCollectBlobs", "GarbageCollectLibraryMedia", "GenerateBlurHashes", "GenerateChapterThumbs",
    "GenerateMediaIndexFiles", "LoudnessAnalysis", "MusicAnalysis", "OptimizeDatabase", "RefreshEpgGuides", "RefreshLibraries",
    "RefreshLocalMedia", "RefreshPeriodicMetadata", "UpgradeMediaAnalysis",
)  # fmt: skip
# PLEX.md 2.2: the number of each time span, with its length in seconds.
SPANS = {1: 2_592_000, 2: 604_800, 3: 86_400, 4: 3_600, 6: 1}


def get_root(request: DemoRequest) -> Node:
    """Answer `GET /`; `allowMediaDeletion` is left out when it is off."""
    server = request.state
    busy = sum(session.transcode is not None for session in server.sessions.values())
    deletion = True if server.prefs["allowMediaDeletion"].value else None
    return build_container(
        [Node("Directory", {"count": 1, "key": name, "title": name}) for name in DIRECTORIES],
        allowCameraUpload=True, allowChannelAccess=True, allowMediaDeletion=deletion, allowSharing=True, allowSync=True,
        allowTuners=True, backgroundProcessing=True, certificate=True, companionProxy=True, countryCode="nor",
        diagnostics="logs,databases,streaminglogs", eventStream=True, friendlyName=str(server.prefs["FriendlyName"].value),
        hubSearch=True, itemClusters=True, livetv=7, machineIdentifier=server.machine_identifier, mediaProviders=True,
        multiuser=True, musicAnalysis=2, myPlex=True, myPlexMappingState="mapped", myPlexSigninState="ok",
        myPlexSubscription=True, myPlexUsername=server.owner.email, offlineTranscode=1,
        ownerFeatures="collections,hardware_transcoding,home,pass,server-manager,session_kick,sync,webhooks", photoAutoTag=True,
        platform="Linux", platformVersion="6.8.0 (Demo)", pluginHost=False, pushNotifications=False, readOnlyLibraries=False,
        requestParametersInCookie=True, streamingBrainABRVersion=3, streamingBrainVersion=2, sync=True,
        transcoderActiveVideoSessions=busy, transcoderAudio=True, transcoderLyrics=True, transcoderPhoto=True,
        transcoderSubtitles=True, transcoderVideo=True,
        transcoderVideoBitrates="64,96,208,320,720,1500,2000,3000,4000,8000,10000,12000,20000",
        transcoderVideoQualities="0,1,2,3,4,5,6,7,8,9,10,11,12",
        transcoderVideoResolutions="128,128,160,240,320,480,768,720,720,1080,1080,1080,1080", updatedAt=server.now,
        updater=True, version=server.version, voiceSearch=True,
    )  # fmt: skip


def get_identity(request: DemoRequest) -> Node:
    """Answer `GET /identity`, the one call that needs no token."""
    server = request.state
    return build_container(
        size=0, apiVersion="1.1.1", claimed=True, machineIdentifier=server.machine_identifier, version=server.version
    )


def get_media_providers(request: DemoRequest) -> Node:
    """Answer `GET /media/providers`, with durations and storage of the libraries on request."""
    server = request.state
    provider = Node("MediaProvider", {"identifier": frames.LIBRARY, "id": 1, "title": "Library", "types": "video,audio,photo",
                                      "protocols": "stream,download"})  # fmt: skip
    feature = provider.add("Feature", key="/library/sections", type="content")
    feature.add("Directory", hubKey="/hubs", title="Home")
    for section in server.sections.values():
        items = [item for kind in server.list_levels(section.key) for item in server.list_section(section.key, kind)]
        entry = feature.add(
            "Directory", id=section.key, key=f"/library/sections/{section.key}", hubKey=f"/hubs/sections/{section.key}",
            agent=section.agent, language=section.language, refreshing=section.key in server.refreshing, scanner=section.scanner,
            title=section.title, type=section.type, uuid=section.uuid, updatedAt=section.created_at,
        )  # fmt: skip
        if request.get("includeStorage") == "1":
            entry.attributes |= {
                "durationTotal": sum(item.duration or 0 for item in items if item.media),
                "storageTotal": sum(media.total_size for item in items for media in item.media),
            }
        entry.add("Pivot", id="library", key=f"/library/sections/{section.key}/all", type="list", title="Library",
                  context="content.library", symbol="library")  # fmt: skip
    return build_container([provider], friendlyName=server.name, identifier=frames.LIBRARY, machineIdentifier=server.machine_identifier,
                     version=server.version)  # fmt: skip


def build_pref_node(pref: Pref) -> Node:
    """Build one setting."""
    return Node("Setting", {
        "id": pref.id, "label": pref.label, "summary": pref.summary, "type": pref.type, "default": _format_text(pref.default),
        "value": _format_text(pref.value), "hidden": pref.hidden, "advanced": pref.advanced, "group": pref.group, "enumValues": pref.choices,
    })  # fmt: skip


def _format_text(value: str | float | bool) -> str | float:
    return str(value).lower() if isinstance(value, bool) else value


def get_prefs(request: DemoRequest) -> Node:
    """Answer `GET /:/prefs`."""
    request.require_owner()
    return build_container([build_pref_node(pref) for pref in request.state.prefs.values()])


def change_prefs(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /:/prefs?id=value`: change settings and announce each change."""
    request.require_owner()
    for name, text in request.params:
        pref = request.state.prefs.get(name)
        if pref:
            pref.set(text)
            request.state.announce(frames.build_preference({"id": pref.id, "label": pref.label, "summary": pref.summary, "type": pref.type,
                                                  "default": pref.default, "value": pref.value, "hidden": pref.hidden,
                                                  "advanced": pref.advanced, "group": pref.group}))  # fmt: skip
    return DONE


def get_activities(request: DemoRequest) -> Node:
    """Answer `GET /activities`."""
    rows = []
    for entry in request.state.activities.values():
        node = Node("Activity", {name: value for name, value in entry.items() if name != "Context"})
        if entry.get("Context"):
            node.add("Context", **entry["Context"])
        rows.append(node)
    return build_container(rows)


def cancel_activity(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /activities/UUID`."""
    find_or_404(request.state.activities, request.args["id"])
    request.state.end_activity(request.args["id"])
    return DONE


def get_butler(_: DemoRequest) -> Node:
    """Answer `GET /butler`."""
    return Node("ButlerTasks", {}, [
        Node("ButlerTask", {"name": name, "interval": 1 + n % 7, "scheduleRandomized": n % 2 == 0, "enabled": n % 5 != 0,
                            "title": name, "description": f"{name}, in the demo."})
        for n, name in enumerate(BUTLER)
    ])  # fmt: skip


def run_butler(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /butler/TASK`: run an activity; 202 if it is running already, as the specification says."""
    request.require_owner()
    name = request.args["task"]
    if name not in BUTLER:
        raise HttpRefusal(404)
    kind = "butler." + name[0].lower() + name[1:]
    if any(activity["type"] == kind for activity in request.state.activities.values()):
        return DemoAnswer(status=202)
    background.start_activity(request.state, kind, f"Running {name}")
    return DONE


def get_accounts(request: DemoRequest) -> Node:
    """Answer `GET /accounts`: 0 is no user, 1 the owner."""
    request.require_owner()
    rows = [DemoUser(0, 0, "", "", ""), *request.state.users.values()]

    def node(user: DemoUser) -> Node:
        return Node("Account", {"id": user.id, "key": f"/accounts/{user.id}", "name": user.name, "defaultAudioLanguage": "en",
                                "autoSelectAudio": True, "defaultSubtitleLanguage": "en", "subtitleMode": 1 if user.id else 0, "thumb": ""})  # fmt: skip

    return build_page(request, rows, node, identifier="com.plexapp.system.accounts")


def build_device_node(player: DemoPlayer) -> Node:
    """Build a row of `/devices`."""
    return Node("Device", {"id": player.id, "name": player.title, "platform": player.platform,
                           "clientIdentifier": player.client_identifier, "createdAt": 1_700_000_000 + player.id})  # fmt: skip


def get_devices(request: DemoRequest) -> Node:
    """Answer `GET /devices`."""
    request.require_owner()
    return build_page(
        request, list(request.state.players.values()), build_device_node, identifier="com.plexapp.system.devices"
    )


def get_clients(request: DemoRequest) -> Node:
    """Answer `GET /clients`: the players that can be controlled."""
    return build_container(
        [build_client_node(player) for player in request.state.players.values() if player.controllable]
    )


def get_servers(request: DemoRequest) -> Node:
    """Answer `GET /servers`."""
    server = request.state
    return build_container([Node("Server", {"name": server.name, "host": "127.0.0.1", "address": "127.0.0.1",
                                      "port": request.state.port, "machineIdentifier": server.machine_identifier, "version": server.version})])  # fmt: skip


def get_bandwidth(request: DemoRequest) -> Node:
    """Answer `GET /statistics/bandwidth`. Its form follows python-plexapi's parser; there is no recording."""
    request.require_owner()
    server, span = request.state, request.get_number("timespan", 6)
    if span not in SPANS:
        raise HttpRefusal(400)
    players, users = list(server.players.values()), list(server.users.values())
    rows = [Node("StatisticsBandwidth", {"accountID": users[n % len(users)].id, "deviceID": players[n % len(players)].id,
                                         "timespan": span, "at": server.now - n * SPANS[span], "lan": n % 3 != 0,
                                         "bytes": 1_000_000 * (n * 37 % 90 + 1)}) for n in range(24)]  # fmt: skip
    requested = [(name, value) for name, value in request.params if name in {"accountID", "deviceID", "lan"}]
    rows = [row for row in rows if all(_format_plain(row.attributes.get(name)) == value for name, value in requested)]
    return build_container([*map(build_device_node, players), *rows])


def _format_plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def get_resources(request: DemoRequest) -> Node:
    """Answer `GET /statistics/resources`: processor and memory use, oldest first."""
    now = request.state.now
    rows = [Node("StatisticsResources", {"timespan": 6, "at": now - 5 * n, "hostCpuUtilization": 5.0 + n % 7,
                                         "processCpuUtilization": 0.4 + n % 3, "hostMemoryUtilization": 41.5,
                                         "processMemoryUtilization": 3.6}) for n in range(30, 0, -1)]  # fmt: skip
    return build_container(rows)


def get_media_statistics(request: DemoRequest) -> Node:
    """Answer `GET /statistics/media`: plays and their seconds by user, device and kind. The form is unverified."""
    request.require_owner()
    server, since = (
        request.state,
        max((int(v) for k, v in request.params if k.startswith("at>") and v.isdigit()), default=0),
    )
    sums: dict[tuple[int, int, int], list[int]] = {}
    for play in server.history:
        item = server.items.get(play.rating_key)
        if item and play.viewed_at >= since:
            total = sums.setdefault((play.account_id, play.device_id, TYPE_NUMBERS[item.type]), [0, 0])
            total[0] += 1
            total[1] += (item.duration or 0) // 1000
    rows = [Node("StatisticsMedia", {"accountID": key[0], "deviceID": key[1], "timespan": request.get_number("timespan", 4), "at": server.now,
                                     "metadataType": key[2], "count": total[0], "duration": total[1]}) for key, total in sums.items()]  # fmt: skip
    people = [
        Node("Account", {"id": user.id, "key": f"/accounts/{user.id}", "name": user.name, "thumb": ""})
        for user in server.users.values()
    ]
    return build_container([*map(build_device_node, server.players.values()), *people, *rows])


def get_updater(_: DemoRequest) -> Node:
    """Answer `GET /updater/status`: there is no newer version."""
    return build_container(size=0, canInstall=False, checkedAt=1_700_000_000, downloadURL="", status=0)


def check_updates(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /updater/check`."""
    request.state.announce(frames.build_update_state())
    return DONE


def get_security_token(request: DemoRequest) -> Node:
    """Answer `GET /security/token`: a delegation token for players."""
    return build_container(size=0, token=f"transient-{request.state.rng.getrandbits(64):016x}")


def get_my_account(request: DemoRequest) -> Node:
    """Answer `GET /myplex/account`."""
    if not request.state.claimed:
        return Node("MyPlex", {"signInState": "none", "mappingState": "unknown", "subscriptionActive": False, "publicPort": 0,
                               "privatePort": 0})  # fmt: skip
    return Node("MyPlex", {"authToken": "", "username": request.state.owner.email, "mappingState": "mapped", "mappingError": "",
                           "signInState": "ok", "publicAddress": "198.51.100.7", "publicPort": 32400,
                           "privateAddress": "127.0.0.1", "privatePort": request.state.port, "subscriptionFeatures": "pass,sync",
                           "subscriptionActive": True, "subscriptionState": "Active"})  # fmt: skip


def unclaim(request: DemoRequest) -> Node:
    """Answer `DELETE /myplex/account`: the server has no owner at plex.tv any more. Tokens keep working here."""
    request.require_owner()
    request.state.claimed = False
    return get_my_account(request)


def claim(request: DemoRequest) -> Node:
    """Answer `POST /myplex/claim?token=claim-…`."""
    request.require_owner()
    if not request.get("token").startswith("claim-"):
        raise HttpRefusal(400)
    request.state.claimed = True
    return get_my_account(request)


def get_picture(request: DemoRequest) -> DemoAnswer:
    """Answer with a poster, art, thumb or avatar, always the same for one path. A smaller version shows the same picture."""
    return DemoAnswer(
        draw_placeholder(zlib.crc32((request.get("url") or request.path).encode())), media_type="image/png"
    )


LOG_LINE = "Nov 22, 2026 11:{minute:02}:09.977 [140{minute:02}] {level} - Request: [127.0.0.1:50{minute:03}] GET /identity (1 live) #{minute}\n"


def get_logs(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /diagnostics/logs`: a zip of invented log files."""
    request.require_owner()
    text = "".join(LOG_LINE.format(minute=n % 60, level=("DEBUG", "INFO", "WARN")[n % 3]) for n in range(200))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("Plex Media Server.log", "Plex Media Scanner.log", "Plex Transcoder Statistics.log"):
            archive.writestr(name, text)
    headers = {"Content-Disposition": 'attachment; filename="Plex Media Server Logs.zip"'}
    return DemoAnswer(packed.getvalue(), media_type="application/zip", headers=headers)


def get_databases(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /diagnostics/databases`: a zip with an empty database in it."""
    request.require_owner()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("com.plexapp.plugins.library.db", b"SQLite format 3\0")
    headers = {"Content-Disposition": 'attachment; filename="Plex Media Server Databases.zip"'}
    return DemoAnswer(packed.getvalue(), media_type="application/zip", headers=headers)


def start_transcode(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /video/:/transcode/universal/start.m3u8`: a playlist without segments, as there is nothing to transcode."""
    if not re.search(r"/library/metadata/\w+$", request.get("path")):
        raise HttpRefusal(400)
    return DemoAnswer(b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-ENDLIST\n", media_type="application/vnd.apple.mpegurl")


def do_nothing(request: DemoRequest) -> DemoAnswer:
    """Accept maintenance work that the demo has no use for."""
    request.require_owner()
    return DONE


ROUTES = (
    ("GET", "/", get_root),
    ("GET", "/identity", get_identity),
    ("GET", "/media/providers", get_media_providers),
    ("GET", "/:/prefs", get_prefs),
    ("PUT", "/:/prefs", change_prefs),
    ("GET", "/activities", get_activities),
    ("DELETE", "/activities/{id}", cancel_activity),
    ("GET", "/butler", get_butler),
    ("POST", "/butler/{task}", run_butler),
    ("GET", "/accounts", get_accounts),
    ("GET", "/devices", get_devices),
    ("GET", "/clients", get_clients),
    ("GET", "/servers", get_servers),
    ("GET", "/statistics/bandwidth", get_bandwidth),
    ("GET", "/statistics/resources", get_resources),
    ("GET", "/statistics/media", get_media_statistics),
    ("GET", "/updater/status", get_updater),
    ("PUT", "/updater/check", check_updates),
    ("GET", "/security/token", get_security_token),
    ("GET", "/myplex/account", get_my_account),
    ("DELETE", "/myplex/account", unclaim),
    ("POST", "/myplex/claim", claim),
    ("GET", "/diagnostics/databases", get_databases),
    ("GET", "/{medium:playable}/:/transcode/universal/start{suffix:started}", start_transcode),
    ("GET", "/photo/:/transcode", get_picture),
    ("GET", "/library/metadata/{id}/{kind:picture}/{stamp}", get_picture),
    ("GET", "/library/metadata/{id}/{kind:picture}", get_picture),
    ("GET", "/library/collections/{id}/composite/{stamp}", get_picture),
    ("GET", "/library/sections/{id}/composite/{stamp}", get_picture),
    ("GET", "/playlists/{id}/composite/{stamp}", get_picture),
    ("GET", "/:/resources/{name}", get_picture),
    ("GET", "/diagnostics/logs", get_logs),
    ("PUT", "/library/optimize", do_nothing),
    ("PUT", "/library/clean/bundles", do_nothing),
)
