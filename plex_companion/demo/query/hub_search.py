"""The tags that a search finds: hubs of genres, directors and actors, with each tag once for every library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.household.model import LEVELS, TYPE_NUMBERS
from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.query.filtering import FieldReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.demo.household.model import DemoSection, DemoUser
    from plex_companion.demo.server_state import ServerState

# (hub, title, kind of tag, its filter, its number)
HUBS = (("genre", "Genres", "Genre", "genre", 1), ("director", "Directors", "Director", "director", 4),
        ("actor", "Actors", "Role", "actor", 6))  # fmt: skip


def build_tag_hubs(server: ServerState, user: DemoUser, query: str, limit: int, section: str) -> list[Node]:
    """Build a hub for every kind of tag, empty ones too."""
    return [_build_tag_hub(server, user, row, query, limit, section) for row in HUBS]


def _build_tag_hub(
    server: ServerState, user: DemoUser, row: tuple[str, str, str, str, int], query: str, limit: int, section: str
) -> Node:
    identifier, title, kind, field, number = row
    hits = sorted(_count_tags(server, user, kind, query, section), key=lambda hit: (hit[1].casefold(), hit[0].key))[
        :limit
    ]
    nodes = [_build_tag_node(server, where, tag, count, kind, field, number) for where, tag, count in hits]
    return Node("Hub", {"hubKey": "", "key": "", "title": title, "type": identifier, "hubIdentifier": identifier,
                        "context": f"hub.search.{identifier}", "size": len(nodes), "more": False, "style": "shelf"}, nodes)  # fmt: skip


def _count_tags(
    server: ServerState, user: DemoUser, kind: str, query: str, section: str
) -> Iterator[tuple[DemoSection, str, int]]:
    """Yield each tag that contains the query, by library, with the number of its items."""
    reader = FieldReader(server, user)
    for key, found in server.sections.items():
        if not query or section not in {"", key}:
            continue
        sums: dict[str, int] = {}
        for item in server.list_section(key, LEVELS[found.type][0]):
            for tag in set(reader.list_tags(item, kind)):
                if query in tag.casefold():
                    sums[tag] = sums.get(tag, 0) + 1
        yield from ((found, tag, count) for tag, count in sums.items())


def _build_tag_node(
    server: ServerState, where: DemoSection, tag: str, count: int, kind: str, field: str, number: int
) -> Node:
    id_ = server.get_tag_id(kind, tag)
    path = f"/library/sections/{where.key}"
    return Node("Directory", {
        "key": f"{path}/all?{field}={id_}", "librarySectionID": where.key, "librarySectionKey": path,
        "librarySectionTitle": where.title, "librarySectionType": TYPE_NUMBERS[LEVELS[where.type][0]], "reason": "section",
        "reasonID": where.key, "reasonTitle": where.title, "score": 1.0, "type": "tag", "id": id_, "filter": f"{field}={id_}",
        "tag": tag, "tagType": number, "tagKey": f"demo{id_:08x}" if kind == "Role" else None, "count": count,
    })  # fmt: skip
