"""Text from elsewhere is made safe before it is stored or shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.text import clean, discreet, mask, redact, without


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("plain", "plain"),
        ("two\r\nlines\tand", "two  lines and"),
        ("\x04bad\x1b[0m", "bad[0m"),
        ("\u202eevil\u2069", "evil"),
        ("half \ud83d", "half "),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("soft\u00adhyphen", "soft\u00adhyphen"),
    ],
)
def test_control_bidi_and_half_characters_go_and_the_rest_stays(said: str, kept: str) -> None:
    assert clean(said) == kept


@given(st.text())
def test_cleaned_text_can_be_encoded_and_cleaning_again_changes_nothing(value: str) -> None:
    once = clean(value)
    once.encode()
    assert clean(once) == once


@pytest.mark.parametrize(
    "said",
    [
        "http://h:32400/?X-Plex-Token=abcd1234efgh&x=1",
        "x-plex-token: abcd1234efgh",
        '{"authToken": "abcd1234efgh"}',
        "accessToken=abcd1234efgh",
        "PlexOnlineToken='abcd1234efgh'",
        "X-Plex-Token%3Dabcd1234efgh",
        "/player/playback/playMedia?token=abcd1234efgh&x=1",
        '{"refresh_token": "abcd1234efgh"}',
        "token%3Dabcd1234efgh",
    ],
)
def test_a_token_is_hidden_wherever_plex_puts_one(said: str) -> None:
    assert "abcd1234" not in redact(said)


def test_a_sentence_about_tokens_stays() -> None:
    assert redact("the token expired, tokens are renewed") == "the token expired, tokens are renewed"


def test_a_named_secret_is_hidden_wherever_it_stands() -> None:
    assert without("a s3cr3t in s3cr3ts", ["s3cr3t", ""]) == "a hidden in hiddens"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("ada@example.org plays", "hidden plays"),
        ("from 203.0.113.9:32400", "from hidden:32400"),
        ("version 1.43.3.10162", "version 1.43.3.10162"),
        ("256.1.1.1 is no address", "256.1.1.1 is no address"),
        ("speed 3.2000", "speed 3.2000"),
        ("just an @ sign", "just an @ sign"),
    ],
)
def test_mail_and_addresses_are_masked_and_numbers_stay(said: str, kept: str) -> None:
    assert mask(said) == kept


def test_what_may_be_kept_has_neither_token_nor_address() -> None:
    assert discreet("ada@example.org?X-Plex-Token=abcd1234") == "hidden?X-Plex-Token=hidden"
