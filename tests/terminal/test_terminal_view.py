"""The live view, drawn without a terminal."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.view_models import FILM, NOW, activity, alert, drawn, drawn_together, job, scene, session, text

from plex_companion.models import History, Item, LinkState, Player, User


def test_a_session_shows_who_what_where_how_and_how_far() -> None:
    shown = text(scene(session()))
    for part in ("Ada", "Big TV", "The Lamp (2031)", "10:00 / 2:00:00", "direct play", "8.1 Mbit/s", "▶"):
        assert part in shown


def test_several_servers_are_shown_one_below_the_other_with_their_names() -> None:
    shown = drawn_together([scene(session(), name="Den"), scene(session(), name="Cabin")], height=24)
    assert len(shown) <= 24
    assert [line.split()[2] for line in shown if line.startswith("●")] == ["Den", "Cabin"]
    assert sum("The Lamp" in line for line in shown) == 2


def test_a_server_that_is_away_is_not_pushed_off_the_screen_by_others() -> None:
    many = [scene(session(), name=f"House {number}") for number in range(9)]
    shown = drawn_together([*many, scene(link="down", detail="connection refused", name="Cabin")], height=24)
    assert "Cabin" in shown[0]


def test_a_session_takes_two_lines_in_80_columns() -> None:
    shown = drawn(scene(session(), session(2)), height=24)
    first = next(number for number, line in enumerate(shown) if "Ada" in line)
    assert "Big TV" in shown[first + 1]
    assert "Ada" in shown[first + 2]


def test_the_position_moves_on_between_reports() -> None:
    assert "10:07 / 2:00:00" in text(scene(session(), now_ms=NOW + 7_000))


@pytest.mark.parametrize("state", ["paused", "buffering", "error"])
def test_only_what_plays_moves_on_and_other_states_are_named(state: str) -> None:
    assert f"{state} 10:00 / 2:00:00" in text(scene(session(state=state), now_ms=NOW + 7_000))


def test_the_position_never_passes_the_end() -> None:
    assert "2:00:00 / 2:00:00" in text(scene(session(), now_ms=NOW + 9_000_000))


def test_a_position_stands_where_plex_was_last_heard_when_it_falls_silent() -> None:
    it = scene(session(), link="down", now_ms=NOW + 60_000, refreshed_at=NOW + 4_000)
    assert "10:04 / 2:00:00" in text(it)


def test_what_was_last_known_is_marked_as_such_when_plex_is_down() -> None:
    shown = text(scene(session(), link="down", detail="connection refused"))
    assert "Can't reach Plex: connection refused" in shown
    assert "This is the last known state, confirmed at" in shown
    assert "Last known (1)" in shown
    assert "Now playing" not in shown
    assert "The Lamp (2031)" in shown


def test_nothing_plays_is_said_only_when_plex_is_heard() -> None:
    assert "Nothing is playing." in text(scene())
    states: tuple[LinkState, ...] = ("connecting", "down", "unauthorized", "offline")
    for link in states:
        shown = text(scene(link=link, detail="no answer"))
        assert "Nothing is playing" not in shown
        assert "Unknown while Plex is disconnected." in shown


BLIND: tuple[LinkState, ...] = ("connecting", "down", "unauthorized", "offline")


@pytest.mark.parametrize("link", BLIND)
def test_nothing_is_said_in_the_present_while_plex_is_not_heard(link: LinkState) -> None:
    bare, full = text(scene(link=link)), text(scene(session(), link=link, activities=[activity()], alerts=[alert()]))
    for word in ("Now playing", "is working", "None.\n", "  open"):
        assert word not in bare + full
    assert "None known." in bare
    assert "was playing 10:00 / 2:00:00" in full
    assert "was open" in full


def test_nothing_plays_is_not_claimed_when_sessions_could_not_be_read() -> None:
    shown = text(scene(detail="GET /status/sessions: not allowed (HTTP 403)."))
    assert "Some data can't be read: GET /status/sessions" in shown
    assert "Nothing is playing" not in shown


def test_a_refused_token_says_what_to_set() -> None:
    assert "set a new PLEX_TOKEN" in text(scene(link="unauthorized"))


def test_a_transcode_shows_its_speed_unless_it_rests() -> None:
    assert "transcode 1.4x" in text(scene(session(decision="transcode", transcode=job())))
    resting = text(scene(session(decision="transcode", transcode=job(throttled=True))))
    assert "transcode" in resting
    assert "1.4x" not in resting


def test_sums_count_transcodes_and_bandwidth() -> None:
    it = scene(session(), session(2, decision="transcode", bandwidth_kbps=None), session(3, bandwidth_kbps=400))
    assert "Now playing (3) · 1 transcoding · 8.5 Mbit/s" in text(it)


def test_a_broadcast_has_no_end() -> None:
    it = scene(session(item=Item(title="Evening News", live=True, duration_ms=3_600_000)))
    assert "live 10:00" in text(it)
    assert "1:00:00" not in text(it)


def test_a_session_of_which_only_a_frame_told_is_shown_with_what_it_said() -> None:
    bare = session(item=Item(rating_key="501"), user=None, player=None, decision=None, bandwidth_kbps=None)
    shown = text(scene(bare))
    assert "item 501" in shown
    assert "someone" in shown


def test_titles_are_text_and_neither_markup_nor_control_codes() -> None:
    hostile = "[red]Lamp[/red] \x1b[2J\x1b]0;owned\x07 [link=http://x]y[/]\u202e"
    it = scene(
        session(item=replace(FILM, title=hostile), user=User("1", "[b]Ada"), player=Player("tv", "[/]TV\x9b")),
        alerts=[alert(title=hostile)],
        activities=[activity(title=hostile)],
        detail=hostile,
    )
    shown = text(it, 160)
    assert shown.count("[red]Lamp[/red]") == 4
    assert "[b]Ada" in shown
    assert "[/]TV" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_wide_characters_keep_their_place() -> None:
    it = scene(session(item=replace(FILM, title="灯台守の長い夜と短い朝" * 6), user=User("1", "林" * 40)))
    assert any(line.endswith("direct play") for line in drawn(it))


def test_activities_show_progress_and_are_left_out_when_there_are_none() -> None:
    assert "busy" not in text(scene())
    shown = text(scene(activities=[activity(), activity(uuid="u-2", title="Butler", subtitle="Backup", progress=-1)]))
    assert "Scanning Films" in shown
    assert "40 %" in shown
    assert "Butler: Backup" in shown


def test_open_alerts_come_first_and_newest_first() -> None:
    over = alert(9, resolved_at=NOW)
    shown = [line for line in drawn(scene(alerts=[alert(1), alert(2), over])) if "number" in line]
    assert [line.split("number ")[1].split()[0] for line in shown] == ["2", "1", "9"]
    assert shown[0].endswith("open")
    assert shown[2].endswith("lasted 1:00")


def test_a_storage_that_fails_is_said() -> None:
    assert "The database can't be written" in text(scene(storage="degraded"))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 45), (60, 12)])
@pytest.mark.parametrize("count", [0, 1, 4, 30])
def test_it_fits_and_says_what_is_left_out(width: int, height: int, count: int) -> None:
    many = [session(number) for number in range(1, count + 1)]
    it = scene(
        *many,
        link="down",
        alerts=[alert(number) for number in range(1, 21)],
        activities=[activity(uuid=str(number)) for number in range(5)],
    )
    shown = drawn(it, width, height)
    assert len(shown) <= height
    named = sum("Ada" in line for line in shown)
    assert named == count or any(f"… and {count - named} more" in line for line in shown)
    assert any("number 20" in line for line in shown)


def test_an_import_of_history_shows_how_far_it_is_until_it_is_done() -> None:
    it = scene(session())
    it.state.history, it.state.history_page = History(5, 12_500, 100_000), 25
    assert "Importing Plex's history: 12,500 of 100,000 plays." in text(it)
    assert len(drawn(it, height=12)) <= 12
    it.state.history = History(5, 12_500)
    assert "Importing Plex's history: 12,500 plays." in text(it)
    it.state.history = History(9, 100_000, 100_000, complete=True)
    assert "history" not in text(it)


def test_why_history_cannot_be_read_is_shown() -> None:
    it = scene()
    it.state.history, it.state.history_page = History(detail="GET /status/sessions/history/all: not allowed"), 1
    assert "Plex's history is unreadable: GET /status" in text(it)
    assert "being imported" not in text(it)
