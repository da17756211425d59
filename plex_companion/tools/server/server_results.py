"""The results of the toolset `server`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from plex_companion.tools.results import Page


class LogLineEntry(TypedDict, total=False):
    """A line and its number."""

    n: int | None
    text: str | None


class LogLines(TypedDict, total=False):
    """Lines of a log file, or the names of the files."""

    status: str | None
    message: str | None
    file: str | None
    mode: str | None
    total_lines: int | None
    first_line: int | None
    last_line: int | None
    limit: int | None
    truncated: bool | None
    lines: list[LogLineEntry] | None


class BandwidthEntry(TypedDict, total=False):
    """Bytes sent to one device of one user in one time span."""

    account: str | None
    device_id: int | str | None
    device_name: str | None
    platform: str | None
    client_identifier: str | None
    at: str | None
    bytes: int | None
    is_local: bool | None
    account_id: int | str | None
    at_utc: str | None


class BandwidthPage(Page, total=False):
    """A page of traffic rows."""

    status: str | None
    data: list[BandwidthEntry] | None
    users: list[dict[str, Any]] | None
    total_bytes: int | None


class ResourceEntryFields(TypedDict, total=False):
    """One measurement, in percent."""

    timestamp: str | None
    host_cpu_utilization: float | None
    host_memory_utilization: float | None
    process_cpu_utilization: float | None
    process_memory_utilization: float | None
    timespan: int | None
    timestamp_utc: str | None


class ResourcePage(Page, total=False):
    """A page of measurements."""

    status: str | None
    current: dict[str, Any] | None
    data: list[ResourceEntryFields] | None


class NotificationPage(TypedDict, total=False):
    """Notifications after a cursor."""

    status: str | None
    message: str | None
    data: list[Any] | None
    count: int | None
    limit: int | None
    next_cursor: int | None
    dropped: bool | None
    as_of: str | None
    connection: dict[str, Any] | None
    source: str | None
