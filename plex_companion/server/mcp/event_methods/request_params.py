"""The parameters of `events/*`, and the checks that need no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_types import RequestParams
from pydantic import ConfigDict, StrictInt
from pydantic.alias_generators import to_camel

from plex_companion.mcp_events.event_errors import EventError, EventErrorCode, build_invalid
from plex_companion.mcp_events.shared_feed import Selection
from plex_companion.occurrences.declare import OCCURRENCE_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.occurrences.declare import OccurrenceType

LONGEST_VALUE = 300
_LONGEST_SHOWN = 100
_SAFE = 2**53


class EventsListParams(RequestParams):
    """Of `events/list`."""

    cursor: str | None = None


class _Followed(RequestParams):
    """What every method that follows something takes. Unknown parameters of later drafts are ignored."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    name: str
    arguments: dict[str, Any] | None = None
    cursor: str | None = None
    max_age_ms: StrictInt | None = None


class EventsPollParams(_Followed):
    """Of `events/poll`."""

    max_events: StrictInt | None = None


class EventsStreamParams(_Followed):
    """Of `events/stream`."""


class EventsSubscribeParams(_Followed):
    """Of `events/subscribe`."""

    delivery: dict[str, Any]
    ttl_ms: Any = None


class EventsUnsubscribeParams(_Followed):
    """Of `events/unsubscribe`."""

    delivery: dict[str, Any]


def check_selection(params: _Followed) -> Selection:
    """Return what is to be followed.

    Raises:
        EventError: the event does not exist, or its `inputSchema` refuses the arguments.
    """
    declared = OCCURRENCE_TYPES.get(params.name)
    if declared is None:
        message = f"There is no event {params.name[:_LONGEST_SHOWN]}. See events/list."
        raise EventError(EventErrorCode.NOT_FOUND, message, kind="event")
    _check_age(params.max_age_ms)
    return Selection(params.name, _check_arguments(declared, params.arguments or {}))


def _check_arguments(declared: OccurrenceType, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    known = declared.filters["properties"]
    for name, value in arguments.items():
        if name not in known:
            takes = f"It takes {', '.join(known)}." if known else "It takes none."
            message = f"{declared.name} has no argument {name[:_LONGEST_SHOWN]}. {takes}"
            raise build_invalid(message, f"arguments.{name[:_LONGEST_SHOWN]}")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE or not value.isprintable():
            message = f"arguments.{name} must be a text of at most {LONGEST_VALUE} characters."
            raise build_invalid(message, f"arguments.{name}")
    return arguments


def _check_age(max_age_ms: int | None) -> None:
    if max_age_ms is not None and not 0 <= max_age_ms < _SAFE:
        raise build_invalid("maxAgeMs must be a whole number of milliseconds, 0 or more.", "maxAgeMs")
