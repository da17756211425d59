"""The same for pipes and files: one line of plain text for each thing that changed between two scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion import words
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.models import Session
    from plex_companion.terminal.scene import Scene

LONGEST = 900
"""Characters of a line: in UTF-8 still less than what a pipe takes in one piece."""


def lines(before: Scene | None, after: Scene) -> list[str]:
    """What happened from one scene to the next; everything there is, if there was none before. Progress is no change."""
    said = [
        *_link(before, after),
        *_history(before, after),
        *_sessions(before, after),
        *_activities(before, after),
        *_alerts(before, after),
    ]
    time = after.time(after.now_ms)
    return [f"{time}  {text}"[:LONGEST] for text in said]


def _link(before: Scene | None, after: Scene) -> Iterator[str]:
    text = _link_text(after)
    if before is None or _link_text(before) != text:
        yield text
        if after.is_certain and not after.sessions:
            yield "nothing plays"


def _link_text(scene: Scene) -> str:
    link = words.link(scene.state.connection)
    if not scene.is_live:
        return link
    detail = clean(scene.state.connection.detail or "")
    name = f"{link}: {words.server(scene.state)}"
    return f"{name}, but not all can be read: {detail}" if detail else name


def _history(before: Scene | None, after: Scene) -> Iterator[str]:
    """The begin and the end of an import; what comes later, play by play, is no news."""
    old, new = before.state.history if before else None, after.state.history
    if after.is_importing and not (before and before.is_importing):
        yield f"importing Plex's history: {words.importing(new)} so far"
    if before and new.complete and old is not None and not old.complete:
        yield f"Plex's history is imported: {new.imported:,} plays"
    if new.detail and (old is None or old.detail != new.detail):
        yield f"Plex's history {'has gaps' if new.complete else 'cannot be read'}: {clean(new.detail)}"


def _sessions(before: Scene | None, after: Scene) -> Iterator[str]:
    old = {session.play_id: session for session in before.sessions} if before else {}
    for session in after.sessions:
        known = old.pop(session.play_id, None)
        if before is None or known is None or _is_news(known, before, session, after):
            mark = "" if words.is_present(session, after.state) else "last known: "
            position = words.position(session, after.state, after.now_ms)
            yield f"{mark}{clean(session.state)}: {_what(session)}, at {position}"
    for session in old.values():
        yield f"ended: {_what(session)}, at {words.position(session, after.state, after.now_ms)}"


def _is_news(old: Session, before: Scene, new: Session, after: Scene) -> bool:
    """Going blind is said once, of the connection; coming back is said of every session that goes on."""
    found_again = words.is_present(new, after.state) and not words.is_present(old, before.state)
    return found_again or (old.state, _what(old)) != (new.state, _what(new))


def _what(session: Session) -> str:
    parts = (words.who(session), words.title(session), f"on {words.where(session)}", session.decision)
    return ", ".join(part for part in parts if part)


def _activities(before: Scene | None, after: Scene) -> Iterator[str]:
    old = before.state.activities if before else {}
    for activity in after.activities:
        if activity.uuid not in old:
            yield f"busy: {words.doing(activity)}"
    for uuid, activity in old.items():
        if uuid not in after.state.activities:
            yield f"done: {words.doing(activity)}"


def _alerts(before: Scene | None, after: Scene) -> Iterator[str]:
    """Old ones are no news: of the first scene only the open ones are told."""
    told = {alert.id for alert in before.alerts} if before else {alert.id for alert in after.past}
    for alert in reversed(after.alerts):
        if alert.id not in told or (before is None and alert.resolved_at is None):
            yield f"alert: {clean(alert.title)}"
    still = {alert.id for alert in after.state.alerts.values()}
    for alert in before.state.alerts.values() if before else ():
        if alert.id not in still:
            yield f"over: {clean(alert.title)}"
