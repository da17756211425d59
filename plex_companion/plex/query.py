"""Requests to Plex as tools make them: one call, one request, XML in, no hidden reload.

plexapi adds headers and token. Its objects are not used, because they reload themselves item by item (PLEX.md 0.10) and
fail on attributes that are missing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from plex_companion.errors import Invalid, NotFound, PlexError, PlexTvUnreachable, TooLarge
from plex_companion.plex.xml.attributes import read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer

T = TypeVar("T")

ROWS_AT_ONCE, MOST_PAGES = 5000, 100
LINE = 4096
"""Characters of a request line that any server and proxy takes."""
AROUND = 600
"""Characters of a request line that are left for the path, the address of a proxy and the other parameters."""
BRIEF: Mapping[str, object] = {
    "excludeElements": "Genre,Country,Guid,Rating,Collection,Director,Writer,Role,Producer,Similar,Style,Mood,Format,"
    "Label,Field,Part,Image,UltraBlurColors",
    "excludeFields": "summary,tagline",
}
"""Parameters for a list of items without what most tools never show, which is four fifths of its bytes.

python-plexapi sends the same two for partial items. A server that does not know them sends everything.
"""


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some rows of a list, and how many the whole list has."""

    rows: list[Element]
    total: int
    """The number of rows. If Plex does not state it, one more than was read while the pages are full: there may be more."""
    offset: int
    limit: int

    def as_dict(self) -> dict[str, Any]:
        """Return what every paged result says about its page."""
        truncated = self.offset + len(self.rows) < self.total
        size = len(self.rows)
        return {"total": self.total, "offset": self.offset, "limit": self.limit, "size": size, "truncated": truncated}


def clamp_limit(limit: int, cap: int, offset: int = 0, argument: str = "limit") -> int:
    """Return the limit, at most the cap. A larger limit is not an error; the result's own `limit` shows the cap.

    Raises:
        Invalid: a limit below 1 or a negative offset.
    """
    if limit < 1:
        raise Invalid(f"{argument} must be at least 1; got {limit}.", argument=argument)
    if offset < 0:
        raise Invalid(f"offset must not be negative; got {offset}.", argument="offset")
    return min(limit, cap)


def build_path(path: str, params: Mapping[str, object] | None = None) -> str:
    """Return the path with its query. Parameters that are `None` are left out, flags become 1 and 0."""
    present = {name: value for name, value in (params or {}).items() if value is not None}
    given = {name: int(value) if isinstance(value, bool) else value for name, value in present.items()}
    return f"{path}{'&' if '?' in path else '?'}{urlencode(given)}" if given else path


def split_values(values: Iterable[str], taken: str = "") -> list[list[str]]:
    """Split the values of a request into as many requests as keep each request line below 4 KB, in order.

    `taken` is the rest of the query. Servers and proxies refuse a request line over 8 KB.
    """
    room = max(LINE // 8, LINE - AROUND - len(quote(taken)))
    found: list[list[str]] = [[]]
    used = 0
    for value in values:
        size = len(quote(value, safe="")) + len("%2C")
        if found[-1] and used + size > room:
            found.append([])
            used = 0
        found[-1].append(value)
        used += size
    return found if found[-1] else []


def fits_request_line(path: str, params: Mapping[str, object]) -> bool:
    """Return whether a request with these parameters stays below 4 KB."""
    return len(build_path(path, params)) <= LINE - AROUND // 2


def get(plex: PlexServer, path: str, /, **params: object) -> Element:
    """Send a GET request and return the container of the answer.

    Raises:
        PlexError: the answer is empty or a web page.
        ToolError: Plex answered with an error.
    """
    return check_list(plex.query(build_path(path, params)), path)


def check_container(found: Element | None, path: str) -> Element:
    """Return the container if it can be from Plex: an empty answer or a web page must not pass for an empty list.

    Raises:
        PlexError: the answer is empty or a web page.
    """
    if found is None:
        raise PlexError(f"Plex answered GET {path} with nothing. Try again in a moment.")
    if found.tag.rpartition("}")[2].lower() == "html":  # XHTML puts it into a namespace
        raise PlexError(f"GET {path} was answered with a web page. Does PLEX_URL name a Plex Media Server?")
    return found


LISTS = frozenset({"MediaContainer", "ButlerTasks"})
"""The root elements of Plex's lists. Only `/butler` has one of its own (plex-api-spec)."""


def check_list(found: Element | None, path: str) -> Element:
    """Return the container if it is a list from Plex: no other element must pass for an empty list.

    Raises:
        PlexError: the answer is empty, a web page, or another element.
    """
    came = check_container(found, path)
    if came.tag not in LISTS:
        raise PlexError(f"GET {path}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
    return came


def get_or_none(plex: PlexServer, path: str, /, **params: object) -> Element | None:
    """Send a GET request and return the container, or `None` if Plex says 404."""
    with suppress(NotFound):
        return get(plex, path, **params)
    return None


def get_page(plex: PlexServer, path: str, /, offset: int, limit: int, **params: object) -> ResultPage:
    """Return one page of a list. One request, whatever the limit."""
    headers = {"X-Plex-Container-Start": str(offset), "X-Plex-Container-Size": str(limit)}
    return cut_page(check_list(plex.query(build_path(path, params), headers=headers), path), offset, limit)


def cut_page(found: Element, offset: int, limit: int) -> ResultPage:
    """Cut the requested page out of the answer: Plex does not state every total, and does not page every list."""
    rows, total = list(found), read_number(found, "totalSize")
    if len(rows) > limit or (offset and total is None and found.get("offset") is None):
        return ResultPage(rows[offset : offset + limit], max(total or 0, len(rows)), offset, limit)
    read = offset + len(rows)
    if total is None:
        return ResultPage(rows, read + 1 if len(rows) == limit else read, offset, limit)
    return ResultPage(rows, max(total, read) if rows else total, offset, limit)


def get_all(plex: PlexServer, path: str, /, **params: object) -> list[Element]:
    """Return every row of a list, with one request for five thousand rows.

    Raises:
        PlexError: the list does not end.
    """
    rows: list[Element] = []
    for _ in range(MOST_PAGES):
        page = get_page(plex, path, len(rows), ROWS_AT_ONCE, **params)
        rows += page.rows
        if not page.rows or len(rows) >= page.total:
            return rows
    raise PlexError(f"GET {path}: after {len(rows)} rows the list has not come to its end. Nothing was changed.")


def count_rows(plex: PlexServer, path: str, /, **params: object) -> int:
    """Return the number of rows in a list without reading them. Where Plex does not state it, read and count them."""
    found = get(plex, path, **params, **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": 0})
    total = read_number(found, "totalSize")
    return total if total is not None else len(found) or len(get_all(plex, path, **params))


def send(plex: PlexServer, method: str, path: str, /, *, body: bytes | None = None, **params: object) -> Element | None:
    """Send PUT, POST or DELETE and return the container of the answer, if any (actions answer 200 and nothing).

    Raises:
        PlexError: the address lacks an id, because Plex listed the item without one; nothing was sent. Or the answer is a
            web page.
    """
    _require_target(method, path, params)
    answer = plex.send(method, build_path(path, params), body)
    return answer if answer is None else check_container(answer, path)


def call_action(plex: PlexServer, path: str, /, **params: object) -> None:
    """Send a GET request that changes something, as refresh and scrobble do. Plex answers with nothing.

    Raises:
        PlexError: as `send`.
    """
    _require_target("GET", path, params)
    answer = plex.query(build_path(path, params))
    if answer is not None:
        check_container(answer, path)


def _require_target(method: str, path: str, params: Mapping[str, object]) -> None:
    """Refuse a write without an id, which could hit everything: an edit of `/library/sections/N/all` without `id` edits all of N."""
    bare = path.partition("?")[0].removeprefix("https://")
    whole_library = method == "PUT" and bare.endswith("/all") and not params.get("id") and "id=" not in path
    if whole_library or {"None", ""} & set(bare.strip("/").split("/")):
        raise PlexError(
            "Plex listed the item without its id, so nothing was sent. Look again, or refresh the item in Plex."
        )


def download(plex: PlexServer, path: str, most: int) -> bytes:
    """Return a file of Plex, in memory. One request.

    Raises:
        TooLarge: it has more than `most` bytes; no more are read.
        ToolError: Plex answered with an error instead of the file.
    """
    from plex_companion.plex.call import CURRENT_CALL, PlexCall  # noqa: PLC0415 - only here
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - imports plexapi

    call, body = CURRENT_CALL.get() or PlexCall(0), bytearray()
    with plex.fetch(path, stream=True) as response:
        if response.status_code != 200:  # noqa: PLR2004 - the status
            raise translate_status(response.status_code, call)
        for chunk in response.iter_content(65_536):
            body += chunk
            call.compute_remaining()  # requests times out on silence only, so a slow trickle would never end
            if len(body) > most:
                message = f"{call.last_request}: the file is larger than {most >> 20} MB, and was not read to its end."
                raise TooLarge(message, limit_bytes=most)
    call.attach_socket(None)
    return bytes(body)


def get_plex_tv(plex: PlexServer, path: str, /, **params: object) -> Element:
    """Send a GET request to plex.tv with the owner's token and return the container of the answer.

    Raises:
        PlexTvUnreachable: the answer is empty or a web page.
    """
    found = plex.use_full_addresses().query(build_path(f"https://plex.tv{path}", params))
    if found is None or found.tag.lower() == "html":
        raise PlexTvUnreachable(
            f"plex.tv answered GET {path} with {'nothing' if found is None else 'a web page'}. Try again later."
        )
    return found


def try_request(ask: Callable[[], T]) -> T | None:
    """Run a request that a tool can do without, and return `None` if it fails. The deadline of the call still applies."""
    from requests import RequestException  # noqa: PLC0415 - takes long to import

    with suppress(RequestException, PlexError, NotFound):
        return ask()
    return None


def read_json(plex: PlexServer, address: str, /, **params: object) -> dict[str, Any]:
    """Send a GET request to a full plex.tv address and return the JSON object of the answer.

    Raises:
        PlexTvUnreachable: the answer is not a JSON object.
        ToolError: plex.tv answered with an error.
    """
    from plex_companion.plex.call import CURRENT_CALL, PlexCall  # noqa: PLC0415 - only here and in `download`
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - imports plexapi

    response = plex.use_full_addresses().fetch(build_path(address, params), headers={"Accept": "application/json"})
    call = CURRENT_CALL.get() or PlexCall(0)
    if response.status_code != 200:  # noqa: PLR2004 - the status
        raise translate_status(response.status_code, call)
    with suppress(ValueError):
        found = json.loads(response.text)
        if isinstance(found, dict):
            return found
    raise PlexTvUnreachable(f"{call.last_request}: the answer is not JSON. Try again later.")
