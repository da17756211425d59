"""The texts that targets get: several messages as one, cut where a service takes no more, and calling nobody."""

from __future__ import annotations

from html import escape
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frames import START

from plex_companion.models import Message, Poster
from plex_companion.notify.message_texts import cut_text, fit_text, merge_messages, silence_mentions
from plex_companion.times import DAY_MS, MINUTE_MS

VIENNA = ZoneInfo("Europe/Vienna")
POSTER = Poster("den", "7")


def merged(*messages: Message, step: int = 0, most: int = 2_000) -> Message:
    return merge_messages([(START + place * step, one) for place, one in enumerate(messages)], VIENNA, most)


def test_one_message_stays_as_it_is() -> None:
    message = Message("Pip is watching", "Sunset Harbour\nin 4K", "<p>Sunset</p>", POSTER)
    assert merged(message) == message


def test_several_messages_are_one_that_says_how_many_and_lists_them_in_order() -> None:
    found = merged(
        Message("Pip is watching", "Sunset Harbour"), Message("New episode", "Harbour\nStreet"), Message("Ende", "")
    )
    assert found.title == "3 messages"
    assert found.text.splitlines() == ["Pip is watching: Sunset Harbour", "New episode: Harbour Street", "Ende"]


def test_a_title_that_all_have_is_said_once() -> None:
    found = merged(Message("New in Films", "Sunset Harbour"), Message("New in Films", "Low Tide"))
    assert (found.title, found.text) == ("New in Films (2 messages)", "Sunset Harbour\nLow Tide")


def test_messages_of_different_minutes_have_their_times_in_the_household_s_zone() -> None:
    found = merged(Message("A", "one"), Message("A", "two"), step=MINUTE_MS)
    first, second = found.text.splitlines()
    assert first[:5] < second[:5]
    assert (first[5:], second[5:]) == ("  one", "  two")
    days = merged(Message("A", "one"), Message("A", "two"), step=DAY_MS).text.splitlines()
    assert days[0][:3] != days[1][:3]


def test_the_poster_that_all_share_is_kept_and_of_different_ones_none() -> None:
    assert merged(Message("A", "", poster=POSTER), Message("B", "", poster=POSTER)).poster == POSTER
    assert merged(Message("A", "", poster=POSTER), Message("B", "", poster=Poster("den", "8"))).poster is None


def test_what_does_not_fit_is_counted() -> None:
    found = merged(*(Message("New in Films", f"Film number {number}") for number in range(1_000)), most=500)
    lines = found.text.splitlines()
    assert len(found.text) <= 500
    assert found.title == "New in Films (1,000 messages)"
    assert lines[-1] == f"… and {1_000 - (len(lines) - 1):,} more"


def test_a_text_that_is_cut_shows_it() -> None:
    assert cut_text("x" * 10_000, 2_000) == "x" * 1_999 + "…"
    assert cut_text("short", 2_000) == "short"


@given(text=st.text(max_size=400), most=st.integers(1, 400))
def test_no_text_is_longer_than_a_service_takes_however_it_spells_it(text: str, most: int) -> None:
    assert len(cut_text(text, most)) <= most
    assert len(escape(fit_text(text, most, lambda one: len(escape(one))))) <= most


@given(
    texts=st.lists(st.text(max_size=60), min_size=1, max_size=30), most=st.integers(30, 600), title=st.text(max_size=9)
)
def test_no_digest_is_longer_than_a_service_takes(texts: list[str], most: int, title: str) -> None:
    found = merged(*(Message(title, text) for text in texts), step=MINUTE_MS, most=most)
    assert len(found.text) <= most or len(texts) == 1


@pytest.mark.parametrize("name", ["@everyone", "@Here", "@channel", "<@&12345>", "<@12345>", "<@!12345>"])
def test_a_player_called_everyone_rings_for_nobody(name: str) -> None:
    shown = silence_mentions(f"{name} started Sunset Harbour")
    assert name not in shown
    assert shown.replace("\u2060", "") == f"{name} started Sunset Harbour"


def test_an_address_of_e_mail_is_no_mention() -> None:
    assert silence_mentions("pip@example.org, @pip") == "pip@example.org, @pip"
