"""Prepares texts for the full-text index, and questions for it. Both sides go through here, so that they agree.

SQLite's tokenizer takes a run of Chinese, Japanese or Korean characters for one word (SQLite FTS5, section 4.3.1), which
is found by its beginning only. Here every such character becomes a word of its own, and a run of them a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from plex_companion.names.folding import fold

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uffdc\U00020000-\U0003fffd"
)
"""The inside of a regular expression's brackets: characters of scripts without spaces between words."""
BREAK = "\ue000"
"""A word between two runs of such characters, so that no phrase spans them. Of the private use area: no title has it."""
MOST_MARKS = 30
MOST_WORDS = 32
"""The most words that are searched for."""

_RUNS, _ONE = f"[{UNSPACED}]+|[^{UNSPACED}]+", f"[{UNSPACED}]"
"""Compiled, and kept by `re`, when they are first needed: that takes 7 ms, which no start should wait for."""
_PLAIN = re.compile(r"[ -%(-_a-~\t\r\n]*")
"""ASCII without the ampersand and the apostrophes, which folding treats unlike the tokenizer."""


def prepare_search_text(text: str) -> str | None:
    """Return the text as the index reads it, or `None` where the index can read it as it is."""
    if _PLAIN.fullmatch(text):
        return None
    folded = fold(_limit_marks(text))
    if not re.search(_ONE, folded):
        return folded
    return f" {BREAK} ".join(" ".join(_split_word(word)) for word in folded.split())


def _limit_marks(text: str) -> str:
    """Return the text with at most 30 combining marks in a row: sorting them takes quadratic time.

    It is the limit of Unicode's stream-safe format (UAX #15, section 13), which no text of any language exceeds.
    """
    if text.isascii():
        return text
    kept, marks = list[str](), 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def _split_word(word: str) -> list[str]:
    """Return the characters of scripts without spaces one by one, and what is between them as it is."""
    runs = (list(run) if re.match(_ONE, run) else [run] for run in re.findall(_RUNS, word))
    return [part for run in runs for part in run if part.strip()]


def build_match(text: str) -> str | None:
    """Return the FTS5 expression for a text; `None` if there is no word in it.

    Every word must be there, or a word that begins with it. A run of characters of a script without spaces may be
    anywhere inside a word. Words are quoted, so no sign is an operator (SQLite FTS5, section 3.1).
    """
    words = [word for word in fold(_limit_marks(text)).split() if any(char.isalnum() for char in word)]
    return " AND ".join(_quote_word(word) for word in words[:MOST_WORDS]) or None


def _quote_word(word: str) -> str:
    parts = _split_word(word)
    ends_spaced = not re.match(_ONE, parts[-1])
    quoted = " ".join(parts).replace('"', '""').replace("\0", "")
    return f'"{quoted}"*' if ends_spaced else f'"{quoted}"'


def matches_words(name: str, text: str) -> bool:
    """Return whether a name would be found by a text, by the same rules."""
    has, asked = fold(_limit_marks(name)).split(), fold(_limit_marks(text)).split()
    return all(any(one in word if re.search(_ONE, one) else word.startswith(one) for word in has) for one in asked)


@lru_cache(1024)
def prepare_titles(*titles: str | None) -> str | None:
    """Return the titles of a play as the index reads them, or `None` where the index can read all as they are."""
    given = [title for title in titles if title]
    prepared = [prepare_search_text(title) for title in given]
    return f" {BREAK} ".join(new or old for new, old in zip(prepared, given, strict=True)) if any(prepared) else None
