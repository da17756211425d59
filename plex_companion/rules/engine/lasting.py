"""What lasts, and what ends it: for rules with `for`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.serialize import Json


def name_subject(row: Json) -> str | None:
    """Return what an occurrence begins that lasts; `None` if it begins nothing, or nothing that goes on."""
    data = row["data"]
    match row["type"]:
        case "play.paused":
            return f"pause of {data['play_id']}"
        case "play.buffering":
            return f"buffering of {data['play_id']}"
        case "alert.opened" if data["alert"]["resolved_at"] is None:
            return f"alert {data['alert']['id']}"
        case "connection.lost":
            return f"connection of {data['server']}"
        case _:
            return None


def list_ended_subjects(row: Json) -> tuple[str, ...]:
    """Return what an occurrence ends, named as by `name_subject`."""
    data = row["data"]
    match row["type"]:
        case "play.resumed":
            return (f"pause of {data['play_id']}",)
        case "play.stopped":
            return f"pause of {data['play_id']}", f"buffering of {data['play_id']}"
        case "alert.resolved":
            alert = data["alert"]
            ended = f"alert {alert['id']}"
            if alert["kind"] == "buffering":
                return ended, f"buffering of {alert['detail'].get('play_id')}"
            return (ended,)
        case "connection.restored":
            return (f"connection of {data['server']}",)
        case _:
            return ()


ENDING = ("play.resumed", "play.stopped", "alert.resolved", "connection.restored")
"""Types of occurrences that end what lasts."""
