"""What is written down a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from support.view_models import NOW, activity, alert, scene, session

from plex_companion.commands.terminal.lines import LONGEST, render_lines
from plex_companion.models import History

if TYPE_CHECKING:
    from plex_companion.commands.terminal.view_model import ViewModel


def render_texts(before: ViewModel | None, after: ViewModel) -> list[str]:
    """Render the lines without the leading time."""
    return [line.partition("  ")[2] for line in render_lines(before, after)]


def test_every_line_begins_with_the_time() -> None:
    assert render_lines(None, scene())[0].startswith("18:00:00  ")


def test_of_several_servers_every_line_names_its_own() -> None:
    lines = render_lines(None, scene(session(), name="Cabin"), named=True)
    assert [line.partition("  ")[2].partition(": ")[0] for line in lines] == ["Cabin", "Cabin"]


def test_the_first_scene_is_told_as_a_whole() -> None:
    assert render_texts(None, scene(session(), activities=[activity()], alerts=[alert()])) == [
        "live: Den 1.43.3.1",
        "playing: Ada, The Lamp (2031), on Big TV, direct play, at 10:00 / 2:00:00",
        "started: Scanning Films",
        "alert: Keeps buffering: number 1",
    ]


def test_alerts_of_the_past_are_no_news_at_first_but_later_they_are() -> None:
    over = alert(resolved_at=NOW)
    assert render_texts(None, scene(alerts=[over])) == ["live: Den 1.43.3.1", "nothing is playing"]
    assert render_texts(scene(), scene(alerts=[over])) == ["alert: Keeps buffering: number 1"]


def test_progress_is_no_change() -> None:
    moved = scene(session(view_offset_ms=610_000), now_ms=NOW + 10_000)
    assert render_texts(scene(session()), moved) == []


def test_a_pause_is_a_line() -> None:
    assert render_texts(scene(session()), scene(session(state="paused"))) == [
        "paused: Ada, The Lamp (2031), on Big TV, direct play, at 10:00 / 2:00:00"
    ]


def test_an_end_is_a_line() -> None:
    assert render_texts(scene(session()), scene()) == [
        "ended: Ada, The Lamp (2031), on Big TV, direct play, at 10:00 / 2:00:00"
    ]


def test_going_blind_is_said_once_and_not_of_every_session() -> None:
    blind = scene(session(), session(2), link="down", detail="connection refused")
    assert render_texts(scene(session(), session(2)), blind) == ["Can't reach Plex: connection refused"]


def test_coming_back_tells_what_goes_on() -> None:
    blind = scene(session(), link="down")
    assert render_texts(blind, scene(session())) == [
        "live: Den 1.43.3.1",
        "playing: Ada, The Lamp (2031), on Big TV, direct play, at 10:00 / 2:00:00",
    ]


def test_what_an_earlier_run_left_behind_is_marked() -> None:
    first = render_texts(None, scene(session(), link="offline", refreshed_at=None))
    assert first[0] == "Not connected to Plex yet"
    assert first[1].startswith("last known: playing: Ada")


def test_an_alert_that_ends_is_over() -> None:
    assert render_texts(scene(alerts=[alert()]), scene(alerts=[alert(resolved_at=NOW)])) == [
        "resolved: Keeps buffering: number 1"
    ]


def test_an_activity_that_ends_is_done() -> None:
    assert render_texts(scene(activities=[activity()]), scene()) == ["finished: Scanning Films"]


def test_a_title_cannot_begin_a_line_of_its_own_nor_fill_a_pipe() -> None:
    item = replace(session().item, title="a\nb\x1b[31m" + "c" * 9_000)
    (line,) = render_texts(scene(), scene(session(item=item)))
    assert "a b[31m" in line
    assert len(line) <= LONGEST


def build_import_view(history: History, page: int = 1, **more: Any) -> ViewModel:
    """Build a view in which this much of Plex's history is imported."""
    it = scene(**more)
    it.state.history, it.state.history_page = history, page
    return it


def test_begin_and_end_of_an_import_are_told_and_its_progress_is_not() -> None:
    fresh, begun = build_import_view(History(), page=0), build_import_view(History(total=100_000))
    half, done = (
        build_import_view(History(5, 50_000, 100_000)),
        build_import_view(History(9, 100_000, 100_000, complete=True)),
    )
    assert render_texts(fresh, begun) == ["importing Plex's history: 0 of 100,000 plays so far"]
    assert render_texts(begun, half) == []
    assert render_texts(half, done) == ["imported Plex's history: 100,000 plays"]
    assert render_texts(done, build_import_view(History(9, 100_001, 100_001, complete=True))) == []
    assert any("importing Plex's history: 50,000 of 100,000 plays so far" in line for line in render_lines(None, half))


def test_why_history_cannot_be_read_is_told_once() -> None:
    refused = build_import_view(History(detail="not allowed"))
    assert render_texts(build_import_view(History(), page=0), refused) == ["Plex's history is unreadable: not allowed"]
    assert render_texts(refused, refused) == []
