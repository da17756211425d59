"""Plex's whole history comes into the cache, stays there when Plex is gone, and holds every play once."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr
from support.application import settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_companion
from plex_companion.changes.kinds import HistoryPageWritten, HistoryProgressed, PlaysImported, PlaysRepeated
from plex_companion.changes.state import State
from plex_companion.companion import read_clock
from plex_companion.demo import Demo, Household, load_household, open_demo
from plex_companion.duties import build_import_progress
from plex_companion.ingest.live import Live
from plex_companion.models import ONLY_LINK, Connection, History, ImportedPlay, Item, Moment
from plex_companion.resources.registry import find_touched_uris, read_resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.companion import Companion
    from plex_companion.demo.household.model import DemoItem as Film

pytestmark = pytest.mark.slow

ROWS = 8_000
MINUTE_MS = 60_000
FILM_SECONDS = 2_700


def household(folder: Path, rows: int = ROWS) -> Household:
    """Films and series, and so many plays of them over the last year."""
    films = [{"title": f"Film {n}", "duration_seconds": FILM_SECONDS} for n in range(6)]
    sections: list[dict[str, Any]] = [
        {"title": "Films", "type": "movie", "items": films, "generate": 200},
        {"title": "Series", "type": "show", "generate": {"count": 10, "seasons": 2, "episodes": 10}},
    ]
    file = folder / "home.json"
    file.write_text(json.dumps({"sections": sections, "generate_history": rows}))
    return load_household(file)


class Listener:
    """What was announced, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[TouchedUris] = []

    def announce(self, touched: TouchedUris) -> None:
        self.batches.append(touched)


@asynccontextmanager
async def listening(
    demo: Demo, folder: Path, listener: Listener | None = None, now: Callable[[], Moment] = read_clock
) -> AsyncIterator[Companion]:
    announce = (listener or Listener()).announce
    async with open_companion(settings_for(demo, folder), announce, now=now) as companion:
        yield companion


async def until(companion: Companion, fact: Callable[[], object]) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not fact():
            await companion.live.wait_for_commit()


async def rows(companion: Companion, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await companion.cache.reader.execute_fetchall(sql)]


def per_day(demo: Demo) -> Counter[tuple[str, str]]:
    """The demo's own rows, counted one by one."""
    days = ((play.account_id, datetime.fromtimestamp(play.viewed_at, UTC).date()) for play in demo.state.history)
    return Counter((str(account), day.isoformat()) for account, day in days)


async def counted(companion: Companion) -> Counter[tuple[str, str]]:
    """The cache's roll-ups."""
    sql = "SELECT user_id, date(day * 86400, 'unixepoch'), sum(plays) FROM play_days GROUP BY 1, 2"
    return Counter({(user, day): plays for user, day, plays in await rows(companion, sql)})


async def test_the_whole_history_is_there_and_answers_when_plex_is_switched_off(tmp_path: Path) -> None:
    async with open_demo(alive=False, household=household(tmp_path)) as demo:
        async with listening(demo, tmp_path) as companion:
            await until(companion, lambda: companion.state.history.complete)
            assert await counted(companion) == per_day(demo)
        await demo.shut_down()
        async with listening(demo, tmp_path) as companion:
            await until(companion, lambda: companion.state.connection.detail)
            server = json.loads(await read_resource(companion, "plex://server"))
            assert server["connection"]["state"] == "offline"
            assert server["history"] == {"imported": ROWS, "total": ROWS, "complete": True, "detail": None}
            assert await counted(companion) == per_day(demo)
            (newest, *_) = json.loads(await read_resource(companion, "plex://history"))["plays"]
        play = demo.state.history[-1]
        item, user = demo.state.items[play.rating_key], demo.state.users[play.account_id]
        player = next(one for one in demo.state.players.values() if one.id == play.device_id)
        assert (newest["title"], newest["guid"], newest["year"]) == (item.title, item.guid, item.year)
        assert (newest["user"], newest["player"]["title"]) == ({"id": str(user.id), "name": user.name}, player.title)
        assert (newest["library"], newest["duration_ms"]) == (demo.state.sections[item.section].title, item.duration)
        assert newest["started_at"] == newest["ended_at"] == newest["viewed_at"]
        assert [newest[name] for name in ("percent", "paused_ms", "buffer_count", "decision")] == [None] * 4
        assert (newest["watched_ms"], newest["estimated"], newest["reasons"]) == (item.duration, True, [])
        assert (newest["ended_by"], newest["history_key"]) == ("imported", f"/status/sessions/history/{play.id}")


async def test_a_pause_during_an_import_is_told_before_it_is_over_and_within_few_batches(tmp_path: Path) -> None:
    async with open_demo(alive=False, household=household(tmp_path)) as demo:
        session, listener = demo.start(demo.get_movie()), Listener()
        waited: list[int] = []
        async with listening(demo, tmp_path, listener) as companion:
            for fifth in (1, 2, 3):
                await _imported(companion, fifth * ROWS // 5)
                since = len(listener.batches)
                demo.pause(session) if fifth % 2 else demo.resume(session)
                answer = await _read_progress(companion, session.key, session.state)
                assert not answer.complete
                waited.append(sum(_imports(batch) for batch in listener.batches[since:]))
            await until(companion, lambda: companion.state.history.complete)
        assert max(waited) <= 5, "what is not told before the import is over waits for 80"
        assert sum(_imports(batch) for batch in listener.batches) >= ROWS // 100


async def _imported(companion: Companion, count: int) -> None:
    await until(companion, lambda: companion.state.history.imported >= count)


async def _read_progress(companion: Companion, key: str, state: str) -> History:
    """How far the import is when a session is told to be in this state."""
    await until(companion, lambda: key in companion.state.sessions and companion.state.sessions[key].state == state)
    return companion.state.history


def _imports(batch: TouchedUris) -> bool:
    return "plex://history" in batch.progress_only


async def test_an_import_cut_off_in_the_middle_goes_on_and_ends_without_doubles(tmp_path: Path) -> None:
    async with open_demo(alive=False, household=household(tmp_path, 3_000)) as demo:
        async with listening(demo, tmp_path) as companion:
            await until(companion, lambda: companion.state.history.imported >= 1_000)
        demo.requests.clear()
        async with listening(demo, tmp_path) as companion:
            left = companion.state.history
            assert 1_000 <= left.imported < 3_000
            assert not left.complete
            shown = [left.imported]
            while not companion.state.history.complete:
                with anyio.fail_after(HANG_SECONDS):
                    await companion.live.wait_for_commit()
                shown.append(companion.state.history.imported)
            assert await rows(companion, "SELECT count(*), count(DISTINCT history_key) FROM plays") == [(3_000, 3_000)]
            assert await counted(companion) == per_day(demo)
        asked = [path for _, path in demo.requests.log if "sort=viewedAt" in path]
        assert f"viewedAt%3E={left.mark_s - 86_400}&" in asked[0]
        assert shown == sorted(shown), "never backwards"
        assert len(shown) > 2


def test_imported_plays_touch_the_history_and_that_of_their_user_and_repeated_ones_nothing() -> None:
    play = ImportedPlay(1, "/status/sessions/history/1", 0, Item())
    found = find_touched_uris(
        [PlaysImported((play,), "Ada"), HistoryProgressed(History(imported=1)), HistoryPageWritten(1)]
    )
    assert (found.progress_only, found.immediate) == ({"plex://history", "plex://history/Ada", "plex://server"}, set())
    assert find_touched_uris([PlaysImported((play,), None)]).progress_only == {"plex://history"}
    assert find_touched_uris([PlaysRepeated((play,))]).progress_only == set()


class Hours:
    """A clock that can be put forward, for Plex and for us."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> Moment:
        now = read_clock()
        return Moment(now.at + self.ahead_ms, now.tick + self.ahead_ms)

    def seconds(self) -> float:
        return self().at / 1000


def watched_to_the_end(demo: Demo, item: Film, user: int) -> None:
    """Somebody begins, sees it through and stops, and Plex counts it."""
    session = demo.start(item, user=user, player=user)
    session.offset = (item.duration or 0) - 5_000
    demo.stop(session)


async def test_plays_of_an_hour_in_which_nobody_listened_are_all_there_once(tmp_path: Path) -> None:
    hours = Hours()
    home = household(tmp_path, 0)
    async with (
        open_demo(alive=False, household=home, clock=hours.seconds) as demo,
        listening(demo, tmp_path, now=hours) as companion,
    ):
        before, running, first, second, after = (demo.get_movie(n) for n in range(5))
        session = demo.start(before, player=1)
        await until(companion, lambda: companion.state.sessions and companion.state.sessions[session.key].listed)
        session.offset = FILM_SECONDS * 990
        demo.stop(session)
        await until(companion, lambda: companion.state.history.imported == 1)
        session = demo.start(running)
        await until(companion, lambda: companion.state.sessions and companion.state.sessions[session.key].listed)
        await demo.shut_down()
        await until(companion, lambda: companion.state.connection.state == "down")

        hours.ahead_ms = 20 * MINUTE_MS
        watched_to_the_end(demo, first, user=1)
        hours.ahead_ms = 42 * MINUTE_MS
        session.offset = FILM_SECONDS * 950
        demo.stop(session)
        hours.ahead_ms = 55 * MINUTE_MS
        watched_to_the_end(demo, second, user=2)
        hours.ahead_ms = 60 * MINUTE_MS
        await demo.reopen()
        await until(companion, lambda: companion.state.history.imported == 4)
        watched_to_the_end(demo, after, user=1)
        await until(companion, lambda: companion.state.history.imported == 5)

        plays = await rows(
            companion, "SELECT title, ended_by, history_key, user_id, ended_at, viewed_at FROM plays ORDER BY id"
        )
        assert {title: ended_by for title, ended_by, *_ in plays} == {
            before.title: "stopped",
            running.title: "inferred",
            first.title: "imported",
            second.title: "imported",
            after.title: "stopped",
        }
        assert len(plays) == len(demo.state.history) == 5
        assert {key for _, _, key, *_ in plays} == {
            f"/status/sessions/history/{play.id}" for play in demo.state.history
        }
        assert sum((await counted(companion)).values()) == 5
        missed = next(play for play in plays if play[0] == running.title)
        assert missed[5] - missed[4] > 40 * MINUTE_MS, "it ended when it was last heard, and was counted later"


async def test_with_a_guests_token_history_says_why_it_is_missing_and_all_else_goes_on(tmp_path: Path) -> None:
    async with open_demo(alive=False, household=household(tmp_path, 10)) as demo:
        settings = settings_for(demo, tmp_path).model_copy(update={"plex_token": SecretStr(demo.get_user(1).token)})
        async with open_companion(settings, Listener().announce) as companion:
            await until(companion, lambda: companion.state.history.detail)
            server = json.loads(await read_resource(companion, "plex://server"))
            assert (server["history"]["imported"], server["history"]["complete"]) == (0, False)
            assert "HTTP 403" in server["history"]["detail"]
            demo.start()
            await until(companion, lambda: companion.state.sessions)


async def test_an_import_rests_while_nothing_can_be_written() -> None:
    live, went_on = Live(State(Connection("live", 0))), anyio.Event()

    async def wait() -> None:
        await build_import_progress(live, ONLY_LINK).wait_until_written(3)
        went_on.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        live.storage = "degraded"
        for page in (2, 3):
            live.publish({ONLY_LINK: replace(live.state, history_page=page)})
            await anyio.wait_all_tasks_blocked()
            assert not went_on.is_set()
        live.storage = "ok"
        live.publish(live.states)
        await anyio.wait_all_tasks_blocked()
        assert went_on.is_set()
