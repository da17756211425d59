"""The one comparison of titles: for items, libraries, playlists, collections and players.

An exact title is one that differs in nothing but case and Unicode form. A title that is alike differs in accents,
punctuation, dashes or spaces as well: enough for a read when it is the only match, never for a write.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from plex_companion.names.folding import compose, fold, fold_closely
from plex_companion.names.title_years import split_year

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

MOST_QUERIES = 3
"""Searches for one title; the later ones are only made when the earlier ones found no match."""
LONGEST_QUERY = 200
"""Characters of a search, so that the request line stays short."""
_WORD = re.compile(r"[^\W_]+")
_FREQUENT = frozenset({
    "a", "an", "and", "auf", "das", "de", "der", "des", "die", "du", "el", "en", "et", "i", "il", "in", "la",
    "las", "le", "les", "los", "no", "of", "og", "on", "or", "part", "the", "to", "und", "une", "von", "with",
    "y",
})  # fmt: skip
"""Words in the titles of half a library."""
_MARKED = frozenset("aeiou")
"""Letters that carry accents most often: a word with fewer of them is more likely to be spelled as requested."""
_SHORT = 4


@dataclass(frozen=True, slots=True)
class TitleMatches(Generic[T]):
    """The rows that match a title, the best first. `offered` have the title, but another year than the requested one."""

    exact: list[T] = field(default_factory=list)
    alike: list[T] = field(default_factory=list)
    containing: list[T] = field(default_factory=list)
    offered: list[T] = field(default_factory=list)

    @property
    def best(self) -> list[T]:
        """The best matches."""
        return self.exact or self.alike or self.offered or self.containing

    @property
    def every(self) -> list[T]:
        """All matches, the best first."""
        return [*self.exact, *self.alike, *self.offered, *self.containing]

    def filter(self, keep: Callable[[T], bool]) -> TitleMatches[T]:
        """Return only the rows for which `keep` is true."""
        lists = (self.exact, self.alike, self.containing, self.offered)
        return TitleMatches(*([row for row in rows if keep(row)] for rows in lists))


def fold_exactly(title: str) -> str:
    """Return the form in which exact titles are equal: composed, in one case, without blanks around it."""
    return compose(compose(title.strip()).casefold())


def match_title(
    rows: Iterable[T],
    title: str,
    names_of: Callable[[T], Iterable[str]],
    year_of: Callable[[T], int | None] | None = None,
) -> TitleMatches[T]:
    """Sort rows by how well one of their names matches a title.

    Where rows have years, a title that ends in one also matches the row of that year with the title before it. A row with
    the year in its name wins.
    """
    every = list(rows)
    whole, split = _match_names(every, title, names_of), split_year(title)
    if whole.exact or split is None or year_of is None:
        return whole
    bare, year, certain = split
    undated = _match_names(every, bare, names_of)
    dated = undated.filter(lambda row: year_of(row) == year)
    if dated.exact or (dated.alike and not whole.alike):
        return TitleMatches(dated.exact, dated.alike)
    if whole.alike or whole.containing or not certain:
        return whole
    offered = undated.exact or undated.alike
    if offered or not dated.containing:
        return TitleMatches(offered=offered or undated.containing)
    return TitleMatches(containing=dated.containing)


def _match_names(rows: Iterable[T], title: str, names_of: Callable[[T], Iterable[str]]) -> TitleMatches[T]:
    ranked: list[list[T]] = [[], [], [], [], []]
    forms = _TitleForms.create(title)
    for row in rows:
        ranks = [rank for name in names_of(row) if (rank := forms.rank(name)) is not None]
        if ranks:
            ranked[min(ranks)].append(row)
    same, other_case, alike, close, containing = ranked
    return TitleMatches(same or other_case, alike or close, containing)


@dataclass(frozen=True, slots=True)
class _TitleForms:
    """A title in all the forms that it is compared in."""

    composed: str
    exact: str
    folded: str
    close: str

    @classmethod
    def create(cls, title: str) -> _TitleForms:
        return cls(compose(title.strip()), fold_exactly(title), fold(title), fold_closely(title))

    def rank(self, name: str) -> int | None:
        """Return 0 for the same name, up to 4 for a name that contains the title, `None` for any other."""
        if compose(name.strip()) == self.composed:
            return 0
        exact, folded = fold_exactly(name), fold(name)
        if exact == self.exact:
            return 1
        if folded == self.folded:
            return 2
        if folded.replace(" ", "") == self.close:
            return 3
        return 4 if self.exact in exact or self.folded in folded else None


def list_queries(title: str) -> list[str]:
    """Return the searches for a title, to be made in order until something matches: Plex finds only the spelling it is given.

    The title comes first, then the title without its year, its other Unicode form, and words of it that have one spelling:
    those without accents, and in other scripts the long ones.
    """
    first = title.strip()
    split = split_year(first)
    bare = split[0] if split else first
    composed = compose(bare)
    other = unicodedata.normalize("NFD", composed) if bare == composed else composed
    every = [first, bare, other, *_pick_search_words(bare), fold(bare), *_pick_foreign_words(bare)]
    found: dict[str, str] = {}
    for query in map(cut_query, every):
        found.setdefault(query.lower(), query)
    return list(found.values())[: MOST_QUERIES + (split is not None)]


def list_exact_queries(title: str) -> list[str]:
    """Return the searches where only an exact title counts: the title, and its other Unicode form if it has one."""
    composed = compose(title)
    return list(dict.fromkeys(map(cut_query, [title, composed, unicodedata.normalize("NFD", composed)])))


def cut_query(text: str) -> str:
    """Cut a search text to the useful length: a title that contains the whole text contains its beginning."""
    return text[:LONGEST_QUERY]


def _pick_search_words(title: str) -> list[str]:
    """Return words that any spelling of the title has: those without accents, or the halves of a single word."""
    words = [word for word in _WORD.findall(title[:LONGEST_QUERY]) if word.isascii()]
    return _halve_lone_word(words) or sorted(words, key=_describe_ambiguity)


def _pick_foreign_words(title: str) -> list[str]:
    """Return words of a title in another script, the longest first; halves of a lone word, one of which has no accent."""
    words = [word for word in _WORD.findall(compose(title[:LONGEST_QUERY])) if not word.isascii()]
    return _halve_lone_word(words) or sorted(words, key=len, reverse=True)


def _halve_lone_word(words: list[str]) -> list[str]:
    if len(words) != 1 or len(words[0]) < _SHORT:
        return []
    half = len(words[0]) // 2
    return [words[0], words[0][half:], words[0][:half]]


def _describe_ambiguity(word: str) -> tuple[bool, bool, int, int]:
    small = word.casefold()
    return small in _FREQUENT, len(small) <= 1, sum(letter in _MARKED for letter in small), -len(small)


def get_titles(row: Any) -> list[str]:
    """Return the title of a Plex element, as a list, in the form that `match_title` takes."""
    return [row.get("title", "")]
