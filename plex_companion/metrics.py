"""`/metrics` for Prometheus. No label holds a title, a person's name, an address or a token."""

from __future__ import annotations

import itertools
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

from plex_companion.chronicle.member_status import ChronicleRole
from plex_companion.models import AlertKind, Decision, LinkState
from plex_companion.parsing.notifications import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion, LinkedServer
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
    event_streams: int
    """Open streams of MCP Events."""


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
        yield from self._collect_chronicle()
        yield from self._collect_broker()
        yield from self._collect_messages()
        yield from self._collect_clients()

    def _read_versions(self) -> dict[str, str]:
        return {name.replace("-", "_"): version for name, version in self._companion.versions.items()}

    def _collect_connection(self) -> Iterator[Metric]:
        counters, named = self._companion.live.counters, self._name_states()
        link = GaugeMetricFamily(
            "plex_companion_connection_state",
            "1 for the state of the connection to Plex, by server.",
            labels=["server", "state"],
        )
        heard = GaugeMetricFamily(
            "plex_companion_last_event_timestamp_seconds",
            "When Plex was last heard from, by server.",
            labels=["server"],
        )
        for server, state in named.items():
            for name in get_args(LinkState):
                link.add_metric([server, name], float(state.connection.state == name))
            if state.last_event_at is not None:
                heard.add_metric([server], state.last_event_at / 1000)
        yield link
        if heard.samples:
            yield heard
        yield CounterMetricFamily(
            "plex_companion_reconnects", "Connections to Plex after the first.", counters.reconnects
        )
        yield CounterMetricFamily("plex_companion_snapshots", "Readings of what plays.", counters.snapshots)

    def _name_states(self) -> dict[str, State]:
        """Return the state of each server by the label that tells it apart."""
        return dict(zip(name_servers(self._companion.links), self._companion.states, strict=True))

    def _collect_sessions(self) -> Iterator[Metric]:
        gauges = {
            "sessions": ("What plays now.", ["server", "state", "decision"]),
            "transcodes": ("Sessions that are transcoded now.", ["server"]),
            "bandwidth_bits_per_second": ("What Plex reserves for what plays.", ["server", "location"]),
            "alerts_open": ("Alerts that have not ended.", ["server", "kind"]),
            "activities": ("Scans and the like that run now.", ["server"]),
        }
        made = {
            name: GaugeMetricFamily(f"plex_companion_{name}", words, labels=labels)
            for name, (words, labels) in gauges.items()
        }
        for server, state in self._name_states().items():
            for name, labels, value in _measure_state(state):
                made[name].add_metric([server, *labels], value)
        yield from made.values()

    def _collect_events(self) -> Iterator[Metric]:
        counters = self._companion.live.counters
        types: Counter[str] = Counter()
        for kind, count in counters.events.items():
            types[_limit_label(kind, KINDS)] += count
        events = CounterMetricFamily("plex_companion_events", "Events that Plex sent, by type.", labels=["type"])
        for kind in sorted({*KINDS, OTHER}):
            events.add_metric([kind], types[kind])
        yield events
        yield CounterMetricFamily("plex_companion_events_malformed", "What meant nothing.", counters.malformed)
        yield CounterMetricFamily("plex_companion_events_irregular", "Of an unusual form.", counters.irregular)
        yield CounterMetricFamily("plex_companion_events_unrecognized", "Unknown types.", counters.unrecognized)
        yield CounterMetricFamily(
            "plex_companion_events_collapsed", "Mere progress that was left out under load.", counters.collapsed
        )
        yield GaugeMetricFamily(
            "plex_companion_queue_length", "Events that wait.", self._companion.read_counters()["queued"]
        )

    def _collect_storage(self) -> Iterator[Metric]:
        live, path = self._companion.live, self._companion.cache.path
        yield GaugeMetricFamily(
            "plex_companion_storage_ok", "1 while the database can be written.", float(live.storage == "ok")
        )
        yield GaugeMetricFamily(
            "plex_companion_unwritten_changes",
            "What waits for the storage to recover.",
            sum(map(len, live.unwritten.values())),
        )
        sizes = GaugeMetricFamily("plex_companion_database_bytes", "Size of the database's files.", labels=["file"])
        for name, file in (("main", path), ("wal", path.with_name(f"{path.name}-wal"))):
            sizes.add_metric([name], file.stat().st_size if file.exists() else 0)
        yield sizes

    def _collect_chronicle(self) -> Iterator[Metric]:
        """Yield the part of this machine in the chronicle, where the settings name one."""
        if (status := self._companion.chronicle) is None:
            return
        role = GaugeMetricFamily("plex_companion_chronicle_role", "1 for one of the roles.", labels=["role"])
        for name in get_args(ChronicleRole):
            role.add_metric([name], float(status.role == name))
        yield role
        if (behind := status.behind) is not None:
            for what, words, value in (
                ("connected", "1 while PostgreSQL can be used.", float(status.problem is None)),
                ("entry", "The last entry in the database of this machine.", status.number),
                ("behind", "Entries that this machine lacks, as last seen.", behind),
            ):
                yield GaugeMetricFamily(f"plex_companion_chronicle_{what}", words, value)

    def _collect_broker(self) -> Iterator[Metric]:
        """Read the connection to the MQTT broker, where one is configured and this process keeps it."""
        if self._companion.settings.mqtt_url is None or not self._companion.live.listens:
            return
        broker = self._companion.broker
        yield GaugeMetricFamily(
            "plex_companion_mqtt_connected", "1 while the MQTT broker is connected.", float(broker.connected)
        )
        yield CounterMetricFamily("plex_companion_mqtt_connects", "Connections to the MQTT broker.", broker.connects)
        yield CounterMetricFamily(
            "plex_companion_mqtt_messages", "Messages published to the MQTT broker.", broker.published
        )

    def _collect_messages(self) -> Iterator[Metric]:
        """Yield what was sent to targets of notifications: without targets, names and no values."""
        sent = CounterMetricFamily(
            "plex_companion_notify_messages", "Messages that targets took, by name of target.", labels=["target"]
        )
        failed = CounterMetricFamily(
            "plex_companion_notify_failures", "Attempts to send that failed, by name of target.", labels=["target"]
        )
        waiting = GaugeMetricFamily(
            "plex_companion_notify_waiting", "Messages that wait, by name of target.", labels=["target"]
        )
        for name, count in self._companion.target_counts.items():
            sent.add_metric([name], count.sent)
            failed.add_metric([name], count.failed)
            waiting.add_metric([name], count.waiting)
        yield from (sent, failed, waiting)

    def _collect_clients(self) -> Iterator[Metric]:
        clients = self._clients()
        for name, words, value in (
            ("http_requests_open", "Requests being answered, open streams among them.", clients.requests),
            ("subscriptions", "Resources that somebody has subscribed to.", clients.subscriptions),
            ("mcp_legacy_sessions", "MCP clients up to 2025-11-25.", clients.sessions),
            ("mcp_listen_streams", "MCP clients from 2026-07-28 that listen.", clients.listen_streams),
            ("mcp_event_streams", "Open streams of MCP Events.", clients.event_streams),
            ("mcp_event_webhooks", "Webhooks that MCP clients have subscribed.", self._count_event_webhooks()),
        ):
            yield GaugeMetricFamily(f"plex_companion_{name}", words, value)
        yield self._count_requests()

    def _count_event_webhooks(self) -> int:
        return sum(len(state.event_subscriptions) for state in self._companion.states)

    def _count_requests(self) -> Metric:
        asked: Counter[tuple[str, str, str]] = Counter()
        for server, one in zip(self._name_states(), self._companion.each, strict=True):
            for (method, path), count in one.gateway.requests.copy().items():
                area = _limit_label(path.strip("/").partition("/")[0], AREAS)
                asked[server, _limit_label(method, METHODS), area] += count
        requests = CounterMetricFamily(
            "plex_companion_plex_requests",
            "Requests to Plex, by the first part of their path.",
            labels=["server", "method", "area"],
        )
        for labels, count in sorted(asked.items()):
            requests.add_metric(labels, count)
        return requests


def name_servers(links: Iterable[LinkedServer]) -> list[str]:
    """Return a label for each server: its name. Servers of one name, or without one, are numbered in their order."""
    labels: list[str] = []
    for link in links:
        name = link.name or UNKNOWN
        labels.append(next(one for one in _number(name) if one not in labels))
    return labels


def _number(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name} {number}" for number in itertools.count(2))


def _measure_state(state: State) -> Iterator[tuple[str, list[str], float]]:
    """Yield the values of one server: name of the metric, further labels, value."""
    sessions = state.sessions.values()
    found = Counter((_limit_label(one.state, STATES), one.decision or UNKNOWN) for one in sessions)
    for playing in (*STATES, OTHER):
        for decision in (*get_args(Decision), UNKNOWN):
            yield "sessions", [playing, decision], found[playing, decision]
    yield "transcodes", [], sum(one.decision == "transcode" for one in sessions)
    for location, kbps in _sum_bandwidth(sessions).items():
        yield "bandwidth_bits_per_second", [location], kbps * 1000
    open_alerts = Counter(kind for kind, _ in state.alerts)
    for kind in get_args(AlertKind):
        yield "alerts_open", [kind], open_alerts[kind]
    yield "activities", [], len(state.activities)


def _sum_bandwidth(sessions: Iterable[Session]) -> dict[str, int]:
    kbps = dict.fromkeys(("lan", "wan", UNKNOWN), 0)
    for session in sessions:
        kbps[session.location if session.location in kbps else UNKNOWN] += session.bandwidth_kbps or 0
    return kbps


def _limit_label(value: str, known: Iterable[str]) -> str:
    """Return the value if it is known, else `other`: the number of labels must not grow with what others send."""
    return value if value in known else OTHER
