"""A real broker, a real companion, the demo: what Home Assistant gets, and what happens when one of them goes away."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from rich.console import Console
from support.application import home, settings_for
from support.deadlines import HANG_SECONDS
from support.free_port import find_free_port
from support.home_assistant import find_wrong, list_devices, read_device
from support.mosquitto import PASSWORD, Broker, needs_mosquitto, open_broker, publish, subscribe
from support.several_processes import ending, member
from support.several_servers import join_urls

from plex_companion.commands.doctor import run_doctor
from plex_companion.demo import open_demo
from plex_companion.tools.mute_alerts import mute_alerts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.mosquitto import Subscriber

    from plex_companion.demo import Demo

pytestmark = needs_mosquitto
TRIGGER = "/companion/trigger"
UNLISTED = 3
"""A player that is not in `/clients`, so that only its sessions show that it is there."""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as running:
        yield running


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False) as running:
        yield running


async def online(got: Subscriber, times: int = 1) -> None:
    """Wait until a companion has published everything, so often."""
    await got.until(lambda: got.list_payloads("/status").count("online") >= times)


def shown(got: Subscriber, name: str) -> dict[str, Any]:
    return read_device(got.kept, got.configs, name)


async def triggered(got: Subscriber, name: str, times: int = 1) -> None:
    await got.until(lambda: got.list_payloads(TRIGGER).count(name) >= times)


def name_player(demo: Demo, number: int = 0) -> str:
    return demo.get_player(number).title


# What is published


async def test_home_assistant_accepts_all_discovery_of_a_household(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url):
        for number in range(3):
            demo.start(demo.get_movie(number), player=number, user=number)
        await triggered(got, "play.started", 3)
    assert {name_player(demo, number) for number in range(3)} <= list_devices(got.configs)
    assert find_wrong(got.configs) == []
    async with subscribe(broker) as later:
        await later.until(lambda: len(later.configs) == len(got.configs))
    assert all(one.retained for one in later.messages)


async def test_everything_that_the_demo_does_is_received_once_also_after_a_restart_in_between(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    name = name_player(demo)
    async with subscribe(broker) as got:
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            await online(got)
            session = demo.start()
            await triggered(got, "play.started")
            assert shown(got, name)["Playback"] == "playing"
            assert shown(got, name)["User"] == session.user.name
            demo.pause(session)
            await triggered(got, "play.paused")
            assert shown(got, name)["Playback"] == "paused"
        await got.until(lambda: got.list_payloads("/status")[-1] == "offline")
        demo.resume(session)
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            await got.until(lambda: any('"play.resumed"' in one for one in got.list_payloads("companion/events/play")))
            demo.stop(session)
            await triggered(got, "play.stopped")
            await got.until(lambda: shown(got, name)["Playback"] == "idle")
    events = [one.data for one in got.messages if one.topic.endswith("/companion/events/play")]
    assert [one["event_type"] for one in events] == ["play.started", "play.paused", "play.resumed", "play.stopped"]
    assert len({one["id"] for one in events}) == len(events)
    assert got.list_payloads(TRIGGER) == ["play.started", "play.paused", "play.stopped"]
    of_player = [one for one in got.messages if "/player_" in one.topic and one.topic.endswith("/trigger")]
    assert [one.payload for one in of_player] == got.list_payloads(TRIGGER)


async def test_what_was_watched_is_a_trigger(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url):
        await online(got)
        session = demo.start()
        await triggered(got, "play.started")
        demo.seek(session, (session.item.duration or 0) * 95 // 100)
        await triggered(got, "play.watched")


async def test_a_message_that_does_not_change_is_not_repeated(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        await online(got)
        session = demo.start()
        await triggered(got, "play.started")
        for _ in range(20):
            mark = it.application.companion.state.next_event
            demo.pause(session)
            await it.until(lambda mark=mark: it.application.companion.state.next_event > mark)  # type: ignore[misc]  # bound now
        await triggered(got, "play.paused")
    states = [(one.topic, one.payload) for one in got.messages if one.topic.endswith("/state")]
    assert not [two for one, two in pairwise(states) if one == two]


async def test_several_servers_have_a_device_each(broker: Broker, den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with subscribe(broker) as got, member(den, tmp_path, plex_url=join_urls(den, cabin), mqtt_url=broker.url):
        den.start()
        cabin.start(player=1)
        await got.until(lambda: {"Den", "Cabin"} <= list_devices(got.configs) and len(got.list_payloads(TRIGGER)) > 1)
        await got.until(lambda: shown(got, "Plex Companion")["Streams"] == 2)
        assert [shown(got, name)["Streams"] for name in ("Den", "Cabin")] == [1, 1]
        assert find_wrong(got.configs) == []
        await den.shut_down()
        await got.until(lambda: shown(got, "Den")["Connection to Plex"] == "OFF")
        assert (shown(got, "Den")["Streams"], shown(got, "Cabin")["Streams"]) == ("unavailable", 1)


async def test_the_loss_of_plex_is_shown_at_once_and_so_is_its_return(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url):
        await online(got)
        await got.until(lambda: shown(got, "Plex Companion")["Connection to Plex"] == "ON")
        await demo.shut_down()
        await got.until(lambda: shown(got, "Plex Companion")["Connection to Plex"] == "OFF")
        assert shown(got, "Plex Companion")["Streams"] == "unavailable"
        await demo.reopen()
        await got.until(lambda: shown(got, "Plex Companion") == {
            "Connection to Plex": "ON", "Streams": 0, "Transcodes": 0, "Bandwidth": 0,
        })  # fmt: skip


async def test_alerts_of_a_muted_kind_are_not_published(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        await online(got)
        await mute_alerts(it.application.companion, "remote_access_lost", muted=True)
        await it.until(lambda: it.application.companion.state.muted_kinds)
        await demo.play("remote_access_lost")
        await it.until(lambda: it.application.companion.state.alerts)
        await demo.play("update_available")
        await got.until(lambda: got.list_payloads("companion/events/alert"))
    kinds = {one.data["kind"] for one in got.messages if one.topic.endswith("companion/events/alert")}
    assert kinds == {"update_available"}


# Who goes away


async def test_a_broker_that_is_killed_gets_everything_again_and_the_companion_goes_on_meanwhile(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        async with subscribe(broker) as got:
            await online(got)
            await got.until(lambda: shown(got, "Plex Companion").get("Streams") == 0)
        broker.kill()
        demo.start()
        await it.until(lambda: it.sessions)
        await it.until(lambda: not it.application.companion.broker.connected)
        await broker.start()
        async with subscribe(broker) as again:
            await online(again)
            # Where it was quicker than this client, the broker has kept everything, and sends it in an order of its own.
            await again.until(lambda: got.configs.keys() <= again.configs.keys())
            await again.until(lambda: shown(again, name_player(demo)).get("Playback") == "playing")
            await again.until(lambda: shown(again, "Plex Companion").get("Streams") == 1)


@pytest.mark.slow
async def test_a_broker_that_hangs_does_not_hold_up_the_companion_and_gets_everything_when_it_goes_on(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        async with subscribe(broker) as got:
            await online(got)
        with broker.freeze():
            session = demo.start()
            await it.until(lambda: it.sessions)
            await it.until(lambda: not it.application.companion.broker.connected)
            demo.pause(session)
            await it.until(lambda: [one.state for one in it.sessions.values()] == ["paused"])
        async with subscribe(broker) as again:
            await again.until(lambda: name_player(demo) in list_devices(again.configs))
            await again.until(lambda: shown(again, name_player(demo)).get("Playback") == "paused")


async def test_what_happens_while_the_broker_is_away_for_a_moment_is_published_once_when_it_is_back(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        async with subscribe(broker, lasting="automation") as got:
            await online(got)
        broker.stop()
        session = demo.start()
        await it.until(lambda: it.sessions)
        await it.until(lambda: not it.application.companion.broker.connected)
        await broker.start()
        async with subscribe(broker, lasting="automation") as again:
            await triggered(again, "play.started")
            demo.stop(session)
            await triggered(again, "play.stopped")
    assert again.list_payloads(TRIGGER) == ["play.started", "play.stopped"]


async def test_the_page_of_settings_says_whether_the_broker_is_connected_and_never_where_it_is(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:

        async def wait_for(words: str) -> str:
            with anyio.fail_after(HANG_SECONDS):
                while words not in (page := (await web.get(f"{it.url}/settings")).text):  # noqa: ASYNC110 - pages tell nobody
                    await anyio.sleep(0.05)
            return page

        connected = await wait_for("It is connected, for Home Assistant. Since <time")
        broker.stop()
        lost = await wait_for("plex-companion keeps trying. Since <time")
    for page in (connected, lost):
        assert PASSWORD not in page
        assert f":{broker.port}" not in page


async def test_what_another_process_has_published_meanwhile_is_not_repeated(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    """A process that hung while another one led finds in the broker how far that one came."""
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        async with subscribe(broker, lasting="automation") as got:
            await online(got)
            (topic,) = {one.topic for one in got.messages if one.topic.endswith("/status")}
            tag = topic.split("/")[1]
            await publish(broker, f"plex-companion/{tag}/position", f"{tag}-1", retain=True)
        broker.stop()
        session = demo.start()
        await it.until(lambda: it.sessions)
        await it.until(lambda: not it.application.companion.broker.connected)
        await broker.start()
        async with subscribe(broker, lasting="automation") as again:
            await online(again)
            demo.pause(session)
            await triggered(again, "play.paused")
    assert again.list_payloads(TRIGGER) == ["play.paused"]


async def test_the_next_process_publishes_everything_again_when_the_first_ends(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with ending(demo, tmp_path, mqtt_url=broker.url) as (_, first):
        async with subscribe(broker) as got:
            await online(got)
            demo.start()
            await triggered(got, "play.started")
            async with member(demo, tmp_path, mqtt_url=broker.url) as second:
                before = len(got.messages)
                await first.end()
                await second.until(lambda: second.listens)
                await got.until(lambda: got.list_payloads("/status")[-2:] == ["offline", "online"])
                again = {one.topic for one in got.messages[before:]}
                assert got.configs.keys() <= again
                await got.until(
                    lambda: shown(got, name_player(demo)).get("Playback") == "playing"
                )  # Plex is heard again
        assert got.list_payloads(TRIGGER) == ["play.started"]


async def test_a_follower_publishes_nothing(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path, mqtt_url=broker.url) as first, subscribe(broker) as got:
        await online(got)
        async with member(demo, tmp_path, mqtt_url=broker.url) as second:
            demo.start()
            await triggered(got, "play.started")
            assert (first.companion.broker.connects, second.companion.broker.connects) == (1, 0)
    assert got.list_payloads(TRIGGER) == ["play.started"]


async def test_when_home_assistant_starts_all_discovery_is_published_again(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url):
        demo.start()
        await triggered(got, "play.started")
        topics, before = set(got.configs), len(got.messages)
        await publish(broker, "homeassistant/status", "online")
        await got.until(lambda: topics <= {one.topic for one in got.messages[before:]})


async def test_a_player_that_was_not_seen_for_long_loses_its_discovery(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    name = name_player(demo, UNLISTED)
    async with subscribe(broker) as got:
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            session = demo.start(player=UNLISTED)
            await triggered(got, "play.started")
            demo.stop(session)
            await triggered(got, "play.stopped")
            await got.until(lambda: name in list_devices(got.configs))
        with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
            database.execute("UPDATE clients SET last_seen_at = 1")
            database.execute("UPDATE timelines SET updated_at = 1")
            database.commit()
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            await got.until(lambda: name not in list_devices(got.configs))
    async with subscribe(broker) as later:
        await later.until(lambda: "Plex Companion" in list_devices(later.configs))
    assert name not in list_devices(later.configs)


async def test_discovery_that_an_earlier_version_published_is_removed(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with subscribe(broker) as got:
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            await online(got)
        old = next(topic for topic in got.configs if "/sensor/" in topic).replace("/companion_", "/former_")
        await publish(broker, old, "{}", retain=True)
        await got.until(lambda: old in got.kept)
        async with home(tmp_path, demo=demo, mqtt_url=broker.url):
            await got.until(lambda: old not in got.kept)


async def test_a_companion_that_is_wrongly_declared_offline_says_that_it_is_not(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with subscribe(broker) as got, home(tmp_path, demo=demo, mqtt_url=broker.url):
        await online(got)
        (topic,) = {one.topic for one in got.messages if one.topic.endswith("/status")}
        await publish(broker, topic, "offline", retain=True)
        await online(got, 2)


# What can be wrong


async def scrape(url: str) -> str:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return (await web.get(f"{url}/metrics")).text


async def test_the_metrics_say_whether_the_broker_is_connected_and_nothing_where_none_is_configured(
    broker: Broker, demo: Demo, tmp_path: Path
) -> None:
    async with home(tmp_path, demo=demo, mqtt_url=broker.url) as it:
        async with subscribe(broker) as got:
            await online(got)
        await it.until(lambda: it.application.companion.broker.connected)
        assert "plex_companion_mqtt_connected 1.0" in await scrape(it.url)
        broker.kill()
        await it.until(lambda: not it.application.companion.broker.connected)
        assert "plex_companion_mqtt_connected 0.0" in await scrape(it.url)
    async with home(tmp_path, demo=demo) as it:
        assert "plex_companion_mqtt" not in await scrape(it.url)


async def diagnose(demo: Demo, folder: Path, url: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=10_000)
    code = await run_doctor(settings_for(demo, folder, mqtt_url=url), console=console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


async def test_doctor_says_whether_the_broker_can_be_used(broker: Broker, demo: Demo, tmp_path: Path) -> None:
    assert (await diagnose(demo, tmp_path, broker.url))[0] == 0
    for url, words in (
        (broker.url.replace(PASSWORD, "wrong"), "it refuses the user name or password"),
        (f"mqtt://127.0.0.1:{find_free_port()}", "nothing listens on that port"),
        (f"mqtts://127.0.0.1:{broker.port}", "it does not speak TLS on that port"),
        ("mqtt://no-such-host.invalid", "its host is not found"),
    ):
        code, said = await diagnose(demo, tmp_path, url)
        assert code == 1
        assert words in said
        assert PASSWORD not in said


async def test_a_broker_that_refuses_the_password_does_not_hold_up_the_companion(
    broker: Broker, demo: Demo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = broker.url.replace(PASSWORD, "canary-wr0ng-3141")
    async with home(tmp_path, demo=demo, mqtt_url=url) as it:
        demo.start()
        await it.until(lambda: it.sessions)
        with anyio.fail_after(HANG_SECONDS):
            while "it refuses the user name or password" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await anyio.sleep(0.02)
    assert "canary-wr0ng-3141" not in caplog.text


@pytest.mark.slow
def test_without_the_package_the_program_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "aiomqtt.py").write_text("raise ImportError\n")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "hidden")}
    environment["PLEX_COMPANION_MQTT_URL"] = "mqtt://127.0.0.1"
    done = subprocess.run(
        [sys.executable, "-m", "plex_companion", "serve", "--demo", "--transport", "http", "--port", "0"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'plex-companion[mqtt]'" in done.stderr
    assert "Traceback" not in done.stderr
