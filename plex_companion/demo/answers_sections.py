"""What a library is set to, and what settings pages ask about it: its agents, its name, how an item could be matched."""

from __future__ import annotations

from dataclasses import replace

from plex_companion.demo.answers_library import section_all
from plex_companion.demo.answers_server import pref_node
from plex_companion.demo.ask import DONE, Answer, Ask, Refused, items_page
from plex_companion.demo.describe import PARTS
from plex_companion.demo.household import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.query import select
from plex_companion.demo.tree import Node, container


def section_prefs(ask: Ask) -> Node:
    """`GET /library/sections/N/prefs`."""
    return container([pref_node(pref) for pref in ask.house.prefs_of(ask.section().key).values()])


def edit_section(ask: Ask) -> Answer:
    """`PUT /library/sections/N?agent=&name=&prefs[ID]=`."""
    ask.owner_only()
    section = ask.section()
    ask.house.sections[section.key] = replace(
        section,
        title=ask.get("name") or section.title,
        agent=ask.get("agent") or section.agent,
        scanner=ask.get("scanner") or section.scanner,
        language=ask.get("language") or section.language,
    )
    for id_, pref in ask.house.prefs_of(section.key).items():
        pref.set(ask.get(f"prefs[{id_}]", str(pref.value)))
    ask.house.changed(section.key)
    return DONE


def agents(ask: Ask) -> Node:
    """`GET /system/agents?mediaType=`: those that the libraries use."""
    wanted = TYPE_NAMES.get(ask.number("mediaType"))
    used = {one.agent: one.type for one in ask.house.sections.values() if wanted in {None, one.type}}
    facts = {"hasPrefs": False, "hasAttribution": False, "primary": True}
    rows = [Node("Agent", {"name": f"Plex {kind.title()}", "identifier": name, **facts}) for name, kind in used.items()]
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
    newest = max((item.updated_at for item in ask.house.in_section(section.key, section.type)), default=0)
    return container(latestEntryTime=newest, updateQueueSize=0, title1=section.title, viewGroup=section.type)


def part(ask: Ask) -> Answer:
    """`GET /library/parts/ID/STAMP/NAME`: every file holds the same few words."""
    if not any(media.id + PARTS == int(ask.args["id"]) for item in ask.house.items.values() for media in item.media):
        raise Refused(404)
    return Answer(b"Nothing to see here: the demo household has no media files.", media_type="application/octet-stream")


def managed_hubs(ask: Ask) -> Node:
    """`GET /hubs/sections/N/manage`: nobody has arranged any."""
    ask.section()
    return container()


ROUTES = (
    ("GET", "/system/agents", agents),
    ("PUT", "/library/sections/{section}", edit_section),
    ("GET", "/library/sections/{section}/prefs", section_prefs),
    ("GET", "/library/sections/{section}/albums", albums),
    ("GET", "/library/sections/{section}/{flag:flag}", flagged),
    ("GET", "/library/sections/{section}/timeline", timeline),
    ("GET", "/hubs/sections/{section}/manage", managed_hubs),
    ("GET", "/library/parts/{id:number}/{stamp}/{file}", part),
    ("GET", "/library/metadata/{id}/matches", candidates),
)
