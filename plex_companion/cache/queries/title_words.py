"""The words that titles of plays have, to search for whole words in place of beginnings.

FTS5 merges the plays of all words with one beginning before it returns the first play (SQLite FTS5, section 4.2): 20 ms for
two common words of a million plays. Those of whole words it reads one by one, as they are needed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

CREATE_VOCABULARY = "CREATE VIRTUAL TABLE temp.title_words USING fts5vocab(main, play_titles, instance)"
"""Makes the words of the index a table of a connection (SQLite FTS5, section 7)."""
MOST_WORDS = 16
"""A beginning that more words have is searched for as it is."""
_BEGINNING = re.compile(r'"([0-9a-z]+)"\*')
"""A word that the tokenizer leaves as it is, of any ending."""
_LAST = "\U0010ffff"
# Jumps from one word to the next. The lowest text after a word, longer by one character, cannot be a word itself.
_WORDS = """
    WITH RECURSIVE found (term) AS (
        SELECT (SELECT term FROM temp.title_words WHERE term >= :word AND term < :end LIMIT 1)
        UNION ALL
        SELECT (SELECT term FROM temp.title_words WHERE term >= found.term || char(1) AND term < :end LIMIT 1)
        FROM found WHERE found.term IS NOT NULL
        LIMIT :most
    )
    SELECT term FROM found WHERE term IS NOT NULL
"""


def expand_beginnings(connection: sqlite3.Connection, match: str) -> str:
    """Return an expression of `names.search_text.build_match` with whole words for beginnings that few words have.

    It matches the same plays.
    """
    return " AND ".join(_expand(connection, part) for part in match.split(" AND "))


def _expand(connection: sqlite3.Connection, part: str) -> str:
    found = _BEGINNING.fullmatch(part)
    if found is None:
        return part
    values = {"word": found[1], "end": found[1] + _LAST, "most": MOST_WORDS + 1}
    words = [row["term"] for row in connection.execute(_WORDS, values)]
    if not 0 < len(words) <= MOST_WORDS:
        return part
    quoted = " OR ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    return f"({quoted})" if len(words) > 1 else quoted
