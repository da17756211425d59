"""How far the work of a tool is: a task ends with the activities that are its work."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from support.frames import Story, of

from plex_companion.cache.forwarded_events import FORWARDABLE
from plex_companion.changes.activities import SCAN
from plex_companion.changes.kinds import ToolTaskChanged
from plex_companion.changes.tool_tasks import SILENT_MS, UNREPORTED
from plex_companion.events import ToolTaskReport
from plex_companion.models import ToolTask

TASK = ToolTask("t1", "owner", "library_scan", SCAN, "{}", sections=("1",))
EVERYTHING = replace(TASK, sections=("1", "2"))
BUTLER = replace(TASK, activity="butler.backupDatabase", sections=())


def scan(story: Story, phase: str, uuid: str = "a", section: str | None = "1", **more: Any) -> None:
    """Plex reports an activity."""
    context = {} if section is None else {"Context": {"librarySectionID": section}}
    activity = {"uuid": uuid, "type": SCAN, "title": "Scanning Films", "progress": 0, **context, **more}
    story.say("activity", {"event": phase, "uuid": uuid, "Activity": activity})


def start(task: ToolTask = TASK) -> Story:
    """A story in which a tool has started work."""
    story = Story()
    story.receive(ToolTaskReport(task))
    return story


def newest(story: Story) -> ToolTask:
    return of(story.changes, ToolTaskChanged)[-1].task


def test_a_task_works_until_its_activity_ends() -> None:
    story = start()
    scan(story, "started", section=None)
    scan(story, "updated", progress=40)
    assert (newest(story).status, newest(story).message) == ("working", "Scanning Films: 40 %")
    story.after(5)
    scan(story, "ended", progress=100)
    assert (newest(story).status, newest(story).finished_at) == ("completed", story.now.at)
    assert story.state.tool_tasks == {}


def test_progress_is_written_in_steps_however_often_plex_reports_it() -> None:
    story = start()
    for progress in range(100):
        scan(story, "updated", progress=progress)
    assert len(of(story.changes, ToolTaskChanged)) == 1 + 10


@pytest.mark.parametrize(
    "other", [{"section": "2"}, {"type": "library.refresh.items"}, {"section": "2", "progress": 100}]
)
def test_other_work_moves_no_task_on(other: dict[str, Any]) -> None:
    story = start()
    scan(story, "started", **other)
    scan(story, "ended", **other)
    assert len(of(story.changes, ToolTaskChanged)) == 1
    assert story.state.tool_tasks.keys() == {"t1"}


def test_an_activity_that_runs_already_is_joined() -> None:
    story = Story()
    scan(story, "updated", progress=10)
    story.receive(ToolTaskReport(TASK))
    assert newest(story).message == "Scanning Films: 10 %", "the next step may take long"
    scan(story, "ended")
    assert newest(story).status == "completed"


def test_work_on_every_library_ends_with_the_last() -> None:
    story = start(EVERYTHING)
    scan(story, "updated")
    scan(story, "ended")
    assert (newest(story).status, newest(story).sections) == ("working", ("2",))
    scan(story, "updated", "b", "2")
    scan(story, "ended", "b", "2")
    assert newest(story).status == "completed"


def test_two_activities_of_one_library_are_both_awaited() -> None:
    story = start()
    scan(story, "updated")
    scan(story, "updated", "b")
    scan(story, "ended")
    assert newest(story).status == "working"
    scan(story, "ended", "b")
    assert newest(story).status == "completed"


def test_work_of_no_library_is_told_by_its_type() -> None:
    story = start(BUTLER)
    scan(story, "started", section=None, type=BUTLER.activity)
    scan(story, "ended", section=None, type=BUTLER.activity)
    assert newest(story).status == "completed"


def test_an_end_that_was_missed_ends_the_task_with_the_next_snapshot() -> None:
    story = start()
    scan(story, "updated")
    story.after(1).lose()
    story.after(60).tick()
    assert newest(story).status == "working", "who cannot hear Plex does not say that it is done"
    story.after(1).connect()
    assert newest(story).status == "completed"


def test_a_task_of_which_plex_says_nothing_ends_without_claiming_that_the_work_did() -> None:
    story = start()
    story.after(SILENT_MS / 1000 - 1).tick()
    assert newest(story).status == "working"
    story.after(1).tick()
    assert (newest(story).status, newest(story).message) == ("completed", UNREPORTED)
    assert newest(story).finished_at is None


def test_a_long_activity_is_waited_for_however_long_it_says_nothing() -> None:
    story = start()
    scan(story, "updated")
    story.after(3600).tick()
    assert newest(story).status == "working"


def test_a_cancelled_task_stays_cancelled() -> None:
    story = start()
    scan(story, "updated")
    story.receive(ToolTaskReport(replace(TASK, status="cancelled", message="Cancelled.")))
    scan(story, "ended")
    story.receive(ToolTaskReport(replace(TASK, status="cancelled")))
    assert (newest(story).status, newest(story).message) == ("cancelled", "Cancelled.")


def test_what_ended_before_the_task_was_written_counts_and_later_reports_of_it_do_not() -> None:
    story = start(EVERYTHING)
    story.receive(ToolTaskReport(EVERYTHING, ("1",)))
    assert newest(story).sections == ("2",)
    story.receive(ToolTaskReport(EVERYTHING, ("2",)))
    assert newest(story).status == "completed"
    before = len(story.changes)
    story.receive(ToolTaskReport(EVERYTHING, ("2",)))
    assert len(story.changes) == before


def test_a_report_survives_being_forwarded_to_another_process() -> None:
    report = ToolTaskReport(EVERYTHING, ("1",))
    body = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(report)))
    assert msgspec.convert(body, FORWARDABLE["tool_task"]) == report
