"""Turns failures of requests, urllib3 and plexapi into errors of ours: the request, the cause, and what to try."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import requests
import urllib3
from plexapi.exceptions import NotFound as MissingInPlexApi
from plexapi.exceptions import PlexApiException

from plex_companion.errors import (
    NotFound,
    PlexError,
    PlexForbidden,
    PlexStarting,
    PlexTvUnreachable,
    PlexUnauthorized,
    PlexUnreachable,
    RateLimited,
    ToolError,
)
from plex_companion.plex.failures import explain_failure
from plex_companion.text import HIDDEN, clean, redact

if TYPE_CHECKING:
    from plex_companion.plex.call import PlexCall

FAILURES = (
    PlexApiException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    ParseError,
    # plexapi fails in these ways on an empty 200 (AttributeError), on a status without a name in requests, as 498
    # (TypeError), and on missing attributes (PLEX.md 2.1). The place where they were raised distinguishes them from bugs of ours.
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    OSError,
)
AWAY = "plex.tv is down or can't be reached from here: try again later. Tools that only use your own server still work."
_THEIRS = frozenset({"plexapi", "requests", "urllib3", "xml"})
_ADDRESS = re.compile(r"\b\w+://\S+")
_LONGEST = 300
SUCCESS = frozenset({200, 201, 204})
"""The statuses that plexapi counts as success (PLEX.md 2.1)."""


def translate(error: Exception, call: PlexCall, token: str) -> Exception:
    """Return our error for an exception of these libraries, or the exception itself if it is from code of ours."""
    match error:
        case ToolError():
            return error
        case requests.RequestException() | urllib3.exceptions.HTTPError():
            return _translate_connection_error(error, call)
        case ParseError():
            return _build_nonsense_error(call, "an answer that is not XML")
    if not isinstance(error, PlexApiException) and _find_package(error) not in _THEIRS:
        return error
    return _translate_bad_answer(error, call, token)


def _translate_bad_answer(error: Exception, call: PlexCall, token: str) -> ToolError:
    """Return our error for an answer that plexapi or a parser could not use."""
    if isinstance(error, OSError):
        return _translate_connection_error(error, call)
    if call.status is not None and call.status not in SUCCESS:
        return translate_status(call.status, call)
    if isinstance(error, PlexApiException):
        return _translate_objection(error, token)
    return _build_nonsense_error(call, "an incomplete answer")


def _find_package(error: BaseException) -> str:
    """Return the package whose code raised the error."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")).split(".")[0] if trace else ""


def _translate_connection_error(error: Exception, call: PlexCall) -> ToolError:
    """Return our error for a missing or partial answer."""
    silent = isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError) or _is_read_timeout(error)
    if silent and not call.plex_tv:
        return call.build_timeout_error()
    words = "no answer in time" if silent else explain_failure(error)
    if call.plex_tv:
        return PlexTvUnreachable(f"{call.last_request}: {words}. {AWAY}")
    hint = "Is Plex running, and is PLEX_URL right?"
    return PlexUnreachable(f"{call.last_request}: can't reach Plex: {words}. {hint}", connection=words)


def _is_read_timeout(error: Exception) -> bool:
    """Return whether the error is silence in the middle of a body, which requests calls a ConnectionError."""
    return any(isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in error.args)


def _build_nonsense_error(call: PlexCall, found: str) -> PlexError:
    if call.plex_tv:
        return PlexTvUnreachable(f"{call.last_request}: {found}. {AWAY}", http_status=call.status)
    message = f"{call.last_request}: {found}. Does PLEX_URL name a Plex Media Server, and is it up to date?"
    return PlexError(message, http_status=call.status)


def translate_status(status: int, call: PlexCall) -> ToolError:  # noqa: PLR0911 - a table
    """Return our error for an HTTP status."""
    asked = call.last_request
    later = {} if call.retry_after_s is None else {"retry_after_s": call.retry_after_s}
    match status:
        case 401 | 498:
            return PlexUnauthorized(f"{asked}: the token was refused (HTTP {status}). Renew PLEX_TOKEN.")
        case 422 if call.plex_tv:  # "Invalid token"
            return PlexUnauthorized(f"{asked}: the token was refused (HTTP 422). Renew PLEX_TOKEN.")
        case 403:
            return PlexForbidden(f"{asked}: not allowed (HTTP 403). It may need the token of the server's owner.")
        case 404:
            return NotFound(f"{asked}: Plex has nothing there (HTTP 404). Look up its id again.", what=asked)
        case 414:
            return PlexError(
                f"{asked}: the request is too long for the server (HTTP 414). Ask for less.", http_status=414
            )
        case 429:
            return RateLimited(f"{asked}: too many requests (HTTP 429). Try again later.", **later)
        case _ if call.plex_tv and status >= requests.codes.server_error:
            return PlexTvUnreachable(f"{asked}: HTTP {status}. {AWAY}", http_status=status)
        case 503:
            return PlexStarting(f"{asked}: Plex is starting or in maintenance (HTTP 503). Try again later.", **later)
        case _ if requests.codes.multiple_choices <= status < requests.codes.bad_request:
            message = f"{asked}: a redirect (HTTP {status}), which is not followed. Set PLEX_URL to where Plex is."
            return PlexError(message, http_status=status)
        case _:
            return PlexError(f"{asked}: Plex answered with HTTP {status}. Its log may say why.", http_status=status)


def _translate_objection(error: PlexApiException, token: str) -> ToolError:
    """Return our error for an objection of plexapi's own, as an unknown filter or an unsupported item."""
    text = str(error).replace(token, HIDDEN) if token else str(error)
    words = clean(_ADDRESS.sub("…", redact(text)))[:_LONGEST]
    return NotFound(words) if isinstance(error, MissingInPlexApi) else PlexError(words)
