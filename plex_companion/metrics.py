"""`/metrics` for Prometheus. No label holds a title, name, address or token."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from plex_companion.events import KNOWN
from plex_companion.models import AlertKind, Decision, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.models import Session

OTHER, UNKNOWN = "other", "unknown"
STATES = ("playing", "paused", "buffering", "error")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
AREAS = frozenset(
    [
        "accounts",
        "activities",
        "butler",
        "clients",
        "collections",
        "devices",
        "home",
        "hubs",
        "identity",
        "library",
        "logs",
        "media",
        "pages",
        "photo",
        "player",
        "playlists",
        "playQueues",
        "resources",
        "security",
        "services",
        "sources",
        "statistics",
        "status",
        "system",
        "transcode",
        "updater",
        "video",
        ":",
    ]
)
"""First parts of Plex's paths; requests to any other path count as `other`."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class ClientCounts:
    """The clients that are connected now."""

    requests: int
    """Requests being answered, open streams among them."""
    subscriptions: int
    sessions: int
    """Legacy MCP clients."""
    listen_streams: int
    """Modern ones that listen."""


class Metrics:
    """The metrics of one companion, in a registry of their own."""

    def __init__(self, companion: Companion, tools: Iterable[str], clients: Callable[[], ClientCounts]) -> None:
        """Start counting.

        Args:
            companion: its own counters and state are read at each scrape.
            tools: the names that may become labels.
            clients: called at each scrape.
        """
        self.registry = CollectorRegistry()
        self._tools = frozenset(tools)
        self._tool_seconds = Histogram(
            "plex_companion_tool_call_duration_seconds",
            "How long tools took, by what came of it: ok, question, cancelled, or the code of an error.",
            ("tool", "outcome"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._http_seconds = Histogram(
            "plex_companion_http_request_duration_seconds",
            "How long answers took, event streams until they began, by the pattern of the route.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_CompanionCollector(companion, clients))
        ProcessCollector(registry=self.registry)

    def observe_tool_call(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call of a tool."""
        self._tool_seconds.labels(tool if tool in self._tools else OTHER, outcome).observe(seconds)

    def observe_answer(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer.

        A refused request cannot create a new label: it has no route, and there are few methods.
        """
        self._http_seconds.labels(route, method if method in METHODS else OTHER, str(int(status))).observe(seconds)

    def build_route(self) -> Route:
        """Build the route of `/metrics`."""

        async def metrics(request: Request) -> Response:  # a plain function would be run in a thread
            encode, kind = choose_encoder(request.headers.get("accept", ""))
            return Response(encode(self.registry), HTTPStatus.OK, media_type=None, headers={"content-type": kind})

        return Route("/metrics", metrics, methods=["GET"])


class _CompanionCollector(Collector):
    """Metrics that are read from the companion at the moment of a scrape."""

    def __init__(self, companion: Companion, clients: Callable[[], ClientCounts]) -> None:
        self._companion = companion
        self._clients = clients

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering the collector reads nothing."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read every metric now."""
        yield InfoMetricFamily("plex_companion_build", "Versions.", self._read_versions())
        yield from self._collect_connection()
        yield from self._collect_sessions()
        yield from self._collect_events()
        yield from self._collect_storage()
        yield from self._collect_clients()

    def _read_versions(self) -> dict[str, str]:
        return {name.replace("-", "_"): version for name, version in self._companion.versions.items()}

    def _collect_connection(self) -> Iterator[Metric]:
        state, counters = self._companion.state, self._companion.live.counters
        link = GaugeMetricFamily(
            "plex_companion_connection_state", "1 for the state of the connection to Plex.", labels=["state"]
        )
        for name in get_args(LinkState):
            link.add_metric([name], float(state.connection.state == name))
        yield link
        if state.last_event_at is not None:
            yield GaugeMetricFamily(
                "plex_companion_last_event_timestamp_seconds", "When Plex was last heard.", state.last_event_at / 1000
            )
        yield CounterMetricFamily(
            "plex_companion_reconnects", "Connections to Plex after the first.", max(0, counters.connects - 1)
        )
        yield CounterMetricFamily("plex_companion_snapshots", "Readings of what plays.", counters.snapshots)

    def _collect_sessions(self) -> Iterator[Metric]:
        sessions = self._companion.state.sessions.values()
        found = Counter((_limit_label(one.state, STATES), one.decision or UNKNOWN) for one in sessions)
        gauge = GaugeMetricFamily("plex_companion_sessions", "What plays now.", labels=["state", "decision"])
        for state in (*STATES, OTHER):
            for decision in (*get_args(Decision), UNKNOWN):
                gauge.add_metric([state, decision], found[state, decision])
        yield gauge
        transcodes = sum(one.decision == "transcode" for one in sessions)
        yield GaugeMetricFamily("plex_companion_transcodes", "Sessions that are transcoded now.", transcodes)
        yield _build_bandwidth(sessions)
        open_alerts = Counter(kind for kind, _ in self._companion.state.alerts)
        alerts = GaugeMetricFamily("plex_companion_alerts_open", "Alerts that have not ended.", labels=["kind"])
        for kind in get_args(AlertKind):
            alerts.add_metric([kind], open_alerts[kind])
        yield alerts
        running = len(self._companion.state.activities)
        yield GaugeMetricFamily("plex_companion_activities", "Scans and the like that run now.", running)

    def _collect_events(self) -> Iterator[Metric]:
        counters = self._companion.live.counters
        types: Counter[str] = Counter()
        for kind, count in counters.events.items():
            types[_limit_label(kind, KNOWN)] += count
        events = CounterMetricFamily("plex_companion_events", "Events that Plex sent, by type.", labels=["type"])
        for kind in sorted({*KNOWN, OTHER}):
            events.add_metric([kind], types[kind])
        yield events
        yield CounterMetricFamily("plex_companion_events_malformed", "What meant nothing.", counters.malformed)
        yield CounterMetricFamily("plex_companion_events_unrecognized", "Unknown types.", counters.unrecognized)
        yield CounterMetricFamily(
            "plex_companion_events_collapsed", "Mere progress that was left out under load.", counters.collapsed
        )
        yield GaugeMetricFamily("plex_companion_queue_length", "Events that wait.", len(self._companion.event_queue))

    def _collect_storage(self) -> Iterator[Metric]:
        live, path = self._companion.live, self._companion.cache.path
        yield GaugeMetricFamily(
            "plex_companion_storage_ok", "1 while the database can be written.", float(live.storage == "ok")
        )
        yield GaugeMetricFamily(
            "plex_companion_unwritten_changes", "What waits for the storage to recover.", len(live.unwritten)
        )
        sizes = GaugeMetricFamily("plex_companion_database_bytes", "Size of the database's files.", labels=["file"])
        for name, file in (("main", path), ("wal", path.with_name(f"{path.name}-wal"))):
            sizes.add_metric([name], file.stat().st_size if file.exists() else 0)
        yield sizes

    def _collect_clients(self) -> Iterator[Metric]:
        clients = self._clients()
        for name, said, value in (
            ("http_requests_open", "Requests being answered, open streams among them.", clients.requests),
            ("subscriptions", "Resources that somebody has subscribed to.", clients.subscriptions),
            ("mcp_legacy_sessions", "MCP clients up to 2025-11-25.", clients.sessions),
            ("mcp_listen_streams", "MCP clients from 2026-07-28 that listen.", clients.listen_streams),
        ):
            yield GaugeMetricFamily(f"plex_companion_{name}", said, value)
        asked: Counter[tuple[str, str]] = Counter()
        for (method, path), count in self._companion.gateway.requests.copy().items():
            asked[_limit_label(method, METHODS), _limit_label(path.strip("/").partition("/")[0], AREAS)] += count
        requests = CounterMetricFamily(
            "plex_companion_plex_requests",
            "Requests to Plex, by the first part of their path.",
            labels=["method", "area"],
        )
        for labels, count in sorted(asked.items()):
            requests.add_metric(labels, count)
        yield requests


def _build_bandwidth(sessions: Iterable[Session]) -> Metric:
    kbps = dict.fromkeys(("lan", "wan", UNKNOWN), 0)
    for session in sessions:
        kbps[session.location if session.location in kbps else UNKNOWN] += session.bandwidth_kbps or 0
    gauge = GaugeMetricFamily(
        "plex_companion_bandwidth_bits_per_second", "What Plex reserves for what plays.", labels=["location"]
    )
    for location, value in kbps.items():
        gauge.add_metric([location], value * 1000)
    return gauge


def _limit_label(value: str, known: Iterable[str]) -> str:
    """Return the value if it is known, else `other`: the number of labels must not grow with what others send."""
    return value if value in known else OTHER
