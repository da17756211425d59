"""Items, sections, sessions and people as nodes of an answer."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import quote

from plex_companion.demo.nodes.details import (
    build_age_nodes,
    build_colour_nodes,
    build_image_nodes,
    build_picture_path,
    build_rating_nodes,
    build_theme_path,
    describe_extras,
)
from plex_companion.demo.nodes.media import build_media_node, read_stream_choices
from plex_companion.demo.nodes.tree import Node, Value
from plex_companion.demo.playback import build_transcode_entry
from plex_companion.demo.query.collection_search import build_guid
from plex_companion.demo.query.filtering import TAG_FIELDS, FieldReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.demo.household.model import (
        DemoCollection,
        DemoItem,
        DemoPlay,
        DemoPlayer,
        DemoPlaylist,
        DemoSection,
        DemoUser,
    )
    from plex_companion.demo.server_state import ServerState
    from plex_companion.demo.sessions import DemoSession

TAGS = {"movie": "Video", "episode": "Video", "clip": "Video", "track": "Track", "photo": "Photo"}
# Photo albums are `type="photo"` directories on the wire.
WIRE_TYPES = {"photoalbum": "photo"}
# How many tags of each kind a listing shows, which has their text only. Recorded: two genres and three actors at most; the
# other numbers are those of the largest recorded lists.
LISTED_TAGS = {"Genre": 2, "Director": 1, "Writer": 2, "Country": 1, "Collection": 1}
LISTED_ACTORS = 3
FIELD_OF_TAG = {tag: field for field, tag in TAG_FIELDS.items()}


def build_item_key(item: DemoItem) -> str:
    """Build the `key` of an item: containers point to their children."""
    below = item.type in {"show", "season", "artist", "album", "photoalbum"}
    return f"/library/metadata/{item.key}{'/children' if below else ''}"


def build_item_node(
    server: ServerState, user: DemoUser, item: DemoItem, *, full: bool = False, guids: bool = False
) -> Node:
    """Build an item as lists show it. `guids` adds external ids, `full` everything that only `/library/metadata/ID` has."""
    node = Node(TAGS.get(item.type, "Directory"), _describe_item(server, item))
    node.attributes |= (
        _describe_parents(server, item) | _describe_children(server, user, item) | _describe_view(server, user, item)
    )
    node.attributes |= describe_extras(server, item)
    node.attributes |= {name: value for name, value in item.fields.items() if name not in node.attributes}
    node.children += [
        build_media_node(
            item, media, full=full, streams=read_stream_choices(server, user, item, media) if full else None
        )
        for media in item.media
    ]
    node.children += _build_tag_nodes(server, user, item, full=full)
    node.children += [*build_image_nodes(server, item), *build_colour_nodes(item)]
    if full or guids:
        node.children += [Node("Guid", {"id": guid}) for guid in item.external_ids]
    if full:
        node.children += [
            *build_rating_nodes(item),
            *build_age_nodes(item, full=False),
            *_build_field_nodes(item.locked),
        ]
        node.children += _build_location_nodes(server, item)
        node.children += _build_extras(server, user, item)
    return drop_missing(node, item.missing) if item.missing else node


def drop_missing(node: Node, missing: set[str]) -> Node:
    """Return the element without attributes that Plex leaves out for the item; `parent` stands for all about parents."""
    above = ("parent", "grandparent") if "parent" in missing else ()
    node.attributes = {
        name: value for name, value in node.attributes.items() if name not in missing and not name.startswith(above)
    }
    node.children = [drop_missing(child, missing) for child in node.children]
    return node


def _build_location_nodes(server: ServerState, item: DemoItem) -> list[Node]:
    """Build the node of the folder in which all files of a show or an artist lie."""
    if item.type not in {"show", "artist"}:
        return []
    folders = [posixpath.dirname(media.file) for leaf in server.list_leaves(item.key) for media in leaf.media]
    return [Node("Location", {"path": posixpath.commonpath(folders)})] if folders else []


def _build_field_nodes(locked: set[str]) -> list[Node]:
    return [Node("Field", {"locked": True, "name": name}) for name in sorted(locked)]


def _describe_item(server: ServerState, item: DemoItem) -> dict[str, Value]:
    facts: dict[str, Value] = {
        "ratingKey": item.key, "key": build_item_key(item), "guid": item.guid or None, "studio": item.studio or None,
        "type": WIRE_TYPES.get(item.type, item.type), "title": item.title,
        "titleSort": item.title_sort if item.title_sort != item.title else None, "contentRating": item.content_rating or None,
        "originalTitle": item.original_title or None, "editionTitle": item.edition_title or None, "summary": item.summary, "tagline": item.tagline or None, "index": item.index, "rating": item.rating,
        "audienceRating": item.audience_rating, "year": item.year, "duration": item.duration,
        "originallyAvailableAt": item.released or None, "addedAt": item.added_at, "updatedAt": item.updated_at,
    }  # fmt: skip
    if item.type != "clip" or item.section in server.sections:
        facts |= {"thumb": build_picture_path(item, "thumb"), "art": build_picture_path(item, "art")}
    if item.type == "photoalbum":
        facts["composite"] = build_picture_path(item, "composite")
    return facts | build_section_facts(server, item.section)


def build_section_facts(server: ServerState, key: str) -> dict[str, Value]:
    """Describe the library of an item. Pre-rolls have the section id -2 and nothing else."""
    section = server.sections.get(key)
    if section is None:
        return {"librarySectionID": key or None}
    return {
        "librarySectionID": key,
        "librarySectionKey": f"/library/sections/{key}",
        "librarySectionTitle": section.title,
    }


def _describe_parents(server: ServerState, item: DemoItem) -> dict[str, Value]:
    parent = server.items.get(item.parent or "")
    if parent is None:
        return {}
    found = _describe_relative(parent, "parent")
    if item.type == "track":
        found |= {"parentIndex": item.disc}
    grand = server.items.get(parent.parent or "")
    return found | _describe_relative(grand, "grandparent") if grand else found


def _describe_relative(item: DemoItem, prefix: str) -> dict[str, Value]:
    facts: dict[str, Value] = {
        f"{prefix}RatingKey": item.key, f"{prefix}Key": f"/library/metadata/{item.key}", f"{prefix}Guid": item.guid,
        f"{prefix}Title": item.title, f"{prefix}Thumb": build_picture_path(item, "thumb"),
    }  # fmt: skip
    if prefix == "parent":
        facts |= {"parentIndex": item.index, "parentYear": item.year if item.type == "show" else None}
    else:
        facts |= {
            "grandparentArt": build_picture_path(item, "art"),
            "grandparentContentRating": item.content_rating or None,
        }
    return facts


def _describe_children(server: ServerState, user: DemoUser, item: DemoItem) -> dict[str, Value]:
    if item.type not in {"show", "season", "artist", "album"}:
        return {}
    leaves = server.list_leaves(item.key) if server.children.get(item.key) else []
    seen = sum(bool(server.get_view(user, leaf.key).count) for leaf in leaves)
    facts: dict[str, Value] = {"leafCount": len(leaves), "viewedLeafCount": seen}
    if item.type != "season":
        facts["childCount"] = len(server.children.get(item.key, ()))
    return facts


def _describe_view(server: ServerState, user: DemoUser, item: DemoItem) -> dict[str, Value]:
    view = server.get_view(user, item.key)
    return {
        "viewOffset": view.offset or None, "viewCount": view.count or None, "lastViewedAt": view.viewed_at or None,
        "userRating": view.rating, "lastRatedAt": view.rated_at or None,
    }  # fmt: skip


def _build_tag_nodes(server: ServerState, user: DemoUser, item: DemoItem, *, full: bool) -> list[Node]:
    reader = FieldReader(server, user)
    nodes = []
    for kind in (
        "Genre",
        "Director",
        "Writer",
        "Country",
        "Collection",
        "Producer",
        "Label",
        "Mood",
        "Style",
        "Format",
        "Subformat",
        "Similar",
        "Tag",
    ):
        if full or kind in LISTED_TAGS:
            tags = reader.list_tags(item, kind)[: None if full else LISTED_TAGS[kind]]
            nodes += [build_tag_node(server, kind, tag, full=full) for tag in tags]
    for actor, role in list(item.roles.items())[: None if full else LISTED_ACTORS]:
        node = build_tag_node(server, "Role", actor, full=full)
        if full:
            node.attributes["role"] = role
        nodes.append(node)
    return nodes


def build_tag_node(server: ServerState, kind: str, tag: str, *, full: bool = True) -> Node:
    """Build a genre, a person or another tag. Lists carry the text only."""
    if not full:
        return Node(kind, {"tag": tag})
    number = server.get_tag_id(kind, tag)
    return Node(kind, {"id": number, "filter": f"{FIELD_OF_TAG.get(kind, kind.lower())}={number}", "tag": tag})


def _build_extras(server: ServerState, user: DemoUser, item: DemoItem) -> list[Node]:
    found = [server.items[key] for key in item.extras if key in server.items]
    if not found:
        return []
    return [Node("Extras", {"size": len(found)}, [build_item_node(server, user, extra) for extra in found])]


def build_section_node(server: ServerState, section: DemoSection) -> Node:
    """Build a library of `/library/sections`."""
    kind, scanned = section.type, server.scanned_at[section.key]
    node = Node("Directory", {
        "allowSync": True, "art": f"/:/resources/{kind}-fanart.jpg", "composite": f"/library/sections/{section.key}/composite/{scanned}",
        "filters": True, "refreshing": section.key in server.refreshing, "thumb": f"/:/resources/{kind}.png", "key": section.key,
        "type": kind, "title": section.title, "agent": section.agent, "scanner": section.scanner, "language": section.language,
        "uuid": section.uuid, "updatedAt": section.created_at, "createdAt": section.created_at, "scannedAt": scanned,
        "content": True, "directory": True, "contentChangedAt": server.changed_at[section.key], "hidden": 0,
    })  # fmt: skip
    for number, path in enumerate(section.paths):
        node.add("Location", id=(int(section.key) if section.key.isdigit() else 1) + 1000 * number, path=path)
    return node


def build_collection_node(
    server: ServerState, user: DemoUser, found: DemoCollection, items: list[DemoItem], *, full: bool = False
) -> Node:
    """Build a collection: a directory with a rating key. Its index is the number of the tag of its items."""
    years = [item.year for item in items if item.year]
    facts: dict[str, Value] = {
        "ratingKey": found.key, "key": f"/library/collections/{found.key}/children", "guid": build_guid(found),
        "type": "collection", "title": found.title, "titleSort": found.title_sort or None, "subtype": found.subtype,
        "contentRating": found.content_rating or None, "summary": found.summary, "smart": found.smart,
        "content": found.content or None, "index": server.get_tag_id("Collection", found.title), "ratingCount": 1,
        "rating": found.rating, "audienceRating": found.audience_rating, "userRating": server.get_view(user, found.key).rating, "childCount": len(items),
        "thumb": f"/library/collections/{found.key}/composite/{found.updated_at}", "addedAt": found.added_at,
        "updatedAt": found.updated_at, "minYear": min(years, default=None), "maxYear": max(years, default=None),
        "theme": build_theme_path(server, found), "collectionMode": found.mode, "collectionSort": found.sort, "collectionFilterBasedOnUser": found.filter_by_user,
    }  # fmt: skip
    node = Node("Directory", facts | build_section_facts(server, found.section))
    node.children += [build_tag_node(server, "Label", label) for label in found.labels]
    if full:
        node.children += _build_field_nodes(found.locked)
    return node


def build_playlist_node(found: DemoPlaylist, items: Iterable[DemoItem], *, full: bool = False) -> Node:
    """Build a playlist. Its duration is in ms, as in recordings."""
    listed = list(items)
    fields = _build_field_nodes(found.locked) if full else []
    return Node("Playlist", {
        "ratingKey": found.key, "key": f"/playlists/{found.key}/items", "guid": f"com.plexapp.agents.none://demo-{found.key}",
        "type": "playlist", "allowSync": True, "title": found.title, "titleSort": found.title_sort or None, "summary": found.summary, "smart": found.smart, "playlistType": found.kind,
        "composite": f"/playlists/{found.key}/composite/{found.updated_at}", "icon": None,
        "duration": sum(item.duration or 0 for item in listed), "leafCount": len(listed), "addedAt": found.added_at,
        "updatedAt": found.updated_at, "content": f"library://x/directory/{quote(found.content, safe='')}" if found.content else None,
    }, fields)  # fmt: skip


def build_play_node(server: ServerState, play: DemoPlay) -> Node:
    """Build a row of history, which names user and device by number only.

    A deleted item leaves a row without keys (unverified).
    """
    item = server.items.get(play.rating_key)
    own: dict[str, Value] = {
        "historyKey": f"/status/sessions/history/{play.id}", "viewedAt": play.viewed_at, "accountID": play.account_id,
        "deviceID": play.device_id,
    }  # fmt: skip
    if item is None:
        return Node("Video", own | {"type": "movie", "title": "Deleted item"})
    above = {
        name: value
        for name, value in _describe_parents(server, item).items()
        if not name.endswith(("Guid", "RatingKey", "Year"))
    }
    return Node(TAGS.get(item.type, "Video"), own | {
        "key": f"/library/metadata/{item.key}", "ratingKey": item.key, "librarySectionID": item.section, "title": item.title,
        "type": item.type, "thumb": build_picture_path(item, "thumb"), "index": item.index, "originallyAvailableAt": item.released or None,
    } | above)  # fmt: skip


def build_session_node(server: ServerState, session: DemoSession) -> Node:
    """Build a row of `/status/sessions`, after the recorded one."""
    item = session.item
    node = build_item_node(server, session.user, item)
    node.children = [child for child in node.children if child.tag != "Media"]
    own: dict[str, Value] = {"sessionKey": session.key, "viewOffset": session.offset, "key": session.item_path}
    if session.live:
        # Recorded live rows have no useful key; their section is unverified.
        own |= {"live": True, "librarySectionID": None}
    node.attributes |= own
    if session.media:
        node.children.append(build_media_node(item, session.media, session=session))
    node.children += [
        build_player_node(session.player, state=session.state, user=session.user.id),
        build_user_node(session.user),
    ]
    node.add(
        "Session",
        id=session.id,
        bandwidth=_estimate_bandwidth(session),
        location="lan" if session.player.local else "wan",
    )
    if session.transcode:
        node.children.append(build_transcode_node(server, session, full_key=True))
    return node


def _estimate_bandwidth(session: DemoSession) -> int:
    rate = session.media.bitrate if session.media else 2000
    if session.transcode and session.transcode.video_decision != "copy":
        return session.transcode.bitrate
    return rate + rate // 5


def build_player_node(player: DemoPlayer, *, state: str, user: int) -> Node:
    """Build the player of a session."""
    return Node("Player", {
        "address": player.address, "device": player.device, "deviceClass": player.device_class, "local": player.local,
        "machineIdentifier": player.client_identifier, "model": player.model or None, "platform": player.platform,
        "platformVersion": player.platform_version, "product": player.product, "profile": player.profile or None,
        "protocolVersion": "1", "relayed": False, "remotePublicAddress": "198.51.100.7", "secure": True, "state": state,
        "title": player.title, "userID": user, "vendor": player.vendor or None, "version": player.version,
    })  # fmt: skip


def build_user_node(user: DemoUser) -> Node:
    """Build the user of a session."""
    return Node(
        "User", {"id": user.id, "thumb": f"https://plex.tv/users/demo{user.cloud_id}/avatar?c=1", "title": user.name}
    )


def build_transcode_node(server: ServerState, session: DemoSession, *, full_key: bool) -> Node:
    """Build a transcode. `/transcode/sessions` has the bare id, a session the whole key; bools are 0 and 1 in XML."""
    entry = build_transcode_entry(server, session)
    if not full_key:
        entry["key"] = entry["key"].rpartition("/")[2]
    return Node("TranscodeSession", entry)


def build_client_node(player: DemoPlayer) -> Node:
    """Build a row of `/clients`. Without host and port python-plexapi asks plex.tv for them."""
    return Node("Server", {
        "name": player.title, "host": player.address, "address": player.address, "port": player.port,
        "machineIdentifier": player.client_identifier, "version": player.version, "protocol": "plex", "product": player.product,
        "deviceClass": player.device_class, "protocolVersion": "1", "protocolCapabilities": player.capabilities,
    })  # fmt: skip
