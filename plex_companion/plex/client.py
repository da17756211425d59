"""plexapi's server with one thing of its own: how an answer is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from plexapi.exceptions import BadRequest, NotFound, Unauthorized
from plexapi.server import PlexServer

from plex_companion.errors import PlexError
from plex_companion.plex.call import CURRENT_CALL, PlexCall
from plex_companion.plex.translate import SUCCESS
from plex_companion.plex.xml.answer import DocumentTypeDeclared, read_xml, report_damage

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from requests import Response

_FAILURES = {requests.codes.unauthorized: Unauthorized, requests.codes.not_found: NotFound}


class TolerantPlexServer(PlexServer):
    """A `PlexServer` that reads on past what cannot be read, and says so."""

    def query(
        self,
        key: str,
        method: Callable[..., Response] | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        timeout: float | None = None,
        most_rows: int | None = None,
        **kwargs: Any,
    ) -> Element | None:
        """Ask Plex and return the root element of its answer, or `None` for an answer without content.

        What is left out of it goes to `collecting_damage`.

        Raises:
            PlexApiException: Plex answered with an error, as plexapi would raise it.
            PlexError: the answer declares a document type.
            ParseError: it is not XML.
        """
        ask = method or self._session.get
        address, sent = self.url(key), self._headers(**headers or {})  # type: ignore[no-untyped-call]  # plexapi's
        response = ask(address, headers=sent, params=params, timeout=timeout or self._timeout, **kwargs)
        if response.status_code not in SUCCESS:
            raise _FAILURES.get(response.status_code, BadRequest)(f"({response.status_code})")
        return read_answer(response.content, most_rows)


def read_answer(body: bytes, most_rows: int | None = None) -> Element | None:
    """Return the root element of the answer to the last request of this thread, or `None` if it has no content.

    Raises:
        PlexError: it declares a document type.
        ParseError: it is not XML.
        ToolError: nobody waits for it any more.
    """
    errand = CURRENT_CALL.get() or PlexCall(60)
    try:
        root, damage = read_xml(body, most_rows=most_rows, check=errand.compute_remaining)
    except DocumentTypeDeclared:
        root, damage = None, None
    if damage is None:
        raise PlexError(
            f"{errand.last_request}: the answer is not Plex's: it declares a document type. Check PLEX_URL."
        )
    damage.asked = errand.last_request
    report_damage(damage)
    return root
