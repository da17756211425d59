"""Texts and questions for the full-text index agree, whatever script they are in."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plex_companion.names.folding import fold
from plex_companion.names.search_text import build_match, matches_words, prepare_search_text, prepare_titles

ALPHABET = "aé'&b Zß 斗罗大陆の東ガ봄날บ้-!\"*()ｱ１"
TEXTS = st.text(ALPHABET, min_size=1, max_size=12)


def finds(text: str, wanted: str) -> bool:
    """Whether SQLite finds a text by a question."""
    match = build_match(wanted)
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 0')")
        database.execute("INSERT INTO words VALUES (?)", (prepare_search_text(text) or text,))
        return (
            match is not None and database.execute("SELECT 1 FROM words WHERE words MATCH ?", (match,)).fetchall() != []
        )


@settings(max_examples=150)
@given(TEXTS)
def test_every_text_is_found_by_itself_and_by_each_of_its_words(text: str) -> None:
    for wanted in (text, *text.split()):
        if build_match(wanted) is not None:
            assert finds(text, wanted)


@settings(max_examples=150)
@given(st.text("斗罗大陆の東", min_size=1, max_size=8), st.data())
def test_any_run_of_characters_without_spaces_is_found_and_no_other(text: str, data: st.DataObject) -> None:
    wanted = data.draw(st.text("斗罗大陆の東", min_size=1, max_size=3))
    assert finds(text, wanted) == (wanted in text)


@settings(max_examples=150)
@given(st.text("ab c", min_size=1, max_size=10), st.text("abc", min_size=1, max_size=3))
def test_a_spaced_word_is_found_by_its_beginning_only(text: str, wanted: str) -> None:
    assert finds(text, wanted) == any(word.startswith(wanted) for word in text.split())
    assert matches_words(text, wanted) == finds(text, wanted)


@pytest.mark.parametrize("wanted", ["罗大", "陆斗"])
def test_a_run_does_not_reach_over_a_space(wanted: str) -> None:
    assert not finds("斗罗 大陆 斗", wanted)


@pytest.mark.parametrize("text", ["Plain words, 12!", "a-b (c)"])
def test_plain_texts_are_not_stored_twice(text: str) -> None:
    assert prepare_search_text(text) is None
    assert prepare_titles(text, None, text) is None


def test_the_titles_of_a_play_are_prepared_together_where_one_is_not_plain() -> None:
    prepared = prepare_titles("Élan", "Plain", None)
    assert prepared is not None
    assert fold("Élan") in prepared
    assert "Plain" in prepared
