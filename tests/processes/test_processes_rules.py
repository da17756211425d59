"""Rules of several companions on one database, of several servers, and of a program that is killed."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.several_processes import Member, ending, member, rows, two
from support.several_servers import all_live, link_of, looking_after

from benchmarks.programs import COMPANION, run_program
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.demo import open_demo
from plex_companion.models import AlertAction, Rule
from plex_companion.times import MINUTE_MS
from plex_companion.tools.rules.changing import delete_rule, find_rule, get_rules, save_new_rule, switch_rule

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo
    from plex_companion.models import StoredRule

pytestmark = pytest.mark.slow

STARTS = Rule(None, "Starts", ("play.started",), (AlertAction("{data.item.title}"),))
FIRINGS = "SELECT rule_id, occurrence FROM rule_firings ORDER BY id"


async def enable(one: Member, rule: Rule = STARTS) -> StoredRule:
    """Save and enable a rule by a companion, whether it listens or not."""
    stored = await save_new_rule(one.companion, rule)
    return await switch_rule(one.companion, stored, enabled=True)


def fired(one: Member, rule_id: int = 1) -> int:
    return get_rules(one.companion).stored[rule_id].fired


async def test_a_rule_that_a_follower_saves_runs_in_the_process_that_listens(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        stored = await enable(second)
        demo.start()
        await second.until(lambda: fired(second) == 1)
        assert fired(first) == 1
        assert len(rows(tmp_path, FIRINGS)) == 1
        await delete_rule(second.companion, find_rule(second.companion, str(stored.id)))
        assert get_rules(first.companion).stored == {}


async def test_a_takeover_repeats_no_firing_and_keeps_what_a_rule_waits_for(demo: Demo, tmp_path: Path) -> None:
    waits = Rule(None, "Waits", ("play.paused",), (AlertAction("Paused"),), for_ms=MINUTE_MS)
    async with ending(demo, tmp_path) as (first, its), member(demo, tmp_path) as second:
        await enable(first)
        await enable(first, waits)
        session = demo.start()
        await first.until(lambda: fired(first) == 1)
        demo.pause(session)
        await first.until(lambda: get_rules(first.companion).timers)
        (kept,) = get_rules(first.companion).timers.values()
        await its.end()
        await second.until(lambda: second.listens and second.companion.is_live)
        assert [*get_rules(second.companion).timers.values()] == [kept]
        demo.start(player=1)
        await second.until(lambda: fired(second) == 2)
        assert len({occurrence for _, occurrence in rows(tmp_path, FIRINGS)}) == 2
        demo.resume(session)
        await second.until(lambda: not get_rules(second.companion).timers)
        assert fired(second, 2) == 0


async def test_a_rule_about_one_of_several_servers_says_which(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with looking_after(tmp_path, den, cabin, webhook_urls="http://127.0.0.1:9/hook") as one:
        await all_live(one)
        await enable(one)
        cabin.start()
        await one.until(lambda: fired(one) == 1)
        cabin_id = link_of(one, "Cabin").machine_identifier
        assert rows(tmp_path, "SELECT server FROM rule_firings") == [(cabin_id,)]
        assert rows(tmp_path, "SELECT server FROM alerts WHERE kind = 'rule'") == [(cabin_id,)]
        assert rows(tmp_path, "SELECT server FROM occurrences WHERE type = 'rule.fired'") == [(cabin_id,)]
        told = [json.loads(body)["data"] for (body,) in rows(tmp_path, "SELECT body FROM deliveries")]
        assert [one["server_name"] for one in told if one["kind"] == "rule"] == ["Cabin"]
        assert rows(tmp_path, f"SELECT 1 FROM alerts WHERE server LIKE '{UNKNOWN}%'") == []  # noqa: S608 - our own name


def serving(demo: Demo, folder: Path) -> list[str]:
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", "http", "--port", "0", *options]


async def wait_for_rows(folder: Path, sql: str, count: int) -> list[tuple[Any, ...]]:
    with anyio.fail_after(HANG_SECONDS):
        while len(found := rows(folder, sql)) < count:  # noqa: ASYNC110 - another process
            await anyio.sleep(0.02)
    return found


async def test_a_program_that_is_killed_again_and_again_fires_once_on_each_start(tmp_path: Path) -> None:
    """It is killed while it judges: as soon as the start of a play is recorded."""
    starts = "SELECT id FROM occurrences WHERE type = 'play.started'"
    async with open_demo(alive=False) as demo:
        async with member(demo, tmp_path) as one:
            await one.live()
            await enable(one)
        for number in range(1, 7):
            async with run_program(tmp_path, *serving(demo, tmp_path)) as program:
                await program.wait_for_line(r"(http://\S+/mcp)")
                await wait_for_rows(tmp_path, "SELECT 1 FROM links WHERE state = 'live'", 1)
                session = demo.start(player=number % 3)
                await wait_for_rows(tmp_path, starts, number)
                os.kill(program.pid, signal.SIGKILL)
            demo.stop(session)
        async with member(demo, tmp_path) as last:
            await last.live()
            await last.until(lambda: fired(last) >= len(rows(tmp_path, starts)))
        found = rows(tmp_path, FIRINGS)
        alerts = rows(tmp_path, "SELECT detail FROM alerts WHERE kind = 'rule'")
        assert len({occurrence for _, occurrence in found}) == len(found) == len(rows(tmp_path, starts))
        assert sorted(json.loads(detail)["occurrence"] for (detail,) in alerts) == sorted(one for _, one in found)
        reported = rows(tmp_path, "SELECT 1 FROM occurrences WHERE type = 'rule.fired'")
        assert len(reported) == len(found)
