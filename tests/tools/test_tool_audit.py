"""Every call that may change Plex leaves a row in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.tools import tools_home

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_write_is_journaled_with_its_arguments_and_outcome(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.well("library_scan", library_name="1")
        body = await tools.well("events_wait", cursor=0, types=["audit"], timeout=120)
        (event,) = body["events"]
        assert event["subject"] == "library_scan"
        assert event["payload"]["arguments"] == {"library_name": "1"}
        assert event["payload"]["outcome"] == "done"


async def test_a_write_that_fails_is_journaled_with_its_code(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.refused("library_scan", library_name="nowhere")
        body = await tools.well("events_wait", cursor=0, types=["audit"], timeout=120)
        assert [event["payload"]["outcome"] for event in body["events"]] == ["not_found"]


async def test_reads_and_refused_writes_are_not_journaled(tmp_path: Path) -> None:
    async with tools_home(tmp_path, read_only="true") as tools:
        await tools.refused("library_scan", library_name="1")
        await tools.well("library_list")
        assert (await tools.well("events_since", types=["audit"]))["events"] == []
