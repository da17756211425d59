"""Play queues: created, read, and changed as players and remote controls do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.contents import resolve_uri_leaves
from plex_companion.demo.nodes.describe import build_item_node
from plex_companion.demo.nodes.tree import Node, Value, build_container
from plex_companion.demo.request import HttpRefusal
from plex_companion.demo.server_state import PlayQueue

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest


def build_queue_node(request: DemoRequest, queue: PlayQueue) -> Node:
    """Build a play queue with its items."""
    rows = []
    for number, key in queue.entries:
        if key in request.state.items:
            node = build_item_node(request.state, request.user, request.state.items[key])
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


def create_queue(request: DemoRequest) -> Node:
    """Answer `POST /playQueues?uri=|playlistID=&key=`: a queue of the playable items of the uri."""
    entries = _list_entries(request)
    request.state.next_queue += 1
    queue = PlayQueue(request.state.next_queue, entries, _read_source(request))
    requested = request.get("key").rpartition("/")[2]
    if request.get("shuffle") == "1":
        _shuffle(request, queue, requested)
    queue.selected = next((n for n, (_, key) in enumerate(queue.entries) if key == requested), 0)
    request.state.play_queues[queue.id] = queue
    return build_queue_node(request, queue)


def _shuffle(request: DemoRequest, queue: PlayQueue, first: str) -> None:
    """Shuffle the entries, but keep `first` in front."""
    request.state.rng.shuffle(queue.entries)
    queue.entries.sort(key=lambda entry: entry[1] != first)
    queue.shuffled = True


def _read_source(request: DemoRequest) -> str:
    return f"/playlists/{request.get('playlistID')}" if request.get("playlistID") else request.get("uri")


def _list_entries(request: DemoRequest) -> list[tuple[int, str]]:
    if not (leaves := resolve_uri_leaves(request.state, request.user, _read_source(request))):
        raise HttpRefusal(400)
    first = request.state.next_queue_item + 1
    request.state.next_queue_item += len(leaves)
    return [(first + number, leaf.key) for number, leaf in enumerate(leaves)]


def _find_queue(request: DemoRequest) -> PlayQueue:
    number = int(request.args["id"]) if request.args["id"].isdigit() else -1
    if number not in request.state.play_queues:
        raise HttpRefusal(404)
    return request.state.play_queues[number]


def get_queue(request: DemoRequest) -> Node:
    """Answer `GET /playQueues/ID`."""
    return build_queue_node(request, _find_queue(request))


def add_to_queue(request: DemoRequest) -> Node:
    """Answer `PUT /playQueues/ID?uri=|playlistID=&next=`: add at the end, or with `next` after the selected entry."""
    queue, added = _find_queue(request), _list_entries(request)
    place = queue.selected + 1 if request.get("next") == "1" else len(queue.entries)
    return _replace_entries(request, queue, [*queue.entries[:place], *added, *queue.entries[place:]])


def move_in_queue(request: DemoRequest) -> Node:
    """Answer `PUT /playQueues/ID/items/PID/move?after=PID`. Without `after` the entry moves to the front."""
    queue = _find_queue(request)
    entry = _find_entry(request, queue)
    rest = [other for other in queue.entries if other != entry]
    numbers, after = [number for number, _ in rest], request.get_number("after", -1)
    place = numbers.index(after) + 1 if after in numbers else 0
    return _replace_entries(request, queue, [*rest[:place], entry, *rest[place:]])


def remove_from_queue(request: DemoRequest) -> Node:
    """Answer `DELETE /playQueues/ID/items/PID`."""
    queue = _find_queue(request)
    entry = _find_entry(request, queue)
    return _replace_entries(request, queue, [other for other in queue.entries if other != entry])


def empty_queue(request: DemoRequest) -> Node:
    """Answer `DELETE /playQueues/ID/items`."""
    return _replace_entries(request, _find_queue(request), [])


def _find_entry(request: DemoRequest, queue: PlayQueue) -> tuple[int, str]:
    for entry in queue.entries:
        if str(entry[0]) == request.args["entry"]:
            return entry
    raise HttpRefusal(404)


def _replace_entries(request: DemoRequest, queue: PlayQueue, entries: list[tuple[int, str]]) -> Node:
    """Replace the entries. The selected one stays selected if it is still there."""
    selected = queue.entries[queue.selected] if queue.entries else None
    queue.entries, queue.version = entries, queue.version + 1
    queue.selected = entries.index(selected) if selected in entries else 0
    return build_queue_node(request, queue)


ROUTES = (
    ("POST", "/playQueues", create_queue),
    ("GET", "/playQueues/{id}", get_queue),
    ("PUT", "/playQueues/{id}", add_to_queue),
    ("PUT", "/playQueues/{id}/items/{entry}/move", move_in_queue),
    ("DELETE", "/playQueues/{id}/items/{entry}", remove_from_queue),
    ("DELETE", "/playQueues/{id}/items", empty_queue),
)
