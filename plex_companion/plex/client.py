"""The Plex server as the program talks to it: everything that is taken from plexapi, and all of plexapi's private names.

plexapi brings the headers, the token and the address. Its objects are not used, because they reload themselves item by
item (PLEX.md 0.10), and its `query` stops at the first character that XML forbids. Importing plexapi takes long, so this
module is imported at run time by the gateway's threads alone; elsewhere `PlexServer` is a name for annotations.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import plexapi
import plexapi.base
import plexapi.server

from plex_companion import __version__
from plex_companion.errors import PlexError
from plex_companion.plex.call import CURRENT_CALL, PlexCall
from plex_companion.plex.translate import SUCCESS, translate_status
from plex_companion.plex.xml.answer import DocumentTypeDeclared, read_xml, report_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

    from requests import Response

    from plex_companion.plex.session import PlexSession
    from plex_companion.settings import Settings

PAGE = 500
"""Rows of a page where plexapi reads a list by itself; its own default is 100."""


class PlexServer(plexapi.server.PlexServer):
    """A `PlexServer` of plexapi that reads on past what cannot be read and reports it, and raises errors of ours."""

    @property
    def token(self) -> str:
        """The token in use, for hiding it. Empty if there is none."""
        return str(self._token or "")

    def query(
        self,
        key: str,
        method: Callable[..., Response] | None = None,
        headers: Mapping[str, str] | None = None,
        params: dict[str, str] | None = None,
        timeout: float | None = None,
        most_rows: int | None = None,
        **kwargs: Any,
    ) -> Element | None:
        """Ask Plex and return the root element of its answer, or `None` for an answer without content.

        What could not be read goes to the innermost `collect_damage`.

        Raises:
            ToolError: Plex answered with any status but 200, 201 and 204, or the answer declares a document type.
            ParseError: it is not XML.
        """
        ask = method or self._session.get
        address, sent = self._prepare(key, headers)
        response = ask(address, headers=sent, params=params, timeout=timeout or self._timeout, **kwargs)
        if response.status_code not in SUCCESS:
            raise translate_status(response.status_code, CURRENT_CALL.get() or PlexCall(0))
        return read_answer(response.content, most_rows)

    def send(self, method: str, key: str, body: bytes | None = None) -> Element | None:
        """Send PUT, POST or DELETE, and return the root element of the answer, or `None` for an answer without content.

        Raises:
            ToolError: as `query`.
            ParseError: as `query`.
        """
        more: dict[str, Any] = {} if body is None else {"data": body}
        return self.query(key, method=getattr(self._session, method.lower()), **more)

    def fetch(self, key: str, *, headers: Mapping[str, str] | None = None, stream: bool = False) -> Response:
        """Return the answer to a GET as it came, whatever its status: for files, JSON, and the answers of players.

        Raises:
            PlexError: the answer is too large, or holds a refusal under HTTP 200.
        """
        address, sent = self._prepare(key, headers)
        response: Response = self._session.get(address, headers=sent, stream=stream)
        return response

    def switch_token(self, token: str) -> PlexServer:
        """Return the server as another user sees it, over the same connections. Nothing is asked."""
        seen = copy.copy(self)
        seen._token = token  # noqa: SLF001 - plexapi's `switchUser` sets it too, after two requests to plex.tv
        return seen

    def use_full_addresses(self) -> PlexServer:
        """Return the same token and connections for whole addresses instead of paths; the HTTP session lets only plex.tv's pass."""
        copied = copy.copy(self)
        copied._baseurl = ""  # noqa: SLF001 - plexapi has no other way
        return copied

    def _prepare(self, key: str, headers: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
        """Return the address and the headers of a request."""
        # A copy for each request: plexapi's own PlexClient changes the headers that everybody shares.
        return self.url(key), self._headers(**headers or {})  # type: ignore[no-untyped-call]  # plexapi's


def connect(session: PlexSession, settings: Settings) -> PlexServer:
    """Return the server at the address of the settings. Asks `GET /`.

    plexapi gets by argument what its configuration file or its environment would otherwise decide.

    Raises:
        ToolError: as `PlexServer.query`.
    """
    # Objects read this when they are made; left on, a list of 500 partial objects can cost 501 requests (PLEX.md 0.10).
    plexapi.CONFIG.data.setdefault("plexapi", {})["autoreload"] = "false"
    plexapi.CONFIG.data.pop("auth", None)
    vars(plexapi.base)["X_PLEX_CONTAINER_SIZE"] = PAGE
    plexapi.BASE_HEADERS.update({"X-Plex-Product": "plex-companion", "X-Plex-Version": __version__})
    token = settings.plex_token.get_secret_value() if settings.plex_token else None
    make: Callable[..., PlexServer] = PlexServer  # plexapi annotates nothing
    return make(settings.plex_url, token, session=session, timeout=settings.plex_timeout_seconds)


def build_headers(accept: str) -> dict[str, str]:
    """Return the headers of a request to plex.tv that needs no server: who asks, and what it can read."""
    return {**plexapi.BASE_HEADERS, "Accept": accept, "X-Plex-Product": "plex-companion"}


def read_answer(body: bytes, most_rows: int | None = None) -> Element | None:
    """Return the root element of the answer to the last request of this thread, or `None` if it has no content.

    Raises:
        PlexError: it declares a document type.
        ParseError: it is not XML.
        ToolError: the caller no longer waits for it.
    """
    call = CURRENT_CALL.get() or PlexCall(60)
    try:
        root, damage = read_xml(body, most_rows=most_rows, check=call.compute_remaining)
    except DocumentTypeDeclared:
        root, damage = None, None
    if damage is None:
        raise PlexError(f"{call.last_request}: the answer is not Plex's: it declares a document type. Check PLEX_URL.")
    damage.asked = call.last_request
    report_damage(damage)
    return root
