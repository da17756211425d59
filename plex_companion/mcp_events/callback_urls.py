"""Which addresses a client may name for its callbacks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from plex_companion.mcp_events.event_errors import build_invalid
from plex_companion.plex.image_fetch import is_public

if TYPE_CHECKING:
    from plex_companion.mcp_events.event_errors import EventError

LONGEST_URL = 2_048
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1"})
_PRINTABLE = re.compile(r"[!-~]+")
_LAST_PART_OF_NUMBERS = re.compile(r"0x[0-9a-f]*|[0-9]+")
"""The last part of a host that is an address in an unusual spelling, such as `127.1` or `0x7f000001` (URL standard,
section 3.5): no name ends like this.
"""


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """An address that was checked as far as possible without a look at what its name stands for."""

    text: str
    host: str
    port: int
    authority: str
    is_loopback: bool
    """Whether it is a literal loopback address, which only a setting admits."""


def parse_callback_url(text: str, *, loopback: bool) -> CallbackUrl:
    """Check an address: https, no credentials, no fragment, and no literal address outside the public internet.

    With `loopback`, `http://127.0.0.1` and `http://[::1]` are admitted too, in these spellings.

    Raises:
        EventError: it is not allowed.
    """
    parts, port = _split(text)
    host = (parts.hostname or "").lower()
    local = loopback and parts.scheme == "http" and host in _LOOPBACK_HOSTS
    if not local:
        _refuse_unless_public(parts.scheme, host)
    if parts.username is not None or parts.password is not None or "#" in text:
        raise _build_error("must have no user name, password or fragment")
    return CallbackUrl(text, host, port or (80 if local else 443), parts.netloc, local)


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text if len(text) <= LONGEST_URL and _PRINTABLE.fullmatch(text) else "")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or port == 0:
        raise _build_error(f"must be an https:// address of at most {LONGEST_URL:,} characters")
    return parts, port


def _refuse_unless_public(scheme: str, host: str) -> None:
    if scheme != "https":
        raise _build_error("must start with https://")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _LAST_PART_OF_NUMBERS.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise _build_error("must spell an address in the usual way") from None
        return
    if not is_public(address):
        raise _build_error("must not name an address of this machine or of a private network")


def _build_error(words: str) -> EventError:
    return build_invalid(f"delivery.url {words}.", "delivery.url")
