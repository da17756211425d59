"""Play queues: made, read, and changed as players and remote controls do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.contents import resolve_uri_leaves
from plex_companion.demo.nodes.describe import build_item_node
from plex_companion.demo.nodes.tree import Node, Value, build_container
from plex_companion.demo.request import HttpRefusal
from plex_companion.demo.server_state import PlayQueue

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest


def build_queue_node(ask: DemoRequest, queue: PlayQueue) -> Node:
    """A play queue with its items."""
    rows = []
    for number, key in queue.entries:
        if key in ask.state.items:
            node = build_item_node(ask.state, ask.user, ask.state.items[key])
            node.attributes["playQueueItemID"] = number
            rows.append(node)
    return build_container(rows, identifier="com.plexapp.plugins.library", mediaTagPrefix="/system/bundle/media/flags/",
                     playQueueID=queue.id, **_find_selected(queue), playQueueShuffled=queue.shuffled, playQueueSourceURI=queue.source,
                     playQueueTotalCount=len(rows), playQueueVersion=queue.version)  # fmt: skip


def _find_selected(queue: PlayQueue) -> dict[str, Value]:
    if not queue.entries:
        return {}
    number, key = queue.entries[queue.selected]
    return {"playQueueSelectedItemID": number, "playQueueSelectedItemOffset": queue.selected,
            "playQueueSelectedMetadataItemID": key}  # fmt: skip


def make_queue(ask: DemoRequest) -> Node:
    """`POST /playQueues?uri=|playlistID=&key=`: what the uri holds, down to what can be played."""
    entries = _list_entries(ask)
    ask.state.next_queue += 1
    queue = PlayQueue(ask.state.next_queue, entries, _read_source(ask))
    wanted = ask.get("key").rpartition("/")[2]
    if ask.get("shuffle") == "1":
        _shuffle(ask, queue, wanted)
    queue.selected = next((n for n, (_, key) in enumerate(queue.entries) if key == wanted), 0)
    ask.state.play_queues[queue.id] = queue
    return build_queue_node(ask, queue)


def _shuffle(ask: DemoRequest, queue: PlayQueue, first: str) -> None:
    """Put the entries in any order; what is to be played first stays in front."""
    ask.state.rng.shuffle(queue.entries)
    queue.entries.sort(key=lambda entry: entry[1] != first)
    queue.shuffled = True


def _read_source(ask: DemoRequest) -> str:
    return f"/playlists/{ask.get('playlistID')}" if ask.get("playlistID") else ask.get("uri")


def _list_entries(ask: DemoRequest) -> list[tuple[int, str]]:
    leaves = resolve_uri_leaves(ask.state, ask.user, _read_source(ask))
    if not leaves:
        raise HttpRefusal(400)
    first = ask.state.next_queue_item + 1
    ask.state.next_queue_item += len(leaves)
    return [(first + number, leaf.key) for number, leaf in enumerate(leaves)]


def _find_queue(ask: DemoRequest) -> PlayQueue:
    number = int(ask.args["id"]) if ask.args["id"].isdigit() else -1
    if number not in ask.state.play_queues:
        raise HttpRefusal(404)
    return ask.state.play_queues[number]


def get_queue(ask: DemoRequest) -> Node:
    """`GET /playQueues/ID`."""
    return build_queue_node(ask, _find_queue(ask))


def extend_queue(ask: DemoRequest) -> Node:
    """`PUT /playQueues/ID?uri=|playlistID=&next=`: at the end, or after what is selected."""
    queue, added = _find_queue(ask), _list_entries(ask)
    place = queue.selected + 1 if ask.get("next") == "1" else len(queue.entries)
    return _rearrange(ask, queue, [*queue.entries[:place], *added, *queue.entries[place:]])


def move_in_queue(ask: DemoRequest) -> Node:
    """`PUT /playQueues/ID/items/PID/move?after=PID`: to the front without `after`."""
    queue = _find_queue(ask)
    entry = _find_entry(ask, queue)
    rest = [other for other in queue.entries if other != entry]
    numbers, after = [number for number, _ in rest], ask.get_number("after", -1)
    place = numbers.index(after) + 1 if after in numbers else 0
    return _rearrange(ask, queue, [*rest[:place], entry, *rest[place:]])


def shorten_queue(ask: DemoRequest) -> Node:
    """`DELETE /playQueues/ID/items/PID`."""
    queue = _find_queue(ask)
    entry = _find_entry(ask, queue)
    return _rearrange(ask, queue, [other for other in queue.entries if other != entry])


def empty_queue(ask: DemoRequest) -> Node:
    """`DELETE /playQueues/ID/items`."""
    return _rearrange(ask, _find_queue(ask), [])


def _find_entry(ask: DemoRequest, queue: PlayQueue) -> tuple[int, str]:
    for entry in queue.entries:
        if str(entry[0]) == ask.args["entry"]:
            return entry
    raise HttpRefusal(404)


def _rearrange(ask: DemoRequest, queue: PlayQueue, entries: list[tuple[int, str]]) -> Node:
    """What was selected stays so while it is there."""
    selected = queue.entries[queue.selected] if queue.entries else None
    queue.entries, queue.version = entries, queue.version + 1
    queue.selected = entries.index(selected) if selected in entries else 0
    return build_queue_node(ask, queue)


ROUTES = (
    ("POST", "/playQueues", make_queue),
    ("GET", "/playQueues/{id}", get_queue),
    ("PUT", "/playQueues/{id}", extend_queue),
    ("PUT", "/playQueues/{id}/items/{entry}/move", move_in_queue),
    ("DELETE", "/playQueues/{id}/items/{entry}", shorten_queue),
    ("DELETE", "/playQueues/{id}/items", empty_queue),
)
