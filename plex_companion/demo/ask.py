"""One request as an answer sees it, and the forms an answer can take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from plex_companion.demo.describe import item_node
from plex_companion.demo.house import OWNER
from plex_companion.demo.tree import Node, Value, container

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plex_companion.demo.demo import Demo
    from plex_companion.demo.house import House
    from plex_companion.demo.household import Item, Player, Section, User
    from plex_companion.demo.query import Params

T = TypeVar("T")
# PLEX.md 2.1, recorded word for word.
ERROR_PAGE = "<html><head><title>{name}</title></head><body><h1>{status} {name}</h1></body></html>"
NAMES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
         500: "Internal Server Error", 502: "Bad Gateway"}  # fmt: skip
STARTING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response code="503" title="Maintenance" '
    'status="Plex Media Server is currently running database migrations." />\n'
)


class Refused(Exception):
    """Ends a request with a status and Plex's page for it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no tree."""

    body: bytes = b""
    status: int = 200
    media_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)


DONE = Answer()
"""Action calls answer 200, empty, `text/html`."""


def error_page(status: int) -> Answer:
    """Plex's page for a refused call; 503 is XML, as at start-up."""
    if status == 503:  # noqa: PLR2004  # the status
        return Answer(STARTING.encode(), status, "text/xml")
    name = NAMES.get(status, "Error")
    return Answer(ERROR_PAGE.format(name=name, status=status).encode(), status, headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: who asks (the owner unless the token says otherwise), what, with which arguments of path and query."""

    demo: Demo
    user: User
    method: str
    path: str
    params: Params
    args: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def house(self) -> House:
        """What is asked about."""
        return self.demo.house

    def get(self, name: str, default: str = "") -> str:
        """The first value of a query argument."""
        return next((value for key, value in self.params if key == name), default)

    def number(self, name: str, default: int = 0) -> int:
        """A query argument as a number; nonsense is the default."""
        text = self.get(name)
        return int(text) if text.lstrip("-").isdigit() else default

    def token_of(self, user: User) -> str:
        """A user's token. The owner's may have been chosen when the server was started."""
        return self.demo.token if user.id == OWNER else user.token

    def owner_only(self) -> None:
        """Refuse others with 403, as Plex does since 2025."""
        if self.user.id != OWNER:
            raise Refused(403)

    def section(self) -> Section:
        """The section of the path, or 404."""
        return found(self.house.sections, self.args["section"])

    def item(self, name: str = "id") -> Item:
        """The item of the path, or 404."""
        return found(self.house.items, self.args[name])

    def target(self) -> Player:
        """The player that a command is for."""
        name = self.headers.get("x-plex-target-client-identifier") or self.get("X-Plex-Target-Client-Identifier")
        return found(self.house.players, name)

    def window(self) -> tuple[int, int] | None:
        """The page asked for, by header or by query; `None` if the whole list is."""
        start = self._paging("X-Plex-Container-Start")
        size = self._paging("X-Plex-Container-Size")
        if start is None and size is None:
            return None
        return start or 0, 1_000_000 if size is None else size

    def _paging(self, name: str) -> int | None:
        text = self.get(name) or self.headers.get(name.lower(), "")
        return int(text) if text.isdigit() else None


def found(pool: Mapping[str, T], key: str) -> T:
    """The thing of that key, or 404."""
    if key not in pool:
        raise Refused(404)
    return pool[key]


def without_excluded(ask: Ask, nodes: list[Node]) -> list[Node]:
    """Return the rows without what `excludeElements=` and `excludeFields=` name, at whatever depth."""
    elements, fields = set(ask.get("excludeElements").split(",")), ask.get("excludeFields").split(",")
    kept = [node for node in nodes if node.tag not in elements]
    if elements == {""} and fields == [""]:
        return kept
    for node in kept:
        node.children = without_excluded(ask, node.children)
        for name in fields:
            node.attributes.pop(name, None)
    return kept


def page(ask: Ask, rows: Sequence[Any], make: Callable[[Any], Node], **facts: Value) -> Node:
    """A container with the page asked for. `totalSize` and `offset` come only with paging, and are what clients count by."""
    window = ask.window()
    if window is None:
        return container(without_excluded(ask, [make(row) for row in rows]), **facts)
    start, size = window
    nodes = without_excluded(ask, [make(row) for row in rows[start : start + size]])
    return container(nodes, totalSize=len(rows), offset=start, **facts)


def items_page(ask: Ask, items: Sequence[Item], **facts: Value) -> Node:
    """A page of items."""
    head: dict[str, Value] = {"allowSync": True, "identifier": "com.plexapp.plugins.library",
                              "mediaTagPrefix": "/system/bundle/media/flags/", "mediaTagVersion": 1700000000}  # fmt: skip
    guids = ask.get("includeGuids") == "1"
    return page(ask, items, lambda item: item_node(ask.house, ask.user, item, guids=guids), **(head | facts))
