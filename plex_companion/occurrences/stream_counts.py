"""Counts what plays on a server at one moment, for rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.models import StreamCounts, UserStreams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.models import Session, User


def count_streams(sessions: Iterable[Session]) -> StreamCounts:
    """Count streams, their bandwidth and the streams of each user. Stale sessions may have ended, so they do not count.

    Every press of a button comes by here, so it is one plain loop.
    """
    streams = bandwidth = 0
    users: dict[User, int] = {}
    for session in sessions:
        if session.stale:
            continue
        streams += 1
        bandwidth += session.bandwidth_kbps or 0
        if (user := session.user) is not None:
            users[user] = users.get(user, 0) + 1
    return StreamCounts(streams, bandwidth, tuple([UserStreams(user.id, user.name, users[user]) for user in users]))
