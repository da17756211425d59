"""Text from elsewhere is made safe before it is stored or shown."""

from __future__ import annotations

import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion import text
from plex_companion.text import (
    HIDDEN,
    LONGEST,
    SecretFilter,
    clean,
    cut,
    encode_finite,
    encode_json,
    fold_case,
    format_count,
    is_harmless,
    mask,
    redact,
    redact_personal,
)


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
    assert SecretFilter(["s3cr3t", ""]).hide("a s3cr3t in s3cr3ts") == "a hidden in hiddens"


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
    assert redact_personal("ada@example.org?X-Plex-Token=abcd1234") == "hidden?X-Plex-Token=hidden"


@pytest.mark.parametrize("said", ["a" * 100_000, "word " * 20_000, "物" * 100_000, "\u202e" * 100_000])
def test_a_long_text_is_cut_where_it_enters(said: str) -> None:
    assert len(clean(said)) <= LONGEST
    assert said.startswith(cut(said))


def test_a_text_that_fits_is_not_cut() -> None:
    assert cut("a" * LONGEST) == "a" * LONGEST
    assert cut("word " * 2_000) == ("word " * 2_000)[: LONGEST - 2], "only the word goes that the cut goes through"


SECRETS = [
    "X-Plex-Token=Zq7Zq7Zq7Zq7Zq7Zq7Zq7",
    "http://h/?a=1&token=Zq7Zq7Zq7Zq7Zq7Zq7",
    "https://ada:Zq7Zq7Zq7Zq7@example.org/",
    "Zq7.Zq7.Zq7@Zq7Zq7.example.org",
    "X-Plex-Token: eyJ" + "Zq7" * 500,
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(secret: str) -> None:
    for shown in range(len(secret) + 1):
        text = f"{'a word, ' * LONGEST}"[: LONGEST - shown - 1] + f" {secret} and more"
        assert "Zq7" not in redact_personal(clean(text)), f"cut after {shown} characters"


def test_no_half_of_an_address_is_left_where_a_text_is_cut() -> None:
    for shown in range(14):
        assert "203" not in redact_personal(clean(" " * (LONGEST - shown) + "203.0.113.19 plays"))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", None),  # the flag of Scotland
        ("\U0001f3f4\U000e0075\U000e0073\U000e0074\U000e0078\U000e007f", None),  # of Texas
        ("A\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065B", "AB"),
        ("\U0001f3f4\U000e0064\U000e0065\U000e006c\U000e0065\U000e0074\U000e0065 all", "\U0001f3f4 all"),
        ("\U0001f3f4\U000e0067\U000e0062 cut", "\U0001f3f4 cut"),
        ("one\u2028two\u2029three\x85four", "one two threefour"),
        ("zero\u200bwidth\u2060joined\ufeff", "zerowidthjoined"),
        ("\u3164\u115f\uffa0", ""),
        ("♥\ufe0f\U000e0101\U000e0145\U000e0121", "♥\ufe0f"),
        ("葛\U000e0100城", None),
        ("क्‍ष", None),
        ("no\ufffecharacter\ufdd0", "nocharacter"),
    ],
)
def test_what_cannot_be_seen_goes_and_what_writes_a_flag_or_a_script_stays(said: str, kept: str | None) -> None:
    assert clean(said) == (said if kept is None else kept)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a@b.example+x@d.example", "hiddenhidden"),
        ("a@b@c.example", "a@hidden"),
        ("@ada @ben", "@ada @ben"),
        ("<a.b+c%d-e@x-y.example.org>,f@g.example", "<hidden>,hidden"),
        ("@" + "a" * 50_000 + "@x.example", "@hidden"),
    ],
)
def test_every_address_of_a_text_is_masked(said: str, kept: str) -> None:
    assert mask(said) == kept


# What decides quickly that a text needs no pattern must never be wrong: it is compared with the patterns alone.

LOOKALIKES = {"i": "\u0130\u0131", "s": "\u017f", "k": "\u212a"}
WORDS = [
    "X-Plex-Token",
    "accessToken",
    "auth_token",
    "token",
    "api_key",
    "ApiKey",
    "jwt",
    "Signature",
    "key",
    "pin",
    "sig",
]
SEPARATORS = ["=", ":", "%3D", '": "', " = ", "?", "&", ".", "/", "://", "@", " ", "\n", "\\n", '\\"', "\u2028", "é"]
VALUES = ["abcd1234efgh", "Zq7~%+/==", "203", "0", "113.19", "1.2.3.4", "\u0661", "256", "ada", "example.org", "斗"]


def disguise(word: str, draw: st.DrawFn) -> str:
    forms = [draw(st.sampled_from([one, one.upper(), *LOOKALIKES.get(one.lower(), "")])) for one in word]
    return "".join(forms)


@st.composite
def suspicious(draw: st.DrawFn) -> str:
    """A text of words, separators and values in any order, some letters of which only look like others."""
    pieces = draw(st.lists(st.sampled_from([*WORDS, *SEPARATORS, *VALUES]), max_size=12))
    return "".join(disguise(piece, draw) if piece in WORDS and draw(st.booleans()) else piece for piece in pieces)


def redact_without_shortcut(said: str) -> str:
    said = text._LOGIN.sub(f"{HIDDEN}@", text._PIN.sub(rf"\1{HIDDEN}", said))
    return text._TOKEN.sub(rf"\1\2{HIDDEN}", said)


def mask_without_shortcut(said: str) -> str:
    return text._ADDRESS.sub(HIDDEN, text._EMAIL.sub(lambda found: HIDDEN if found[1] else found[0], said))


@given(suspicious() | st.text())
def test_no_secret_passes_that_the_patterns_alone_would_hide(said: str) -> None:
    assert redact(said) == redact_without_shortcut(said)


@given(suspicious() | st.text(alphabet="0123456789.\u0661a @"))
def test_no_address_passes_that_the_patterns_alone_would_mask(said: str) -> None:
    assert mask(said) == mask_without_shortcut(said)


@given(suspicious() | st.text() | st.sampled_from([one.upper() for one in text.SECRET_NAMES]))
def test_a_harmless_text_holds_nothing_to_hide_and_no_name_of_a_secret(said: str) -> None:
    if is_harmless(said):
        assert mask_without_shortcut(redact_without_shortcut(said)) == said
        assert not any(name in fold_case(said) for name in text.SECRET_NAMES)


@pytest.mark.parametrize("said", SECRETS)
def test_no_secret_is_harmless(said: str) -> None:
    assert not is_harmless(said)


def test_every_character_that_a_pattern_takes_for_a_letter_is_folded_to_it() -> None:
    everything = "".join(map(chr, range(0x110000)))
    found = {one: re.compile(one, re.IGNORECASE).findall(everything) for one in string.ascii_lowercase}
    assert {one for letter in found.values() for one in letter} > set(string.ascii_letters)
    for letter, spellings in found.items():
        assert {fold_case(one) for one in spellings} == {letter}


@pytest.mark.parametrize("name", ["token", "apiKey", "api_key", "jwt", "signature", "X-Plex-Token", "PlexOnlineToken"])
def test_a_token_is_hidden_under_a_name_in_letters_that_look_alike(name: str) -> None:
    for letter, others in LOOKALIKES.items():
        for other in others:
            said = f"{name.replace(letter, other).replace(letter.upper(), other)}=abcd1234efgh"
            assert "abcd1234" not in redact(said), said
    assert "abcd1234" not in redact(f"{name.swapcase()}: abcd1234efgh")


@pytest.mark.parametrize(
    "said",
    [
        "127.0.0.1",
        "a.b.c.d.203.0.113.19",
        "203.0.113.19.",
        "com.plexapp.plugins.library 203.0.113.19:32400",
        "1.5 and 203.0.113.19",
        "\u0662\u0660\u0663.0.\u0661.19",
    ],
)
def test_an_address_is_masked_between_other_dots_and_in_other_digits(said: str) -> None:
    assert mask(said) == mask_without_shortcut(said)


def test_a_report_of_a_session_needs_no_pattern() -> None:
    said = '{"sessionKey":"41","key":"/library/metadata/7001","guid":"com.plexapp.agents.imdb","viewOffset":59062}'
    assert is_harmless(said)


def test_a_printable_text_is_cleaned_like_one_that_is_not() -> None:
    for code in range(0x80, 0x110000):
        said = f"a{chr(code) * 2}b"
        if said.isprintable():
            assert f"\u00ad{clean(said)}" == clean(f"\u00ad{said}"), hex(code)


@pytest.mark.parametrize(("number", "words"), [(0, "0 plays"), (1, "1 play"), (2, "2 plays"), (1_204, "1,204 plays")])
def test_a_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert format_count(number, "play") == words
    assert format_count(1, "match", "matches") == "1 match"
    assert format_count(number + 2, "match", "matches").endswith("matches")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_the_fast_encoder_says_the_same(value: object) -> None:
    assert json.loads(encode_finite(value)) == json.loads(encode_json(value))
