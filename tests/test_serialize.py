"""What models look like as JSON."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from plex_companion.cache.rows import build_play_row
from plex_companion.models import Item, Player, Session, User
from plex_companion.serialize import LAST_MS, format_iso, serialize_play, serialize_session

if TYPE_CHECKING:
    from msgspec import Struct

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@given(st.integers(0, LAST_MS))
@example(0)
@example(LAST_MS)
@example(951_782_400_000)
def test_a_time_is_the_moment_it_says_to_the_millisecond(at_ms: int) -> None:
    shown = format_iso(at_ms)
    assert shown is not None
    assert shown.endswith("Z")
    assert (datetime.fromisoformat(shown) - EPOCH) / timedelta(milliseconds=1) == at_ms


def test_what_is_no_time_is_none() -> None:
    assert [format_iso(None), format_iso(-1), format_iso(LAST_MS + 1)] == [None] * 3


def _build_any(model: type[Struct]) -> st.SearchStrategy[Any]:
    return st.builds(model, **dict.fromkeys(model.__struct_fields__, ...))


@given(_build_any(Item), st.none() | _build_any(User), st.none() | _build_any(Player))
def test_a_play_describes_item_user_and_player_as_its_session_does(
    item: Item, user: User | None, player: Player | None
) -> None:
    session = Session(1, 1, "1", item, "playing", 0, 0, 0, user=user, player=player)
    row = defaultdict(lambda: None, build_play_row(session, "server"))
    shown, play = serialize_session(session), serialize_play(row)
    alike = [name for name in play if name in shown]
    assert {"full_title", "performer", "library_id", "user", "player"} <= {*alike}
    assert {name: play[name] for name in alike} == {name: shown[name] for name in alike}
