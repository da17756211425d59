"""Play queues: made, read, and changed as players and remote controls do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.ask import Refused
from plex_companion.demo.contents import leaves_of_uri
from plex_companion.demo.describe import item_node
from plex_companion.demo.house import PlayQueue
from plex_companion.demo.tree import Node, Value, container

if TYPE_CHECKING:
    from plex_companion.demo.ask import Ask


def queue_node(ask: Ask, queue: PlayQueue) -> Node:
    """A play queue with its items."""
    rows = []
    for number, key in queue.entries:
        if key in ask.house.items:
            node = item_node(ask.house, ask.user, ask.house.items[key])
            node.attributes["playQueueItemID"] = number
            rows.append(node)
    return container(rows, identifier="com.plexapp.plugins.library", mediaTagPrefix="/system/bundle/media/flags/",
                     playQueueID=queue.id, **_selected(queue), playQueueShuffled=queue.shuffled, playQueueSourceURI=queue.source,
                     playQueueTotalCount=len(rows), playQueueVersion=queue.version)  # fmt: skip


def _selected(queue: PlayQueue) -> dict[str, Value]:
    if not queue.entries:
        return {}
    number, key = queue.entries[queue.selected]
    return {"playQueueSelectedItemID": number, "playQueueSelectedItemOffset": queue.selected,
            "playQueueSelectedMetadataItemID": key}  # fmt: skip


def make_queue(ask: Ask) -> Node:
    """`POST /playQueues?uri=|playlistID=&key=`: what the uri holds, down to what can be played."""
    entries = _entries(ask)
    ask.house.next_queue += 1
    queue = PlayQueue(ask.house.next_queue, entries, _source(ask))
    wanted = ask.get("key").rpartition("/")[2]
    if ask.get("shuffle") == "1":
        _shuffle(ask, queue, wanted)
    queue.selected = next((n for n, (_, key) in enumerate(queue.entries) if key == wanted), 0)
    ask.house.play_queues[queue.id] = queue
    return queue_node(ask, queue)


def _shuffle(ask: Ask, queue: PlayQueue, first: str) -> None:
    """Put the entries in any order; what is to be played first stays in front."""
    ask.house.rng.shuffle(queue.entries)
    queue.entries.sort(key=lambda entry: entry[1] != first)
    queue.shuffled = True


def _source(ask: Ask) -> str:
    return f"/playlists/{ask.get('playlistID')}" if ask.get("playlistID") else ask.get("uri")


def _entries(ask: Ask) -> list[tuple[int, str]]:
    leaves = leaves_of_uri(ask.house, ask.user, _source(ask))
    if not leaves:
        raise Refused(400)
    first = ask.house.next_queue_item + 1
    ask.house.next_queue_item += len(leaves)
    return [(first + number, leaf.key) for number, leaf in enumerate(leaves)]


def _queue(ask: Ask) -> PlayQueue:
    number = int(ask.args["id"]) if ask.args["id"].isdigit() else -1
    if number not in ask.house.play_queues:
        raise Refused(404)
    return ask.house.play_queues[number]


def one_queue(ask: Ask) -> Node:
    """`GET /playQueues/ID`."""
    return queue_node(ask, _queue(ask))


def extend_queue(ask: Ask) -> Node:
    """`PUT /playQueues/ID?uri=|playlistID=&next=`: at the end, or after what is selected."""
    queue, added = _queue(ask), _entries(ask)
    place = queue.selected + 1 if ask.get("next") == "1" else len(queue.entries)
    return _rearranged(ask, queue, [*queue.entries[:place], *added, *queue.entries[place:]])


def move_in_queue(ask: Ask) -> Node:
    """`PUT /playQueues/ID/items/PID/move?after=PID`: to the front without `after`."""
    queue = _queue(ask)
    entry = _entry(ask, queue)
    rest = [other for other in queue.entries if other != entry]
    numbers, after = [number for number, _ in rest], ask.number("after", -1)
    place = numbers.index(after) + 1 if after in numbers else 0
    return _rearranged(ask, queue, [*rest[:place], entry, *rest[place:]])


def shorten_queue(ask: Ask) -> Node:
    """`DELETE /playQueues/ID/items/PID`."""
    queue = _queue(ask)
    entry = _entry(ask, queue)
    return _rearranged(ask, queue, [other for other in queue.entries if other != entry])


def empty_queue(ask: Ask) -> Node:
    """`DELETE /playQueues/ID/items`."""
    return _rearranged(ask, _queue(ask), [])


def _entry(ask: Ask, queue: PlayQueue) -> tuple[int, str]:
    for entry in queue.entries:
        if str(entry[0]) == ask.args["entry"]:
            return entry
    raise Refused(404)


def _rearranged(ask: Ask, queue: PlayQueue, entries: list[tuple[int, str]]) -> Node:
    """What was selected stays so while it is there."""
    selected = queue.entries[queue.selected] if queue.entries else None
    queue.entries, queue.version = entries, queue.version + 1
    queue.selected = entries.index(selected) if selected in entries else 0
    return queue_node(ask, queue)


ROUTES = (
    ("POST", "/playQueues", make_queue),
    ("GET", "/playQueues/{id}", one_queue),
    ("PUT", "/playQueues/{id}", extend_queue),
    ("PUT", "/playQueues/{id}/items/{entry}/move", move_in_queue),
    ("DELETE", "/playQueues/{id}/items/{entry}", shorten_queue),
    ("DELETE", "/playQueues/{id}/items", empty_queue),
)
