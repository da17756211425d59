"""What a whole companion shows and tells where Plex's answers can be read in part, or not at all."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from pydantic import SecretStr
from support.deadlines import HANG_SECONDS
from support.running_listener import FAST
from support.scripted_plex import ROOT, TOKEN, Answer, Pretend, playing_frame, pretend_plex, settings_for

from plex_companion.app import open_application
from plex_companion.changes.state import MOST_PER_KIND
from plex_companion.plex.account import list_servers
from plex_companion.plex.gateway import open_gateway
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection

    from plex_companion.app import Application

pytestmark = pytest.mark.slow


STEADY = replace(FAST, ping=50, pong=50, opening=HANG_SECONDS, after_play=HANG_SECONDS)
PLAYER = '<Player machineIdentifier="a" state="playing" title="TV"/>'
FINE = f'<Video sessionKey="1" ratingKey="3" key="/library/metadata/3" type="movie" title="Fine">{PLAYER}<User id="1" title="ada"/></Video>'
TWICE = (
    '<Video sessionKey="2" ratingKey="4" key="/library/metadata/4" type="episode" title="Match" studio="A" studio="B"/>'
)
AMPERSAND = (
    f'<Video sessionKey="2" ratingKey="4" key="/library/metadata/4" type="movie" title="Salt & Ember">{PLAYER}</Video>'
)
CONTROL = (
    f'<Video sessionKey="2" ratingKey="4" key="/library/metadata/4" type="movie" title="Salt&#4;">{PLAYER}</Video>'
)
NAMELESS = f'<Video type="movie" title="Nobody">{PLAYER}</Video>'
OPEN = '<Video sessionKey="2" ratingKey="4"><Media><Part>'


def listing(*rows: str) -> Answer:
    return Answer(body=f'<MediaContainer size="{len(rows)}">{"".join(rows)}</MediaContainer>'.encode())


@dataclass
class RunningCompanion:
    """A pretended Plex, the companion that listens to it, and a client."""

    plex: Pretend
    application: Application
    client: Client
    socket: ServerConnection
    looked: int = 0

    def sessions(self, *rows: str) -> None:
        self.plex.answers["/status/sessions"] = listing(*rows)

    @property
    def known(self) -> dict[str, tuple[str | None, bool]]:
        """Title and staleness of what is known, by key."""
        sessions = self.application.companion.state.sessions
        return {key: (session.item.title, session.stale) for key, session in sessions.items()}

    @property
    def detail(self) -> str:
        return self.application.companion.state.connection.detail or ""

    async def until(self, fact: Callable[[], object]) -> None:
        with anyio.fail_after(HANG_SECONDS):
            while not fact():
                await self.application.companion.live.wait_for_commit()

    async def look(self) -> None:
        """Have a frame tell of a session that nobody knows, so that Plex is asked."""
        self.looked += 1
        await self.socket.send(
            playing_frame(str(990 + self.looked), clientIdentifier="b", ratingKey="77", key="/library/metadata/77")
        )

    async def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.client.call_tool(name, arguments)
        text = answer.content[0].text  # type: ignore[union-attr]  # every tool answers with a text first
        return json.loads(text) if answer.is_error else answer.structured_content or {}

    async def read(self, uri: str) -> dict[str, Any]:
        (contents,) = (await self.client.read_resource(uri)).contents
        found: dict[str, Any] = json.loads(contents.text)  # type: ignore[union-attr]  # all resources are text
        return found


@asynccontextmanager
async def run_companion(
    folder: Path, *rows: str, first: Answer | None = None, **more: Any
) -> AsyncIterator[RunningCompanion]:
    """A den in which these play; `first` is what Plex answers instead to begin with."""
    async with pretend_plex() as plex:
        plex.answers["/"] = Answer(body=ROOT)
        plex.answers["/status/sessions"] = first or listing(*rows)
        plex.answers["/activities"] = plex.answers["/clients"] = Answer()
        given = {
            "plex_url": plex.url,
            "database": folder / "cache.sqlite3",
            "plex_timeout_seconds": HANG_SECONDS,
            **more,
        }
        settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(TOKEN)})
        async with (
            open_application(settings, timeouts=STEADY, tick_seconds=0.05) as application,
            Client(application.server) as client,
        ):
            with anyio.fail_after(HANG_SECONDS):
                while not application.companion.state.accounts:
                    await application.companion.live.wait_for_commit()
            yield RunningCompanion(plex, application, client, await plex.socket())
        plex.close()


CLIP = f'<Clip sessionKey="2" ratingKey="4" key="/library/metadata/4" title="Pre-roll">{PLAYER}</Clip>'
ONE_KEY = FINE.replace('ratingKey="3"', 'ratingKey="8"').replace("Fine", "Other")


async def test_an_element_of_another_name_is_a_session_if_it_has_the_key_of_one(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE, CLIP) as it:
        assert {title for title, _ in it.known.values()} == {"Fine", "Pre-roll"}


async def test_a_second_item_under_one_session_key_is_told_of(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE, ONE_KEY) as it:
        assert it.known == {"1": ("Fine", False)}
        assert "1 row could not be read" in it.detail
    async with run_companion(tmp_path, FINE, FINE) as it:
        assert not it.detail, "they say the same"


OTHER = FINE.replace('sessionKey="1"', 'sessionKey="5"').replace('"a"', '"c"')


@pytest.mark.parametrize("rows", [FINE, f"{FINE}{OTHER[1:]}", f"{FINE}{TWICE[1:]}"])
async def test_a_row_that_is_missing_from_a_list_ends_nothing_and_is_told_of(rows: str, tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE, OTHER) as it:
        it.plex.answers["/status/sessions"] = Answer(body=f'<MediaContainer size="2">{rows}</MediaContainer>'.encode())
        await it.look()
        await it.until(lambda: it.detail)
        assert {"1", "5"} <= set(it.known)
        it.sessions(FINE)
        await it.look()
        await it.until(lambda: not it.detail)
        assert "5" not in it.known


@pytest.mark.parametrize(
    "body",
    [
        b'<html xmlns="http://www.w3.org/1999/xhtml"><body>Log in</body></html>',
        b'<Response code="200" status="OK"/>',
        b"<errors><error>busy</error></errors>",
    ],
)
async def test_no_answer_but_a_list_passes_for_an_empty_list(body: bytes, tmp_path: Path) -> None:
    async with run_companion(tmp_path, first=Answer(body=body)) as it:
        assert it.detail, "accounts were read all the same, and that is no answer to what plays"
        assert it.application.companion.state.sessions_unreadable
        assert (await it.tool("sessions_get_active"))["code"] == "plex_error"
        it.plex.answers["/playlists"] = it.plex.answers["/butler"] = Answer(body=body)
        assert (await it.tool("playlist_list"))["code"] == "plex_error"
        assert (await it.tool("server_get_butler_tasks"))["code"] == "plex_error"


@pytest.mark.parametrize(
    ("bad", "titles"),
    [
        (TWICE, {"Fine"}),
        (AMPERSAND, {"Fine", "Salt & Ember"}),
        (CONTROL, {"Fine", "Salt"}),
        (NAMELESS, {"Fine"}),
        (OPEN, {"Fine"}),
    ],
)
async def test_a_row_that_cannot_be_read_hides_no_other_and_is_told_of(
    bad: str, titles: set[str], tmp_path: Path
) -> None:
    async with run_companion(tmp_path, FINE, bad) as it:
        link = it.application.companion.state.connection
        assert link.state == "live"
        assert "1 row could not be read" in it.detail
        assert {title for title, _ in it.known.values()} == titles
        found = await it.read("plex://sessions")
        assert found["connection"]["detail"] == it.detail
        assert "1 row could not be read" in (await it.tool("sessions_get_active"))["message"]
        it.sessions(FINE)
        await it.look()
        await it.until(lambda: not it.detail)


async def test_what_may_be_in_a_row_that_cannot_be_read_goes_on_and_what_is_in_none_ends(tmp_path: Path) -> None:
    whole = TWICE.replace(' studio="B"', "")
    other = FINE.replace('sessionKey="1"', 'sessionKey="5"').replace("Fine", "Other").replace('"a"', '"c"')
    async with run_companion(tmp_path, FINE, whole, other) as it:
        assert set(it.known) == {"1", "2", "5"}
        it.sessions(FINE, TWICE)
        await it.look()
        await it.until(lambda: "5" not in it.known)
        assert {"1", "2"} <= set(it.known)
        it.plex.answers["/status/sessions"] = Answer(body=(f'<MediaContainer size="2">{FINE}' + "<Video ").encode())
        await it.look()
        await it.until(lambda: "rest could not be read" in it.detail)
        assert "2" in it.known, "it may be in what is lost"
        it.sessions(FINE)
        await it.look()
        await it.until(lambda: "2" not in it.known)


async def test_other_lists_are_read_past_a_bad_row_and_their_detail_stays_until_they_are_read_again(
    tmp_path: Path,
) -> None:
    async with run_companion(tmp_path, FINE) as it:
        accounts = it.plex.answers["/accounts"]
        it.plex.answers["/accounts"] = listing('<Account id="1" name="ada"/>', '<Account id="2" name="a" name="b"/>')
        assert not it.detail
        await it.socket.send(json.dumps({"NotificationContainer": {"type": "account", "size": 1, "AccountUpdateNotification": [{}]}}))  # fmt: skip
        await it.until(lambda: "GET /accounts: 1 row could not be read." in it.detail)
        asked = it.plex.asked.count("/status/sessions")
        await it.look()
        await it.until(lambda: it.plex.asked.count("/status/sessions") > asked)
        assert "/accounts" in it.detail, "what plays says nothing of accounts"
        it.plex.answers["/accounts"] = accounts
        await it.socket.send(json.dumps({"NotificationContainer": {"type": "account", "size": 1, "AccountUpdateNotification": [{}]}}))  # fmt: skip
        await it.until(lambda: not it.detail)


@pytest.mark.parametrize("failing", [Answer(500), Answer(body=b"\x01\x02"), Answer(404)])
async def test_sessions_that_cannot_be_read_again_are_shown_as_uncertain_until_they_can(
    failing: Answer, tmp_path: Path
) -> None:
    async with run_companion(tmp_path, FINE, alert_unreadable_seconds=0.2) as it:
        assert it.known == {"1": ("Fine", False)}
        it.plex.answers["/status/sessions"] = failing
        await it.look()
        await it.until(lambda: it.detail)
        assert "GET /status/sessions: " in it.detail
        assert {stale for _, stale in it.known.values()} == {True}
        assert it.application.companion.state.connection.state == "live"
        await it.socket.send(playing_frame("1", ratingKey="3", key="/library/metadata/3", clientIdentifier="a"))
        active = await it.tool("sessions_get_active")
        assert [row["stale"] for row in active["sessions"]] == [True, True]
        assert it.detail in active["message"]
        await it.until(lambda: it.application.companion.state.alerts)
        (alert,) = it.application.companion.state.alerts.values()
        assert (alert.kind, alert.severity, alert.detail["reason"]) == ("sessions_unreadable", "warning", it.detail)
        assert all(row["stale"] for row in (await it.read("plex://sessions"))["sessions"])
        it.sessions(FINE)
        await it.until(lambda: not it.detail)
        await it.until(lambda: not it.application.companion.state.alerts)
        assert it.known["1"] == ("Fine", False)


async def test_what_is_known_from_before_is_shown_where_the_first_answer_is_no_good(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE):
        pass
    async with run_companion(tmp_path, FINE, first=Answer(500)) as it:
        assert it.known == {"1": ("Fine", True)}
        active = await it.tool("sessions_get_active")
        assert [row["stale"] for row in active["sessions"]] == [True]
        it.sessions(FINE)
        await it.until(lambda: it.known == {"1": ("Fine", False)} and not it.detail)


LIBRARY = "/library/sections/1/all"


async def test_a_tool_that_asks_plex_goes_on_past_a_bad_row_and_says_so(tmp_path: Path) -> None:
    good = '<Directory key="1" type="movie" title="Films"/>'
    async with run_companion(tmp_path, FINE) as it:
        whole = await it.tool("library_list")
        assert "incomplete" not in whole
        it.plex.answers["/library/sections"] = listing(good, '<Directory key="2" type="show" title="A" title="B"/>')
        for _ in range(2):  # nor is it remembered as if it were whole
            it.application.companion.ttl_cache.forget("sections")
            found = await it.tool("library_list")
            assert found["incomplete"] is True
            assert "GET /library/sections: 1 row could not be read." in found["message"]
            assert "Films" in json.dumps(found)
        it.plex.answers["/library/sections"] = listing(good, '<Directory key="2" type="show" title="Odd & Even"/>')
        found = await it.tool("library_list")
        assert found["incomplete"] is True
        assert "Odd & Even" in json.dumps(found)


async def test_what_a_tool_does_not_find_may_be_in_what_could_not_be_read(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE) as it:
        it.plex.answers["/library/sections"] = listing('<Directory key="2" type="show" title="Series" title="B"/>')
        found = await it.tool("library_get_contents", library_name="Series")
        assert (found["code"], found["incomplete"]) == ("not_found", True)
        assert "1 row could not be read" in found["message"]


async def test_a_document_type_is_refused_in_what_plays_and_in_what_a_tool_asks(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE) as it:
        hidden = Answer(body=b"\x00" + b" " * 80 + b'<!DOCTYPE a [<!ENTITY b "c">]>' + listing(FINE).body)
        it.plex.answers["/status/sessions"] = it.plex.answers["/library/sections"] = hidden
        await it.look()
        await it.until(lambda: "declares a document type" in it.detail)
        it.application.companion.ttl_cache.forget("sections")
        assert "declares a document type" in (await it.tool("library_list"))["message"]


async def test_of_two_sessions_on_one_client_the_snapshot_says_which_has_ended(tmp_path: Path) -> None:
    box = '<Player machineIdentifier="box" state="playing"/>'
    first = f'<Video sessionKey="1" ratingKey="3" key="/library/metadata/3" title="One">{box}<User id="1000"/></Video>'
    second = (
        f'<Video sessionKey="2" ratingKey="10" key="/library/metadata/10" title="Two">{box}<User id="1001"/></Video>'
    )
    async with run_companion(tmp_path, first, second) as it:
        plays = {key: session.play_id for key, session in it.application.companion.state.sessions.items()}
        assert set(plays) == {"1", "2"}
        it.sessions(second)
        entry = {"clientIdentifier": "box", "ratingKey": "", "key": "", "viewOffset": 0, "state": "stopped"}
        await it.socket.send(json.dumps({"NotificationContainer": {"type": "playing", "size": 1, "PlaySessionStateNotification": [entry]}}))  # fmt: skip
        await it.until(lambda: set(it.known) == {"2"})
        assert it.application.companion.state.sessions["2"].play_id == plays["2"]
        found = await it.tool("history_query")
        assert sorted(play["title"] for play in found["plays"]) == ["One", "Two"]


# -- amounts

MANY = 20_000


def _build_rows(first: int = 1) -> list[str]:
    return [FINE.replace('"1"', f'"{n}"', 1).replace('"a"', f'"m{n}"') for n in range(first, first + MANY)]


async def test_of_twenty_thousand_sessions_two_thousand_are_kept_and_none_of_the_others_is_ended(
    tmp_path: Path,
) -> None:
    async with run_companion(tmp_path, *_build_rows()) as it:
        assert len(it.known) == MOST_PER_KIND
        assert "18,000 rows more than can be kept" in it.detail
        it.sessions(*_build_rows(first=5_000))
        asked = it.plex.asked.count("/status/sessions")
        await it.socket.send(playing_frame("1", state="stopped", clientIdentifier="m1", ratingKey="3"))
        await it.until(lambda: "1" not in it.known)
        await it.look()
        await it.until(lambda: it.plex.asked.count("/status/sessions") > asked and "5000" in it.known)
        assert len(it.known) <= MOST_PER_KIND
        assert "2" in it.known, "the reading did not tell of all"
        it.sessions(FINE)
        await it.look()
        await it.until(lambda: not it.detail)
        assert "2" not in it.known


async def test_elements_without_end_are_cut_and_told_of_and_the_rows_before_them_are_kept(tmp_path: Path) -> None:
    nested = "<Video>" + "<a>" * 300_000 + "</a>" * 300_000 + "</Video>"
    async with run_companion(tmp_path, FINE, nested) as it:
        assert [title for title, _ in it.known.values()] == ["Fine"]
        assert "the rest could not be read" in it.detail


async def test_a_frame_of_twenty_thousand_entries_is_taken_in_whole_and_keeps_no_more_sessions(tmp_path: Path) -> None:
    async with run_companion(tmp_path, FINE) as it:
        entry = {"ratingKey": "3", "viewOffset": 1, "state": "playing"}
        entries = [{**entry, "sessionKey": str(n), "clientIdentifier": f"m{n}"} for n in range(2, MANY)]
        body = {"type": "playing", "PlaySessionStateNotification": entries}
        await it.socket.send(json.dumps({"NotificationContainer": body}))
        await it.until(lambda: it.application.companion.live.counters.events["playing"] >= MANY - 2)
        assert len(it.known) <= MOST_PER_KIND


async def test_the_program_ends_when_it_is_told_to_while_it_reads_far_too_much(tmp_path: Path) -> None:
    async with pretend_plex() as plex:
        plex.answers["/status/sessions"] = listing(*_build_rows())
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLEX_URL": plex.url, "PLEX_TOKEN": TOKEN}
        command = [sys.executable, "-m", "plex_companion", "serve", "--transport", "http", "--port", "0"]
        async with await anyio.open_process(command, env=environment, stdout=None, stderr=None) as process:
            with anyio.fail_after(HANG_SECONDS):
                await plex.socket()
                while "/status/sessions" not in plex.asked:  # noqa: ASYNC110 - nobody announces it
                    await anyio.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        plex.close()


async def test_a_server_of_the_account_that_cannot_be_read_hides_no_other() -> None:
    good = {"clientIdentifier": "attic-1", "name": "Attic", "provides": "server", "owned": True}
    roads = [{"uri": "http://127.0.0.1:32400"}, {"uri": 7}, "road"]
    shown = [{"name": "No identifier", "provides": "server"}, "odd", {**good, "connections": roads}, None]
    async with pretend_plex() as plex:
        plex.answers["/api/v2/resources"] = Answer(body=json.dumps(shown).encode())
        async with open_gateway(settings_for(plex.url, plex_tv_url=plex.url)) as gateway:
            found = await gateway.call_plex_tv(partial(list_servers, token=SecretStr(TOKEN)))
        assert [(one.name, len(one.connections)) for one in found] == [("Attic", 1)]
        plex.close()
