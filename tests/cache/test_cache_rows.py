"""What is written, all or nothing, and what can be read again."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from support.frames import DEN, START, Story, listed

from plex_companion import serialize
from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.prune import prune
from plex_companion.cache.queries.plays import read_play
from plex_companion.cache.queries.read import (
    count_plays,
    read_alert,
    read_events_after,
    read_last_event_id,
    read_newest_alerts,
    read_newest_events,
)
from plex_companion.cache.record import _KEYS, coalesce
from plex_companion.changes.kinds import (
    AccountsSeen,
    AlertAcknowledged,
    AlertMuteChanged,
    AlertOpened,
    AlertResolved,
    Change,
    Journaled,
    LibraryItemChanged,
    SectionsSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
)
from plex_companion.models import Account, Alert, LibraryChange, Moment, Section, ServerIdentity, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from plex_companion.models import AlertKind

SERVER = DEN.machine_identifier
DAY = 86_400_000
TABLES = ("servers", *_KEYS)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        yield cache


async def rows(cache: Cache, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await cache.reader.execute_fetchall(sql)]


def row(number: int, kind: str = "playing", at: int = START) -> Journaled:
    return Journaled(number, at, kind, None, kind, "{}")


def alert(number: int, kind: AlertKind = "buffering", resolved_at: int | None = None) -> Alert:
    return Alert(
        number, START + number, kind, "warning", f"alert {number}", {"n": number}, f"subject {number}", resolved_at
    )


async def known(cache: Cache, *changes: Change) -> Story:
    """A story whose server is written down, and these changes beside it."""
    story = Story(connected=False)
    await cache.write([*story.connect(), *changes], UNKNOWN, START)
    return story


async def test_a_write_is_one_transaction_and_a_change_that_fails_leaves_nothing(cache: Cache) -> None:
    await known(cache)
    before = await rows(cache, "SELECT count(*) FROM events")
    broken = replace(alert(1), title=None)  # what the database must refuse
    with pytest.raises(sqlite3.IntegrityError):
        await cache.write([row(10), AlertOpened(broken), row(11)], SERVER, START)
    assert await rows(cache, "SELECT count(*) FROM events") == before
    await cache.write([row(10), AlertOpened(alert(1))], SERVER, START)
    assert await rows(cache, "SELECT count(*) FROM alerts") == [(1,)]


async def test_a_row_of_a_server_nobody_wrote_down_is_refused(cache: Cache) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await cache.write([row(1)], "no such server", START)


async def test_a_batch_takes_a_statement_per_table_however_long_it_is(cache: Cache) -> None:
    story = await known(cache)
    changes = [change for second in range(300) for change in story.after(1).plays("1", at=second)]
    statements: list[str] = []
    await cache.writer.set_trace_callback(statements.append)
    await cache.write(changes, SERVER, START)
    # Triggers repeat the text of the statement that fired them; a second row would have a text of its own.
    assert len({sql for sql in statements if sql.startswith("INSERT INTO plays ")}) == 1, "only how it was left"
    assert (statements[0], statements[-1]) == ("BEGIN IMMEDIATE", "COMMIT")


async def test_writing_the_same_again_changes_nothing(cache: Cache) -> None:
    story = Story(connected=False)
    changes = [*story.connect(listed("1")), *story.plays("1", at=10), *story.plays("1", "stopped")]
    await cache.write(changes, SERVER, START)
    first = await rows(cache, "SELECT * FROM plays")
    await cache.write(changes, SERVER, START)
    assert await rows(cache, "SELECT * FROM plays") == first
    assert len(first) == 1


async def test_what_was_written_before_the_server_was_known_becomes_its_own(cache: Cache) -> None:
    story = Story(connected=False)
    early = [
        *story.lose("refused"),
        *story.connect(listed("1"), server=None, sections=(Section("1", "Films", "movie"),)),
    ]
    early += story.say("timeline", {"sectionID": "1", "itemID": "5", "state": 0})
    early += story.say("activity", {"event": "started", "uuid": "u1", "Activity": {}})
    early += story.plays("2", item="7002", client="stove")
    early += story.plays("2", "stopped", item="7002", client="stove")
    await cache.write(early, UNKNOWN, START)
    await cache.write(story.after(60).look(listed("1"), server=DEN), SERVER, START)

    for table in ("plays", "events", "alerts", "activities", "clients", "timelines", "library_changes", "sections"):
        assert await rows(cache, f"SELECT DISTINCT server FROM {table}") == [(SERVER,)], table  # noqa: S608 - our own table names
    loaded = await load_state(cache, story.now)
    assert list(loaded.sessions) == ["1"]
    assert loaded.server == DEN


async def test_without_any_server_known_what_was_written_is_loaded_all_the_same(cache: Cache) -> None:
    story = Story(connected=False)
    await cache.write(story.connect(listed("1"), server=None), UNKNOWN, START)
    loaded = await load_state(cache, story.now)
    assert list(loaded.sessions) == ["1"]
    assert loaded.server is None


async def test_rows_are_kept_apart_by_server(cache: Cache) -> None:
    story = await known(cache)
    await cache.write(story.look(listed("1"), sections=(Section("1", "Films", "movie"),)), SERVER, START)
    attic = replace(DEN, machine_identifier="attic-0002", name="Attic")
    story.lose()
    later = story.connect(
        listed("1", client="shelf", item="7009"), server=attic, sections=(Section("1", "Songs", "artist"),)
    )
    await cache.write(later, SERVER, START + 1)
    assert await rows(cache, "SELECT server, title FROM sections ORDER BY server") == [
        ("attic-0002", "Songs"),
        (SERVER, "Films"),
    ]
    assert await rows(cache, "SELECT server, client_identifier FROM clients ORDER BY server") == [
        ("attic-0002", "shelf"),
        (SERVER, "lamp"),
    ]
    assert (await load_state(cache, story.now)).server == attic, "the one seen last"


async def test_libraries_and_accounts_that_are_gone_are_gone_here_too(cache: Cache) -> None:
    films, songs = Section("1", "Films", "movie"), Section("2", "Songs", "artist")
    ada, ben = Account("1", "Ada"), Account("2", "Ben")
    await known(cache, SectionsSeen((films, songs)), AccountsSeen((ada, ben)))
    await cache.write([SectionsSeen((songs,)), AccountsSeen((ben,))], SERVER, START)
    loaded = await load_state(cache, Moment(START, 0))
    assert (loaded.sections, loaded.accounts) == ((songs,), (ben,))


async def test_a_silence_while_no_process_ran_counts_as_silence(cache: Cache) -> None:
    story = await known(cache)
    await cache.write(story.plays("1"), SERVER, START)
    loaded = await load_state(cache, Moment(story.now.at + 90_000, 1_000_000))
    assert loaded.sessions["1"].heard_tick == 910_000
    loaded = await load_state(cache, Moment(story.now.at - DAY, 1_000_000))
    assert loaded.sessions["1"].heard_tick == 1_000_000, "a clock set back makes no silence"


async def test_ids_go_on_after_everything_was_pruned(cache: Cache) -> None:
    await known(cache)
    await cache.write([row(41), AlertOpened(alert(7, resolved_at=START))], SERVER, START)
    await prune(cache, events_before=START + DAY, events_kept=0, alerts_before=START + DAY)
    assert await rows(cache, "SELECT count(*) FROM events UNION ALL SELECT count(*) FROM alerts") == [(0,), (0,)]
    loaded = await load_state(cache, Moment(START, 0))
    assert (loaded.ids.event, loaded.ids.alert) == (42, 8)
    assert await read_last_event_id(cache) == 41


# Pruning


async def test_old_and_surplus_rows_go_and_the_rest_stays(cache: Cache) -> None:
    await known(cache)
    await cache.write([row(n, at=START + n) for n in range(2, 102)], SERVER, START)
    await prune(cache, events_before=START + 50, events_kept=1_000, alerts_before=0)
    assert await rows(cache, "SELECT min(id), max(id) FROM events") == [(50, 101)]
    await prune(cache, events_before=0, events_kept=10, alerts_before=0)
    assert await rows(cache, "SELECT min(id), max(id) FROM events") == [(92, 101)]


async def test_pruning_goes_in_steps_and_says_when_it_is_done(cache: Cache) -> None:
    await known(cache)
    await cache.write([row(n) for n in range(2, 5_002)], SERVER, START)
    left, steps = [], []
    for _ in range(3):
        steps.append(await prune(cache, events_before=START + 1, events_kept=10, alerts_before=0))
        left += await rows(cache, "SELECT count(*) FROM events")
    assert steps == [True, True, False]
    assert left[-1] == (0,)
    assert left[0] > (2_000,)


async def test_open_alerts_are_never_pruned_and_resolved_ones_by_their_end(cache: Cache) -> None:
    await known(cache)
    alerts = [alert(1), alert(2, resolved_at=START), alert(3, resolved_at=START + DAY)]
    await cache.write([AlertOpened(one) for one in alerts], SERVER, START)
    await prune(cache, events_before=0, events_kept=10, alerts_before=START + 1)
    assert await rows(cache, "SELECT id FROM alerts ORDER BY id") == [(1,), (3,)]


async def test_ended_activities_and_old_library_changes_go_and_what_is_shown_stays(cache: Cache) -> None:
    story = await known(cache)
    moved = [
        LibraryItemChanged(LibraryChange(n, START, str(n), "1", "movie", None, "created", settled=True))
        for n in range(1, 131)
    ]
    ended = story.say("activity", {"event": "ended", "uuid": "u1", "Activity": {}})
    running = story.say("activity", {"event": "started", "uuid": "u2", "Activity": {}})
    await cache.write([*moved, *ended, *running], SERVER, START)
    await prune(cache, events_before=START + DAY, events_kept=10, alerts_before=0)
    assert await rows(cache, "SELECT uuid FROM activities") == [("u2",)]
    assert await rows(cache, "SELECT min(id), count(*) FROM library_changes") == [(31, 100)]


async def test_plays_are_kept_for_ever(cache: Cache) -> None:
    story = await known(cache)
    await cache.write([*story.plays("1"), *story.plays("1", "stopped")], SERVER, START)
    await prune(cache, events_before=START * 2, events_kept=0, alerts_before=START * 2)
    assert await count_plays(cache) == 1


# Reading


def ids(page: Sequence[sqlite3.Row]) -> list[int]:
    return [one["id"] for one in page]


@pytest.fixture
async def journal(cache: Cache) -> Cache:
    await known(cache)
    kinds = ("playing", "timeline", "playing", "activity", "playing")
    await cache.write([row(n, kinds[n % 5]) for n in range(2, 12)], SERVER, START)
    return cache


async def test_the_journal_is_read_on_from_a_cursor_in_pages(journal: Cache) -> None:
    first = await read_events_after(journal, 3, None, 4)
    assert (ids(first.rows), first.next_cursor, first.gap) == ([4, 5, 6, 7], 7, False)
    rest = await read_events_after(journal, first.next_cursor, None, 4)
    assert (ids(rest.rows), rest.next_cursor) == ([8, 9, 10, 11], 11)
    end = await read_events_after(journal, rest.next_cursor, None, 4)
    assert (ids(end.rows), end.next_cursor, end.gap) == ([], 11, False)


async def test_a_cursor_moves_past_rows_of_other_types(journal: Cache) -> None:
    page = await read_events_after(journal, 0, ["timeline"], 10)
    assert (ids(page.rows), page.next_cursor) == ([6, 11], 11)
    page = await read_events_after(journal, 0, ["timeline", "activity"], 2)
    assert (ids(page.rows), page.next_cursor) == ([3, 6], 6)
    page = await read_events_after(journal, 6, ["nothing of the kind"], 2)
    assert (ids(page.rows), page.next_cursor) == ([], 11)


async def test_rows_that_were_pruned_unread_are_a_gap(journal: Cache) -> None:
    await prune(journal, events_before=0, events_kept=4, alerts_before=0)
    assert (await read_events_after(journal, 3, None, 10)).gap
    assert not (await read_events_after(journal, 7, None, 10)).gap
    await prune(journal, events_before=START + 1, events_kept=4, alerts_before=0)
    page = await read_events_after(journal, 7, None, 10)
    assert (page.gap, page.next_cursor, page.rows) == (True, 11, [])
    assert not (await read_events_after(journal, 11, None, 10)).gap


async def test_the_newest_rows_come_first(journal: Cache) -> None:
    assert ids(await read_newest_events(journal, 3)) == [11, 10, 9]


async def test_alerts_are_paged_newest_first_and_by_kind(cache: Cache) -> None:
    await known(cache)
    opened = [AlertOpened(alert(n, "buffering" if n % 2 else "transcode_slow")) for n in range(1, 8)]
    resolved = AlertResolved(replace(alert(7), resolved_at=START + 99))
    await cache.write([*opened, resolved], SERVER, START)
    page = await read_newest_alerts(cache, 3)
    assert [(one.id, one.resolved_at) for one in page] == [(7, START + 99), (6, None), (5, None)]
    assert page[0].detail == {"n": 7}
    assert [one.id for one in await read_newest_alerts(cache, 3, before=5)] == [4, 3, 2]
    assert [one.id for one in await read_newest_alerts(cache, 9, kinds=["transcode_slow"])] == [6, 4, 2]


# Condensing what waits


def test_of_a_row_written_again_and_again_the_last_writing_stays_and_the_order_too() -> None:
    story = Story(connected=False)
    changes = [*story.connect(listed("1"))]
    for second in range(50):
        changes += story.after(1).plays("1", at=second)
    changes += story.plays("1", "stopped", at=51)
    changes += story.plays("2", at=0, item="7002")
    few = coalesce(changes, 10)
    sessions = [change for change in few if isinstance(change, SessionStarted | SessionChanged | SessionEnded)]
    assert [(type(change).__name__, change.session_key) for change in sessions] == [
        ("SessionEnded", "1"),
        ("SessionStarted", "2"),
    ]
    journal = [change.id for change in few if isinstance(change, Journaled)]
    assert journal == list(range(story.state.ids.event - 10, story.state.ids.event))
    assert not [change for change in few if isinstance(change, StateConfirmed)]


async def test_condensed_changes_leave_the_same_rows_behind(tmp_path: Path) -> None:
    story = Story(connected=False)
    changes = [
        *story.lose(),
        *story.connect(listed("1"), sections=(Section("1", "Films", "movie"),), accounts=(Account("1", "Ada"),)),
    ]
    for second in range(20):
        changes += story.after(1).plays("1", at=second, state="buffering" if second % 3 else "playing")
        changes += story.say("activity", {"event": "updated", "uuid": "u1", "Activity": {"progress": second}})
        changes += story.say("timeline", {"sectionID": "1", "itemID": "5", "state": second % 6})
    changes += [*story.plays("1", "stopped"), *story.look(server=DEN, activities=())]
    left = []
    for name, written in (("all", changes), ("few", coalesce(changes, 10_000))):
        async with open_cache(tmp_path / name) as cache:
            await cache.write(written, UNKNOWN, START)
            left.append({table: await rows(cache, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES})  # noqa: S608 - our own table names
    assert left[0] == left[1]


async def test_plays_that_go_on_leave_the_same_rows_behind_as_plays_written_whole(tmp_path: Path) -> None:
    story = Story(connected=False)
    batches = [(dict(story.state.sessions), story.connect(listed("1")))]
    for second, state in enumerate(("playing", "paused", "buffering", "playing", "playing")):
        batches.append((dict(story.state.sessions), story.after(1).plays("1", state, at=second)))
    batches.append((dict(story.state.sessions), story.look(listed("1", user=User("2", "Ben")), server=DEN)))
    batches.append((dict(story.state.sessions), story.after(1).plays("1", "paused", at=9)))
    batches.append((dict(story.state.sessions), story.plays("1", "stopped", at=9)))
    left = []
    for name in ("whole", "ongoing"):
        async with open_cache(tmp_path / name) as cache:
            for before, changes in batches:
                await cache.write(changes, UNKNOWN, START, committed=before if name == "ongoing" else {})
            left.append({table: await rows(cache, f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES})  # noqa: S608 - our own table names
    assert left[0] == left[1]
    assert left[0]["plays"]


async def test_a_play_that_goes_on_is_inserted_where_its_row_is_missing(cache: Cache) -> None:
    story = await known(cache)
    story.plays("1", at=1)
    before = dict(story.state.sessions)
    await cache.write(story.after(1).plays("1", "paused", at=2), SERVER, START, committed=before)
    assert await rows(cache, "SELECT state, view_offset_ms FROM plays WHERE ended_at IS NULL") == [("paused", 2_000)]


async def test_a_payload_is_json_in_the_database(cache: Cache) -> None:
    story = await known(cache)
    await cache.write(story.say("progress", {"message": "zoë \U0001f600"}), SERVER, START)
    ((payload,),) = await rows(cache, "SELECT payload FROM events ORDER BY id DESC LIMIT 1")
    assert json.loads(str(payload)) == {"message": "zoë \U0001f600"}


async def test_the_course_of_a_play_is_read_in_its_order_and_a_corrected_turn_once(cache: Cache) -> None:
    story = await known(cache)
    for state, at in (("playing", 0), ("paused", 1), ("playing", 600), ("stopped", 601)):
        await cache.write(story.after(1).plays("1", state, at=at), SERVER, START)  # each in a transaction of its own
    await cache.write(story.plays("2", client="stove", item="7002"), SERVER, START)
    found = await read_play(cache, 1)
    assert found is not None
    play_events = [serialize.serialize_play_event(one) for one in found[1]]
    assert [(mark["kind"], mark["view_offset_ms"], mark["detail"]) for mark in play_events] == [
        ("started", 0, {"state": "playing"}),
        ("seeked", 600_000, {"from_ms": 1_000, "to_ms": 600_000}),
        ("ended", 601_000, {"by": "stopped"}),
    ]
    assert set(play_events[0]) == {"at", "kind", "view_offset_ms", "detail"}
    assert (await load_state(cache, story.now)).ids.play_event == story.state.ids.play_event


@pytest.mark.parametrize("together", [True, False], ids=["one transaction", "two"])
async def test_an_acknowledgement_is_written_whether_its_alert_is_open_or_long_over(
    cache: Cache, together: bool
) -> None:
    await known(cache)
    changes: list[Change] = [AlertOpened(alert(7, resolved_at=START + 9)), AlertAcknowledged(7, START + 10)]
    for batch in [changes] if together else [[one] for one in changes]:
        await cache.write(batch, SERVER, START)
    await cache.write([AlertAcknowledged(7, START + 99), AlertAcknowledged(8, START)], SERVER, START)
    found = await read_alert(cache, 7)
    assert found is not None
    assert (found.acknowledged_at, found.resolved_at) == (START + 10, START + 9)
    assert await read_alert(cache, 8) is None


async def test_muted_kinds_are_kept_and_forgotten_when_they_are_no_longer_muted(cache: Cache) -> None:
    story = await known(cache)
    for kind in ("buffering", "new_device", "buffering"):
        await cache.write([AlertMuteChanged(kind, muted=True, at=START)], SERVER, START)
    assert (await load_state(cache, story.now)).muted_kinds == {"buffering": START, "new_device": START}
    both: list[Change] = [AlertMuteChanged("storage", muted, START) for muted in (True, False)]
    await cache.write([*both, AlertMuteChanged("buffering", muted=False, at=START)], SERVER, START)
    assert (await load_state(cache, story.now)).muted_kinds == {"new_device": START}


async def test_an_alert_stays_with_the_server_it_was_opened_on(cache: Cache) -> None:
    story = await known(cache, AlertOpened(alert(7)))
    other = story.connect(server=ServerIdentity("other", "Loft"))
    await cache.write([*other, AlertResolved(replace(alert(7), resolved_at=START + 9))], "other", START)
    assert await rows(cache, "SELECT server, resolved_at FROM alerts WHERE id = 7") == [(SERVER, START + 9)]


async def test_a_pause_and_the_hold_down_outlive_the_process(cache: Cache) -> None:
    story = await known(cache)
    changes = [
        *story.plays("1"),
        *story.after(5).plays("1", "paused"),
        *story.lose(),
        *story.connect(listed("1", "paused")),
    ]
    await cache.write(changes, SERVER, START)
    paused = story.now
    later = story.after(40).now
    loaded = await load_state(cache, Moment(later.at, 7_000_000))
    assert loaded.condition_since == {("paused_long", "1"): 7_000_000 - 40_000}
    assert loaded.recently_resolved["connection_lost", "plex"].tick == 7_000_000 - 40_000
    assert loaded.recently_resolved["connection_lost", "plex"].alert.resolved_at == paused.at


async def test_how_often_a_session_ran_dry_outlives_the_process_for_five_minutes(cache: Cache) -> None:
    story = await known(cache)
    changes = story.plays("1")
    for after in (10, 200, 30):
        changes += [*story.after(after).plays("1", "buffering"), *story.after(1).plays("1")]
    await cache.write(changes, SERVER, START)
    loaded = await load_state(cache, Moment(story.after(100).now.at, 7_000_000))
    assert loaded.buffer_ticks == {"1": (7_000_000 - 132_000, 7_000_000 - 101_000)}


@pytest.mark.parametrize("count", [1, 9, 10, 49, 50, 51, 173])
async def test_journal_rows_are_written_many_with_a_statement_and_none_is_missing(cache: Cache, count: int) -> None:
    await known(cache)
    statements: list[str] = []
    await cache.writer.set_trace_callback(statements.append)
    changes = [row(number, at=START + number) for number in range(100, 100 + count)]
    await cache.write(changes, SERVER, START)
    written = [sql for sql in statements if sql.startswith("INSERT INTO events ")]
    assert len(written) == count // 50 + count % 50 // 10 + count % 10
    found = await rows(cache, "SELECT id, at, server FROM events WHERE id >= 100 ORDER BY id")
    assert found == [(number, START + number, SERVER) for number in range(100, 100 + count)]
