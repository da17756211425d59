"""What models look like as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from plex_companion.serialize import LAST_MS, format_iso

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@given(st.integers(0, LAST_MS))
@example(0)
@example(LAST_MS)
@example(951_782_400_000)
def test_a_time_is_the_moment_it_says_to_the_millisecond(at_ms: int) -> None:
    told = format_iso(at_ms)
    assert told is not None
    assert told.endswith("Z")
    assert (datetime.fromisoformat(told) - EPOCH) / timedelta(milliseconds=1) == at_ms


def test_what_is_no_time_is_none() -> None:
    assert [format_iso(None), format_iso(-1), format_iso(LAST_MS + 1)] == [None] * 3
