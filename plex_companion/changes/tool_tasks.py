"""Derives how far the work is that tools started in Plex: a task ends with the activities that are its work.

Plex names no activity in its answer to such a request, so activities are told by their type and library. An activity may say
late which library it is of: its context is empty at the start (recorded notifications of type `activity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import ActivityChanged, ActivityEnded, ToolTaskChanged
from plex_companion.events import Tick, ToolTaskReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plex_companion.changes.kinds import Effect
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Activity, Moment, ToolTask

SILENT_MS = 30_000
"""How long Plex may take to report the first activity of a task, or the next one."""
STEP = 10
"""Progress is written in steps of so many per cent: a scan reports more than a thousand times."""
UNREPORTED = "Plex accepted it and reports no further progress. It may still be running."


def derive_task_changes(event: Event, changes: Iterable[Effect], before: State, now: Moment) -> list[ToolTaskChanged]:
    """Return the tasks that an event, or the changes of activities derived from it, begins, moves on or ends."""
    match event:
        case ToolTaskReport():
            return _handle_report(event, before, now)
        case _ if not before.tool_tasks:
            return []
        case Tick():
            moved = (_end_silent_task(task, before, now) for task in before.tool_tasks.values())
        case _:
            moved = (_follow(task, changes, now) for task in before.tool_tasks.values())
    return [ToolTaskChanged(task) for task in moved if task != before.tool_tasks[task.id]]


def _handle_report(event: ToolTaskReport, before: State, now: Moment) -> list[ToolTaskChanged]:
    task = before.tool_tasks.get(event.task.id)
    if event.task.status == "cancelled":
        return [ToolTaskChanged(replace(event.task, running=(), updated_at=now.at))] if task else []
    if task is None and event.ended:
        return []  # it has ended meanwhile
    task = task or _join_running(event.task, before.activities.values(), now)
    for section in event.ended:
        task = _end_section(task, section, now)
    return [ToolTaskChanged(task)]


def _join_running(task: ToolTask, activities: Iterable[Activity], now: Moment) -> ToolTask:
    task = replace(task, created_at=now.at, updated_at=now.at)
    for activity in activities:
        if _is_work_of(activity, task):
            task = _note_progress(task, activity, now)
    return task


def _follow(task: ToolTask, changes: Iterable[Effect], now: Moment) -> ToolTask:
    for change in changes:
        match change:
            case ActivityChanged(activity=activity) if _is_work_of(activity, task):
                task = _note_progress(task, activity, now)
            case ActivityEnded(activity=activity) if activity.uuid in task.running or _is_work_of(activity, task):
                running = tuple(uuid for uuid in task.running if uuid != activity.uuid)
                task = _end_section(replace(task, running=running), find_section(activity), now)
            case _:
                pass
    return task


def _note_progress(task: ToolTask, activity: Activity, now: Moment) -> ToolTask:
    running = task.running if activity.uuid in task.running else (*task.running, activity.uuid)
    done = max(0, activity.progress or 0) // STEP * STEP
    message = f"{activity.title or task.activity}: {done} %"
    if (running, message) == (task.running, task.message):
        return task
    return replace(task, running=running, message=message, updated_at=now.at)


def _end_section(task: ToolTask, section: str | None, now: Moment) -> ToolTask:
    """Count a library as done, or the whole task where only one thing is awaited."""
    left = () if len(task.sections) <= 1 else tuple(one for one in task.sections if one != section)
    if left or task.running:
        return replace(task, sections=left or task.sections, updated_at=now.at)
    return _complete(task, now, "Finished.", finished_at=now.at)


def _end_silent_task(task: ToolTask, before: State, now: Moment) -> ToolTask:
    """Complete a task of which Plex reports nothing, so that nobody waits for it forever."""
    running = any(uuid in before.activities for uuid in task.running)
    if running or before.connection.state != "live" or now.at - task.updated_at < SILENT_MS:
        return task
    return _complete(task, now, UNREPORTED)


def _complete(task: ToolTask, now: Moment, message: str, finished_at: int | None = None) -> ToolTask:
    return replace(
        task, status="completed", message=message, running=(), sections=(), updated_at=now.at, finished_at=finished_at
    )


def _is_work_of(activity: Activity, task: ToolTask) -> bool:
    section = find_section(activity)
    return activity.type == task.activity and (not task.sections or section is None or section in task.sections)


def find_section(activity: Activity) -> str | None:
    """Return the id of the library that an activity is of, if Plex has said so yet."""
    section = activity.context.get("librarySectionID")
    return None if section is None else str(section)


def list_unreported(activities: Iterable[Activity], task: ToolTask) -> Iterator[str]:
    """Yield the libraries of ended activities that are work of the task; an empty text where none is known."""
    return (find_section(activity) or "" for activity in activities if _is_work_of(activity, task))
