"""A leader that writes to a log in memory, random events and commands for it, and the tables of a database."""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import dataclass, field
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from plex_companion.cache.connections import run_read
from plex_companion.cache.link_rows import plan_link_update, read_links
from plex_companion.cache.load import build_load_point, load_states
from plex_companion.cache.replication.entry import AppendFailed
from plex_companion.cache.replication.transaction import Transaction
from plex_companion.changes.deliveries import DeliveryAttempt, WebhookRules, record_attempt
from plex_companion.chronicle.entries import build_entry_log, decode_logged
from plex_companion.events import (
    Acknowledged,
    AlertKindMuted,
    Audit,
    CataloguePage,
    DeliveryReport,
    Disconnected,
    EventsDelivered,
    EventSubscribed,
    EventUnsubscribed,
    HistoryPage,
    PlexTvUsersRead,
    ReceivedEvent,
    RuleActionDone,
    RuleCreated,
    RuleDeleted,
    RulesEvaluated,
    RuleSwitched,
    Snapshot,
    ToolTaskReport,
)
from plex_companion.ingest.batch import derive_batch
from plex_companion.ingest.leader import LeaderRecord
from plex_companion.ingest.live import Live
from plex_companion.ingest.retention import Pruner, Retention
from plex_companion.ingest.writer import write_changes
from plex_companion.models import (
    Account,
    Activity,
    CatalogueItem,
    CatalogueSection,
    Delivery,
    DeliveryProgress,
    Device,
    FiredAction,
    HistoryRow,
    Item,
    MediaFile,
    Moment,
    NearMiss,
    PlannedDelivery,
    PlannedFiring,
    PlexTvUser,
    RuleFiring,
    RuleTally,
    RuleTimer,
    Section,
    ServerIdentity,
    ToolTask,
)
from plex_companion.resources.registry import find_touched_of_links
from support.evening import STRICT, Evening
from support.frames import DEN, START

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from sqlite3 import Connection as Database

    from plex_companion.cache.database import Cache
    from plex_companion.cache.replication.entry import EncodedEntry
    from plex_companion.cache.replication.replay import LoggedEntry
    from plex_companion.events import Event

LOCAL = {
    "listener": "which process of this machine writes",
    "announcements": "what the processes of this machine have yet to tell their clients",
    "letters": "what processes of this machine forward to the one that writes",
    "migrations": "when this file got each of them",
    "sqlite_stat1": "statistics of this file's query planner",
    "sqlite_stat4": "the same",
    "sqlite_sequence": "also counts rows of tables that are local; compared without these",
}
"""Tables that machines do not share, and why."""
WORDS = ("play_titles", "item_words")
"""Tables for full text. What they index is compared, not in how many segments."""
CABIN = ServerIdentity("cabin-02", "Cabin", "1.43.3", "Linux", "6.1")
HOUR_MS = 3_600_000


def list_tables(database: Database) -> list[str]:
    """Every table of the schema, in order; of those for full text only the tables themselves."""
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return [name for name in names if not name.startswith(tuple(f"{words}_" for words in WORDS))]


def read_tables(path: Path) -> dict[str, Any]:
    """The rows of every table that machines share, and the words that are indexed."""
    with closing(connect(path)) as database:
        tables: dict[str, Any] = {
            table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608 - names of tables
            for table in list_tables(database)
            if table not in {*LOCAL, *WORDS}
        }
        for table in WORDS:
            database.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")  # noqa: S608 - as above
            database.execute(f"CREATE VIRTUAL TABLE temp.found USING fts5vocab (main, {table}, instance)")
            tables[table] = sorted(database.execute("SELECT * FROM found"))
            database.execute("DROP TABLE temp.found")
        sequence = database.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall()
        return {**tables, "sqlite_sequence": [row for row in sequence if row[0] not in LOCAL]}


@dataclass
class MemoryLog:
    """An `Append` in memory, which fails as often as asked: before it keeps the entry, or after."""

    entries: list[EncodedEntry] = field(default_factory=list)
    base: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - a story, not a secret
    refused: float = 0.0
    """The share of entries that are not kept."""
    unanswered: float = 0.0
    """The share of entries that are kept, though the answer is lost."""

    async def __call__(self, entry: EncodedEntry) -> int:
        if self.dice.random() < self.refused:
            raise AppendFailed("refused")
        known = [number for number, one in enumerate(self.entries, self.base + 1) if one.name == entry.name]
        if not known:
            self.entries.append(entry)
        if self.dice.random() < self.unanswered:
            raise AppendFailed("the answer is lost")
        return known[0] if known else self.base + len(self.entries)

    def list_after(self, number: int, schema: int) -> list[LoggedEntry]:
        """The entries after a number, as another machine reads them."""
        numbered = enumerate(self.entries, self.base + 1)
        return [decode_logged(one, entry.body, schema) for one, entry in numbered if one > number]


@dataclass
class LoggedLeader:
    """A leader that handles batches of events as `ingest` does, one at a time."""

    cache: Cache
    live: Live
    record: LeaderRecord
    pruner: Pruner

    async def handle(self, events: Mapping[str, Sequence[ReceivedEvent]]) -> None:
        """Derive what events mean, write it, and show it."""
        batch = await derive_batch(events, self.live, self.record)
        await write_changes(batch.changes, batch.states, self.live, self.cache, self.record)
        self.live.publish(batch.states)
        await self.pruner.prune_if_due()


async def lead(cache: Cache, log: MemoryLog | None, links: Sequence[str] = ("",), at: int = START) -> LoggedLeader:
    """Begin to lead on a database, with a log or without one."""
    now = Moment(at, 40_000_000)
    cache.entry_log = build_entry_log(log, cache.schema) if log else None
    update = plan_link_update(links, await run_read(cache.reader, read_links))
    if update:
        await cache.commit(Transaction(at, lambda: [update.build_call(at)]))
    states = await load_states(cache, links, now)
    webhooks = WebhookRules(("hook",), lambda what, alert, at: f"{what} {alert['id']} {at}", hold_ms=1_000)
    live = Live(states[links[0]], STRICT, webhooks, links)
    live.publish(states)
    live.now = at
    load_point = build_load_point(await cache.read_term(), states[links[0]].ids)
    record = LeaderRecord(4711, find_touched_of_links, load_point=load_point)
    leader = LoggedLeader(cache, live, record, Pruner(cache, live, Retention(HOUR_MS // 2, 400, HOUR_MS // 4)))
    await write_changes({}, live.states, live, cache, record)
    return leader


class Household:
    """What happens in a household, one batch after another: frames and snapshots of Plex, and commands of people."""

    def __init__(self, seed: int, links: Sequence[str] = ("",)) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        self._told = {link: Evening(seed + number).tell(400) for number, link in enumerate(links)}
        self._servers = dict(zip(links, (DEN, CABIN), strict=False))
        self._pages = self._rounds = 0

    def tell(self) -> Iterator[dict[str, list[ReceivedEvent]]]:
        """Yield the events of one batch after another, by link."""
        before = Moment(START - 1_000, 49_000_000)
        yield {link: [ReceivedEvent(Disconnected("refused"), before)] for link in self._told}
        while any(self._told.values()):
            batch = {}
            for link, told in self._told.items():
                taken, told[:] = told[: (count := self.dice.choice((0, 1, 3, 20)))], told[count:]
                if taken:
                    events = [one._replace(event=self._complete(one.event, link)) for one in taken]
                    batch[link] = events + self._command(events[-1].moment, link)
            if batch:
                yield batch

    def _complete(self, event: Event, link: str) -> Event:
        """Add the rest that a snapshot may have."""
        if not isinstance(event, Snapshot):
            return event
        running = tuple(Activity(uuid, "library.update.section") for uuid in self.dice.choice(("", "", "a", "ab")))
        films = Section("1", "Films", "movie", count=self.dice.randrange(9), locations=("/films",))
        return replace(
            event,
            server=self._servers[link],
            activities=running,
            sections=(films,) if self.dice.random() < 0.5 else None,
            accounts=(Account("1", "Ada"), Account("2", "Zoë")) if self.dice.random() < 0.3 else None,
            devices=(Device("7", "Lamp", "Roku", "lamp"),) if self.dice.random() < 0.3 else None,
        )

    def _command(self, now: Moment, link: str) -> list[ReceivedEvent]:
        kinds = (self._note, self._read_users, self._subscribe, self._start_task, self._read_history, self._read_items)
        rules = self._write_rules(now) if link == next(iter(self._servers)) else []  # they belong to no server
        return [ReceivedEvent(event, now) for event in (*self.dice.choice(kinds)(now, self._servers[link]), *rules)]

    def _note(self, _: Moment, __: ServerIdentity) -> list[Event]:
        return [
            Audit("media_edit", "done", {"arguments": {"title": "ok \x00 \U0001f600"}}),
            Acknowledged(self.dice.randrange(1, 30)),
            AlertKindMuted("paused_long", muted=self.dice.random() < 0.5),
        ]

    def _read_users(self, _: Moment, __: ServerIdentity) -> list[Event]:
        return [PlexTvUsersRead((PlexTvUser("1", "901", "ada", None), PlexTvUser("2", "902", "zoe", "Zoë")))]

    def _subscribe(self, now: Moment, _: ServerIdentity) -> list[Event]:
        name = f"sub_{self.dice.randrange(3)}"
        times = (now.at, now.at + HOUR_MS)
        begun = EventSubscribed(name, "ada", "http://127.0.0.1/hook", "play.started", "{}", "s", "r", *times, "0")
        progress = DeliveryProgress(str(self.dice.randrange(99)))
        every: tuple[list[Event], ...] = (
            [begun],
            [begun, EventsDelivered(name, now.at, progress)],
            [EventUnsubscribed(name)],
        )
        return self.dice.choice(every)

    def _start_task(self, now: Moment, _: ServerIdentity) -> list[Event]:
        name, cancelled = f"task_{self.dice.randrange(4)}", self.dice.random() < 0.5
        task = ToolTask(
            name, "ada", "library_scan", "Scan", "{}", sections=("1",), created_at=now.at, updated_at=now.at
        )
        return [ToolTaskReport(replace(task, status="cancelled") if cancelled else task)]

    def _write_rules(self, now: Moment) -> list[Event]:
        """People write rules, and one of them fires, is waited for, or fails."""
        dice, rule_id = self.dice, self.dice.randrange(1, 4)
        self._rounds += 1
        firing = RuleFiring(0, rule_id, now.at, 0, "1", "play.paused", "it paused", (FiredAction("stop", "pending"),))
        timer, subject = RuleTimer(rule_id, "r1", "play 1", now.at + 9_000, "{}"), (rule_id, "play 1")
        judged = RulesEvaluated(
            self._rounds - 1,
            self._rounds,
            (PlannedFiring(firing, "rule", "r1", (PlannedDelivery("notify:ada", "{}", now.at),)),),
            (RuleTally(rule_id, "r1", (NearMiss(now.at, "user.id == '1'", "1"),)),),
            (timer,) if dice.random() < 0.5 else (),
            (subject,) if dice.random() < 0.5 else (),
        )
        people: tuple[list[Event], ...] = (
            [RuleCreated(f"rule {rule_id}", "{}", "r1")],
            [RuleSwitched(rule_id, enabled=True, revision="r1")],
            [RuleActionDone(dice.randrange(1, 9), "stop", "done")],
            [RuleDeleted(rule_id)] if dice.random() < 0.2 else [],
        )
        return [*dice.choice(people), judged]

    def _read_history(self, now: Moment, _: ServerIdentity) -> list[Event]:
        rows = tuple(self._remember(now) for _ in range(self.dice.randrange(4)))
        self._pages += 1
        mark_s = now.at // 1000
        return [HistoryPage(self._pages, rows, mark_s, self._pages, 99, complete=self.dice.random() < 0.5)]

    def _remember(self, now: Moment) -> HistoryRow:
        key, ago = str(self.dice.randrange(7001, 7004)), self.dice.randrange(3_000)
        item = Item(key, f"/library/metadata/{key}", type="movie", title=f"Film {key}", duration_ms=7_200_000)
        return HistoryRow(f"/status/{self.dice.randrange(60)}", now.at // 1000 - ago, item, "1", "7")

    def _read_items(self, now: Moment, server: ServerIdentity) -> list[Event]:
        dice = self.dice
        self._pages += 1
        page = CataloguePage(
            self._pages,
            server.machine_identifier,
            items=tuple(self._list_items(now)),
            gone=tuple(str(key) for key in range(7001, 7006) if dice.random() < 0.1),
            sections=(CatalogueSection("1", "Films", "movie", as_of=now.at, total=5, filled={"movie": 5}),),
            sections_gone=("1",) if dice.random() < 0.05 else (),
            forget_paths=dice.random() < 0.05,
            news=dice.random() < 0.5,
        )
        return [page]

    def _list_items(self, now: Moment) -> Iterator[CatalogueItem]:
        dice = self.dice
        for key in dice.sample(range(7001, 7006), dice.randrange(4)):
            files = tuple(MediaFile(f"m{n}", 10**9 + n, paths=(f"/films/{key}.mkv",)) for n in range(dice.randrange(3)))
            yield CatalogueItem(
                str(key),
                "1",
                "movie",
                f"Film {key} 映画",
                updated_at=now.at,
                critic_rating=dice.random() * 10,
                genres=tuple(dice.sample(("Drama", "Crime", "Comedy", "Western"), 2)),
                actors=tuple(dice.sample(("Zoë Marsh", "Ada Lane", "陳大文", "Ben Oak", "Cy Fern"), 3)),
                files=files,
                detailed=dice.random() < 0.5,
            )


def report_attempts(leader: LoggedLeader, now: Moment, dice: random.Random) -> list[ReceivedEvent]:
    """The result of an attempt to deliver what is due."""
    sql = "SELECT id, target, alert_id, body, created_at, due_at, tries FROM deliveries WHERE done_at IS NULL LIMIT 1"
    with closing(connect(leader.cache.path)) as database:
        due = [Delivery(*row) for row in database.execute(sql)]
    answer = DeliveryAttempt(dice.choice((200, 503)), "")
    return [ReceivedEvent(DeliveryReport((record_attempt(one, answer, now.at, 0.5),)), now) for one in due]
