"""Links, without any server: which one a name means, whose turn it is, and that two leave what each leaves alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import to_builtins
from support.evening import STRICT, Evening
from support.frames import Story, frame

from plex_companion.changes.alerts.server_rules import SERVER
from plex_companion.changes.kinds import Journaled
from plex_companion.changes.state import State
from plex_companion.companion import LinkedServer, ServerAmbiguous, ServerFound, ServerNotFound, find_link, require_link
from plex_companion.errors import NotFound
from plex_companion.events import Acknowledged, AlertKindMuted, Disconnected, ReceivedEvent, Tick
from plex_companion.ingest.batch import derive_batch
from plex_companion.ingest.live import Counters, Live
from plex_companion.ingest.queue import LEAST_SHARE, EventQueues
from plex_companion.models import Connection, Moment
from plex_companion.parsing.websocket_frames import parse_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIVE = Connection("live", 1)
SERVERS = tuple(
    LinkedServer(link, name, identifier, "1.43", LIVE)
    for link, name, identifier in (
        ("1", "Den", "AAA"),
        ("2", "Cabin", "bbb"),
        ("3", "cabin", "ccc"),
        ("4", None, "ddd"),
        ("5", None, None),
        ("6", "bbb", "eee"),
    )
)


@pytest.mark.parametrize(
    ("text", "link"), [("Den", "1"), (" dEN ", "1"), ("aaa", "1"), ("BBB", "2"), ("ddd", "4"), ("eee", "6")]
)
def test_a_server_is_found_by_identifier_or_name_in_whatever_case(text: str, link: str) -> None:
    assert find_link(SERVERS, text) == ServerFound(SERVERS[int(link) - 1])


def test_a_name_of_two_servers_is_ambiguous() -> None:
    assert find_link(SERVERS, "CABIN") == ServerAmbiguous(SERVERS[1:3])


@pytest.mark.parametrize("text", ["", "attic", "none"])
def test_a_name_of_no_server_comes_with_what_each_there_is_alone_called(text: str) -> None:
    found = find_link(SERVERS, text)
    assert found == ServerNotFound(("Den", "bbb", "ccc", "ddd", "eee"), unreached=1)
    assert [find_link(SERVERS, name) for name in found.available] == [
        ServerFound(link) for link in SERVERS if link.machine_identifier
    ]


@pytest.mark.parametrize(
    ("links", "words"),
    [
        (SERVERS[:2], "There is no server 'attic'. Servers: Den, Cabin."),
        (SERVERS[3:5], "There is no server 'attic'. Servers: ddd. Of 1 more it is not known yet how it is called."),
        (SERVERS[4:5], "There is no server 'attic'. Servers: none yet."),
    ],
)
def test_a_server_that_was_never_reached_is_not_said_to_be_missing(links: Sequence[LinkedServer], words: str) -> None:
    with pytest.raises(NotFound) as refused:
        require_link(links, "attic")
    assert refused.value.message == words


def say(count: int) -> list[ReceivedEvent]:
    return [ReceivedEvent(event, Moment(n, n)) for n in range(count) for event in parse_frame(frame("progress", {}))]


def count_by_link(drained: Mapping[str, Sequence[ReceivedEvent]]) -> dict[str, int]:
    return {link: len(some) for link, some in drained.items()}


async def test_events_of_a_quiet_link_wait_for_few_of_one_that_floods_and_leave_it_every_second_batch() -> None:
    queues = EventQueues("abc", 1_000, Counters())
    await queues.by_link["a"].put(say(900))
    assert count_by_link(await queues.drain(500)) == {"a": LEAST_SHARE}
    await queues.by_link["b"].put(say(3))
    assert count_by_link(await queues.drain(500)) == {"b": 3}
    await queues.by_link["b"].put(say(2))
    assert count_by_link(await queues.drain(500)) == {"b": 2, "a": LEAST_SHARE}
    assert len(queues) == 900 - 2 * LEAST_SHARE


async def test_links_that_all_flood_have_the_same_share() -> None:
    queues = EventQueues("abc", 1_000, Counters())
    for link in "ab":
        await queues.by_link[link].put(say(90))
    assert count_by_link(await queues.drain(40)) == {"a": 20, "b": 20}
    assert count_by_link(await queues.drain(500)) == {"a": LEAST_SHARE, "b": LEAST_SHARE}


async def test_the_only_link_has_the_whole_batch() -> None:
    queues = EventQueues("a", 1_000, Counters())
    await queues.first.put(say(900))
    assert count_by_link(await queues.drain(500)) == {"a": 500}


async def test_a_slow_disk_makes_batches_longer() -> None:
    queues = EventQueues("ab", 10_000, Counters())
    await queues.by_link["a"].put(say(1_500))
    for _ in range(20):
        queues.fit_share(0.02)
    assert count_by_link(await queues.drain(500)) == {"a": queues.share}
    assert queues.share > 4 * LEAST_SHARE
    for _ in range(20):
        queues.fit_share(0.0001)
    assert count_by_link(await queues.drain(500)) == {"a": LEAST_SHARE}


async def test_every_link_has_its_turn_where_there_are_more_links_than_places() -> None:
    names = [str(n) for n in range(20)]
    queues = EventQueues(names, 10, Counters())
    for queue in queues.by_link.values():
        await queue.put(say(2))
    assert {len(some) for some in (await queues.drain(5)).values()} == {1}
    queues.put_back({"3": say(1)})
    assert len(queues.by_link["3"]) == 2


def strip_ids(value: Any) -> Any:
    """Leave out the numbers of rows, which both servers count together."""
    match value:
        case dict():
            numbers = {"id", "play_id", "mark_id", "alert_id"}
            return {name: strip_ids(inner) for name, inner in value.items() if name not in numbers}
        case list() | tuple():
            return [strip_ids(inner) for inner in value]
        case _:
            return value


BY_NUMBER = ("last_play_events", "milestones", "ended_plays", "pending_media")
"""The tables whose keys are numbers of rows."""


def describe(state: State) -> Any:
    """Everything in a state but the numbers of rows."""
    alike = {name: getattr(state, name) for name in State.__dataclass_fields__ if name not in {"ids", *BY_NUMBER}}
    by_number = {name: list(getattr(state, name).values()) for name in BY_NUMBER}
    return strip_ids(to_builtins({**by_number, **{name: readable(value) for name, value in alike.items()}}))


def readable(value: Any) -> Any:
    """A table as pairs: its keys may be tuples."""
    if isinstance(value, dict):
        return [[list(key) if isinstance(key, tuple) else key, inner] for key, inner in value.items()]
    return list(value) if hasattr(value, "appendleft") else value


def pick(told: list[ReceivedEvent], count: int) -> list[ReceivedEvent]:
    taken = told[:count]
    del told[:count]
    return taken


@pytest.mark.parametrize("seed", range(20))
async def test_two_links_interleaved_leave_what_each_leaves_alone(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    told = {"a": Evening(seed).tell(300), "b": Evening(seed + 1_000).tell(300)}
    alone = {link: await tell_alone(some) for link, some in told.items()}
    live, numbers = Live(Story(connected=False).state, STRICT, links=("a", "b")), list[int]()
    while any(told.values()):
        batch = {link: pick(some, dice.choice((0, 1, 3, 20))) for link, some in told.items()}
        applied = await derive_batch({link: some for link, some in batch.items() if some}, live, None)
        live.publish(applied.states)
        numbers += [one.id for some in applied.changes.values() for one in some if isinstance(one, Journaled)]
    assert {link: describe(state) for link, state in live.states.items()} == alone
    assert numbers == list(range(1, len(numbers) + 1)), "one count for both"
    plays = [session.play_id for state in live.states.values() for session in state.sessions.values()]
    assert len(plays) == len(set(plays))


async def tell_alone(told: Sequence[ReceivedEvent]) -> Any:
    live = Live(Story(connected=False).state, STRICT)
    for received in told:
        live.publish((await derive_batch({"": [received]}, live, None)).states)
    return describe(live.state)


async def test_an_acknowledgement_reaches_the_server_of_its_alert() -> None:
    live = Live(Story(connected=False).state, links=("a", "b"))
    told = {link: Evening(1).tell(2) for link in "ab"}
    live.publish((await derive_batch(told, live, None)).states)
    late = Evening(1).now
    lost = ReceivedEvent(Disconnected("reset"), late)
    live.publish((await derive_batch({"b": [lost]}, live, None)).states)
    alert = live.states["b"].alerts["connection_lost", SERVER]
    said = [ReceivedEvent(Acknowledged(alert.id), late), ReceivedEvent(Tick(), late)]
    applied = await derive_batch({"a": said}, live, None)
    known = applied.states["b"].alerts["connection_lost", SERVER]
    assert known.acknowledged_at == late.at


async def test_a_kind_of_alert_is_muted_for_every_server() -> None:
    live = Live(Story(connected=False).state, links=("a", "b"))
    muted = ReceivedEvent(AlertKindMuted("buffering", muted=True), Evening(1).now)
    applied = await derive_batch({"a": [muted]}, live, None)
    assert {link: set(state.muted_kinds) for link, state in applied.states.items()} == {
        "a": {"buffering"}, "b": {"buffering"},
    }  # fmt: skip
