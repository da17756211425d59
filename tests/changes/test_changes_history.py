"""A page of Plex's history: numbers become names, news is told apart from repetition, progress is kept."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from support.frames import DEN, Story, listed, of

from plex_companion.changes.kinds import Change, HistoryPageWritten, HistoryProgressed, PlaysImported, PlaysRepeated
from plex_companion.events import HistoryPage
from plex_companion.models import Account, Device, History, HistoryRow, ImportedPlay, Item, Player, Section, User

VIEWED_S = 1_790_000_000
FILM = Item("501", "/library/metadata/501", type="movie", title="The Lamp", library_id="1")


def row(number: int = 1, **more: Any) -> HistoryRow:
    facts: dict[str, Any] = {"item": FILM, "account_id": "1", "device_id": "7"}
    return HistoryRow(f"/status/sessions/history/{number}", VIEWED_S + number, **(facts | more))


def named() -> Story:
    """A story in which the server's users, players and libraries are known."""
    story = Story()
    story.look(
        accounts=(Account("1", "Ada"), Account("2", "hidden"), Account("3", None)),
        devices=(Device("7", "Big TV", "Tizen", "tv-1"),),
        sections=(Section("1", "Films", "movie"),),
    )
    return story


def page(*rows: HistoryRow, number: int = 1, **said: Any) -> HistoryPage:
    return HistoryPage(number, rows, **said)


def plays(changes: list[Change]) -> list[ImportedPlay]:
    return [play for change in of(changes, PlaysImported) for play in change.plays]


def test_numbers_become_names() -> None:
    (play,) = plays(named().receive(page(row())))
    assert play.item == replace(FILM, library="Films")
    assert play.user == User("1", "Ada")
    assert play.player == Player("tv-1", title="Big TV", platform="Tizen")
    assert play.viewed_at == (VIEWED_S + 1) * 1000


def test_numbers_nobody_knows_stay_unknown() -> None:
    strange = row(account_id="99", device_id="98", item=replace(FILM, library_id="97"))
    (play,) = plays(named().receive(page(strange)))
    assert (play.user, play.player, play.item.library) == (User("99", None), None, None)
    (play,) = plays(named().receive(page(row(account_id=None, device_id=None, item=Item()))))
    assert (play.user, play.player, play.item) == (None, None, Item())


def test_plays_take_the_next_ids_and_sessions_go_on_after_them() -> None:
    story = named()
    story.plays("1")
    reported = plays(story.receive(page(row(1), row(2))))
    assert [play.play_id for play in reported] == [2, 3]
    story.plays("2", item="7002", client="stove")
    assert story.session("2").play_id == 4


def test_news_is_told_of_each_user_by_the_name_history_is_asked_for() -> None:
    rows = (row(1), row(2, account_id="2"), row(3), row(4, account_id=None), row(5, account_id="3"))
    reported = of(named().receive(page(*rows)), PlaysImported)
    assert [(change.user, len(change.plays)) for change in reported] == [("Ada", 2), ("2", 1), (None, 1), ("3", 1)]


def test_what_was_read_before_is_repeated_and_no_news() -> None:
    story = named()
    story.receive(page(row(1), row(2)))
    changes = story.receive(page(row(1), row(2), row(3), number=2))
    assert [play.history_key[-1] for play in plays(changes)] == ["3"]
    (repeated,) = of(changes, PlaysRepeated)
    assert [play.history_key[-1] for play in repeated.plays] == ["1", "2"]


def test_progress_is_told_when_there_is_some() -> None:
    story = named()
    changes = story.receive(page(row(), mark_s=5, imported=1, total=2))
    assert of(changes, HistoryProgressed) == [HistoryProgressed(History(5, 1, 2))]
    changes = story.receive(page(number=2))
    assert changes == [HistoryPageWritten(2)]
    story.receive(page(number=3, complete=True, imported=2))
    assert story.state.history == History(5, 2, 2, complete=True)
    assert story.state.history_page == 3


def test_why_it_cannot_be_read_is_told_and_forgotten_when_it_can() -> None:
    story = named()
    story.receive(page(total=10, complete=True))
    story.receive(page(complete=False, detail="not allowed"))
    assert story.state.history == History(total=10, detail="not allowed")
    story.receive(page(complete=True))
    assert story.state.history.detail is None


def test_nothing_is_taken_from_a_server_that_has_not_said_who_it_is() -> None:
    story = Story(connected=False)
    story.connect(server=None)
    assert story.receive(page(row(), mark_s=5)) == [HistoryPageWritten(1)]


def test_another_server_at_the_address_has_another_history() -> None:
    story = named()
    story.receive(page(row(1), mark_s=5, imported=1, total=1, complete=True))
    story.connect(server=replace(DEN, machine_identifier="attic-0002"))
    assert story.state.history == History()
    assert story.state.devices == ()
    assert len(plays(story.receive(page(row(1), number=2)))) == 1, "the same key is another play there"


def test_when_a_play_has_ended_history_is_wanted() -> None:
    story = Story()
    story.plays("1")
    assert "history" not in story.requests
    story.plays("1", "paused", at=10)
    assert "history" not in story.requests
    story.plays("1", "stopped", at=20)
    assert "history" in story.requests
    story.connect(listed("2"))
    story.look()
    assert "history" in story.requests, "ended while nobody looked"
