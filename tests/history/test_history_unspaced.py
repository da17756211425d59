"""Titles in scripts without spaces: any part of them is found."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from support.recorded_plays import NOW, Past, past, seen

if TYPE_CHECKING:
    from pathlib import Path

TITLES = (
    "春の東京物語",
    "3月のライオン丸",
    "スター・ボート",
    unicodedata.normalize("NFD", "がぎぐげ"),
    "서울의봄날",
    "บ้านริมน้ำ",
    "ＡＢＣ殺人",
    "𠮷田食堂",
    "Filming the Harbour",
    "100%の愛_下",
)


async def found(it: Past, title: str, **more: Any) -> list[str]:
    answer = await it.well("history_query", title=title, **more)
    return [play["title"] for play in answer["plays"]]


@pytest.mark.parametrize(
    ("expected", "place"),
    [
        ("物語", 0), ("京", 0), ("春の", 0), ("春の東京物語", 0), ("ライオン", 1), ("3月", 1), ("月の", 1), ("スター", 2),
        ("スター・ボート", 2), ("ボ", 2), ("がぎ", 3), (unicodedata.normalize("NFD", "ぎぐ"), 3), ("봄", 4), ("울의", 4),
        ("ริม", 5), ("น้ำ", 5), ("ABC殺", 6), ("殺人", 6), ("田食", 7), ("𠮷", 7), ("film", 8), ("harb", 8), ("%の愛", 9),
        ("愛_下", 9), ("ﾗｲｵﾝ", 1),
    ],
)  # fmt: skip
async def test_any_part_of_a_title_without_spaces_is_found(tmp_path: Path, expected: str, place: int) -> None:
    rows = [seen(n, NOW - n, title=title) for n, title in enumerate(TITLES, 1)]
    async with past(tmp_path, plays=rows) as it:
        assert await found(it, expected) == [TITLES[place]]


@pytest.mark.parametrize("expected", ["ilm", "arbour", "語物", "京春", "がぐ", "かぎ"])
async def test_what_stands_in_no_title_or_in_the_middle_of_a_spaced_word_is_not_found(
    tmp_path: Path, expected: str
) -> None:
    rows = [seen(n, NOW - n, title=title) for n, title in enumerate(TITLES, 1)]
    async with past(tmp_path, plays=rows) as it:
        assert await found(it, expected) == []


async def test_show_and_album_are_searched_too_and_several_words_narrow(tmp_path: Path) -> None:
    show = {"type": "episode", "grandparent_title": "銀河の灯台", "parent_title": "Season 1"}
    rows = [seen(1, NOW, title="Fog", **show), seen(2, NOW - 1, title="Tide", **show), seen(3, NOW - 2, title="灯台")]
    async with past(tmp_path, plays=rows) as it:
        assert await found(it, "灯台") == ["Fog", "Tide", "灯台"]
        assert await found(it, "灯台 tid") == ["Tide"]
        assert await found(it, "河の 台") == ["Fog", "Tide"]
        assert await found(it, "灯台", user="Ben") == []


async def test_titles_that_come_later_are_found_at_once(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW, title=None)]) as it:
        assert await found(it, "灯台") == []
        it.write(plays=[seen(1, NOW, title="銀河の灯台")])
        assert await found(it, "灯台") == ["銀河の灯台"]


async def test_very_many_titles_with_a_part_are_paged_newest_first(tmp_path: Path) -> None:
    rows = [seen(n, NOW - n, title=f"第{n}話") for n in range(1, 150)]
    async with past(tmp_path, plays=[*rows, seen(9_999, NOW)]) as it:
        first = await it.well("history_query", title="話", limit=3)
        assert [play["title"] for play in first["plays"]] == ["第1話", "第2話", "第3話"]
        more = await it.well("history_query", title="話", limit=3, cursor=first["next_cursor"])
        assert [play["title"] for play in more["plays"]] == ["第4話", "第5話", "第6話"]
