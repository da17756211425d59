"""Plex's history read from real sockets: servers that refuse, break off, leave things out; and the listener that reads it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

import anyio
import anyio.lowlevel
import pytest
from support.deadlines import HANG_SECONDS
from support.frames import DEN, Story, of
from support.running_listener import listening
from support.scripted_plex import Answer, Pretend, clock, playing_frame, pretend_plex, settings_for, until

from plex_companion.changes.kinds import PlaysImported, PlaysRepeated
from plex_companion.errors import PlexError
from plex_companion.events import HistoryPage, Playing
from plex_companion.models import History, ImportedPlay, Item
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.history_importer import ITEMS, PAGE, PATH, SLICE, HistoryImporter, ImportProgress, ItemEnricher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from support.running_listener import ListenerOutput

BEGAN = 1_700_000_000
Attributes = dict[str, object]


def element(number: int, **more: object) -> Attributes:
    """A row as Plex writes it; what is `None` is left out."""
    return {
        "historyKey": f"/status/sessions/history/{number}",
        "key": f"/library/metadata/{number % 900}",
        "ratingKey": number % 900,
        "librarySectionID": 1,
        "title": f"Film {number % 900}",
        "type": "movie",
        "viewedAt": BEGAN + number * 60,
        "accountID": 1,
        "deviceID": 7,
        **more,
    }


def container(elements: list[Attributes], total: int | None) -> bytes:
    rows = "".join(
        f"<Video {' '.join(f'{name}={quoteattr(str(value))}' for name, value in one.items() if value is not None)}/>"
        for one in elements
    )
    whole = "" if total is None else f' totalSize="{total}"'
    return f'<MediaContainer size="{len(elements)}"{whole}>{rows}</MediaContainer>'.encode()


class FakeHistory:
    """The history and the items of a pretended Plex."""

    def __init__(self, plex: Pretend, rows: list[Attributes]) -> None:
        self.plex, self.rows = plex, rows
        self.refusals: dict[int, Answer] = {}
        """Instead of the answer to a request, counted from 0."""
        self.totals = True
        self.asked: list[str] = []
        self.items: list[list[str]] = []
        self.facts: Attributes = {}
        """What every item is besides."""
        self.items_refused: Answer | None = None
        self.held: anyio.Event | None = None
        plex.answers[PATH] = self.history
        plex.answers = _AnswersByPath(plex.answers, self)

    async def history(self) -> Answer:
        self.asked.append(self.plex.asked[-1])
        if self.held:
            await self.held.wait()
        refusal = self.refusals.pop(len(self.asked) - 1, None)
        if refusal is not None:
            return refusal
        query = {name: value[0] for name, value in parse_qs(urlsplit(self.asked[-1]).query).items()}
        start, size = int(query["X-Plex-Container-Start"]), int(query["X-Plex-Container-Size"])
        since = int(query.get("viewedAt>", 0))
        rows = [row for row in self.rows if not isinstance(row["viewedAt"], int) or row["viewedAt"] >= since]
        return Answer(body=container(rows[start : start + size], len(rows) if self.totals else None))

    async def metadata(self) -> Answer:
        keys = urlsplit(self.plex.asked[-1]).path.rpartition("/")[2].split(",")
        self.items.append(keys)
        if self.items_refused:
            return self.items_refused
        known = [{"ratingKey": key, "guid": f"plex://movie/{key}", "year": 2031, "duration": 5_400_000} for key in keys if int(key) % 2]  # fmt: skip
        return Answer(body=container([{**one, **self.facts} for one in known], None)) if known else Answer(404)


class _AnswersByPath(dict[str, object]):
    """The answers by path, and one for every list of items."""

    def __init__(self, answers: dict[str, object], source: FakeHistory) -> None:
        super().__init__(answers)
        self._shelf = source

    def get(self, path: str, default: object = None) -> object:
        return self._shelf.metadata if path.startswith("/library/metadata/") else super().get(path, default)


class RecordingCache:
    """Where pages are taken in, as ingest does: a story, and every play that came."""

    def __init__(self) -> None:
        self.story = Story(connected=False)
        self.story.connect(server=DEN)
        self.plays: dict[str, ImportedPlay] = {}
        self.doubles: list[str] = []
        self.pages: list[HistoryPage] = []

    async def send(self, page: HistoryPage) -> None:
        self.pages.append(page)
        changes = self.story.receive(page)
        news = [play for change in of(changes, PlaysImported) for play in change.plays]
        again = [play for change in of(changes, PlaysRepeated) for play in change.plays]
        self.doubles += [play.history_key for play in again]
        self.plays |= {play.history_key: play for play in (*news, *again)}

    async def written(self, number: int) -> None:
        assert number == self.pages[-1].number

    @property
    def progress(self) -> ImportProgress:
        return ImportProgress(lambda: self.story.state.history, self.written)

    @property
    def history(self) -> History:
        return self.story.state.history


@pytest.fixture
async def plex() -> AsyncIterator[Pretend]:
    async with pretend_plex() as one:
        yield one
        one.close()


@asynccontextmanager
async def open_importer(plex: Pretend, cache: RecordingCache) -> AsyncIterator[HistoryImporter]:
    async with open_gateway(settings_for(plex.url, plex_timeout_seconds=HANG_SECONDS)) as gateway:
        yield HistoryImporter(gateway, cache.progress, cache.send, count(1), ItemEnricher(), clock())


async def test_the_whole_history_comes_once_in_slices_that_end_with_a_mark(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(PAGE + 310)]), RecordingCache()
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert len(cache.plays) == len(source.rows)
    assert cache.doubles == []
    assert cache.history == History(BEGAN + (PAGE + 309) * 60, PAGE + 310, PAGE + 310, complete=True)
    assert max(len(page.rows) for page in cache.pages) == SLICE
    assert cache.pages[0].total == PAGE + 310


async def test_it_is_asked_for_as_plex_documents_it(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(3)]), RecordingCache()
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
        await reader.read_all()
    since = BEGAN + 120 - 86_400
    assert [path.partition("?")[2] for path in source.asked] == [
        "X-Plex-Container-Start=0&X-Plex-Container-Size=0",
        f"sort=viewedAt%3Aasc&X-Plex-Container-Start=0&X-Plex-Container-Size={PAGE}",
        "X-Plex-Container-Start=0&X-Plex-Container-Size=0",
        f"sort=viewedAt%3Aasc&viewedAt%3E={since}&X-Plex-Container-Start=0&X-Plex-Container-Size={PAGE}",
    ]


async def test_rows_with_gaps_in_them_are_plays_with_gaps_in_them(plex: Pretend) -> None:
    gaps = [
        element(1, ratingKey=None, key=None, librarySectionID=None, title="Gone"),
        element(2, accountID=None),
        element(3, deviceID=None, title=None),
        element(4, historyKey=None),
        element(5, historyKey=None, viewedAt=BEGAN + 240),
        element(6, viewedAt=BEGAN + 240),
        element(7, index="three", accountID="", deviceID="x", ratingKey="one"),
        element(7),
        element(8, viewedAt="yesterday"),
        element(9, viewedAt=None),
        element(10, viewedAt="-5"),
        element(11, viewedAt="99999999999999999999999"),
    ]
    cache = RecordingCache()
    FakeHistory(plex, gaps)
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
        await reader.read_all()
    assert len(cache.plays) == 7, "what has no time cannot be placed; one came twice"
    by_number = {key.rpartition("/")[2]: play for key, play in cache.plays.items()}
    assert by_number["1"].item == Item(title="Gone", type="movie")
    assert (by_number["2"].user, by_number["3"].player, by_number["3"].item.title) == (None, None, None)
    assert len([key for key in cache.plays if key.startswith("keyless:")]) == 2
    assert cache.history.complete


async def test_without_totals_it_is_read_to_its_end_all_the_same(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(PAGE + 310)]), RecordingCache()
    source.totals = False
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert len(cache.plays) == PAGE + 310
    assert cache.history == History(BEGAN + (PAGE + 309) * 60, PAGE + 310, None, complete=True)


@pytest.mark.parametrize("refusal", [Answer(500), Answer(503), Answer(body=b""), Answer(body=b"<html/>"), Answer(200, b"<MediaCon")])  # fmt: skip
async def test_what_is_torn_in_the_middle_goes_on_at_the_mark(plex: Pretend, refusal: Answer) -> None:
    source, cache = FakeHistory(plex, [element(n * 30) for n in range(3 * PAGE)]), RecordingCache()
    source.refusals[3] = refusal
    async with open_importer(plex, cache) as reader:
        with pytest.raises(PlexError):
            await reader.read_all()
        assert (len(cache.plays), cache.history.complete) == (2 * PAGE - 1, False)
        await reader.read_all()
    assert len(cache.plays) == 3 * PAGE
    assert len(cache.doubles) <= 86_400 / 1800 + 2, "only the overlap is read again"
    assert cache.history.complete


async def test_a_row_of_history_learns_performer_and_edition_from_its_item(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(1, type="track"), element(3)]), RecordingCache()
    source.facts = {"type": "track", "originalTitle": "Ada Kettle", "editionTitle": "Long Cut"}
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    for number in (1, 3):
        item = cache.plays[f"/status/sessions/history/{number}"].item
        assert (item.performer, item.edition) == ("Ada Kettle", "Long Cut")


async def test_facts_of_items_are_asked_once_a_few_at_a_time_and_what_is_gone_has_none(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(1, 260)]), RecordingCache()
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
        source.rows.append(element(1000, ratingKey=5))
        await reader.read_all()
    assert [len(keys) for keys in source.items] == [ITEMS, ITEMS, 59]
    asked = next(path for path in plex.asked if path.startswith("/library/metadata/"))
    assert "skipRefresh=1" in asked
    item = cache.plays["/status/sessions/history/1"].item
    assert (item.guid, item.year, item.duration_ms) == ("plex://movie/1", 2031, 5_400_000)
    assert cache.plays["/status/sessions/history/1000"].item.guid == "plex://movie/5"
    assert cache.plays["/status/sessions/history/2"].item.guid is None


@pytest.mark.parametrize("refusal", [Answer(500), Answer(403), Answer(body=b"<html/>"), Answer(body=b"")])
async def test_without_the_facts_of_items_the_import_goes_on(plex: Pretend, refusal: Answer) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(2 * PAGE)]), RecordingCache()
    source.items_refused = refusal
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert len(cache.plays) == 2 * PAGE
    assert cache.history.complete


async def test_the_next_page_is_read_when_the_last_is_written(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(4 * PAGE)]), RecordingCache()
    allowed = 3

    async def written(number: int) -> None:
        while number > allowed:  # noqa: ASYNC110 - the test is what changes it
            await anyio.sleep(0.005)

    async with open_gateway(settings_for(plex.url)) as gateway, anyio.create_task_group() as tasks:
        progress = ImportProgress(lambda: cache.history, written)
        tasks.start_soon(HistoryImporter(gateway, progress, cache.send, count(1), ItemEnricher(), clock()).read_all)
        await until(lambda: len(cache.pages) == 4)
        await anyio.wait_all_tasks_blocked()
        assert (len(cache.pages), len(source.asked)) == (4, 2)
        allowed = 10_000
        await until(lambda: cache.history.complete)
    assert len(cache.plays) == 4 * PAGE


async def test_while_it_is_not_known_whose_history_it_is_none_is_read(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(1)]), RecordingCache()
    async with open_gateway(settings_for(plex.url)) as gateway:
        await HistoryImporter(
            gateway, ImportProgress(lambda: None, cache.written), cache.send, count(1), ItemEnricher(), clock()
        ).read_all()
    assert len(source.asked) == 1
    assert cache.plays == {}


# The listener


async def pages(output: ListenerOutput, cache: RecordingCache, fact: Callable[[], object]) -> None:
    """Take in what the listener sends until something is so."""
    while not fact():
        event = await output.next()
        if isinstance(event, HistoryPage):
            await cache.send(event)


def import_at_once(cache: RecordingCache) -> ImportProgress:
    async def written(_: int) -> None:
        await anyio.lowlevel.checkpoint()

    return ImportProgress(lambda: cache.history, written)


async def test_on_every_connect_history_is_read_after_the_libraries(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(10)]), RecordingCache()
    async with listening(plex.url, history=import_at_once(cache)) as output:
        await pages(output, cache, lambda: cache.history.complete)
        assert plex.asked.index("/accounts") < plex.asked.index(source.asked[0])
        assert plex.asked.index("/devices") < plex.asked.index(source.asked[0])
        source.rows.append(element(11))
        await (await plex.socket()).close()
        await pages(output, cache, lambda: len(cache.plays) == 11)


async def test_after_an_ended_play_it_is_read_soon_and_once_more_a_little_later(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(n) for n in range(10)]), RecordingCache()
    async with listening(plex.url, history=import_at_once(cache)) as output:
        await pages(output, cache, lambda: cache.history.complete)
        for _ in range(5):
            output.refresh.request_history()
        await until(lambda: len(source.asked) == 4)
        source.rows.append(element(11))
        await until(lambda: len(source.asked) == 6)
        await pages(output, cache, lambda: len(cache.plays) == 11)
        await anyio.wait_all_tasks_blocked()
        assert len(source.asked) == 6, "five plays that ended at once are one reason to look"


@pytest.mark.parametrize("status", [401, 403])
async def test_history_that_is_the_owners_alone_stays_incomplete_and_breaks_nothing(plex: Pretend, status: int) -> None:
    source, cache = FakeHistory(plex, [element(1)]), RecordingCache()
    source.refusals = {0: Answer(status)}
    async with listening(plex.url, history=import_at_once(cache)) as output:
        await pages(output, cache, lambda: cache.history.detail)
        assert PATH in (cache.history.detail or "")
        assert not cache.history.complete
        output.refresh.request_history()
        socket = await plex.socket()
        await socket.send(playing_frame("9"))
        while not isinstance(await output.next(), Playing):
            pass
        assert len(source.asked) == 1, "asked again when Plex is connected to again"
        await socket.close()
        await pages(output, cache, lambda: cache.history.complete)
        assert (cache.history.detail, len(cache.plays)) == (None, 1)


async def test_a_history_that_fails_is_tried_again(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(1)]), RecordingCache()
    source.refusals = {0: Answer(500), 2: Answer(503)}
    async with listening(plex.url, history=import_at_once(cache)) as output:
        await pages(output, cache, lambda: cache.history.complete)
    assert [bool(page.detail) for page in cache.pages].count(True) == 2
    assert cache.history.detail is None


async def test_a_history_that_takes_long_holds_back_neither_frames_nor_snapshots(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(1)]), RecordingCache()
    source.held = anyio.Event()
    async with listening(plex.url, history=import_at_once(cache)) as output:
        await until(lambda: source.asked)
        socket = await plex.socket()
        await socket.send(playing_frame("9"))
        while not isinstance(await output.next(), Playing):
            pass
        asked = plex.asked.count("/status/sessions")
        output.refresh.request_snapshot()
        await until(lambda: plex.asked.count("/status/sessions") == asked + 1)
        source.held.set()
        await pages(output, cache, lambda: cache.history.complete)


BROKEN = [
    b'<Video historyKey="/status/sessions/history/13" viewedAt="%d" title="A" studio="B" studio="C"/>' % (BEGAN + 780),
    b'<Video historyKey="/status/sessions/history/13" viewedAt="%d" title="A"><Media>' % (BEGAN + 780),
    b'<Video historyKey="/status/sessions/history/13" viewedAt="%d" title="The "A""/>' % (BEGAN + 780),
    b'<Video historyKey="/status/sessions/history/13" title="A"/>',
    b'<Video historyKey="/status/sessions/history/13" viewedAt="soon" title="A"/>',
    b'<Video historyKey="/status/sessions/history/13" viewedAt="99999999999999" title="A"/>',
]


class _BrokenHistory(FakeHistory):
    """A history with one row that cannot be read: instead of the row numbered 13."""

    def __init__(self, plex: Pretend, rows: list[Attributes], broken: bytes) -> None:
        super().__init__(plex, rows)
        self.broken = broken

    async def history(self) -> Answer:
        answer = await super().history()
        before, found, after = answer.body.partition(b'<Video historyKey="/status/sessions/history/13"')
        return Answer(body=before + self.broken + after.partition(b"/>")[2]) if found else answer


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("totals", [True, False])
async def test_a_row_that_cannot_be_read_is_passed_over_and_told_of(
    plex: Pretend, broken: bytes, *, totals: bool
) -> None:
    source = _BrokenHistory(plex, [element(number) for number in range(PAGE + 20)], broken)
    source.totals = totals
    cache = RecordingCache()
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert {key.rpartition("/")[2] for key in cache.plays} == {str(n) for n in range(PAGE + 20)} - {"13"}
    assert cache.history.complete
    assert cache.history.detail == "1 row of Plex's history could not be read."
    assert len(source.asked) < 10


async def test_a_row_that_cannot_be_read_counts_once_where_pages_are_read_twice(plex: Pretend) -> None:
    rows = "".join(f'<Video historyKey="/h/{n}" viewedAt="{BEGAN - n}" title="T"/>' for n in range(5))
    bad = '<Video historyKey="/h/9" viewedAt="1" studio="a" studio="b"/>'
    body = f'<MediaContainer totalSize="6">{rows}{bad}</MediaContainer>'.encode()
    plex.answers[PATH] = Answer(body=body)  # whatever order is asked for
    cache = RecordingCache()
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert len(cache.plays) == 5
    assert cache.history.detail == "1 row of Plex's history could not be read."


async def test_a_page_of_which_nothing_can_be_read_does_not_stop_the_reading(plex: Pretend) -> None:
    source, cache = FakeHistory(plex, [element(number) for number in range(PAGE + 5)]), RecordingCache()
    source.refusals[1] = Answer(body=b'<MediaContainer totalSize="505"><Video viewedAt="1"')
    async with open_importer(plex, cache) as reader:
        await reader.read_all()
    assert len(cache.plays) >= PAGE + 4
    assert cache.history.complete
