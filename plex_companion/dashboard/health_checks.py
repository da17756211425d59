"""What works and what does not, as the running companion knows it without asking: the checks of the command `doctor`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plex_companion import wording
from plex_companion.text import clean, format_count, format_size

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.mqtt.broker_status import BrokerStatus

Verdict = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check, and what was found."""

    name: str
    verdict: Verdict
    words: str
    since: int | None = None
    """Since when it is so, where that is known, in milliseconds since 1970."""


def check_plex(state: State) -> list[HealthCheck]:
    """Check a server in the order of `doctor`: address, token, owner, websocket."""
    connection = state.connection
    if connection.state == "live":
        version = state.server.version if state.server else None
        sessions = clean(connection.detail or "")
        return [
            HealthCheck("Address", "good", f"Plex answers, version {version or 'unknown'}."),
            HealthCheck("Token", "good", "Plex accepts the token."),
            HealthCheck("Sessions", "bad", sessions)
            if sessions
            else HealthCheck("Sessions", "good", "The token is the owner's: sessions can be read."),
            HealthCheck("Websocket", "good", "The websocket is connected: Plex sends notifications."),
        ]
    lost = HealthCheck("Websocket", "bad", f"{wording.format_connection(connection)}.")
    if connection.state == "unauthorized":
        return [
            HealthCheck("Address", "good", "Plex answers."),
            HealthCheck("Token", "bad", "Plex rejects the token: plex-companion login gets a new one."),
            lost,
        ]
    return [
        HealthCheck("Address", "bad", f"{wording.format_connection(connection)}."),
        _unknown("Token"),
        _unknown("Sessions"),
    ]


def _unknown(name: str) -> HealthCheck:
    return HealthCheck(name, "unknown", "Can't be checked while Plex is disconnected.")


def check_database(storage: str, *, size_bytes: int, schema: int, role: str) -> HealthCheck:
    """Check whether the database can be written."""
    about = f"{format_size(size_bytes)}, schema {schema}. This process {_ROLES.get(role, role)}."
    if storage == "ok":
        return HealthCheck("Database", "good", f"It can be written: {about}")
    return HealthCheck("Database", "bad", f"It can't be written, so new activity may be lost: {about}")


def check_chronicle(role: str, behind: int | None, problem: str | None) -> HealthCheck:
    """Check whether this machine takes part in the chronicle, and has all of it."""
    part = _CHRONICLE_ROLES.get(role, role)
    if problem is not None:
        return HealthCheck("Chronicle", "bad", f"PostgreSQL can't be used: {clean(problem)}")
    if behind:
        return HealthCheck(
            "Chronicle", "bad", f"This machine {part}. It lacks {format_count(behind, 'entry', 'entries')}."
        )
    return HealthCheck("Chronicle", "good", f"This machine {part}.")


def check_broker(broker: BrokerStatus, *, listens: bool) -> HealthCheck:
    """Check whether the MQTT broker is connected, which only the process that listens to Plex knows."""
    if not listens:
        return HealthCheck("MQTT broker", "unknown", "The process that listens to Plex keeps the connection to it.")
    if broker.connected:
        return HealthCheck("MQTT broker", "good", "It is connected, for Home Assistant.", broker.since)
    if broker.problem is not None:
        words = f"It is not connected: {clean(broker.problem)}. plex-companion keeps trying."
        return HealthCheck("MQTT broker", "bad", words, broker.since)
    return HealthCheck("MQTT broker", "unknown", "It is being connected.")


_CHRONICLE_ROLES = {
    "lead": "listens to Plex and writes the entries",
    "replay": "replays the entries of the one that listens",
    "follow": "has another process that takes part, and follows that",
}
_ROLES = {"listener": "listens to Plex and writes", "reader": "follows another one, which listens to Plex and writes"}
