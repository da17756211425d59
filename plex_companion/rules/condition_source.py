"""The source text of a condition: its tokens, its length, and the operands of its outermost `&&`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plex_companion.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 2_000
AND = "&&"
TYPE, HIDDEN_TYPE = "type", "_typ"
"""`type` is a function of CEL, so that a variable needs another name: one of equal length, so that places stay."""
_TOKEN = re.compile(
    r"""(?:[rR][bB]?|[bB][rR])(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')"""  # raw: no escapes
    r"""|[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"|//[^\n]*|[A-Za-z_]\w*|&&|\|\||\s+|.",
    re.DOTALL | re.ASCII,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


def check_source(source: str, argument: str) -> None:
    """Check what can be said of a condition before it is parsed.

    Raises:
        Invalid: it is too long, or holds half a character.
    """
    if len(source) > LONGEST:
        message = f"{argument} has {len(source):,} characters, and {LONGEST:,} are allowed."
        raise Invalid(message, argument=argument)
    if any("\ud800" <= character <= "\udfff" for character in source):
        raise Invalid(f"{argument} holds half a character, which is no text.", argument=argument)


def hide_type(source: str) -> str:
    """Return the source with the variable `type` named as CEL can know it."""
    tokens = _TOKEN.findall(source)
    words = [(index, token) for index, token in enumerate(tokens) if not token.isspace()]
    for place, (index, token) in enumerate(words):
        before = words[place - 1][1] if place else ""
        after = words[place + 1][1] if place + 1 < len(words) else ""
        if token == TYPE and before != "." and after != "(":
            tokens[index] = HIDDEN_TYPE
    return "".join(tokens)


def split_operands(source: str) -> Iterator[tuple[int, int]]:
    """Yield where the operands of the outermost `&&` begin and end, if that is the last to be evaluated."""
    depth, start, at = 0, 0, 0
    for part in _TOKEN.findall(source):
        depth += (part in _OPENING) - (part in _CLOSING)
        if part == AND and depth == 0:
            yield start, at
            start = at + len(part)
        at += len(part)
    yield start, len(source)


def find_place(source: str, position: int) -> tuple[int, int]:
    """Return the line and the column of a character, both from 1."""
    before = source[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def describe_place(source: str, line: int, column: int) -> str:
    """Describe a place; the line only where there are several."""
    return f"line {line}, character {column}" if "\n" in source.strip() else f"character {column}"
