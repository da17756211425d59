"""Every kind of alert, from Plex to a subscriber: it opens, it is announced, it resolves, and what comes near it is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import anyio
import pytest
from support.application import MODERN, body, home, known, settings_for, subscribed
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_application
from plex_companion.cache.queries.plays import read_play
from plex_companion.demo import frames, list_scenarios, open_demo
from plex_companion.models import AlertKind

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client
    from support.application import Home

pytestmark = pytest.mark.slow


ALERTS = "plex://alerts"
SPEED = 20
"""The household's clock against ours: its 20 s are our 1 s, and so are the limits set below."""
LIMITS: dict[str, Any] = {
    "alert_slow_seconds": 20 / SPEED,
    "alert_streams_grace_seconds": 10 / SPEED,
    "alert_paused_minutes": 0.4 / SPEED,
    "alert_unreadable_seconds": 20 / SPEED,
    "alert_hold_seconds": 60 / SPEED,
}
OPTIONS: dict[str, dict[str, float]] = {
    "connection_lost": {"seconds": 2_000},
    "listener_gap": {"seconds": 30},
    "paused_long": {"minutes": 0.5},
    "paused_long_near": {"minutes": 0.17},
}
OURS = {"storage", "rule", "rule_failed", "plex_status"}
"""What Plex cannot cause: alerts about our own database and our own rules, and those of earlier versions."""
KINDS: tuple[AlertKind, ...] = tuple(kind for kind in get_args(AlertKind) if kind not in OURS)


def of_kind(found: dict[str, Any], kind: str, *, is_open: bool | None = None) -> list[dict[str, Any]]:
    """The alerts of a kind in a reading; `is_open` narrows."""
    alerts: list[dict[str, Any]] = [one for one in found["alerts"] if one["kind"] == kind]
    return [one for one in alerts if is_open is None or (one["resolved_at"] is None) is is_open]


async def marked(it: Home, client: Client) -> dict[str, Any]:
    """The alerts once everything that was sent before is understood."""
    mark = it.application.companion.state.next_event
    it.demo.announce(frames.build_background_queue())
    await it.until(lambda: it.application.companion.is_live and it.application.companion.state.next_event > mark)
    return await body(client, ALERTS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_scenario_that_raises_it_and_one_that_must_not(kind: AlertKind) -> None:
    assert {kind, f"{kind}_near"} <= list_scenarios().keys()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_alert_opens_is_announced_and_resolves_and_what_comes_near_it_is_none(
    kind: AlertKind, tmp_path: Path
) -> None:
    async with (
        open_demo(alive=False, speed=SPEED) as demo,
        home(tmp_path, demo=demo, tick=0.05, **LIMITS) as it,
        subscribed(f"{it.url}/mcp", MODERN, ALERTS) as (client, updates),
    ):
        await it.until(lambda: it.application.companion.state.accounts)
        with anyio.fail_after(HANG_SECONDS):
            await demo.play(f"{kind}_near", **OPTIONS.get(f"{kind}_near", {}))
            await it.live()
        assert of_kind(await marked(it, client), kind) == []

        with anyio.fail_after(HANG_SECONDS):
            await demo.play(kind, **OPTIONS.get(kind, {}))
        begun = await known(client, ALERTS, lambda found: of_kind(found, kind), updates)
        (opened,) = of_kind(begun, kind)
        assert opened["acknowledged_at"] is None
        if f"{kind}_over" in list_scenarios():
            assert opened["resolved_at"] is None
            await demo.play(f"{kind}_over")
        found = await known(client, ALERTS, lambda found: of_kind(found, kind, is_open=False), updates)
        (resolved,) = of_kind(found, kind)
        assert resolved["id"] == opened["id"]
        await updates.until(ALERTS)


async def test_an_acknowledgement_is_noted_once_also_in_read_only_mode_and_subscribers_are_told(tmp_path: Path) -> None:
    async with home(tmp_path) as it, subscribed(f"{it.url}/mcp", MODERN, ALERTS) as (client, updates):
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        annotations = listed["alert_acknowledge"].annotations
        assert annotations is not None
        assert (annotations.read_only_hint, annotations.destructive_hint) == (False, False)
        await it.demo.play("remote_access_lost")
        found = await known(client, ALERTS, lambda found: of_kind(found, "remote_access_lost"), updates)
        (alert,) = of_kind(found, "remote_access_lost")
        reported = updates.uris.count(ALERTS)
        answers = [(await client.call_tool("alert_acknowledge", {"id": alert["id"]})).structured_content for _ in "ab"]
        first, again = [answer["alert"] for answer in answers if answer]
        assert first["acknowledged_at"] is not None
        assert first == again == {**alert, "acknowledged_at": first["acknowledged_at"]}
        await updates.until(ALERTS, reported)

        await it.demo.play("remote_access_lost_over")
        found = await known(client, ALERTS, lambda found: of_kind(found, "remote_access_lost", is_open=False), updates)
        assert of_kind(found, "remote_access_lost")[0]["acknowledged_at"] == first["acknowledged_at"]


async def test_an_alert_nobody_knows_cannot_be_acknowledged(tmp_path: Path) -> None:
    async with home(tmp_path) as it, subscribed(f"{it.url}/mcp", MODERN) as (client, _):
        for alert_id in ("4711", "-1", "first", " ", "9" * 40):
            answer = await client.call_tool("alert_acknowledge", {"id": alert_id})
            assert answer.is_error
            error = json.loads(answer.content[0].text)  # type: ignore[union-attr]  # errors are text
            assert (error["code"], error["what"]) == ("not_found", "alert")


async def test_what_ended_while_the_program_was_down_resolves_when_it_starts_and_what_goes_on_stays_open(
    tmp_path: Path,
) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo, tick=0.05, **LIMITS) as it:
            await demo.play("playback_error")
            await demo.play("transcode_4k")
            for number in range(4):
                demo.start(demo.get_movie(number), player=(0, 1, 2, 4)[number], user=0)
            await it.until(lambda: len(it.application.companion.state.alerts) == 3)
            before = dict(it.application.companion.state.alerts)
        gone = [session for session in demo.sessions.values() if session.transcode is None]
        for session in gone:
            demo.forget(session)
        async with open_application(settings_for(demo, tmp_path, **LIMITS)) as application:
            companion = application.companion
            assert companion.state.alerts == before
            with anyio.fail_after(HANG_SECONDS):
                while len(companion.state.alerts) > 1:
                    await companion.live.wait_for_commit()
            (left,) = companion.state.alerts.values()
            assert left == before["transcode_4k", left.subject]


async def test_the_course_of_a_play_is_kept(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start(it.demo.get_movie())
        await it.until(lambda: it.sessions and it.sessions[session.key].listed)
        play = it.sessions[session.key].play_id
        it.demo.pause(session)
        it.demo.resume(session)
        it.demo.seek(session, 20 * 60_000)
        it.demo.buffer(session)
        it.demo.resume(session)
        it.demo.stop(session)
        await it.until(lambda: not it.sessions)
        found = await read_play(it.application.companion.cache, play)
    assert found is not None
    timeline = found[1]
    kinds = [mark["kind"] for mark in timeline]
    assert kinds == ["started", "paused", "resumed", "seeked", "buffering", "resumed", "ended"]
    assert [mark["view_offset_ms"] for mark in timeline][-4:] == [20 * 60_000] * 4
