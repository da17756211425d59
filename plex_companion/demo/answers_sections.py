"""What a library is set to, and what settings pages ask about it: its agents, its name, how an item could be matched."""

from __future__ import annotations

from dataclasses import replace

from plex_companion.demo import frames
from plex_companion.demo.answers_browse import folders_of
from plex_companion.demo.answers_library import section_all
from plex_companion.demo.answers_server import pref_node
from plex_companion.demo.ask import DONE, Answer, Ask, Refused, items_page
from plex_companion.demo.household import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.invented import make_section
from plex_companion.demo.media_nodes import PARTS
from plex_companion.demo.prefs import Pref
from plex_companion.demo.query import select
from plex_companion.demo.tree import Node, container


def section_prefs(ask: Ask) -> Node:
    """`GET /library/sections/N/prefs`."""
    return container([pref_node(pref) for pref in ask.house.prefs_of(ask.section().key).values()])


def edit_section(ask: Ask) -> Answer:
    """`PUT /library/sections/N?agent=&name=&prefs[ID]=`."""
    ask.owner_only()
    section, paths = ask.section(), locations_of(ask)
    ask.house.sections[section.key] = replace(
        section,
        title=ask.get("name") or section.title,
        agent=ask.get("agent") or section.agent,
        scanner=ask.get("scanner") or section.scanner,
        language=ask.get("language") or section.language,
        path=paths[0] if paths else section.path,
        more_paths=tuple(paths[1:]) if paths else section.more_paths,
    )
    change_section_prefs(ask, section.key)
    ask.house.changed(section.key)
    return DONE


def locations_of(ask: Ask) -> list[str]:
    """Return the folders a query names; one that the server cannot see is refused."""
    paths = [value for name, value in ask.params if name == "location"]
    if not set(paths) <= folders_of(ask.house):
        raise Refused(400)
    return paths


def change_section_prefs(ask: Ask, key: str) -> None:
    """Take over what `prefs[ID]=` says."""
    for id_, pref in ask.house.prefs_of(key).items():
        pref.set(ask.get(f"prefs[{id_}]", str(pref.value)))


def add_section(ask: Ask) -> Answer:
    """`POST /library/sections?name=&type=&location=&prefs[ID]=`: an empty library."""
    ask.owner_only()
    key = str(max((int(key) for key in ask.house.sections if key.isdigit()), default=0) + 1)
    if ask.get("type") not in {"movie", "show", "artist", "photo"} or not ask.get("name"):
        raise Refused(400)
    paths, made = locations_of(ask), make_section(key, ask.get("name"), ask.get("type"))
    ask.house.sections[key] = replace(
        made, agent=ask.get("agent") or made.agent, scanner=ask.get("scanner") or made.scanner,
        language=ask.get("language") or made.language, path=paths[0] if paths else made.path, more_paths=tuple(paths[1:]),
    )  # fmt: skip
    ask.house.scanned_at[key], ask.house.changed_at[key] = ask.house.now, 1
    change_section_prefs(ask, key)
    ask.house.changed(key)
    return Answer(status=201)


def delete_section(ask: Ask) -> Answer:
    """`DELETE /library/sections/N`: a library goes with everything in it; files stay."""
    ask.owner_only()
    section = ask.section()
    for item in [item for item in ask.house.items.values() if item.section == section.key]:
        if item.key in ask.house.items:  # it may have gone with its show
            ask.demo.delete_item(item.key)
    for row in [row for row in ask.house.collections.values() if row.section == section.key]:
        del ask.house.collections[row.key]
    del ask.house.sections[section.key]
    ask.house.refreshing.discard(section.key)
    ask.house.changed()
    return DONE


LEGACY_AGENTS = {"movie": ("com.plexapp.agents.imdb", "Plex Movie (Legacy)"), "show": ("com.plexapp.agents.thetvdb", "TheTVDB"),
                 "artist": ("com.plexapp.agents.lastfm", "Last.fm"), "photo": ("", "")}  # fmt: skip


def agent_prefs(ask: Ask) -> Node:
    """`GET /:/plugins/AGENT/prefs`: only the old agents have any."""
    if ask.args["agent"] not in {identifier for identifier, _ in LEGACY_AGENTS.values() if identifier}:
        raise Refused(404)
    country = Pref("country", "Country", "int", 46, 46, "", choices="0:None|24:Japan|46:United States")
    usage = Pref("usage", "Send anonymous data", "bool", default=True, value=False, group="")
    return container([pref_node(country), pref_node(usage)])


def agents(ask: Ask) -> Node:
    """`GET /system/agents?mediaType=`: those that the libraries use, and the old one of each type."""
    wanted = TYPE_NAMES.get(ask.number("mediaType"))
    used = {one.agent: one.type for one in ask.house.sections.values() if wanted in {None, one.type}}
    facts = {"hasPrefs": False, "hasAttribution": False, "primary": True}
    rows = [Node("Agent", {"name": f"Plex {kind.title()}", "identifier": name, **facts}) for name, kind in used.items()]
    rows += [
        Node("Agent", {"name": title, "identifier": identifier, **facts, "hasPrefs": True})
        for kind, (identifier, title) in LEGACY_AGENTS.items()
        if identifier and kind in used.values()
    ]
    return container(rows, size=len(rows), identifier="com.plexapp.system")


def candidates(ask: Ask) -> Node:
    """`GET /library/metadata/ID/matches?title=`: items of that title, or of that id elsewhere as `imdb-tt…`."""
    item = ask.item()
    wanted = ask.get("title", item.title).casefold()
    rows = [
        other
        for other in ask.house.in_section(item.section, item.type)
        if wanted in other.title.casefold() or wanted in {id_.replace("://", "-") for id_ in other.external_ids}
    ]
    return container([
        Node("SearchResult", {"guid": other.guid, "name": other.title, "score": 100, "year": other.year}) for other in rows
    ])  # fmt: skip


def albums(ask: Ask) -> Node:
    """`GET /library/sections/N/albums`."""
    return section_all(replace(ask, params=[*ask.params, ("type", str(TYPE_NUMBERS["album"]))]))


def flagged(ask: Ask) -> Node:
    """`GET /library/sections/N/unwatched` and its like: no choices, but what has the flag."""
    section, house = ask.section(), ask.house
    params = [*ask.params, (ask.args["flag"], "1")]
    return items_page(ask, select(house, ask.user, section.key, params, house.levels(section.key)[0]))


def timeline(ask: Ask) -> Node:
    """`GET /library/sections/N/timeline`: when the library changed last."""
    section = ask.section()
    items = ask.house.in_section(section.key, ask.house.levels(section.key)[0])
    newest = max((item.updated_at for item in items), default=0)
    return container(
        size=1, allowSync=False, art=f"/:/resources/{section.type}-fanart.jpg", content="secondary", identifier=frames.LIBRARY,
        latestEntryTime=max(newest, ask.house.scanned_at[section.key]), mediaTagPrefix="/system/bundle/media/flags/",
        mediaTagVersion=1700000000, thumb=f"/:/resources/{section.type}.png", title1=section.title, updateQueueSize=0,
        viewGroup="secondary", viewMode=65592,
    )  # fmt: skip


def part(ask: Ask) -> Answer:
    """`GET /library/parts/ID/STAMP/NAME`: every file holds the same few words."""
    if not any(media.id + PARTS == int(ask.args["id"]) for item in ask.house.items.values() for media in item.media):
        raise Refused(404)
    return Answer(b"Nothing to see here: the demo household has no media files.", media_type="application/octet-stream")


ROUTES = (
    ("POST", "/library/sections", add_section),
    ("DELETE", "/library/sections/{section}", delete_section),
    ("GET", "/:/plugins/{agent}/prefs", agent_prefs),
    ("GET", "/system/agents", agents),
    ("PUT", "/library/sections/{section}", edit_section),
    ("GET", "/library/sections/{section}/prefs", section_prefs),
    ("GET", "/library/sections/{section}/albums", albums),
    ("GET", "/library/sections/{section}/{flag:flag}", flagged),
    ("GET", "/library/sections/{section}/timeline", timeline),
    ("GET", "/library/parts/{id:number}/{stamp}/{file}", part),
    ("GET", "/library/metadata/{id}/matches", candidates),
)
