"""The live view for pipes and files: one line of plain text for each change between two view models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion import wording
from plex_companion.text import clean, format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.commands.terminal.view_model import ViewModel
    from plex_companion.models import Session

LONGEST = 900
"""The most characters of a line. Its UTF-8 stays below Linux's `PIPE_BUF` (4,096), so a pipe takes it whole (pipe(7))."""


def render_lines(before: ViewModel | None, after: ViewModel, *, named: bool = False) -> list[str]:
    """Render a line for each difference between two view models. Without a `before`, render everything.

    Progress alone is not a difference. With `named`, each line begins with the name of the server.
    """
    message = [
        *_compare_connection(before, after),
        *_compare_history(before, after),
        *_compare_sessions(before, after),
        *_compare_activities(before, after),
        *_compare_alerts(before, after),
    ]
    time = after.format_time(after.now_ms)
    name = f"{after.server_name}: " if named else ""
    return [f"{time}  {name}{text}"[:LONGEST] for text in message]


def _compare_connection(before: ViewModel | None, after: ViewModel) -> Iterator[str]:
    text = _format_connection(after)
    if before is None or _format_connection(before) != text:
        yield text
        if after.is_certain and not after.sessions:
            yield "nothing is playing"


def _format_connection(model: ViewModel) -> str:
    link = wording.format_connection(model.state.connection)
    if not model.is_live:
        return link
    detail = clean(model.state.connection.detail or "")
    name = f"{link}: {wording.format_server(model.state)}"
    return f"{name}, but some data can't be read: {detail}" if detail else name


def _compare_history(before: ViewModel | None, after: ViewModel) -> Iterator[str]:
    """Report the start and the end of the history import. Plays that are imported later, one by one, are not reported."""
    old, new = before.state.history if before else None, after.state.history
    if after.is_importing and not (before and before.is_importing):
        yield f"importing Plex's history: {wording.format_import(new)} so far"
    if before and new.complete and old is not None and not old.complete:
        yield f"imported Plex's history: {format_count(new.imported, 'play')}"
    if new.detail and (old is None or old.detail != new.detail):
        yield f"Plex's history {'is incomplete' if new.complete else 'is unreadable'}: {clean(new.detail)}"


def _compare_sessions(before: ViewModel | None, after: ViewModel) -> Iterator[str]:
    old = {session.play_id: session for session in before.sessions} if before else {}
    for session in after.sessions:
        known = old.pop(session.play_id, None)
        if before is None or known is None or _is_news(known, before, session, after):
            mark = "" if wording.is_present(session, after.state) else "last known: "
            position = wording.format_position(session, after.state, after.now_ms)
            yield f"{mark}{clean(session.state)}: {_describe_session(session)}, at {position}"
    for session in old.values():
        yield f"ended: {_describe_session(session)}, at {wording.format_position(session, after.state, after.now_ms)}"


def _is_news(old: Session, before: ViewModel, new: Session, after: ViewModel) -> bool:
    """Return whether a session changed enough for a line. After a lost connection, every session that goes on gets one."""
    found_again = wording.is_present(new, after.state) and not wording.is_present(old, before.state)
    return found_again or (old.state, _describe_session(old)) != (new.state, _describe_session(new))


def _describe_session(session: Session) -> str:
    parts = (
        wording.format_user(session),
        wording.format_title(session),
        f"on {wording.format_player(session)}",
        session.decision,
    )
    return ", ".join(part for part in parts if part)


def _compare_activities(before: ViewModel | None, after: ViewModel) -> Iterator[str]:
    old = before.state.activities if before else {}
    for activity in after.activities:
        if activity.uuid not in old:
            yield f"started: {wording.format_activity(activity)}"
    for uuid, activity in old.items():
        if uuid not in after.state.activities:
            yield f"finished: {wording.format_activity(activity)}"


def _compare_alerts(before: ViewModel | None, after: ViewModel) -> Iterator[str]:
    """Report new and resolved alerts. The first time, only the open ones are new."""
    reported = {alert.id for alert in before.alerts} if before else {alert.id for alert in after.past}
    for alert in reversed(after.alerts):
        if alert.id not in reported or (before is None and alert.resolved_at is None):
            yield f"alert: {clean(alert.title)}"
    still = {alert.id for alert in after.state.alerts.values()}
    for alert in reversed(before.open_alerts) if before else ():
        if alert.id not in still:
            yield f"resolved: {clean(alert.title)}"
