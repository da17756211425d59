"""The results of the toolset `client`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class PlayerEntry(TypedDict, total=False):
    """A player and what it plays."""

    machineIdentifier: str | None
    name: str | None
    online: bool | None
    active: bool | None
    rating_key: int | str | None
    user: str | None
    state: str | None
    nowPlaying: str | None
    platform: str | None
    product: str | None
    provides: str | None
    address: str | None
    controllable: bool | None
    session_key: int | str | None
    last_seen: str | None


class Players(TypedDict, total=False):
    """The players that are known."""

    status: str | None
    message: str | None
    count: int | None
    clients: list[PlayerEntry] | None
    as_of: str | None
    connection: dict[str, Any] | None
    source: str | None
    note: str | None


class ActivePlayerEntry(TypedDict, total=False):
    """A player that is playing or paused."""

    name: str | None
    device: str | None
    product: str | None
    platform: str | None
    state: str | None
    user: str | None
    media: dict[str, Any] | None
    progress: float | None
    transcoding: bool | None
    machine_identifier: str | None
    session_key: int | str | None
    rating_key: int | str | None


class ActivePlayers(TypedDict, total=False):
    """The players in use."""

    status: str | None
    message: str | None
    count: int | None
    active_clients: list[ActivePlayerEntry] | None
    as_of: str | None
    connection: dict[str, Any] | None
    source: str | None


class PlayerDetails(TypedDict, total=False):
    """A player with its capabilities."""

    status: str | None
    client: dict[str, Any] | None


class PlayerTimeline(TypedDict, total=False):
    """The state and position of a player."""

    status: str | None
    client_name: str | None
    source: str | None
    timeline: dict[str, Any] | None
    message: str | None


class PlaybackCommand(TypedDict, total=False):
    """A command, and the player's state after it."""

    status: str | None
    message: str | None
    action: str | None
    client: str | None
    parameter: int | None
    timeline: dict[str, Any] | None
    note: str | None


class StreamChange(TypedDict, total=False):
    """The streams that were selected."""

    status: str | None
    message: str | None
    client: str | None
    changes: dict[str, Any] | None


class PlaybackStart(TypedDict, total=False):
    """The item that was started and its player, or the players to choose from."""

    status: str | None
    message: str | None
    media: dict[str, Any] | None
    client: str | None
    offset: int | None
    machine_identifier: str | None
    available_clients: list[dict[str, Any]] | None
