"""Folding titles and names to a form in which spelling variants are equal."""

from __future__ import annotations

import unicodedata

_WITHOUT_TRACE = dict.fromkeys(
    map(ord, "'`\u00b4\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u2032\uff07™®©℠\u0640")
)
"""Apostrophes, okinas, trade marks and the Arabic tatweel: "Baker's" is also written "Bakers"."""
_LETTERS = str.maketrans(
    {
        "\u0131": "i",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ŧ": "t",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "&": " and ",
    }
)
"""Lower-case letters that Unicode does not decompose, with their usual replacement."""
_SEPARATING_SYMBOLS = frozenset("~|^<>\u2044")
_VOWEL_POINTS = range(10, 37)
"""Canonical combining classes of Hebrew points and Arabic vowels, which are usually omitted in writing."""
_ACCENTS = range(200, 256)
"""Combining classes of accents. Kana voicing (8), nukta (7), virama (9), Thai and Lao tones (103 to 122) are lower:
they are letters."""
_OVERLAY = 1
_JOINER = "\u034f"


def compose(text: str) -> str:
    """Return the text in Unicode's composed form (NFC). Libraries read from a Mac's disk have decomposed titles."""
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return the text without case, accents, apostrophes and punctuation, with single spaces between words.

    Compatibility characters are unified (NFKC), and a dotless i equals an i. Marks that are letters of their script
    stay. A text of nothing but punctuation stays as it is, so it equals only itself. Folding twice changes nothing.
    """
    return " ".join(_reduce(text).split()) or _squeeze(text)


def fold_closely(text: str) -> str:
    """Return the folded text without spaces: "Rain-Man", "Rain Man" and "Rainman" are equal."""
    return fold(text).replace(" ", "")


def _squeeze(text: str) -> str:
    """Return the characters of a text that has no words."""
    plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    return unicodedata.normalize("NFKC", plain)


def _reduce(text: str) -> str:
    """Return the words of the text, with spaces in place of everything else."""
    if text.isascii():
        plain = text.casefold().translate(_WITHOUT_TRACE).translate(_LETTERS)
    else:
        apart = unicodedata.normalize("NFKD", text.translate(_WITHOUT_TRACE))
        apart = unicodedata.normalize("NFKD", apart.casefold())
        bare = "".join(char for char in apart if not _is_dropped(char))
        plain = unicodedata.normalize("NFC", bare.translate(_WITHOUT_TRACE).translate(_LETTERS))
    return "".join(" " if _is_separator(char) else char for char in plain)


def _is_dropped(char: str) -> bool:
    """Return whether a character of a decomposed text is an accent or invisible."""
    match unicodedata.category(char):
        case "Mn":
            order = unicodedata.combining(char)
            return order in _ACCENTS or order in _VOWEL_POINTS or order == _OVERLAY or _is_selector(char)
        case "Me" | "Cf" | "Cs":
            return True
        case _:
            return False


def _is_selector(char: str) -> bool:
    return char == _JOINER or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _is_separator(char: str) -> bool:
    return unicodedata.category(char)[0] in "PZC" or char in _SEPARATING_SYMBOLS
