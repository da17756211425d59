"""What Home Assistant is shown of the live state: servers, their figures, and what each player does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from plex_companion.mqtt.topics import digest_identifier
from plex_companion.text import clean, cut, redact_personal
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from plex_companion.changes.state import State
    from plex_companion.models import Client, Session

Playback = Literal["playing", "paused", "idle"]
PLAYBACK: dict[str, Playback] = {"playing": "playing", "buffering": "playing", "paused": "paused"}
"""The states of sessions as players are shown; a player with an error plays nothing."""
FORGOTTEN_MS = 30 * DAY_MS
"""A player that was not seen for so long is no longer shown."""
LONGEST_STATE = 250
"""Home Assistant takes no state of more than 255 characters."""


@dataclass(frozen=True, slots=True)
class ShownServer:
    """One Plex server and its figures."""

    key: str
    name: str
    version: str | None
    is_connected: bool
    streams: int = 0
    transcodes: int = 0
    bandwidth_kbps: int = 0


@dataclass(frozen=True, slots=True)
class ShownPlayer:
    """A player, and what it does."""

    key: str
    name: str
    product: str | None
    platform: str | None
    server: str
    """The key of the server that it was last seen on."""
    playback: Playback = "idle"
    title: str | None = None
    progress: int | None = None
    """0 to 100."""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ShownHome:
    """All servers that are known, and all players that were seen lately."""

    servers: tuple[ShownServer, ...]
    players: tuple[ShownPlayer, ...]
    several: bool
    """Whether several servers are configured, known or not."""
    is_connected: bool
    """Whether every configured server is connected."""


@lru_cache(maxsize=8_192)  # the same names after every commit
def tidy_text(text: str | None) -> str | None:
    """Return a text as it may be published: without e-mail and other addresses, of the length of a state."""
    return (clean(cut(redact_personal(text), LONGEST_STATE)) or None) if text else None


def describe_home(states: Sequence[State], now_ms: int) -> ShownHome:
    """Return what is shown of the servers and players.

    A player that several servers know is one: where it plays counts, else where it was seen last.
    """
    servers = tuple(_describe_server(state) for state in states if state.server)
    seen: dict[str, tuple[tuple[int, int], ShownPlayer]] = {}
    for state in states:
        for rank, player in _list_players(state, now_ms):
            if player.key not in seen or rank > seen[player.key][0]:
                seen[player.key] = (rank, player)
    connected = all(state.connection.state == "live" for state in states)
    return ShownHome(servers, tuple(player for _, player in seen.values()), len(states) > 1, connected)


def _get_server_key(state: State) -> str:
    return digest_identifier(state.server.machine_identifier if state.server else "")


def _describe_server(state: State) -> ShownServer:
    server, sessions, live = state.server, state.sessions.values(), state.connection.state == "live"
    return ShownServer(
        _get_server_key(state),
        tidy_text(server.name if server else None) or "Plex",
        server.version if server else None,
        live,
        len(sessions) if live else 0,
        sum(session.decision == "transcode" for session in sessions) if live else 0,
        sum(session.bandwidth_kbps or 0 for session in sessions) if live else 0,
    )


def _list_players(state: State, now_ms: int) -> Iterator[tuple[tuple[int, int], ShownPlayer]]:
    """Yield the players of a server, each with its rank among the same player on other servers."""
    playing = _group_sessions(state.sessions.values())
    for identifier, client in state.clients.items():
        session, timeline = playing.get(identifier), state.timelines.get(identifier)
        seen_at = max(client.last_seen_at, timeline.updated_at if timeline else 0)
        if session is None and now_ms - seen_at >= FORGOTTEN_MS:
            continue
        shows = session is not None and state.connection.state == "live"
        yield (shows, session.updated_at if session else seen_at), _describe_player(client, session, state)


def _group_sessions(sessions: Iterable[Session]) -> dict[str, Session]:
    """Return the session to show of each player; of several, what plays, else what reported last."""
    found: dict[str, Session] = {}
    for session in sorted(sessions, key=lambda one: (one.state != "paused", one.heard_tick)):
        if session.client_identifier is not None and session.state in PLAYBACK:
            found[session.client_identifier] = session
    return found


def _describe_player(client: Client, session: Session | None, state: State) -> ShownPlayer:
    name = tidy_text(client.title) or tidy_text(client.product) or tidy_text(client.platform) or "Player"
    about = (digest_identifier(client.client_identifier), name, tidy_text(client.product), tidy_text(client.platform))
    if session is None:
        return ShownPlayer(*about, _get_server_key(state))
    duration, user = session.item.duration_ms, session.user
    return ShownPlayer(
        *about,
        _get_server_key(state),
        PLAYBACK[session.state],
        tidy_text(session.item.full_title),
        min(100, max(0, session.view_offset_ms * 100 // duration)) if duration and duration > 0 else None,
        tidy_text(user.name if user else None),
    )
