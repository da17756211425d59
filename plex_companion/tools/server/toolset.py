"""Toolset `server`: the Plex Media Server itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from pydantic import Field

from plex_companion.companion import Companion
from plex_companion.errors import NotFound, PlexError
from plex_companion.plex.query import clamp_limit, get, send
from plex_companion.plex.xml.attributes import read_flag, read_local_time, read_number, read_text, read_utc
from plex_companion.text import clean, mask
from plex_companion.tools.arguments import choose
from plex_companion.tools.confirm import destroy_after_confirmation
from plex_companion.tools.declare import Access, Caller, FollowedWork, Shape, Toolset
from plex_companion.tools.parameters import Confirm, LibraryName
from plex_companion.tools.server import bandwidth, logs, plex_alerts, trash
from plex_companion.tools.server.server_results import BandwidthPage, LogLines, NotificationPage, ResourcePage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.confirm import DestructionTarget

SERVER = Toolset("server", "The Plex Media Server: information, logs, maintenance")

ALREADY_RUNNING = 202
_TEXTS = {
    "version": "version",
    "platform": "platform",
    "platform_version": "platformVersion",
    "server_name": "friendlyName",
    "machine_identifier": "machineIdentifier",
    "my_plex_username": "myPlexUsername",
    "my_plex_mapping_state": "myPlexMappingState",
    "streaming_brain_version": "streamingBrainVersion",
}
_FLAGS = {"certificate": "certificate", "sync": "sync", "transcoder_audio": "transcoderAudio"}
_LISTS = {
    "transcoder_video_bitrates": "transcoderVideoBitrates",
    "transcoder_video_qualities": "transcoderVideoQualities",
    "transcoder_video_resolutions": "transcoderVideoResolutions",
    "owner_features": "ownerFeatures",
}


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server's description of itself."""

    status: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ButlerTasks:
    """Plex's nightly maintenance tasks."""

    status: str
    data: list[dict[str, Any]]
    count: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """A background job that Plex has started."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A maintenance task that Plex has started."""

    status: str
    message: str
    task: str


@dataclass(frozen=True, slots=True)
class TrashEmptied:
    """The libraries whose trash Plex is emptying."""

    status: str
    message: str
    libraries: list[dict[str, Any]]


@SERVER.tool(Access.READ, title="Show the server")
def server_get_info(plex: PlexServer, companion: Companion) -> ServerInfo:
    """Get the name, version, platform and transcoder of the Plex Media Server."""
    root = get(plex, "/")
    data: dict[str, Any] = {ours: read_text(root, theirs) for ours, theirs in _TEXTS.items()}
    if companion.settings.privacy and data["my_plex_username"]:
        data["my_plex_username"] = mask(data["my_plex_username"])
    data |= {ours: read_flag(root, theirs) for ours, theirs in _FLAGS.items()}
    data |= {
        ours: [part for part in (read_text(root, theirs) or "").split(",") if part] for ours, theirs in _LISTS.items()
    }
    data["allow_media_deletion"] = read_flag(root, "allowMediaDeletion") or False  # omitted when off (PLEX.md 2.1)
    data["transcoder_active_video_sessions"] = read_number(root, "transcoderActiveVideoSessions")
    data |= {"updated_at": read_local_time(root, "updatedAt"), "updated_at_utc": read_utc(root, "updatedAt")}
    return ServerInfo("success", data)


@SERVER.tool(Access.READ, title="Read server logs")
def server_get_plex_logs(
    plex: PlexServer,
    companion: Companion,
    num_lines: Annotated[int, Field(description="At most 1000.")] = 100,
    log_type: str = "server",
    start_line: Annotated[int | None, Field(description="Counts from 0; without it the last lines.")] = None,
    list_files: bool = False,
    search_term: str | None = None,
) -> Annotated[dict[str, Any], Shape(LogLines)]:
    """Read Plex's log files: the last lines, a range of lines, or the lines that contain a text.

    `log_type` is server, scanner, transcoder, updater, tuner, scanner-deep-analysis, credits, chapter-thumbnails,
    crash-uploader, or part of a file name; `list_files` lists the names. With `search_term`, `start_line` and
    `first_line` count matches, and `n` is the line in the file. Tokens are hidden, and so are addresses and e-mails in
    privacy mode. Logs may be a minute old.
    """
    query = logs.build_query(num_lines, start_line, search_term)
    if list_files:
        files = logs.list_names(plex, companion.ttl_cache)
        return {"status": "success", "message": f"Plex has {len(files)} log files.", "mode": "list", "files": files}
    name, lines = logs.read_lines(plex, companion.ttl_cache, log_type)
    harmless = [companion.secrets.hide(line) for line in lines]  # before a search, which must not confirm a guess
    found = logs.build_result(name, harmless, query, private=companion.settings.privacy)
    return {"status": "success", "message": logs.describe_lines(found, query), **found}


@SERVER.tool(Access.READ, title="Bandwidth")
def server_get_bandwidth(
    plex: PlexServer,
    companion: Companion,
    timespan: Annotated[str | None, Field(description="months, weeks, days, hours or seconds (the default).")] = None,
    lan: Annotated[bool | str | None, Field(description="true: local traffic only, false: remote only.")] = None,
    offset: int = 0,
    limit: int = 200,
) -> Annotated[dict[str, Any], Shape(BandwidthPage)]:
    """List how many bytes Plex sent, by user and device, newest first.

    Each row covers one device of one user in one time span. `users` (most first) and `total_bytes` sum up all rows, including
    those not shown. `limit` is at most 2000.
    """
    span, local_only = bandwidth.parse_span(timespan), bandwidth.parse_lan(lan)
    return bandwidth.get_bandwidth(plex, companion, span, local_only, offset, limit)


@SERVER.tool(Access.READ, title="Processor and memory load")
def server_get_current_resources(
    plex: PlexServer, offset: int = 0, limit: int = 30
) -> Annotated[dict[str, Any], Shape(ResourcePage)]:
    """Get the processor and memory load of the machine (`host_`) and of Plex alone (`process_`), in percent.

    `current` is the newest measurement; `data` holds those of the last minutes, newest first. `limit` is at most 300.
    """
    return bandwidth.get_resources(plex, offset, limit)


@SERVER.tool(Access.READ, title="List maintenance tasks")
def server_get_butler_tasks(plex: PlexServer) -> ButlerTasks:
    """List Plex's nightly maintenance tasks and whether they are enabled. `server_run_butler_task` starts one now."""
    tasks = [_describe_task(row) for row in _list_tasks(plex)]
    return ButlerTasks("success", tasks, len(tasks), None if tasks else "This server has no butler tasks.")


def _follow_butler(found: Mapping[str, Any]) -> FollowedWork:
    """Return how to recognize a task. Unverified: no recording of a butler task's activity is public."""
    name = str(found["task"])
    return FollowedWork(f"butler.{name[:1].lower()}{name[1:]}")


@SERVER.tool(Access.WRITE, title="Run a maintenance task", follow=_follow_butler)
def server_run_butler_task(
    plex: PlexServer, task_name: Annotated[str, Field(description="Name from server_get_butler_tasks.")]
) -> TaskStarted:
    """Start a maintenance task now. It runs in the background."""
    name = _find_task(plex, task_name)
    started = _start_task(plex, f"/butler/{quote(name, safe='')}")
    return TaskStarted("success", f"Task {name} {'started' if started else 'is already running'}.", name)


@SERVER.tool(Access.READ, title="Raw notifications")
async def server_get_alerts(
    companion: Companion,
    caller: Caller,
    timeout: Annotated[int, Field(ge=0, le=60, description="Seconds to listen.")] = 15,  # noqa: ASYNC109 - the caller's, named by the contract
    since: Annotated[int | None, Field(ge=0, description="next_cursor of the previous answer.")] = None,
    types: Annotated[list[str] | None, Field(description="Event types, such as playing, timeline, activity.")] = None,
    limit: int = 100,
) -> Annotated[dict[str, Any], Shape(NotificationPage)]:
    """Return Plex's raw notifications: playback, library changes, activities, settings.

    Without `since`, listens for `timeout` seconds. With it, returns everything newer at once and listens only if there
    is nothing. `dropped` is true when some events are no longer stored. For problems that need attention, use
    `alerts_list`.
    """
    most = clamp_limit(limit, plex_alerts.MOST_ALERTS)
    cursor = await plex_alerts.find_start(companion, since)
    enough = most if since is None else 1
    page = await plex_alerts.wait_for_events(companion, caller, cursor, types, most, enough=enough, seconds=timeout)
    return plex_alerts.build_result(companion, page, most)


@SERVER.tool(Access.DESTRUCTIVE, title="Empty the trash")
async def server_empty_trash(
    companion: Companion,
    caller: Caller,
    library_name: LibraryName | None = None,
    confirm: Confirm = False,
) -> TrashEmptied:
    """Empty the trash of one library, or of all: Plex forgets items whose files are gone. This cannot be undone.

    The user is asked to confirm; a client that cannot ask needs `confirm=true`. The items' watch history is lost too.
    An unmounted disk puts everything on it into the trash. `items` counts what was in the trash, `items_left` what Plex
    has not removed yet.
    """
    known = companion.ttl_cache
    look = partial(trash.describe_trash, known=known, library_name=library_name)
    return await destroy_after_confirmation(
        companion, caller, confirm=confirm, look=look, act=partial(_empty_trash, companion)
    )


@SERVER.tool(Access.WRITE, title="Optimize the database", additive=True)
def server_optimize_database(plex: PlexServer) -> TaskAccepted:
    """Start an optimization of Plex's database. It runs in the background and may slow Plex down."""
    send(plex, "PUT", "/library/optimize?async=1")
    return TaskAccepted("success", "Optimizing the database started.")


@SERVER.tool(Access.WRITE, title="Clean unused bundles")
def server_clean_bundles(plex: PlexServer) -> TaskAccepted:
    """Start the removal of artwork and metadata files that no item uses. It runs in the background."""
    send(plex, "PUT", "/library/clean/bundles?async=1")
    return TaskAccepted("success", "Cleaning unused bundles started.")


def _list_tasks(plex: PlexServer) -> list[Element]:
    return get(plex, "/butler").findall("ButlerTask")


def _describe_task(row: Element) -> dict[str, Any]:
    return {
        "name": read_text(row, "name"),
        "title": read_text(row, "title"),
        "description": read_text(row, "description"),
        "enabled": read_flag(row, "enabled"),
        "interval": read_number(row, "interval"),
        "scheduleRandomized": read_flag(row, "scheduleRandomized"),
    }


def _find_task(plex: PlexServer, task_name: str) -> str:
    names = [row.get("name", "") for row in _list_tasks(plex)]
    name = choose(task_name, names)
    if not name or name not in names:
        available = [clean(name) for name in names][:50]
        message = f"No butler task '{task_name}'. Tasks: {', '.join(available) or 'none'}."
        raise NotFound(message, what="task", available=available)
    return name


def _start_task(plex: PlexServer, path: str) -> bool:
    """Start a job and return whether Plex started it now: 202 means that it is running already (plex-api-spec)."""
    try:
        send(plex, "POST", path)
    except PlexError as error:
        if error.facts.get("http_status") == ALREADY_RUNNING:
            return False
        raise
    return True


def _empty_trash(companion: Companion, plex: PlexServer, target: DestructionTarget) -> TrashEmptied:
    libraries = trash.empty_trash(plex, companion.ttl_cache, target)
    message = f"Emptying the trash of {target.title} started."
    return TrashEmptied("success", message, libraries)
