"""Requests to Plex as tools make them: one call, one request, XML in, no hidden reload.

plexapi carries them (token, session, limits); its objects are not used, because they reload themselves item by item
(PLEX.md 0.10) and fall over attributes that are missing.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from plex_companion.errors import Invalid, PlexError, PlexTvUnreachable, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer


T = TypeVar("T")

_LISTS = frozenset({"MediaContainer", "ButlerTasks"})
"""What Plex's lists are called: `/butler` answers with the second (plex-api-spec)."""
ROWS_AT_ONCE, MOST_PAGES = 5000, 100
LINE = 4096
"""Characters of a request line that any server and proxy takes."""
AROUND = 600
"""Of which so many are left for the path, the address of a proxy and the other parameters."""


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some rows of a list, and how many the whole list has."""

    rows: list[Element]
    total: int
    """Where Plex does not say, one more than was read while the pages are full: there may be more."""
    offset: int
    limit: int

    def as_dict(self) -> dict[str, Any]:
        """What every paged result says of itself."""
        truncated = self.offset + len(self.rows) < self.total
        size = len(self.rows)
        return {"total": self.total, "offset": self.offset, "limit": self.limit, "size": size, "truncated": truncated}


def clamp_limit(limit: int, cap: int, offset: int = 0, argument: str = "limit") -> int:
    """The limit, at most the cap; what is over it is not an error, the result's own `limit` shows it.

    Raises:
        Invalid: a limit below 1 or a negative offset.
    """
    if limit < 1:
        raise Invalid(f"{argument} must be at least 1; got {limit}.", argument=argument)
    if offset < 0:
        raise Invalid(f"offset must not be negative; got {offset}.", argument="offset")
    return min(limit, cap)


def build_path(path: str, params: Mapping[str, object] | None = None) -> str:
    """The path with its query; parameters that are `None` are left out, flags become 1 and 0."""
    given = {
        name: int(value) if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }
    return f"{path}{'&' if '?' in path else '?'}{urlencode(given)}" if given else path


def portions(values: Iterable[str], taken: str = "") -> list[list[str]]:
    """Split values that a request names into as many requests as keep each request line below 4 KB, in their order.

    `taken` is what the request carries besides. Servers and proxies end a request line at 8 KB.
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


def fits_line(path: str, params: Mapping[str, object]) -> bool:
    """Say whether a request with these parameters stays below 4 KB."""
    return len(build_path(path, params)) <= LINE - AROUND // 2


def get(plex: PlexServer, path: str, /, **params: object) -> Element:
    """GET, and the container that came.

    Raises:
        PlexError: Plex answered with nothing, or with a page. The gateway translates everything else that can go wrong.
    """
    return check_list(plex.query(build_path(path, params)), path)


def check_container(found: Element | None, path: str) -> Element:
    """Return what came, if it can be Plex's: an empty answer or a page must not pass for an empty list.

    Raises:
        PlexError: it is neither.
    """
    if found is None:
        raise PlexError(f"Plex answered GET {path} with nothing. Try again in a moment.")
    if found.tag.rpartition("}")[2].lower() == "html":  # XHTML puts it into a namespace
        raise PlexError(f"GET {path} was answered with a web page. Does PLEX_URL name a Plex Media Server?")
    return found


def check_list(found: Element | None, path: str) -> Element:
    """Return what came, if it is a list of Plex's: no other element must pass for an empty one.

    Raises:
        PlexError: it is not.
    """
    came = check_container(found, path)
    if came.tag not in _LISTS:
        raise PlexError(f"GET {path}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
    return came


def get_or_none(plex: PlexServer, path: str, /, **params: object) -> Element | None:
    """GET, or `None` when Plex says 404."""
    from plexapi.exceptions import NotFound  # noqa: PLC0415 - importing plexapi takes long

    with suppress(NotFound):
        return get(plex, path, **params)
    return None


def get_page(plex: PlexServer, path: str, /, offset: int, limit: int, **params: object) -> ResultPage:
    """One page of a list. One request, whatever the limit."""
    headers = {"X-Plex-Container-Start": str(offset), "X-Plex-Container-Size": str(limit)}
    return cut_page(check_list(plex.query(build_path(path, params), headers=headers), path), offset, limit)


def cut_page(found: Element, offset: int, limit: int) -> ResultPage:
    """The page that was asked for out of what came: Plex does not state every total, nor cut every list."""
    rows, stated = list(found), found.get("totalSize", "")
    total = int(stated) if stated.isdecimal() else None
    if len(rows) > limit or (offset and total is None and found.get("offset") is None):
        return ResultPage(rows[offset : offset + limit], max(total or 0, len(rows)), offset, limit)
    read = offset + len(rows)
    if total is None:
        return ResultPage(rows, read + 1 if len(rows) == limit else read, offset, limit)
    return ResultPage(rows, max(total, read) if rows else total, offset, limit)


def get_all(plex: PlexServer, path: str, /, **params: object) -> list[Element]:
    """Every row of a list: one request for five thousand.

    Raises:
        PlexError: it has no end.
    """
    rows: list[Element] = []
    for _ in range(MOST_PAGES):
        some = get_page(plex, path, len(rows), ROWS_AT_ONCE, **params)
        rows += some.rows
        if not some.rows or len(rows) >= some.total:
            return rows
    raise PlexError(f"GET {path}: after {len(rows)} rows the list has not come to its end. Nothing was changed.")


def count_rows(plex: PlexServer, path: str, /, **params: object) -> int:
    """How many rows a list has, without reading them; only where Plex does not say, they are read and counted."""
    found = get(plex, path, **params, **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": 0})
    stated = found.get("totalSize", "")
    return int(stated) if stated.isdecimal() else len(found) or len(get_all(plex, path, **params))


def send(plex: PlexServer, method: str, path: str, /, *, body: bytes | None = None, **params: object) -> Element | None:
    """PUT, POST or DELETE; the container that came, if any (actions answer 200 and nothing).

    Raises:
        PlexError: the address names no thing, because Plex told of one without an id; nothing was sent. Or a web page came.
    """
    _require_target(method, path, params)
    verb = getattr(plex._session, method.lower())  # noqa: SLF001 - plexapi's own callers pass it the same way
    extra: dict[str, Any] = {} if body is None else {"data": body}
    answer: Element | None = plex.query(build_path(path, params), method=verb, **extra)
    return answer if answer is None else check_container(answer, path)


def call_action(plex: PlexServer, path: str, /, **params: object) -> None:
    """GET that changes something, as refresh and scrobble do; Plex answers with nothing.

    Raises:
        PlexError: as `send`.
    """
    _require_target("GET", path, params)
    answer: Element | None = plex.query(build_path(path, params))
    if answer is not None:
        check_container(answer, path)


def _require_target(method: str, path: str, params: Mapping[str, object]) -> None:
    """A write without an id would hit everything, or nothing: an edit of `/library/sections/N/all` without `id` edits N."""
    bare = path.partition("?")[0].removeprefix("https://")
    whole_library = method == "PUT" and bare.endswith("/all") and not params.get("id") and "id=" not in path
    if whole_library or {"None", ""} & set(bare.strip("/").split("/")):
        raise PlexError(
            "Plex told of the item without its id, so nothing was sent. Look again, or refresh the item in Plex."
        )


def download(plex: PlexServer, path: str, most: int) -> bytes:
    """A file of Plex's, in memory. One request.

    Raises:
        TooLarge: it has more than `most` bytes; no more are read.
        ToolError: Plex answered with anything but the file.
    """
    from plex_companion.plex.call import CURRENT_CALL, PlexCall  # noqa: PLC0415 - only here
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - imports plexapi

    errand, body = CURRENT_CALL.get() or PlexCall(0), bytearray()
    url, headers = plex.url(path), plex._headers()  # noqa: SLF001 - what plexapi's own download sends
    with plex._session.get(url, headers=headers, stream=True) as response:  # noqa: SLF001 - the same
        if response.status_code != 200:  # noqa: PLR2004 - the status
            raise translate_status(response.status_code, errand)
        for chunk in response.iter_content(65_536):
            body += chunk
            errand.compute_remaining()  # a slow drip would go on for ever
            if len(body) > most:
                message = (
                    f"{errand.last_request}: the file is larger than {most >> 20} MB, and was not read to its end."
                )
                raise TooLarge(message, limit_bytes=most)
    errand.attach_socket(None)
    return bytes(body)


def switch_token(plex: PlexServer, token: str) -> PlexServer:
    """The same server seen with another user's token, over the same connections. No request."""
    seen = copy.copy(plex)
    seen._token = token  # noqa: SLF001 - what plexapi's switchUser sets, without its two requests
    return seen


def get_plex_tv(plex: PlexServer, path: str, /, **params: object) -> Element:
    """GET from plex.tv with the owner's token.

    Raises:
        PlexError: plex.tv answered with nothing.
    """
    found: Element | None = use_full_addresses(plex).query(build_path(f"https://plex.tv{path}", params))
    if found is None or found.tag.lower() == "html":
        raise PlexTvUnreachable(
            f"plex.tv answered GET {path} with {'nothing' if found is None else 'a web page'}. Try again later."
        )
    return found


def try_request(ask: Callable[[], T]) -> T | None:
    """What was asked, or `None` when there is no answer: for what a tool can do without, as plex.tv for the server's tools."""
    from plexapi.exceptions import PlexApiException  # noqa: PLC0415 - importing plexapi takes long
    from requests import RequestException  # noqa: PLC0415 - the same

    with suppress(PlexApiException, RequestException, PlexError, TypeError):  # TypeError: plexapi on 498 (PLEX.md 2.1)
        return ask()
    return None


def use_full_addresses(plex: PlexServer) -> PlexServer:
    """The same token and connections for whole addresses instead of paths; the wire lets only plex.tv's through."""
    there = copy.copy(plex)
    there._baseurl = ""  # noqa: SLF001 - so that an address passes through `query`, with its errors and headers
    return there


def read_json(plex: PlexServer, address: str, /, **params: object) -> dict[str, Any]:
    """GET a whole address of plex.tv that answers in JSON.

    Raises:
        PlexTvUnreachable: the answer is no JSON object.
        ToolError: plex.tv said no.
    """
    from plex_companion.plex.call import CURRENT_CALL, PlexCall  # noqa: PLC0415 - only here and in `download`
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - imports plexapi

    headers = plex._headers(Accept="application/json")  # noqa: SLF001 - what plexapi's own account sends
    response = plex._session.get(build_path(address, params), headers=headers)  # noqa: SLF001 - the same
    errand = CURRENT_CALL.get() or PlexCall(0)
    if response.status_code != 200:  # noqa: PLR2004 - the status
        raise translate_status(response.status_code, errand)
    with suppress(ValueError):
        found = json.loads(response.text)
        if isinstance(found, dict):
            return found
    raise PlexTvUnreachable(f"{errand.last_request}: the answer is not JSON. Try again later.")
