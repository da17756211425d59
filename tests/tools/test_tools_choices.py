"""A person chooses which of several items a change is meant for, where the client can ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mcp_types import ElicitResult
from support.application import ERAS
from support.tools import tools_home

from plex_companion.tools.elicitation.choose import MOST_CHOICES

if TYPE_CHECKING:
    from pathlib import Path


class Person:
    """Chooses the second of what is offered, and agrees to everything else."""

    def __init__(self, *, declines: bool = False) -> None:
        self.offered: list[dict[str, Any]] = []
        self.questions: list[str] = []
        self.declines = declines

    async def answer(self, _: Any, params: Any) -> ElicitResult:
        self.questions.append(params.message)
        fields = params.requested_schema["properties"]
        if "choice" not in fields:
            return ElicitResult(action="accept", content={"confirm": True})
        self.offered = fields["choice"]["oneOf"]
        if self.declines:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={"choice": self.offered[1]["const"]})


@pytest.mark.parametrize("era", ERAS)
async def test_the_chosen_one_of_two_titles_is_deleted_after_a_confirmation(tmp_path: Path, era: str) -> None:
    person = Person()
    async with tools_home(tmp_path, answer=person.answer, era=era) as tools:
        film = tools.demo.get_movie()
        copy = tools.demo.copy_item(film.key)
        answer = await tools.well("media_delete", media_title=film.title)
        chosen = person.offered[1]["const"]
        assert {one["const"] for one in person.offered} == {film.key, copy.key}
        assert str(answer["rating_key"]) == chosen
        assert chosen not in tools.demo.state.items
        assert len(person.questions) == 2
        assert person.questions[0] == "Delete a title: which one do you mean?"
        assert all(film.title in one["title"] for one in person.offered)


async def test_a_person_who_chooses_none_changes_nothing_and_the_model_gets_the_list(tmp_path: Path) -> None:
    person = Person(declines=True)
    async with tools_home(tmp_path, answer=person.answer) as tools:
        film = tools.demo.get_movie()
        tools.demo.copy_item(film.key)
        answer = await tools.well("media_delete", media_title=film.title)
        assert (answer["status"], answer["count"]) == ("multiple_matches", 2)
        assert len(person.questions) == 1


async def test_nobody_is_asked_for_a_read_or_where_too_many_match(tmp_path: Path) -> None:
    person = Person()
    async with tools_home(tmp_path, answer=person.answer) as tools:
        film = tools.demo.get_movie()
        tools.demo.copy_item(film.key)
        assert (await tools.well("media_get_details", media_title=film.title))["status"] == "multiple_matches"
        for _ in range(MOST_CHOICES):
            tools.demo.copy_item(film.key)
        assert (await tools.well("media_delete", media_title=film.title))["status"] == "multiple_matches"
    assert person.questions == []


async def test_a_client_that_cannot_ask_gets_the_list(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        film = tools.demo.get_movie()
        tools.demo.copy_item(film.key)
        assert (await tools.well("media_delete", media_title=film.title))["status"] == "multiple_matches"


async def test_a_playlist_and_a_library_are_chosen_too(tmp_path: Path) -> None:
    person = Person()
    async with tools_home(tmp_path, answer=person.answer) as tools:
        film = tools.demo.get_movie()
        for _ in "ab":
            await tools.well("playlist_create", playlist_title="Twice", item_ids=[film.key])
        answer = await tools.well("playlist_edit", playlist_title="Twice", new_title="Once")
        assert answer.get("status") != "multiple_matches"
        assert person.questions == ["Edit a playlist: which one do you mean?"]
        assert sorted(one.title for one in tools.demo.state.playlists.values() if one.title in {"Once", "Twice"}) == [
            "Once",
            "Twice",
        ]
