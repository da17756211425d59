"""A past written into a database beforehand, and a companion without Plex that is asked about it."""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp import Client
from pydantic import SecretStr

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.migrate import migrate
from plex_companion.cache.record import build_upsert
from plex_companion.companion import Companion, read_versions
from plex_companion.ingest.live import Live
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueue
from plex_companion.mcp_events.shared_feed import OccurrenceFeed
from plex_companion.models import Moment
from plex_companion.names.search_text import prepare_titles
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.ttl_cache import TtlCache
from plex_companion.resources.registry import RESOURCES
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.companion_interface import ToolCallTimer, build_server_interface
from plex_companion.server.mcp.notifier import Notifier
from plex_companion.settings import Settings
from plex_companion.tools.toolsets import select_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

SERVER = "den-0001"
NOW = 1_795_366_800_123  # 2026-11-22T17:00:00.123Z
HOUR, DAY = 3_600_000, 86_400_000
PEOPLE = {"1": "Ada", "2": "Ben", "3": "Zoë"}
SECTIONS = {"1": ("Films", "movie"), "2": ("Shows", "show"), "3": ("Music", "artist")}

Row = dict[str, Any]


def seen(number: int, at: int, **more: Any) -> Row:
    """A play the companion watched from start to end: a film of Ada's, unless told otherwise."""
    row = {
        "id": number,
        "server": SERVER,
        "epoch": 1,
        "session_key": str(number),
        "type": "movie",
        "title": "The Lamp",
        "grandparent_title": None,
        "parent_title": None,
        "year": 1999,
        "library": "Films",
        "library_id": "1",
        "duration_ms": 7_200_000,
        "live": 0,
        "user_id": "1",
        "user_name": "Ada",
        "client_identifier": "lamp",
        "player_title": "Lamp",
        "platform": "Web",
        "state": "playing",
        "view_offset_ms": 3_600_000,
        "started_at": at,
        "updated_at": at + HOUR,
        "ended_at": at + HOUR,
        "ended_by": "stopped",
        "watched_ms": HOUR,
        "paused_ms": 0,
        "buffer_count": 0,
        "decision": "direct play",
        "video_resolution": "1080",
        "listed": 1,
        "stale": 0,
        "history_key": None,
        "viewed_at": None,
    }
    whole = {**row, **more}
    return {"rating_key": _key_of(whole), **whole}


def _key_of(row: Row) -> str | None:
    """A rating key for each title."""
    if row["title"] in {None, "The Lamp"}:
        return None if row["title"] is None else "7001"
    return str(8_000 + zlib.crc32(row["title"].encode()) % 1_000_000)


def imported(number: int, at: int, **more: Any) -> Row:
    """A play known from Plex's history alone: nobody knows when it began, or how much was watched."""
    unknown = dict.fromkeys(
        (
            "epoch",
            "session_key",
            "state",
            "view_offset_ms",
            "watched_ms",
            "paused_ms",
            "buffer_count",
            "decision",
            "video_resolution",
        )
    )
    ended = {"updated_at": at, "ended_at": at, "ended_by": "imported", "viewed_at": at, "listed": 0}
    return seen(number, at, **{**unknown, **ended, "history_key": f"/status/sessions/history/{number}", **more})


def running(number: int, at: int, **more: Any) -> Row:
    """A play that goes on."""
    return seen(number, at, **{"ended_at": None, "ended_by": None, "updated_at": NOW, **more})


def episode(show: str, season: int, index: int) -> Row:
    """What makes a play one of an episode."""
    shown = {"type": "episode", "grandparent_title": show, "parent_title": f"Season {season}", "library": "Shows"}
    title = f"Part {index} of {season}"
    return {**shown, "library_id": "2", "title": title, "item_index": index, "parent_index": season, "year": None}


def change(number: int, at: int, item: str, **more: Any) -> Row:
    """A step in an item's life."""
    row = {
        "id": number,
        "server": SERVER,
        "at": at,
        "item_id": item,
        "parent_item_id": None,
        "root_item_id": None,
        "section_id": "1",
        "type": "movie",
        "title": f"Film {item}",
        "change": "created",
        "settled": 1,
        "analyzed": 0,
    }
    return {**row, **more}


def alert(number: int, at: int, kind: str = "buffering", **more: Any) -> Row:
    """Something that wanted attention."""
    row = {"id": number, "server": SERVER, "at": at, "kind": kind, "severity": "warning", "title": f"Alert {number}"}
    return {**row, "detail": "{}", "subject": str(number), "resolved_at": at + 60_000, **more}


def reconnected(number: int, since: int, until: int) -> Row:
    """The journal's row of the end of an outage."""
    payload = {"state": "live", "blind_since_ms": since, "blind_ms": until - since}
    return said(number, until, "connection", subject="live", payload=json.dumps(payload))


def said(number: int, at: int, kind: str = "playing", **more: Any) -> Row:
    """A row of the journal."""
    row = {"id": number, "server": SERVER, "at": at, "type": kind, "subject": None, "summary": kind, "payload": "{}"}
    return {**row, **more}


def write(path: Path, **tables: Iterable[Row]) -> Path:
    """A database with these rows, in which Ada, Ben and Zoë share three libraries."""
    migrate(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT OR IGNORE INTO servers VALUES (?, 'Den', '1.43.0', 'Linux', '6', 0, 1)", (SERVER,))
        for id_, name in PEOPLE.items():
            database.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?)", (SERVER, id_, name))
        for id_, (title, kind) in SECTIONS.items():
            database.execute(
                "INSERT OR IGNORE INTO sections (server, section_id, title, type, refreshing, locations) "
                "VALUES (?, ?, ?, ?, 0, '[]')",
                (SERVER, id_, title, kind),
            )
        for table, rows in tables.items():
            for row in map(_prepare, rows) if table == "plays" else rows:
                database.execute(build_upsert(table, row), row)
    return path


def _prepare(play: Row) -> Row:
    """The row of a play with its titles as the index reads them."""
    titles = ("title", "grandparent_title", "parent_title", "performer", "edition")
    return {**play, "search_title": prepare_titles(*(play.get(name) for name in titles))}


def imported_so_far(path: Path, imported: int, total: int | None, *, complete: bool) -> None:
    """How far the import of Plex's history went."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO history VALUES (?, 0, ?, ?, ?)", (SERVER, imported, total, complete))


@dataclass(frozen=True)
class Past:
    """The companion, as a client has it."""

    companion: Companion
    client: Client
    path: Path

    async def well(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that must succeed."""
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        body: dict[str, Any] = answer.structured_content or {}
        assert {"as_of", "connection", "server"} <= body.keys()
        return body

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error object of a call that must fail."""
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error, answer.structured_content
        error: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]  # errors are texts
        return error

    async def read(self, uri: str) -> dict[str, Any]:
        """A resource."""
        (contents,) = (await self.client.read_resource(uri)).contents
        body: dict[str, Any] = json.loads(contents.text)  # type: ignore[union-attr]  # all resources are texts
        return body

    def write(self, **tables: Iterable[Row]) -> None:
        """More rows, while it runs."""
        write(self.path, **tables)


@asynccontextmanager
async def past(folder: Path, timezone: str = "UTC", **tables: Iterable[Row]) -> AsyncIterator[Past]:
    """A companion that listens to nobody, with these rows; for it, it is always `NOW`."""
    path = write(folder / "cache.sqlite3", **tables)
    settings = Settings.load({"plex_url": "http://127.0.0.1:9", "database": path, "timezone": timezone})
    settings = settings.model_copy(update={"plex_token": SecretStr("owner-token")})
    async with open_cache(path) as cache, open_gateway(settings) as gateway:
        live = Live(await load_state(cache, Moment(NOW, 0)))
        queue = EventQueue(QUEUE_LIMIT, live.counters)
        companion = Companion(
            settings,
            live,
            cache,
            gateway,
            queue,
            lambda: Moment(NOW, 0),
            read_versions(),
            TtlCache(),
            OccurrenceFeed(cache, live, dict),
        )
        async with Client(
            build_server(build_server_interface(companion, select_tools(), ToolCallTimer()), Notifier(RESOURCES))
        ) as client:
            yield Past(companion, client, path)
