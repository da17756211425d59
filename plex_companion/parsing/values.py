"""The one reader of Plex's values, for attributes of XML and for members of JSON alike. It never raises.

The same fact comes in several forms. Frames hold JSON, where ids were integers in 2018 and are strings today, and flags are
`true` and `false`; the HTTP API answers in XML, where flags are `1` and `0` (PLEX.md 1.2), and some versions write whole
numbers as `12.0`. A value that is absent or unreadable is `None`.
"""

from __future__ import annotations

import re

from plex_companion.text import clean

LARGEST = 2**62
"""Whole numbers from here on are refused: SQLite's integers end at 2**63, and times are multiplied before they get there."""
LARGEST_FLOAT = 1e300
_WHOLE = re.compile(r"(-?[0-9]{1,19})(?:\.[0-9]{0,30})?")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def parse_text(value: object) -> str | None:
    """Return a text without control characters, a number as text, and `None` for the empty text."""
    if isinstance(value, str):
        return clean(value) or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def parse_int(value: object) -> int | None:
    """Return a whole number below `LARGEST`; a fraction is cut off, so that `12.0` is 12."""
    match value:
        case str() if found := _WHOLE.fullmatch(value):
            number = int(found[1])
        case int() | float() if not isinstance(value, bool) and abs(value) < LARGEST:
            number = int(value)
        case _:
            return None
    return number if abs(number) < LARGEST else None


def parse_float(value: object) -> float | None:
    """Return a finite number. Infinity and NaN are refused, since JSON has neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < LARGEST_FLOAT else None


def parse_bool(value: object) -> bool | None:
    """Return a flag, which is `true` and `false` in JSON, `1` and `0` in XML, and in any case of letters."""
    match value:
        case bool():
            return value
        case 0 | 1:
            return value == 1
        case str():
            return _FLAGS.get(value.lower())
        case _:
            return None
