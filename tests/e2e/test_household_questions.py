"""The questions of the README are played by a client, in the demo household."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.catalogue import TOKEN, CatalogueHome, catalogue_home

from plex_companion.demo import open_demo
from plex_companion.demo.household.model import DemoPlay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.tools import ToolAnswer

    from plex_companion.demo import Demo

README = Path(__file__).parents[2] / "README.md"
MOST_CALLS = 2
MOST_TOKENS = 3_000
LISTS = ("sessions", "items", "plays", "groups", "users", "data")


def read_questions() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The calls that the README names for each question."""
    (table,) = re.findall(r"<!-- questions: .*? -->\n(.*?)<!-- /questions -->", README.read_text("utf-8"), re.DOTALL)
    rows = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    return {asked.strip(): [parse_call(call) for call in re.findall(r"`(.*?)`", calls)] for asked, calls in rows}


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    return ast.unparse(call.func), {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}


QUESTIONS = read_questions()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def is_leap_day(day: datetime) -> bool:
    return (day.month, day.day) == (2, 29)


def add_anniversary(demo: Demo) -> None:
    """Let somebody have watched a film on this day of an earlier year, and on the next, which may begin meanwhile.

    Also today, since the household's history ends yesterday, which may have been in another year.
    """
    state = demo.state
    today = datetime.fromtimestamp(state.now, UTC)
    days = (today, today + timedelta(days=1))
    before = [day.replace(year=day.year - (4 if is_leap_day(day) else 1)) for day in days]
    for at in (*before, today):
        state.history.insert(
            0, DemoPlay(state.next_play, demo.get_movie().key, int(at.timestamp()), 1, demo.get_player().id)
        )
        state.next_play += 1


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueHome]:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        add_anniversary(demo)
        folder = tmp_path_factory.mktemp("home")
        async with catalogue_home(folder, demo=demo, read_only="false", timezone="UTC") as home:
            await home.until_as_plex()
            await home.until_detailed()
            state = home.application.companion
            await home.tools.until(lambda: state.state.history.complete)
            demo.start(transcode=True)
            await home.tools.until(lambda: any(one.user and one.transcode for one in state.state.sessions.values()))
            yield home


async def play(it: CatalogueHome, asked: str) -> list[ToolAnswer]:
    """Make the calls of a question. `...` stands for the keys that the call before has found."""
    answers: list[ToolAnswer] = []
    for tool, given in QUESTIONS[asked]:
        found = [item["rating_key"] for item in answers[-1].body["items"]] if ... in given.values() else None
        answer = await it.tools.ask(tool, **{name: found if value is ... else value for name, value in given.items()})
        assert not answer.is_error, (asked, answer.body)
        answers.append(answer)
    return answers


@pytest.mark.parametrize("asked", QUESTIONS)
async def test_a_question_takes_at_most_two_calls_and_few_tokens_and_has_an_answer(
    it: CatalogueHome, asked: str
) -> None:
    answers = await play(it, asked)
    assert len(answers) <= MOST_CALLS
    said = [json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")) for answer in answers]
    assert sum(map(len, said)) / 4 < MOST_TOKENS
    found = [answers[0].body[name] for name in LISTS if name in answers[0].body]
    assert all(found), answers[0].body


async def test_what_plays_comes_with_why_it_is_transcoded(it: CatalogueHome) -> None:
    (answer,) = await play(it, "What is playing, and why is it transcoded?")
    (session,) = answer.body["sessions"]
    assert session["decision"] == "transcode"
    assert all(reason["sentence"] for reason in session["reasons"])
    assert session["reasons"]


async def test_what_is_asked_for_really_happens(it: CatalogueHome) -> None:
    await play(it, "Pause the living room TV.")
    (session,) = it.demo.sessions.values()
    assert session.state == "paused"
    (found, _) = await play(it, "Make a playlist of unwatched comedies.")
    playlist = list(it.demo.state.playlists.values())[-1]
    assert [key for _, key in playlist.entries] == [item["rating_key"] for item in found.body["items"]]
    assert playlist.entries


async def test_the_films_nobody_watched_come_with_their_gigabytes(it: CatalogueHome) -> None:
    (answer,) = await play(it, "Which films did nobody watch for a year, and how many gigabytes are they?")
    assert answer.body["total_size_bytes"] == sum(item["size_bytes"] for item in answer.body["items"]) > 0


async def test_the_biggest_user_of_bandwidth_comes_first(it: CatalogueHome) -> None:
    (answer,) = await play(it, "Who uses most bandwidth?")
    sent = [user["bytes"] for user in answer.body["users"]]
    assert sent == sorted(sent, reverse=True)
