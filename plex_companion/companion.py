"""The interface for tools and resources: the live state, the cache, and the gateway to Plex."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from plex_companion import __version__
from plex_companion.cache.open_files import name_unknown
from plex_companion.errors import Ambiguous, NotFound
from plex_companion.models import ONLY_LINK, Moment
from plex_companion.mqtt.broker_status import BrokerStatus
from plex_companion.plex.refresh import RefreshRequests
from plex_companion.plex.ttl_cache import TtlCache
from plex_companion.settings import APP
from plex_companion.text import SecretFilter, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.changes.state import State
    from plex_companion.chronicle.member_status import ChronicleStatus
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.mcp_events.shared_feed import OccurrenceFeed
    from plex_companion.models import Connection
    from plex_companion.notify.target_counts import TargetCounts
    from plex_companion.plex.gateway import Gateway
    from plex_companion.settings import Settings
    from plex_companion.skills.skill_files import Skill


def read_clock() -> Moment:
    """Return the present: milliseconds since 1970, and milliseconds of a clock that never jumps."""
    return Moment(int(time.time() * 1000), int(time.monotonic() * 1000))


def read_versions() -> dict[str, str]:
    """Return the versions of this program, of Python, and of the libraries whose behaviour matters."""
    names = ("mcp", "plexapi", "websockets", "aiosqlite")
    return {APP: __version__, "python": platform.python_version(), **{name: version(name) for name in names}}


@dataclass(frozen=True, slots=True)
class Link:
    """The parts that talk to the Plex server at one configured address."""

    link_id: str
    """The digest of the address."""
    settings: Settings
    gateway: Gateway
    event_queue: EventQueue
    ttl_cache: TtlCache = field(default_factory=TtlCache)
    requests: RefreshRequests = field(default_factory=RefreshRequests)


@dataclass(frozen=True, slots=True)
class LinkedServer:
    """The server at one configured address, as far as it is known."""

    link_id: str
    name: str | None
    machine_identifier: str | None
    version: str | None
    connection: Connection


def describe_link(link_id: str, state: State) -> LinkedServer:
    """Return what is known of the server at a configured address."""
    server = state.server
    if server is None:
        return LinkedServer(link_id, None, None, None, state.connection)
    return LinkedServer(link_id, server.name, server.machine_identifier, server.version, state.connection)


@dataclass(frozen=True, slots=True)
class ServerFound:
    """The one server that a name or identifier means."""

    server: LinkedServer


@dataclass(frozen=True, slots=True)
class ServerNotFound:
    """No server is called so."""

    available: tuple[str, ...]
    """What the servers can be called, as `list_choices` returns it."""
    unreached: int = 0
    """How many have not said yet who they are."""


@dataclass(frozen=True, slots=True)
class ServerAmbiguous:
    """Several servers have this name."""

    matches: tuple[LinkedServer, ...]


def find_link(links: Sequence[LinkedServer], text: str) -> ServerFound | ServerNotFound | ServerAmbiguous:
    """Find the server with this machine identifier or name, without regard to case. An identifier wins over a name."""
    wanted = text.strip().casefold()
    for names in ([link.machine_identifier for link in links], [link.name for link in links]):
        matches = [link for link, name in zip(links, names, strict=True) if name and name.casefold() == wanted]
        if len(matches) == 1:
            return ServerFound(matches[0])
        if matches:
            return ServerAmbiguous(tuple(matches))
    return ServerNotFound(tuple(list_choices(links)), sum(link.machine_identifier is None for link in links))


def list_choices(links: Sequence[LinkedServer]) -> list[str]:
    """Return for each server what it alone is called: its name, or its identifier if the name means another too."""
    return [
        link.name if link.name and find_link(links, link.name) == ServerFound(link) else link.machine_identifier
        for link in links
        if link.machine_identifier
    ]


OWNER = "1"
"""The id of every server's owner on that server (PLEX.md 2.2)."""


def mark_owners(states: Iterable[State], links: Iterable[Settings]) -> dict[str, str]:
    """Return by machine identifier a text that is the same for servers of one owner: a digest of the token.

    Where no token is set, the owner's name on the server stands for it, else the server itself.
    """
    marks: dict[str, str] = {}
    for state, settings in zip_longest(states, links):
        if state and state.server:
            server, token = state.server.machine_identifier, settings.plex_token if settings else None
            named = next((one.name for one in state.accounts if one.id == OWNER), None)
            marks[server] = hashlib.sha256(token.get_secret_value().encode()).hexdigest() if token else named or server
    return marks


def require_link(links: Sequence[LinkedServer], text: str) -> LinkedServer:
    """Return the server as `find_link` does.

    Raises:
        NotFound: no server is called so.
        Ambiguous: several are.
    """
    match find_link(links, text):
        case ServerFound(server=found):
            return found
        case ServerNotFound(available=available, unreached=unreached):
            message = f"There is no server '{mask(text)}'. Servers: {', '.join(available) or 'none yet'}."
            if available and unreached:
                message += (
                    f" Of {unreached} more it is not known yet how {'it is' if unreached == 1 else 'they are'} called."
                )
            raise NotFound(message, what="server", available=list(available))
        case ServerAmbiguous(matches=matches):
            identifiers = [str(link.machine_identifier) for link in matches]
            message = (
                f"Several servers are called '{mask(text)}': name one by its identifier, {', '.join(identifiers)}."
            )
            raise Ambiguous(message, what="server", matches=identifiers)


@dataclass(frozen=True, slots=True)
class Companion:
    """The parts of one running companion. Of several servers, it shows one: the first, unless `choose_server` has chosen another."""

    settings: Settings
    live: Live
    cache: Cache
    gateway: Gateway
    event_queue: EventQueue
    clock: Callable[[], Moment]
    versions: dict[str, str]
    ttl_cache: TtlCache
    occurrence_feed: OccurrenceFeed
    skills: Sequence[Skill] = ()
    """The skills that the served tools suffice for."""
    hidden_tools: int = 0
    """How many of the served tools are not listed while the companion is read-only."""
    configured: tuple[Link, ...] = ()
    """The links to all configured servers, in order."""
    link_id: str = ONLY_LINK
    """The link to the server that is shown."""
    chronicle: ChronicleStatus | None = None
    """The part of this machine in the chronicle, if the settings name one."""
    is_limited: bool = False
    """Whether one of several servers was chosen, so that questions about the past are about that one alone."""
    broker: BrokerStatus = field(default_factory=BrokerStatus)
    """The connection to the MQTT broker, if one is configured and this process listens."""
    target_counts: dict[str, TargetCounts] = field(default_factory=dict)
    """By target of notifications: what this process has sent to it."""
    pid: int = field(default_factory=os.getpid)
    secrets: SecretFilter = field(init=False)
    """Hides the secrets of the settings in what leaves the program."""

    def __post_init__(self) -> None:
        """Build the filter from the settings."""
        object.__setattr__(self, "secrets", SecretFilter(self.settings.list_secrets()))

    @property
    def state(self) -> State:
        """The present state of the server, as committed to the database."""
        return self.live.states[self.link_id]

    @property
    def links(self) -> tuple[LinkedServer, ...]:
        """The servers at all configured addresses, in order."""
        return tuple(describe_link(link_id, state) for link_id, state in self.live.states.items())

    def choose_server(self, server: str | None) -> Companion:
        """Return the companion of one server: its state, and the way to it. `None` means the one that is shown.

        Args:
            server: its machine identifier or its name, without regard to case.

        Raises:
            NotFound: no server is called so.
            Ambiguous: several are.
        """
        return self if server is None else self.choose_link(require_link(self.links, server).link_id)

    def choose_link(self, link_id: str) -> Companion:
        """Return the companion of the server at one configured address. It hides the secrets of all of them."""
        for link in self.configured:
            if link.link_id == link_id:
                one = replace(
                    self,
                    settings=link.settings,
                    gateway=link.gateway,
                    event_queue=link.event_queue,
                    ttl_cache=link.ttl_cache,
                    link_id=link_id,
                    is_limited=len(self.configured) > 1,
                )
                object.__setattr__(one, "secrets", self.secrets)
                return one
        return self

    @property
    def each(self) -> tuple[Companion, ...]:
        """The companion of each server that answers are about."""
        if self.is_limited or len(self.configured) < 2:  # noqa: PLR2004 - several
            return (self,)
        return tuple(self.choose_link(link.link_id) for link in self.configured)

    @property
    def states(self) -> tuple[State, ...]:
        """The present states of the servers that questions about the past are about."""
        return (self.state,) if self.is_limited else tuple(self.live.states.values())

    @property
    def only_server(self) -> str | None:
        """The machine identifier of the server that answers are limited to; `None` for all."""
        if not self.is_limited:
            return None
        known = self.state.server
        return known.machine_identifier if known else name_unknown(self.link_id, len(self.live.states))

    @property
    def owner_marks(self) -> dict[str, str]:
        """By machine identifier, a text that is the same for servers that are used with one token."""
        settings = [link.settings for link in self.configured] or [self.settings]
        return mark_owners(self.live.states.values(), settings)

    @property
    def zone(self) -> tzinfo:
        """The time zone of days, of hours, and of times that are written without a zone."""
        return self.settings.zone

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""
        return self.clock().at

    @property
    def is_live(self) -> bool:
        """Whether the connection to Plex is up, so that the cached state is the present one."""
        return self.state.connection.state == "live"

    def read_counters(self) -> dict[str, Any]:
        """Count the events received since the leading process began to listen."""
        other = self.live.leader
        if other is not None and not self.live.listens:
            return {**other.counters, "queued": 0}
        queues = [link.event_queue for link in self.configured] or [self.event_queue]
        return {**self.live.counters.as_dict(), "queued": sum(map(len, queues))}

    def describe_process(self) -> dict[str, Any]:
        """Return the role of this process, its id, and the id of the process that listens."""
        other = self.live.leader
        if self.live.listens:
            return {"role": "listener", "pid": self.pid, "listener_pid": self.pid}
        return {"role": "reader", "pid": self.pid, "listener_pid": other.pid or None if other else None}
