"""Why a connection failed, in plain words without address, name or token."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_BY_ERRNO = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.ETIMEDOUT: "no answer to the connection attempt",
    errno.ECONNABORTED: "connection aborted",
}


def explain_failure(error: BaseException) -> str:
    """Return the most telling cause in the chain of an error, in words for people."""
    return next((words for cause in _walk_causes(error) if (words := _describe(cause))), "connection lost")


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what caused it: causes, contexts, and `reason` as urllib3 sets it (depth first)."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        behind = (cause.__context__, cause.__cause__, vars(cause).get("reason"), *cause.args)
        waiting += [inner for inner in behind if isinstance(inner, BaseException)]


def _describe(error: BaseException) -> str | None:  # noqa: PLR0911 - a table, with types for keys
    match error:
        case ssl.SSLCertVerificationError():
            return _describe_certificate(error)
        case ssl.SSLError():
            return "TLS failed: is the address really https?"
        case socket.gaierror():
            return "the host name is not known"
        case TimeoutError():
            return "no answer to the connection attempt"
        case EOFError() | RemoteDisconnected():
            return "connection closed without an answer"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case OSError():
            return _BY_ERRNO.get(error.errno or _describe_os_error(error))
        case _:
            return None


def _describe_os_error(error: OSError) -> int:
    """Return the error number in the text of an error: asyncio joins the failures of several addresses into one text."""
    found = _ERRNO.search(str(error))
    return int(found[1]) if found else 0


def _describe_certificate(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case 10:
            reason = "it has expired"
        case 62 | 64:
            reason = "it is for another name; use the plex.direct address"
        case 18 | 19 | 20 | 21:
            reason = "its authority is not known; name it as PLEX_COMPANION_PLEX_CA_FILE"
        case _:
            reason = "it is not valid"
    return f"the TLS certificate is not trusted: {reason}"
