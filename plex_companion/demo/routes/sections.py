"""Settings of libraries, and what settings pages read: agents, folders, candidates for a match."""

from __future__ import annotations

from dataclasses import replace

from plex_companion.demo import frames, library_changes
from plex_companion.demo.household.built_in import make_section
from plex_companion.demo.household.model import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.nodes.media import build_part_id
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.prefs import Pref
from plex_companion.demo.query.filtering import select
from plex_companion.demo.request import DONE, DemoAnswer, DemoRequest, HttpRefusal, build_items_page
from plex_companion.demo.routes.browse import list_folders
from plex_companion.demo.routes.library import get_section_all
from plex_companion.demo.routes.server import build_pref_node


def get_section_prefs(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/prefs`."""
    return build_container(
        [build_pref_node(pref) for pref in request.state.get_prefs(request.find_section().key).values()]
    )


def edit_section(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/sections/N?agent=&name=&prefs[ID]=`."""
    request.require_owner()
    section, paths = request.find_section(), list_locations(request)
    request.state.sections[section.key] = replace(
        section,
        title=request.get("name") or section.title,
        agent=request.get("agent") or section.agent,
        scanner=request.get("scanner") or section.scanner,
        language=request.get("language") or section.language,
        path=paths[0] if paths else section.path,
        more_paths=tuple(paths[1:]) if paths else section.more_paths,
    )
    change_section_prefs(request, section.key)
    request.state.mark_changed(section.key)
    return DONE


def list_locations(request: DemoRequest) -> list[str]:
    """Return the folders of a query, or refuse with 400 if the server cannot see one."""
    paths = [value for name, value in request.params if name == "location"]
    if not set(paths) <= list_folders(request.state):
        raise HttpRefusal(400)
    return paths


def change_section_prefs(request: DemoRequest, key: str) -> None:
    """Set the preferences that `prefs[ID]=` names."""
    for id_, pref in request.state.get_prefs(key).items():
        pref.set(request.get(f"prefs[{id_}]", str(pref.value)))


def add_section(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /library/sections?name=&type=&location=&prefs[ID]=`: create an empty library."""
    request.require_owner()
    key = str(max((int(key) for key in request.state.sections if key.isdigit()), default=0) + 1)
    if request.get("type") not in {"movie", "show", "artist", "photo"} or not request.get("name"):
        raise HttpRefusal(400)
    paths, made = list_locations(request), make_section(key, request.get("name"), request.get("type"))
    request.state.sections[key] = replace(
        made, agent=request.get("agent") or made.agent, scanner=request.get("scanner") or made.scanner,
        language=request.get("language") or made.language, path=paths[0] if paths else made.path, more_paths=tuple(paths[1:]),
    )  # fmt: skip
    request.state.scanned_at[key], request.state.changed_at[key] = request.state.now, 1
    change_section_prefs(request, key)
    request.state.mark_changed(key)
    return DemoAnswer(status=201)


def delete_section(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /library/sections/N`: delete a library with its items. Files stay."""
    request.require_owner()
    library_changes.delete_section(request.state, request.find_section().key)
    return DONE


LEGACY_AGENTS = {"movie": ("com.plexapp.agents.imdb", "Plex Movie (Legacy)"), "show": ("com.plexapp.agents.thetvdb", "TheTVDB"),
                 "artist": ("com.plexapp.agents.lastfm", "Last.fm"), "photo": ("", "")}  # fmt: skip


def get_agent_prefs(request: DemoRequest) -> Node:
    """Answer `GET /:/plugins/AGENT/prefs`: only legacy agents have any."""
    if request.args["agent"] not in {identifier for identifier, _ in LEGACY_AGENTS.values() if identifier}:
        raise HttpRefusal(404)
    country = Pref("country", "Country", "int", 46, 46, "", choices="0:None|24:Japan|46:United States")
    usage = Pref("usage", "Send anonymous data", "bool", default=True, value=False, group="")
    return build_container([build_pref_node(country), build_pref_node(usage)])


def list_agents(request: DemoRequest) -> Node:
    """Answer `GET /system/agents?mediaType=`: the agents of the libraries, and the legacy one of each type."""
    requested = TYPE_NAMES.get(request.get_number("mediaType"))
    used = {one.agent: one.type for one in request.state.sections.values() if requested in {None, one.type}}
    facts = {"hasPrefs": False, "hasAttribution": False, "primary": True}
    rows = [Node("Agent", {"name": f"Plex {kind.title()}", "identifier": name, **facts}) for name, kind in used.items()]
    rows += [
        Node("Agent", {"name": title, "identifier": identifier, **facts, "hasPrefs": True})
        for kind, (identifier, title) in LEGACY_AGENTS.items()
        if identifier and kind in used.values()
    ]
    return build_container(rows, size=len(rows), identifier="com.plexapp.system")


def list_match_candidates(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/matches?title=`: items of that title, or of that external id, as `imdb-tt…`."""
    item = request.find_item()
    requested = request.get("title", item.title).casefold()
    rows = [
        other
        for other in request.state.list_section(item.section, item.type)
        if requested in other.title.casefold() or requested in {id_.replace("://", "-") for id_ in other.external_ids}
    ]
    return build_container([
        Node("SearchResult", {"guid": other.guid, "name": other.title, "score": 100, "year": other.year}) for other in rows
    ])  # fmt: skip


def list_albums(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/albums`."""
    return get_section_all(replace(request, params=[*request.params, ("type", str(TYPE_NUMBERS["album"]))]))


def list_flagged_items(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/unwatched` and other flags: the items with the flag, not the values of a filter."""
    section, server = request.find_section(), request.state
    params = [*request.params, (request.args["flag"], "1")]
    items = select(server, request.user, section.key, params, server.list_levels(section.key)[0])
    return build_items_page(request, items)


def get_timeline(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/timeline`: when the library changed last."""
    section = request.find_section()
    items = request.state.list_section(section.key, request.state.list_levels(section.key)[0])
    newest = max((item.updated_at for item in items), default=0)
    return build_container(
        size=1, allowSync=False, art=f"/:/resources/{section.type}-fanart.jpg", content="secondary", identifier=frames.LIBRARY,
        latestEntryTime=max(newest, request.state.scanned_at[section.key]), mediaTagPrefix="/system/bundle/media/flags/",
        mediaTagVersion=1700000000, thumb=f"/:/resources/{section.type}.png", title1=section.title, updateQueueSize=0,
        viewGroup="secondary", viewMode=65592,
    )  # fmt: skip


def get_part(request: DemoRequest) -> DemoAnswer:
    """Answer `GET /library/parts/ID/STAMP/NAME`: every file has the same short text."""
    if not any(
        build_part_id(media, number) == int(request.args["id"])
        for item in request.state.items.values()
        for media in item.media
        for number in range(len(media.parts))
    ):
        raise HttpRefusal(404)
    return DemoAnswer(
        b"Nothing to see here: the demo household has no media files.", media_type="application/octet-stream"
    )


ROUTES = (
    ("POST", "/library/sections", add_section),
    ("DELETE", "/library/sections/{section}", delete_section),
    ("GET", "/:/plugins/{agent}/prefs", get_agent_prefs),
    ("GET", "/system/agents", list_agents),
    ("PUT", "/library/sections/{section}", edit_section),
    ("GET", "/library/sections/{section}/prefs", get_section_prefs),
    ("GET", "/library/sections/{section}/albums", list_albums),
    ("GET", "/library/sections/{section}/{flag:flag}", list_flagged_items),
    ("GET", "/library/sections/{section}/timeline", get_timeline),
    ("GET", "/library/parts/{id:number}/{stamp}/{file}", get_part),
    ("GET", "/library/metadata/{id}/matches", list_match_candidates),
)
