"""Wherever history is read on: every row comes, whatever the server makes of order, time, pages and totals."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from msgspec.structs import replace

from plex_companion.models import History, HistoryRow, Item
from plex_companion.plex.history_importer import OVERLAP_S, PAGE, HistoryCursor, RawHistoryPage

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_900_000_000
DAY = 86_400


def make_row(number: int, at: int) -> HistoryRow:
    return HistoryRow(f"/status/sessions/history/{number}", at, Item(str(number)))


def make_year(count: int = 3 * PAGE + 7) -> list[HistoryRow]:
    """Rows over a year, in the order of their keys; two of them in one second, now and then."""
    return [make_row(number, NOW - 365 * DAY + (number // 3) * 3 * DAY // 10) for number in range(count)]


@dataclass
class FakeHistory:
    """A server's history, and what it makes of how it is asked."""

    rows: list[HistoryRow]
    order: str = "as asked"
    filters: bool = True
    pages: bool = True
    totals: bool = True
    most: int = PAGE
    meanwhile: Callable[[FakeHistory], None] | None = None
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def page(self, cursor: HistoryCursor) -> RawHistoryPage:
        self.asked.append(("asc" if cursor.ascending else "desc", cursor.since, cursor.start))
        rows = [one for one in self.rows if not self.filters or one.viewed_at_s >= cursor.since]
        rising = self.order == "oldest first" or (self.order == "as asked" and cursor.ascending)
        if self.order == "no order":
            rows = sorted(rows, key=lambda one: crc32(one.history_key.encode()))
        else:
            rows = sorted(rows, key=lambda one: one.viewed_at_s, reverse=not rising)
        found = rows[cursor.start : cursor.start + self.most] if self.pages else rows
        if self.meanwhile:
            self.meanwhile(self)
        return RawHistoryPage(tuple(found), len(found), len(rows) if self.totals else None)


def walk_to_end(
    source: FakeHistory, known: History | None = None, requests: int = 60
) -> tuple[HistoryCursor, list[str]]:
    """The walk at its end, and the keys that came with it."""
    cursor, keys = HistoryCursor(known or History(), NOW), []
    while not cursor.done:
        keys += [one.history_key for one in cursor.advance(source.page(cursor))]
        assert len(source.asked) <= requests
    return cursor, keys


def find_missing(source: FakeHistory, keys: list[str]) -> set[str]:
    return {one.history_key for one in source.rows} - set(keys)


def test_each_page_begins_at_the_time_where_the_last_one_ended() -> None:
    source = FakeHistory(make_year())
    cursor, keys = walk_to_end(source)
    assert not find_missing(source, keys)
    assert len(keys) == len(source.rows), "rows of the second between two pages come twice and are told once"
    assert [start for _, _, start in source.asked] == [0] * len(source.asked)
    assert len(source.asked) == 4
    assert cursor.mark_s == source.rows[-1].viewed_at_s
    assert cursor.build_progress(len(source.rows)) == len(source.rows)


def test_the_mark_and_the_progress_move_with_every_page() -> None:
    source, cursor = FakeHistory(make_year()), HistoryCursor(History(), NOW)
    shown = []
    while not cursor.done:
        cursor.advance(source.page(cursor))
        shown.append((cursor.mark_s, cursor.build_progress(len(source.rows))))
    assert shown == sorted(shown)
    assert shown[0][1] == PAGE


def test_reading_on_begins_a_day_before_the_mark() -> None:
    source = FakeHistory(make_year())
    mark = source.rows[1000].viewed_at_s
    known = History(mark, 1001, len(source.rows), complete=True)
    cursor, keys = walk_to_end(source, known)
    assert source.asked[0] == ("asc", mark - OVERLAP_S, 0)
    assert {one.history_key for one in source.rows if one.viewed_at_s >= mark - OVERLAP_S} == set(keys)
    assert cursor.build_progress(len(source.rows)) == len(source.rows)


def test_a_history_without_a_row_is_read_in_one_request() -> None:
    source = FakeHistory([])
    cursor, keys = walk_to_end(source, requests=1)
    assert (keys, cursor.build_progress(0), cursor.mark_s) == ([], 0, 0)


def test_more_rows_in_one_second_than_a_page_holds() -> None:
    source = FakeHistory(
        [
            *make_year(40),
            *(make_row(number, NOW - 200 * DAY) for number in range(1000, 1000 + 2 * PAGE + 5)),
            *make_year(40),
        ]
    )
    source.rows = list({one.history_key: one for one in source.rows}.values())
    _, keys = walk_to_end(source)
    assert not find_missing(source, keys)


STRANGE = {
    "the order is ignored": {"order": "newest first"},
    "the time is ignored": {"filters": False},
    "order and time are ignored": {"order": "newest first", "filters": False},
    "always the oldest first, the time ignored": {"order": "oldest first", "filters": False},
    "no order at all": {"order": "no order"},
    "no order at all, the time ignored": {"order": "no order", "filters": False},
    "pages are ignored": {"pages": False},
    "everything is ignored": {"order": "newest first", "filters": False, "pages": False},
    "smaller pages than asked for": {"most": 90},
    "small pages in no order": {"order": "no order", "most": 200},
}


@pytest.mark.parametrize("totals", [True, False], ids=["with totals", "without totals"])
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("days", [None, 40], ids=["at first", "later"])
def test_every_row_comes_from_a_server_that(strange: dict[str, object], totals: bool, days: int | None) -> None:
    source = FakeHistory(make_year(), totals=totals, **strange)  # type: ignore[arg-type]  # as declared above
    mark = 0 if days is None else source.rows[-days].viewed_at_s
    before = [one.history_key for one in source.rows if one.viewed_at_s <= mark]
    cursor, keys = walk_to_end(source, History(mark, len(before)))
    assert find_missing(source, [*before, *keys]) == set()
    assert cursor.mark_s == source.rows[-1].viewed_at_s
    assert (
        cursor.build_progress(len(source.rows))
        == cursor.build_progress(len(source.rows) if totals else None)
        == len(source.rows)
    )


@pytest.mark.parametrize("order", ["as asked", "newest first"])
def test_a_server_that_ignores_the_time_is_not_read_to_its_beginning_again(order: str) -> None:
    source = FakeHistory(make_year(20 * PAGE), order=order, filters=False)
    source.rows = [replace(one, viewed_at_s=NOW - DAY * 900 + n * 7_000) for n, one in enumerate(source.rows)]
    known = History(source.rows[-3].viewed_at_s, len(source.rows) - 2, len(source.rows), complete=True)
    _, keys = walk_to_end(source, known, requests=4)
    assert {one.history_key for one in source.rows[-3:]} <= set(keys)


@pytest.mark.parametrize("seed", range(30))
def test_rows_that_come_and_go_meanwhile_hide_none_of_those_that_stay(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    gone: set[str] = set()

    def meanwhile(source: FakeHistory) -> None:
        for _ in range(dice.randrange(4)):
            gone.add(source.rows.pop(dice.randrange(len(source.rows))).history_key)
        for _ in range(dice.randrange(3)):
            source.rows.append(make_row(10_000 + len(gone) + len(source.rows), NOW - dice.randrange(60)))

    source = FakeHistory(
        make_year(), dice.choice(["as asked", "newest first"]), filters=dice.random() < 0.7, meanwhile=meanwhile
    )
    first = {one.history_key for one in source.rows}
    _, keys = walk_to_end(source)
    assert (first - gone) - set(keys) == set()


def test_a_row_from_the_future_does_not_carry_the_mark_there() -> None:
    source = FakeHistory([*make_year(10), make_row(99, NOW + 900 * DAY)])
    cursor, keys = walk_to_end(source)
    assert not find_missing(source, keys)
    assert cursor.mark_s == NOW
