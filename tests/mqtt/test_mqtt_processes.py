"""Programs of their own: one that is stopped says goodbye, for one that is killed the broker does, and the next goes on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from support.home_assistant import read_device
from support.mosquitto import Broker, needs_mosquitto, open_broker, subscribe

from benchmarks.programs import COMPANION, run_program
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.mosquitto import Subscriber

    from plex_companion.demo import Demo

pytestmark = [needs_mosquitto, pytest.mark.slow]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as running:
        yield running


def serving(demo: Demo, folder: Path, broker: Broker) -> list[str]:
    """A program that finds the address of the broker where a household would write it."""
    (folder / ".env").write_text(f"PLEX_COMPANION_MQTT_URL={broker.url}\n")
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", "http", "--port", "0", *options]


async def status(got: Subscriber, *last: str) -> None:
    """Wait until these were the last words about whether a companion runs."""
    await got.until(lambda: got.list_payloads("/status")[-len(last) :] == list(last))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_program_that_ends_is_offline_at_once_however_it_ends(
    end: signal.Signals, broker: Broker, tmp_path: Path
) -> None:
    async with (
        open_demo(alive=False) as demo,
        subscribe(broker) as got,
        run_program(tmp_path, *serving(demo, tmp_path, broker)) as program,
    ):
        await status(got, "online")
        os.kill(program.pid, end)
        await status(got, "online", "offline")


async def test_when_the_program_that_listens_is_killed_the_next_one_publishes_everything_and_repeats_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    async with (
        open_demo(alive=False) as demo,
        subscribe(broker) as got,
        run_program(tmp_path, *serving(demo, tmp_path, broker)) as first,
    ):
        await status(got, "online")
        session = demo.start()
        await got.until(lambda: got.list_payloads("/companion/trigger") == ["play.started"])
        await got.until(lambda: any(topic.endswith("/position") for topic in got.kept))
        async with run_program(tmp_path, *serving(demo, tmp_path, broker)) as second:
            await second.wait_for_line(r"(http://\S+)/mcp")
            before = len(got.messages)
            os.kill(first.pid, signal.SIGKILL)
            await status(got, "offline", "online")
            again = {one.topic for one in got.messages[before:]}
            assert got.configs.keys() <= again
            demo.pause(session)
            await got.until(lambda: "play.paused" in got.list_payloads("/companion/trigger"))
            name = demo.get_player().title
            await got.until(lambda: read_device(got.kept, got.configs, name)["Playback"] == "paused")
    assert got.list_payloads("/companion/trigger") == ["play.started", "play.paused"]
