"""Entries as bytes, and what becomes of those that cannot be appended, committed, read or applied."""

from __future__ import annotations

import json
import sqlite3
import zlib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.chronicle_leader import Household, MemoryLog, lead, read_tables
from support.frames import DEN, START

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.database import Cache, StorageError, open_cache
from plex_companion.cache.forwarded_events import read_stored, write_forwarded
from plex_companion.cache.leadership import LeaderCommit, LeadershipLost, LeaderStatus, RemoteId, TouchedUris
from plex_companion.cache.load import load_committed
from plex_companion.cache.replication.entry import EncodedEntry, Entry, EntryWaits
from plex_companion.cache.replication.position import AS_IT_WAS, EMPTY, begin_log, compute_digest
from plex_companion.cache.replication.registry import NAMED_WRITES
from plex_companion.cache.replication.replay import Replay
from plex_companion.changes.kinds import Journaled, PlaysImported, ServerSeen
from plex_companion.chronicle.entries import FORMAT, build_entry_log, decode_entry, decode_logged, encode_entry
from plex_companion.errors import EntryMissing, EntryNewer, EntryUnreadable
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.models import ImportedPlay, Item, Moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.cache.replication.entry import Append

SCHEMA = 99
SAMPLES = Path(__file__).with_name("entries_format_1.json")
NOW = Moment(START, 1_000_000)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        yield cache


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "other.sqlite3") as cache:
        yield cache


def row(number: int) -> Journaled:
    return Journaled(number, START, "playing", None, "playing", "{}")


def connect_log(cache: Cache, log: MemoryLog) -> None:
    cache.entry_log = build_entry_log(log, cache.schema)


def connect_log_again(cache: Cache, append: Append) -> None:
    """Replace the way to the log, and leave what waits."""
    assert cache.entry_log is not None
    cache.entry_log.append = append


def touch(*uris: str, term: int | None = None) -> LeaderCommit:
    return LeaderCommit(START, term, TouchedUris(set(uris)))


async def count_events(cache: Cache) -> int:
    ((count,),) = await cache.reader.execute_fetchall("SELECT count(*) FROM events")
    return int(count)


# Bytes


def test_an_entry_is_the_same_after_it_was_bytes() -> None:
    call = NAMED_WRITES["acknowledge"].call({"id": 7, "at": START})
    entry = Entry(
        START,
        [call],
        TouchedUris({"plex://alerts"}, {"plex://sessions"}, listing=True),
        {"events": {"a": 1}},
        ["digest"],
    )
    assert decode_entry(encode_entry(entry, SCHEMA), SCHEMA) == entry


def test_an_entry_names_its_writes_and_has_no_sql() -> None:
    entry = Entry(START, [NAMED_WRITES["acknowledge"].call({"id": 7, "at": START})])
    _, _, packed = encode_entry(entry, SCHEMA).partition(b"\n")
    text = zlib.decompress(packed).decode()
    assert json.loads(text)["calls"] == [["acknowledge", {"id": 7, "at": START}]]
    assert "UPDATE" not in text


def build_body(**more: Any) -> bytes:
    body = {"schema": SCHEMA, "at": START, "calls": [], "immediate": [], **more}
    return b"plex-companion entry 1\n" + zlib.compress(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        (b"plex-companion entry 2\n?", "has format 2, this version knows 1"),
        (build_body(schema=SCHEMA + 1), "was written with schema 100, this version knows 99"),
        (build_body(calls=[["levitate", {}]]), "has a write 'levitate', which this version does not know"),
    ],
)
def test_an_entry_of_a_newer_version_is_refused(encoded: bytes, words: str) -> None:
    with pytest.raises(EntryNewer, match=words) as raised:
        decode_entry(encoded, SCHEMA)
    assert raised.value.message.endswith("Update plex-companion on this machine.")


def test_an_entry_of_an_older_schema_is_read() -> None:
    assert decode_entry(build_body(schema=1), SCHEMA).calls == []


WHOLE = build_body()


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x00" * 40,
        b"plex-companion entry one\n",
        b"plex-companion entry 1",
        WHOLE[:-3],
        WHOLE[:30] + b"\xff" + WHOLE[31:],
        b"plex-companion entry 1\n" + zlib.compress(b"[1, 2"),
        b"plex-companion entry 1\n" + zlib.compress(b'{"at": 1}'),
        b"plex-companion entry 1\n" + zlib.compress(b"\xff\xfe"),
    ],
)
def test_garbage_is_no_entry(encoded: bytes) -> None:
    with pytest.raises(EntryUnreadable, match=r"An entry of the chronicle cannot be read: .+\."):
        decode_entry(encoded, SCHEMA)


@pytest.mark.parametrize(
    "call",
    [
        ["upsert", {"table": "sqlite_schema", "rows": [{"name": "x"}]}],
        ["upsert", {"table": "events", "rows": [{"id) VALUES (1); --": 1}]}],
        ["clear_table", {"table": "plays WHERE 1; --", "server": "x"}],
        ["journal", {"columns": ["id", "a = 1; --"], "rows": [[1, 2]]}],
    ],
)
async def test_names_of_tables_and_columns_are_no_sql(cache: Cache, call: list[Any]) -> None:
    entry = decode_logged(1, build_body(calls=[call]), SCHEMA)
    with pytest.raises(EntryUnreadable, match="Entry 1 of the chronicle cannot be applied: no such table or column"):
        await Replay(1).apply(cache, [entry])


@pytest.mark.parametrize("call", [["upsert", {}], ["prune", 7], ["journal", {"columns": ["id"], "rows": [7]}]])
async def test_a_write_with_other_arguments_than_it_takes_is_refused(cache: Cache, call: list[Any]) -> None:
    entry = decode_logged(1, build_body(calls=[call]), SCHEMA)
    with pytest.raises((EntryUnreadable, StorageError)):
        await Replay(1).apply(cache, [entry])
    assert (await cache.read_position()).number == EMPTY


async def test_entries_of_format_1_can_be_applied_for_ever(cache: Cache) -> None:
    """What was logged by an older version: a write that takes other arguments now must take these too."""
    samples = json.loads(SAMPLES.read_text(encoding="utf-8"))
    names = {name for sample in samples for name, _ in sample["calls"]}
    assert names == NAMED_WRITES.keys(), "a write that is new needs a sample; one that is old is never removed"
    entries = [
        decode_logged(number, b"plex-companion entry 1\n" + zlib.compress(json.dumps(sample).encode()), cache.schema)
        for number, sample in enumerate(samples, 1)
    ]
    assert (await Replay(1).apply(cache, entries)).number == len(samples)


# Appending


async def test_what_changes_nothing_is_not_appended(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog())
    await cache.write([], "unknown", START)
    await cache.write([], "unknown", START, LeaderCommit(START, None))
    assert log.entries == []
    assert (await cache.read_position()).number == EMPTY


async def test_an_import_of_what_is_known_takes_no_ids_that_other_machines_do_not_take(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog())
    item = Item("7001", "/library/metadata/7001", type="movie", title="Film")
    for play_id in (1, 2):
        await cache.write([PlaysImported((ImportedPlay(play_id, "/status/1", START, item),), None)], "unknown", START)
    assert len(log.entries) == 1
    taken = await cache.reader.execute_fetchall("SELECT seq FROM sqlite_sequence WHERE name = 'plays'")
    assert [tuple(row) for row in taken] == [(1,)]


async def test_a_transaction_that_cannot_be_written_is_not_appended(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog())
    with pytest.raises(sqlite3.IntegrityError):
        await cache.write([row(1)], "a server that is not known", START)
    assert log.entries == []
    assert cache.entry_log is not None
    assert not cache.entry_log.has_waiting
    await cache.write([row(1)], "unknown", START)
    assert len(log.entries) == 1


async def test_of_a_term_that_is_over_nothing_is_appended(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog())
    for _ in range(2):  # each begins a term
        await cache.write([row(1)], "unknown", START, LeaderCommit(START, None, status=LeaderStatus(1, {})))
    with pytest.raises(LeadershipLost):
        await cache.write([row(2)], "unknown", START, touch(term=1))
    assert (len(log.entries), await count_events(cache)) == (2, 1)


async def test_a_transaction_that_could_not_be_appended_is_appended_before_any_other(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog(refused=1))
    with pytest.raises(EntryWaits):
        await cache.write([row(1)], "unknown", START)
    with pytest.raises(StorageError) as raised:
        await cache.write([row(2)], "unknown", START)
    assert not isinstance(raised.value, EntryWaits), "of this one nothing is kept"
    assert await count_events(cache) == 0
    log.refused = 0
    await cache.write([row(2)], "unknown", START)
    assert (len(log.entries), await count_events(cache), (await cache.read_position()).number) == (2, 2, 2)


async def test_a_transaction_whose_answer_is_lost_is_in_the_log_once(cache: Cache, other: Cache) -> None:
    connect_log(cache, log := MemoryLog(unanswered=1))
    for _ in range(3):
        with pytest.raises(StorageError):
            await cache.write([row(1)], "unknown", START)
    log.unanswered = 0
    await cache.settle()
    await cache.settle()
    assert (len(log.entries), await count_events(cache)) == (1, 1)
    await Replay(1).apply(other, log.list_after(0, other.schema))
    assert await other.read_position() == await cache.read_position()


async def test_an_entry_that_is_in_the_log_is_committed_later_if_it_cannot_be_now(cache: Cache) -> None:
    log = MemoryLog()

    def refuse_commits(connection: sqlite3.Connection) -> None:
        def authorize(action: int, what: str | None, *_: object) -> int:
            refused = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
            return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

        connection.set_authorizer(authorize)

    async def append(entry: EncodedEntry) -> int:
        number = await log(entry)
        await run_in_thread(cache.writer, refuse_commits)
        return number

    cache.entry_log = build_entry_log(append, cache.schema)
    with pytest.raises(EntryWaits, match="not authorized"):
        await cache.write([row(1)], "unknown", START)
    assert (len(log.entries), await count_events(cache)) == (1, 0)
    connect_log_again(cache, log)
    await run_in_thread(cache.writer, lambda connection: connection.set_authorizer(None))
    await cache.settle()
    assert (len(log.entries), await count_events(cache), (await cache.read_position()).number) == (1, 1, 1)


async def test_when_another_process_appends_what_waits_is_dropped(cache: Cache) -> None:
    async def append(entry: EncodedEntry) -> int:
        raise LeadershipLost(entry.name)

    connect_log(cache, MemoryLog(refused=1))
    with pytest.raises(EntryWaits):
        await cache.write([row(1)], "unknown", START)
    connect_log_again(cache, append)
    with pytest.raises(LeadershipLost):
        await cache.write([row(2)], "unknown", START)
    assert cache.entry_log is not None
    assert not cache.entry_log.has_waiting
    assert await count_events(cache) == 0


async def test_events_that_other_machines_forwarded_are_answered_even_where_nothing_follows(cache: Cache) -> None:
    connect_log(cache, log := MemoryLog())
    await cache.write([], "unknown", START, LeaderCommit(START, None, received_ids=(3, RemoteId(8), RemoteId(9))))
    assert [entry.remote_ids for entry in log.entries] == [(8, 9)]


async def test_the_first_transaction_may_wait_and_later_ones_belong_to_its_term(cache: Cache) -> None:
    log = MemoryLog(refused=1)
    leader, household = await lead(cache, log), Household(1)
    batches = household.tell()
    assert leader.live.storage == "degraded"
    await leader.handle(next(batches))
    log.refused = 0
    await leader.handle(next(batches))
    assert (leader.live.storage, leader.live.unwritten, leader.record.term) == ("ok", {}, 1)
    assert await cache.read_term() == 1


async def test_what_waits_is_appended_with_the_next_tick_though_nothing_happens(cache: Cache) -> None:
    log = MemoryLog()
    leader, household = await lead(cache, log), Household(1)
    for batch in islice(household.tell(), 4):
        await leader.handle(batch)
    log.refused = 1
    await leader.handle({"": [ReceivedEvent(Audit("media_edit", "done", {}), NOW)]})
    assert leader.live.storage == "degraded"
    written = len(log.entries)
    log.refused = 0
    await leader.handle({"": []})
    assert (len(log.entries), leader.live.storage) == (written + 1, "ok")


# Applying


async def write_log(cache: Cache, count: int = 4) -> MemoryLog:
    """A log of as many entries: the server, then a row of the journal each."""
    connect_log(cache, log := MemoryLog())
    await cache.write([ServerSeen(DEN)], "unknown", START, touch())
    for number in range(1, count):
        await cache.write([row(number)], DEN.machine_identifier, START, touch(f"plex://events/{number}"))
    return log


async def test_an_entry_that_was_applied_already_changes_nothing(cache: Cache, other: Cache, tmp_path: Path) -> None:
    log = await write_log(cache)
    replay, entries = Replay(1), log.list_after(0, other.schema)
    await replay.apply(other, entries)
    before = read_tables(tmp_path / "other.sqlite3")
    announced = (await load_committed(other, NOW, 0)).announcements.last_id
    assert (await replay.apply(other, entries[1:3])).number == 4
    assert read_tables(tmp_path / "other.sqlite3") == before
    assert (await load_committed(other, NOW, 0)).announcements.last_id == announced


async def test_a_gap_in_the_log_is_refused_with_both_numbers(cache: Cache, other: Cache) -> None:
    log = await write_log(cache)
    first, _, *rest = log.list_after(0, other.schema)
    replay = Replay(1)
    await replay.apply(other, [first])
    with pytest.raises(
        EntryMissing, match="has applied entry 1 of the chronicle and needs 2, but the next one there is 3"
    ):
        await replay.apply(other, rest)
    assert await count_events(other) == 0


async def test_an_entry_is_applied_whole_or_not_at_all(cache: Cache, other: Cache) -> None:
    log = await write_log(cache)
    first, *rest = log.list_after(0, other.schema)
    full = "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.id = 3 BEGIN SELECT raise(ABORT, 'full'); END"
    await other.transact(lambda connection: connection.execute(full))
    replay = Replay(1)
    await replay.apply(other, [first])
    with pytest.raises(StorageError, match="full"):
        await replay.apply(other, rest)
    assert (await count_events(other), (await other.read_position()).number) == (0, 1)
    await other.transact(lambda connection: connection.execute("DROP TRIGGER full"))
    await replay.apply(other, rest)
    assert (await count_events(other), (await other.read_position()).number) == (3, 4)


async def test_processes_that_follow_on_another_machine_see_what_those_of_the_leader_see(
    cache: Cache, other: Cache
) -> None:
    log = MemoryLog()
    leader, household = await lead(cache, log), Household(3)
    for batch in household.tell():
        await leader.handle(batch)
    await Replay(77).apply(other, log.list_after(0, other.schema))
    seen, expected = await load_committed(other, NOW, 0), await load_committed(cache, NOW, 0)
    assert seen.announcements.touched == expected.announcements.touched
    assert seen.announcements.committed_at == expected.announcements.committed_at
    assert (seen.states, seen.ids) == (expected.states, expected.ids)
    assert seen.leader is not None
    assert seen.leader.pid == 77
    assert seen.leader.counters == getattr(expected.leader, "counters", None)


async def test_an_event_of_this_machine_is_not_forwarded_again_when_its_leader_ended_before_its_commit(
    cache: Cache, other: Cache
) -> None:
    audits = [ReceivedEvent(Audit(tool, "done", {}), NOW) for tool in ("one", "two", "two")]
    await write_forwarded(cache, {"": audits})
    await write_forwarded(other, {"": [*audits[:1], *audits]})
    connect_log(cache, log := MemoryLog())
    await cache.write([row(1)], "unknown", START, LeaderCommit(START, None, received_ids=(2,)))
    await Replay(1).apply(other, log.list_after(0, other.schema))
    assert await list_tools(cache) == ["one", "two"]
    assert await list_tools(other) == ["one", "one", "two"]


async def list_tools(cache: Cache) -> list[str]:
    """The tools of the calls that wait to be forwarded."""
    return [json.loads(stored.body)["tool"] for stored in await read_stored(cache)]


async def test_a_process_that_hung_cannot_apply_after_another_of_its_machine_has(cache: Cache, other: Cache) -> None:
    log = await write_log(cache)
    entries = log.list_after(0, other.schema)
    hung, next_one = Replay(1), Replay(2)
    await hung.apply(other, entries[:1])
    await next_one.apply(other, entries[:2])
    with pytest.raises(LeadershipLost):
        await hung.apply(other, entries[2:])
    assert (await other.read_position()).number == 2


# Where a log begins


async def test_a_log_of_a_new_database_begins_with_entry_1(cache: Cache) -> None:
    assert (await cache.transact(begin_log)).number == EMPTY
    assert len((await write_log(cache)).entries) == (await cache.read_position()).number


async def test_a_log_of_a_database_with_rows_begins_with_entry_2_so_that_a_new_one_misses_the_first(
    cache: Cache, other: Cache
) -> None:
    await cache.write([ServerSeen(DEN)], "unknown", START)
    assert (await cache.transact(begin_log)).number == AS_IT_WAS
    connect_log(cache, log := MemoryLog(base=AS_IT_WAS))
    await cache.write([row(1)], DEN.machine_identifier, START)
    position = await cache.read_position()
    assert position == (2, compute_digest(log.entries[0].body))
    assert await cache.transact(begin_log) == position, "it has begun"
    with pytest.raises(EntryMissing, match=r"applied entry 0 .* needs 1, but the next one there is 2"):
        await Replay(1).apply(other, log.list_after(0, other.schema))


def test_the_samples_are_of_this_format() -> None:
    assert FORMAT == 1, "samples of the new format are needed, beside those of the old"
