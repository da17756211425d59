"""Plex's own statistics: bytes by user and device, load of processor and memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from plex_companion.errors import Invalid
from plex_companion.plex.query import ResultPage, clamp_limit, get
from plex_companion.plex.xml.attributes import read_flag, read_float, read_local_time, read_number, read_text, read_utc
from plex_companion.tools import play_history
from plex_companion.tools.users import KEPT_SECONDS, mask_name

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer

MOST_BANDWIDTH = 2000
MOST_RESOURCES = 300
SPANS = {"months": 1, "weeks": 2, "days": 3, "hours": 4, "seconds": 6}
LENGTHS = {1: 2_592_000, 2: 604_800, 3: 86_400, 4: 3_600, 6: 1}
"""Seconds in each of Plex's time spans; a month has 30 days."""
_LOADS = {
    "host_cpu_utilization": "hostCpuUtilization",
    "host_memory_utilization": "hostMemoryUtilization",
    "process_cpu_utilization": "processCpuUtilization",
    "process_memory_utilization": "processMemoryUtilization",
}


def parse_span(timespan: str | None) -> int:
    """Return Plex's number for a time span.

    Raises:
        Invalid: the span is unknown; the error lists the known ones.
    """
    requested = "seconds" if timespan is None else timespan.strip().casefold()
    if requested not in SPANS:
        message = f"timespan must be one of {', '.join(SPANS)}; got '{timespan}'."
        raise Invalid(message, argument="timespan", allowed=list(SPANS))
    return SPANS[requested]


_LAN = {"none": None, "": None, "true": True, "false": False}


def parse_lan(lan: bool | str | None) -> bool | None:
    """Return true for local traffic only, false for remote only, `None` for both.

    Raises:
        Invalid: the value is neither true nor false.
    """
    requested = str(lan).strip().casefold()
    if requested not in _LAN:
        raise Invalid(f"lan must be true, false or omitted; got '{lan}'.", argument="lan", allowed=["true", "false"])
    return _LAN[requested]


def get_bandwidth(
    plex: PlexServer, companion: Companion, span: int, lan: bool | None, offset: int, limit: int
) -> dict[str, Any]:
    """Return rows with the names of user and device, newest first. At most three requests."""
    most = clamp_limit(limit, MOST_BANDWIDTH, offset)
    found = get(plex, "/statistics/bandwidth", timespan=span, lan=lan).findall("StatisticsBandwidth")
    rows = sorted(found, key=lambda row: read_number(row, "at") or 0, reverse=True)
    page = ResultPage(rows[offset : offset + most], len(rows), offset, most)
    users = play_history.get_accounts(plex, companion) if rows else {}
    players = _get_devices(plex, companion) if page.rows else {}
    data = [
        _describe_row(
            row, mask_name(users.get(read_number(row, "accountID")), companion), players.get(row.get("deviceID"))
        )
        for row in page.rows
    ]
    sent = _sum_by_account(rows)
    by_user = [
        {"account": mask_name(users.get(id_), companion), "account_id": id_, "bytes": size}
        for id_, size in sent.most_common()
    ]
    return {"status": "success", "data": data, "users": by_user, "total_bytes": sent.total(), **page.as_dict()}


def _sum_by_account(rows: list[Element]) -> Counter[int | None]:
    """Return the bytes that each user was sent in all rows."""
    sent: Counter[int | None] = Counter()
    for row in rows:
        sent[read_number(row, "accountID")] += read_number(row, "bytes") or 0
    return sent


def _get_devices(plex: PlexServer, companion: Companion) -> dict[str | None, Element]:
    """Return the players by this server's device id, cached for ten minutes."""
    rows = companion.ttl_cache.get_or_fetch("devices", KEPT_SECONDS, lambda: tuple(get(plex, "/devices")))
    return {row.get("id"): row for row in rows}


def _describe_row(row: Element, account: str | None, device: Element | None) -> dict[str, Any]:
    """Describe a row. A device that Plex has forgotten has only its number."""
    player = Element("Device") if device is None else device
    return {
        "account": account,
        "device_id": read_number(row, "deviceID"),
        "device_name": read_text(player, "name"),
        "platform": read_text(player, "platform"),
        "client_identifier": read_text(player, "clientIdentifier"),
        "at": read_local_time(row, "at"),
        "bytes": read_number(row, "bytes"),
        "is_local": read_flag(row, "lan"),
        "timespan (seconds)": LENGTHS.get(read_number(row, "timespan") or 0),
        "account_id": read_number(row, "accountID"),
        "at_utc": read_utc(row, "at"),
    }


def get_resources(plex: PlexServer, offset: int, limit: int) -> dict[str, Any]:
    """Return the load of processor and memory, newest first. One request."""
    most = clamp_limit(limit, MOST_RESOURCES, offset)
    found = get(plex, "/statistics/resources", timespan=SPANS["seconds"]).findall("StatisticsResources")
    rows = sorted(found, key=lambda row: read_number(row, "at") or 0, reverse=True)
    page = ResultPage(rows[offset : offset + most], len(rows), offset, most)
    current = _describe_load(rows[0]) if rows else {}
    return {
        "status": "success",
        "current": current,
        "data": [_describe_load(row) for row in page.rows],
        **page.as_dict(),
    }


def _describe_load(row: Element) -> dict[str, Any]:
    """Describe one measurement, in percent."""
    return {
        "timestamp": read_local_time(row, "at"),
        **{ours: read_float(row, theirs) for ours, theirs in _LOADS.items()},
        "timespan": read_number(row, "timespan"),
        "timestamp_utc": read_utc(row, "at"),
    }
