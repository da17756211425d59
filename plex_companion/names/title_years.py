"""The year that people write after a title, as in `Room (2019)`. Pure."""

from __future__ import annotations

import re

_YEAR = re.compile(r"(?P<title>.*\S)(?:\s*[(\[]\s*(?P<year>\d{4})\s*[)\]]|(?:,\s*|\s+)(?P<bare>\d{4}))")


def split_year(title: str) -> tuple[str, int, bool] | None:
    """Split `Title (2019)` or `Title [2019]` into title, year, and whether brackets make it certain that it is one."""
    found = _YEAR.fullmatch(title.strip())
    return found and (found["title"].rstrip(" ,"), int(found["year"] or found["bare"]), found["year"] is not None)
