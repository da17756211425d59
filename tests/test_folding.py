"""Two spellings of one title are equal once they are folded, and two titles are not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.names.folding import compose, fold, fold_closely


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("U\u0308ber den Ba\u0308umen", "über den bäumen"),
        ("The Baker\u2019s Tea", "the bakers tea"),
        ("The Baker`s Tea", "The Baker\u00b4s Tea"),
        ("Café Noir", "CAFE NOIR"),
        ("Part Two \u2013 Home", "Part Two - Home"),
        ("Part Two: Home", "Part Two — Home"),
        ("…And Rain", "...And Rain"),
        ("Room  One\u00a0More", "Room One More"),
        ("Salt & Lamps", "Salt and Lamps"),
        ("İstanbul Rain", "istanbul rain"),
        ("Iş\u0131k", "\u0131ş\u0131k"),
        ("Hawai\u02bbi Nights", "Hawaii Nights"),
        ("Łódź", "Lodz"),
        ("Smørrebrød", "smorrebrod"),
        ("Straße", "STRASSE"),
        ("ΣΟΦΟΣ", "σοφός"),
        ("\uff2c\uff41\uff4d\uff50 \uff12", "Lamp 2"),
        ("Part Ⅱ", "part ii"),
        ("½ Lamp", "1/2 lamp"),
        ("soft\u00adly", "softly"),
        ("Lamp™", "Lamp"),
        ("物語\uff5e夏", "物語〜夏"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
    ],
)
def test_spellings_of_one_title_are_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("かき", "がき"),
        ("はん", "ぱん"),
        ("की", "कि"),
        ("क", "क्"),
        ("ข้าว", "ข่าว"),
        ("가방", "나방"),
        ("!!!", "…"),
        ("!!!", "!"),
        ("C++ Nights", "C Nights"),
        ("Now Here", "Nowhere"),
    ],
)
def test_marks_that_are_letters_and_titles_of_punctuation_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize("title", ["!!!", "…", "?", "'", "—", "・", "\u0301", "♥"])
def test_a_title_of_punctuation_does_not_become_nothing(title: str) -> None:
    assert fold(title)


def test_words_that_are_joined_in_one_spelling_are_equal_without_spaces() -> None:
    assert fold_closely("Lamp-Man") == fold_closely("Lamp Man") == fold_closely("lampman")


def test_a_decomposed_title_is_composed() -> None:
    assert compose("U\u0308ber") == "Über"


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text)
    assert fold(once) == once


@given(st.text())
def test_the_forms_of_unicode_fold_to_one(text: str) -> None:
    assert fold(unicodedata.normalize("NFC", text)) == fold(unicodedata.normalize("NFD", text))


@given(st.text(st.characters(categories=["L", "N"]), min_size=1))
def test_letters_and_digits_never_fold_to_nothing(text: str) -> None:
    assert fold(text)
