"""What Plex's history counts as watched: once per play, and no news of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.frames import Story, listed
from support.occurrences import OccurrenceStory, list_names, list_occurrences

from plex_companion.events import HistoryPage
from plex_companion.models import Account, HistoryRow, Item, User

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change

FILM = Item("7001", "/library/metadata/7001", type="movie", title="Film 7001", duration_ms=7_200_000)


@pytest.fixture
def story() -> OccurrenceStory:
    story = OccurrenceStory()
    story.look(accounts=(Account("1", "Ada"), Account("2", "Pip")))
    return story


def count(story: Story, number: int = 1, ago: int = 0, **more: Any) -> list[Change]:
    """Plex's history is read, and has a row of so many seconds ago."""
    facts: dict[str, Any] = {"item": FILM, "account_id": "1"}
    row = HistoryRow(f"/status/sessions/history/{number}", story.now.at // 1000 - ago, **(facts | more))
    return story.receive(HistoryPage(1, (row,)))


def watch(story: OccurrenceStory, until: int) -> None:
    story.look(listed("1"))
    story.after(60).plays("1", at=until)
    story.after(10).plays("1", "stopped", at=until)


def test_a_play_that_plex_counts_early_was_watched(story: OccurrenceStory) -> None:
    watch(story, until=6_000)
    (watched,) = list_occurrences(count(story.after(5)))
    assert (watched["type"], watched["inferred"], watched["data"]["play_id"]) == ("play.watched", False, "1")


def test_a_play_that_passed_nine_tenths_is_not_recorded_again_when_plex_counts_it(story: OccurrenceStory) -> None:
    watch(story, until=6_600)
    assert list_names(count(story.after(5))) == []
    assert list_names(count(story.after(5))) == []


def test_a_play_that_plex_counted_is_not_recorded_again_when_it_passes_nine_tenths(story: OccurrenceStory) -> None:
    story.look(listed("1"))
    story.after(60).plays("1", at=6_000)
    assert list_names(count(story)) == ["play.watched"]
    assert list_names(story.after(10).plays("1", at=6_600)) == []


def test_a_second_play_of_the_same_item_counts_for_itself(story: OccurrenceStory) -> None:
    watch(story, until=6_600)
    count(story.after(5), 1)
    story.look(listed("2"))
    story.after(60).plays("2", at=6_000)
    (watched,) = list_occurrences(count(story.after(5), 2))
    assert (watched["type"], watched["data"]["play_id"]) == ("play.watched", "3")


def test_a_play_that_nobody_saw_is_recorded_as_inferred_at_plex_s_time(story: OccurrenceStory) -> None:
    story.after(7_200)
    (watched,) = list_occurrences(count(story, ago=3_600))
    assert (watched["inferred"], watched["history_key"]) == (True, "/status/sessions/history/1")
    assert watched["at"] == story.now.at // 1000 * 1000 - 3_600_000
    assert watched["data"]["user"] == {"id": "1", "name": "Ada"}


def test_what_was_counted_before_the_server_was_first_reached_is_no_news(story: OccurrenceStory) -> None:
    assert list_names(count(story, ago=3_600)) == []


@pytest.mark.parametrize("account", ["2", None])
def test_another_user_s_row_counts_another_play(story: OccurrenceStory, account: str | None) -> None:
    watch(story, until=6_000)
    (watched,) = list_occurrences(count(story.after(5), account_id=account))
    assert watched["data"]["play_id"] == ("1" if account is None else "2")


def test_a_play_without_a_user_takes_the_row_of_any(story: OccurrenceStory) -> None:
    story.look(replace(listed("1"), user=User()))
    story.after(60).plays("1", at=6_000)
    (watched,) = list_occurrences(count(story, account_id="2"))
    assert watched["data"]["play_id"] == "1"
