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
from plex_companion.tools.declare import Access, Caller, Id, Toolset
from plex_companion.tools.server import bandwidth, logs, plex_alerts, trash

if TYPE_CHECKING:
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
    """What the server says of itself."""

    status: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ButlerTasks:
    """The jobs of Plex's night."""

    status: str
    data: list[dict[str, Any]]
    count: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """Plex was told to do something, and does it by itself."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """Plex was told to run a task of its butler."""

    status: str
    message: str
    task: str


@dataclass(frozen=True, slots=True)
class TrashEmptied:
    """Plex was told to empty the trash of some libraries."""

    status: str
    message: str
    libraries: list[dict[str, Any]]


@SERVER.tool(Access.READ)
def server_get_info(plex: PlexServer, companion: Companion) -> ServerInfo:
    """Name, version, platform and transcoder of the Plex Media Server, asked afresh."""
    root = get(plex, "/")
    data: dict[str, Any] = {ours: read_text(root, theirs) for ours, theirs in _TEXTS.items()}
    if companion.settings.privacy and data["my_plex_username"]:
        data["my_plex_username"] = mask(data["my_plex_username"])
    data |= {ours: read_flag(root, theirs) for ours, theirs in _FLAGS.items()}
    data |= {
        ours: [part for part in (read_text(root, theirs) or "").split(",") if part] for ours, theirs in _LISTS.items()
    }
    data["allow_media_deletion"] = (
        read_flag(root, "allowMediaDeletion") or False
    )  # left out when it is off (PLEX.md 2.1)
    data["transcoder_active_video_sessions"] = read_number(root, "transcoderActiveVideoSessions")
    data |= {"updated_at": read_local_time(root, "updatedAt"), "updated_at_utc": read_utc(root, "updatedAt")}
    return ServerInfo("success", data)


@SERVER.tool(Access.READ)
def server_get_plex_logs(
    plex: PlexServer,
    companion: Companion,
    num_lines: int = 100,
    log_type: str = "server",
    start_line: int | None = None,
    list_files: bool = False,
    search_term: str | None = None,
) -> dict[str, Any]:
    """Read Plex's own log files: the last lines, a range of lines, or the lines that contain a text.

    `log_type` is server, scanner, transcoder, updater, tuner, scanner-deep-analysis, credits, chapter-thumbnails,
    crash-uploader, or a file's name or a part of it; `list_files` names the files. Lines count from 0. Without
    `start_line` the last `num_lines` (at most 1000) come; with `search_term`, `start_line` and `first_line` count
    matches, and `n` is a match's line in the file. Tokens are hidden, addresses and e-mail too while privacy is on.
    The archive is read at most once a minute.
    """
    wanted = logs.build_query(num_lines, start_line, search_term)
    if list_files:
        files = logs.list_names(plex, companion.ttl_cache)
        return {"status": "success", "message": f"Plex has {len(files)} log files.", "mode": "list", "files": files}
    name, lines = logs.read_lines(plex, companion.ttl_cache, log_type)
    found = logs.build_result(name, lines, wanted, private=companion.settings.privacy)
    return {"status": "success", "message": logs.describe_lines(found, wanted), **found}


@SERVER.tool(Access.READ)
def server_get_bandwidth(
    plex: PlexServer,
    companion: Companion,
    timespan: Annotated[str | None, Field(description="months, weeks, days, hours or seconds (the default).")] = None,
    lan: Annotated[bool | str | None, Field(description="true: only local, false: only remote.")] = None,
    offset: int = 0,
    limit: int = 200,
) -> dict[str, Any]:
    """How many bytes Plex sent, by user and device, newest first.

    Each row is one user's device in one span. `total_bytes` is the sum of all rows, shown or not. `limit` is at most
    2000. A device that Plex has forgotten has only its number.
    """
    span, local_only = bandwidth.parse_span(timespan), bandwidth.parse_lan(lan)
    return bandwidth.get_bandwidth(plex, companion, span, local_only, offset, limit)


@SERVER.tool(Access.READ)
def server_get_current_resources(plex: PlexServer, offset: int = 0, limit: int = 30) -> dict[str, Any]:
    """Load of processor and memory, of the machine (`host_`) and of Plex alone (`process_`), in per cent.

    `current` is the newest measurement, `data` those of the last minutes, newest first; `limit` is at most 300.
    """
    return bandwidth.get_resources(plex, offset, limit)


@SERVER.tool(Access.READ)
def server_get_butler_tasks(plex: PlexServer) -> ButlerTasks:
    """List the maintenance tasks that Plex runs at night, and whether they are on; `server_run_butler_task` runs one now."""
    tasks = [_describe_task(row) for row in _list_tasks(plex)]
    return ButlerTasks("success", tasks, len(tasks), None if tasks else "This server has no butler tasks.")


@SERVER.tool(Access.WRITE)
def server_run_butler_task(plex: PlexServer, task_name: str) -> TaskStarted:
    """Start one of the maintenance tasks now, by the name that `server_get_butler_tasks` gives. It runs on afterwards."""
    name = _find_task(plex, task_name)
    begun = _begin(plex, f"/butler/{quote(name, safe='')}")
    return TaskStarted("success", f"Task {name} {'started' if begun else 'is already running'}.", name)


@SERVER.tool(Access.READ)
async def server_get_alerts(
    companion: Companion,
    caller: Caller,
    timeout: Annotated[int, Field(ge=0, le=60, description="Seconds to listen.")] = 15,  # noqa: ASYNC109 - the caller's, named by the contract
    since: Annotated[int | None, Field(ge=0, description="next_cursor of the last answer.")] = None,
    types: Annotated[list[str] | None, Field(description="Plex's type names, as playing, timeline, activity.")] = None,
    limit: int = 100,
) -> dict[str, Any]:
    """What Plex announces: playback, library changes, activities, settings, as Plex sent it.

    Without `since`, listens for `timeout` seconds and returns what arrived meanwhile. With it, returns everything
    newer at once and listens only if there is nothing; `dropped` says that some of it is kept no more. Lines of
    Plex's log are left out. For what wants attention call `alerts_list`.
    """
    most = clamp_limit(limit, plex_alerts.MOST)
    cursor = await plex_alerts.find_start(companion, since)
    enough = most if since is None else 1
    page = await plex_alerts.wait_for_events(companion, caller, cursor, types, most, enough=enough, seconds=timeout)
    return plex_alerts.build_result(companion, page, most)


@SERVER.tool(Access.DESTRUCTIVE)
async def server_empty_trash(
    companion: Companion,
    caller: Caller,
    library_name: Id | None = None,
    confirm: bool = False,
) -> TrashEmptied:
    """Make Plex forget for good the items whose files are gone, in one library (name or id) or, without one, in all.

    A person is asked first; where the client cannot ask, `confirm=true` is needed. Cannot be undone, and what was
    watched goes too. Mind that a disk which is not mounted looks like files that are gone. `items` is what was in the
    trash (films, episodes, tracks, photos), `items_left` what Plex had not yet removed.
    """
    known = companion.ttl_cache
    look = partial(trash.describe_trash, known=known, library_name=library_name)
    return await destroy_after_confirmation(
        companion, caller, confirm=confirm, look=look, act=partial(_empty_trash, companion)
    )


@SERVER.tool(Access.WRITE, additive=True)
def server_optimize_database(plex: PlexServer) -> TaskAccepted:
    """Make Plex tidy its database, as its settings page does. It runs on afterwards and may slow Plex down meanwhile."""
    send(plex, "PUT", "/library/optimize?async=1")
    return TaskAccepted("success", "Optimizing the database started.")


@SERVER.tool(Access.WRITE)
def server_clean_bundles(plex: PlexServer) -> TaskAccepted:
    """Make Plex delete artwork and metadata files that no item uses any more. It runs on afterwards."""
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


def _begin(plex: PlexServer, path: str) -> bool:
    """Start a task, and return whether Plex begins it now: 202 says that it is already running (plex-api-spec)."""
    try:
        send(plex, "POST", path)
    except PlexError as error:
        if error.facts.get("http_status") == ALREADY_RUNNING:
            return False
        raise
    return True


def _empty_trash(companion: Companion, plex: PlexServer, victim: DestructionTarget) -> TrashEmptied:
    libraries = trash.empty_trash(plex, companion.ttl_cache, victim)
    message = f"Emptying the trash of {victim.title} started."
    return TrashEmptied("success", message, libraries)
