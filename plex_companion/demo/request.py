"""A request as handlers get it, and the forms of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from plex_companion.demo.nodes.describe import build_item_node
from plex_companion.demo.nodes.tree import Node, Value, build_container
from plex_companion.demo.server_state import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plex_companion.demo.household.model import DemoItem, DemoPlayer, DemoSection, DemoUser
    from plex_companion.demo.query.filtering import Params
    from plex_companion.demo.server_state import ServerState

T = TypeVar("T")
# PLEX.md 2.1, recorded word for word.
ERROR_PAGE = "<html><head><title>{name}</title></head><body><h1>{status} {name}</h1></body></html>"
NAMES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
         500: "Internal Server Error", 502: "Bad Gateway"}  # fmt: skip
STARTING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response code="503" title="Maintenance" '
    'status="Plex Media Server is currently running database migrations." />\n'
)


class HttpRefusal(Exception):
    """A refused request: ends it with a status and Plex's page for it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """An answer that is not a tree of nodes."""

    body: bytes = b""
    status: int = 200
    media_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)


DONE = DemoAnswer()
"""Action calls answer 200, empty, `text/html`."""


def build_error_page(status: int) -> DemoAnswer:
    """Build Plex's page for a refused call; 503 is XML, as at start-up."""
    if status == 503:  # noqa: PLR2004  # the status
        return DemoAnswer(STARTING.encode(), status, "text/xml")
    page = ERROR_PAGE.format(name=NAMES.get(status, "Error"), status=status)
    return DemoAnswer(page.encode(), status, headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """A request: its user (the owner unless the token says otherwise), path, and arguments of path and query."""

    state: ServerState
    user: DemoUser
    method: str
    path: str
    params: Params
    args: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a query argument."""
        return next((value for key, value in self.params if key == name), default)

    def get_number(self, name: str, default: int = 0) -> int:
        """Return a query argument as a number, or the default if it is not one."""
        text = self.get(name)
        return int(text) if text.lstrip("-").isdigit() else default

    def find_token(self, user: DemoUser) -> str:
        """Return a user's token. The owner's may have been chosen when the server was started."""
        return self.state.owner_token if user.id == OWNER else user.token

    def require_owner(self) -> None:
        """Refuse others with 403, as Plex does since 2025."""
        if self.user.id != OWNER:
            raise HttpRefusal(403)

    def find_section(self) -> DemoSection:
        """Return the section of the path, or refuse with 404."""
        return find_or_404(self.state.sections, self.args["section"])

    def find_item(self, name: str = "id") -> DemoItem:
        """Return the item of the path, or refuse with 404."""
        return find_or_404(self.state.items, self.args[name])

    def find_target(self) -> DemoPlayer:
        """Return the player that a command is for."""
        name = self.headers.get("x-plex-target-client-identifier") or self.get("X-Plex-Target-Client-Identifier")
        return find_or_404(self.state.players, name)

    def read_paging(self) -> tuple[int, int] | None:
        """Return start and size of the page, from headers or query; `None` for the whole list."""
        start, size = map(self._read_paging_value, ("X-Plex-Container-Start", "X-Plex-Container-Size"))
        if start is None and size is None:
            return None
        return start or 0, 1_000_000 if size is None else size

    def _read_paging_value(self, name: str) -> int | None:
        text = self.get(name) or self.headers.get(name.lower(), "")
        return int(text) if text.isdigit() else None


def find_or_404(pool: Mapping[str, T], key: str) -> T:
    """Return the entry of that key, or refuse with 404."""
    if key not in pool:
        raise HttpRefusal(404)
    return pool[key]


def drop_excluded(request: DemoRequest, nodes: list[Node]) -> list[Node]:
    """Return the rows without what `excludeElements=` and `excludeFields=` name, at any depth."""
    elements, fields = set(request.get("excludeElements").split(",")), request.get("excludeFields").split(",")
    matching = [node for node in nodes if node.tag not in elements]
    if elements == {""} and fields == [""]:
        return matching
    for node in matching:
        node.children = drop_excluded(request, node.children)
        for name in fields:
            node.attributes.pop(name, None)
    return matching


def build_page(request: DemoRequest, rows: Sequence[Any], make: Callable[[Any], Node], **facts: Value) -> Node:
    """Build a container with the requested page.

    `totalSize` and `offset` come only with paging; clients count by them.
    """
    window = request.read_paging()
    if window is None:
        return build_container(drop_excluded(request, [make(row) for row in rows]), **facts)
    start, size = window
    fault = request.state.faults.take_page_fault(request.path) if size else ""
    if fault == "fail":
        raise HttpRefusal(500)
    first = max(0, start - size) if fault == "repeat" else start
    page = rows[first : first + size]
    if fault in {"short", "shrink"}:
        page = page[: len(page) // 2]
    nodes = drop_excluded(request, [make(row) for row in page])
    total = start + len(page) if fault == "shrink" else len(rows)
    return build_container(nodes, totalSize=total, offset=start, **facts)


def build_items_page(request: DemoRequest, items: Sequence[DemoItem], **facts: Value) -> Node:
    """Build a page of items."""
    head: dict[str, Value] = {"allowSync": True, "identifier": "com.plexapp.plugins.library",
                              "mediaTagPrefix": "/system/bundle/media/flags/", "mediaTagVersion": 1700000000}  # fmt: skip
    guids = request.get("includeGuids") == "1"
    return build_page(
        request, items, lambda item: build_item_node(request.state, request.user, item, guids=guids), **(head | facts)
    )
