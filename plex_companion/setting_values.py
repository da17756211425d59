"""Reads values of settings as people write them: quotes and hidden characters, secrets, Plex's address.

Every function raises `ValueError` with a message that continues the name of the setting. No message repeats a value.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

BLANKS = " \t\r\n\f\v"
EXAMPLE = "http://192.168.1.10:32400"
BY_HAND = (
    "sign in to Plex Web as the owner, open an item, choose \N{VERTICAL ELLIPSIS} \N{RIGHTWARDS ARROW} Get Info "
    "\N{RIGHTWARDS ARROW} View XML, and copy what follows X-Plex-Token= in the browser's address bar"
)
"""How to get a token by hand."""
LAST_PORT = 65_535
LONGEST_HOST, LONGEST_LABEL = 253, 63
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_HALF_SCHEME = re.compile(r"(?i)https?(:/?|//)(?!\d+$)")
"""Matches `http:/host` and `http//host`, but not a host that is called http."""
_WEB_APP = re.compile(r"(.*?)/web(/.*)?", re.DOTALL)
_CUT = re.compile(r"[?#].*", re.DOTALL)
_CURLY = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u0060\u00b4")


def clean_value(value: object) -> object:
    """Strip blanks and a pair of quotes around a text; Docker's `--env-file` leaves them in place.

    Raises:
        ValueError: it begins or ends with a typographic quotation mark or an invisible character.
    """
    if not isinstance(value, str):
        return value
    text = value.strip(BLANKS)
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip(BLANKS)
    for place, char in (("begins", text[:1]), ("ends", text[-1:])):
        if char in _CURLY or is_hidden(char) or char.isspace():
            message = f"it {place} with {_quote_name(char)}, which is not part of it. Write the value without it."
            raise ValueError(message)
    return text


def is_hidden(char: str) -> bool:
    """Return whether a character is invisible: a control or format character, a byte order mark, half a surrogate pair."""
    return bool(char) and unicodedata.category(char) in {"Cc", "Cf", "Cs"}


def parse_secret(value: str) -> str:
    """Check a token that is sent in an HTTP header, and return it.

    Raises:
        ValueError: it contains a character that no header can hold.
    """
    for char in value:
        if not char.isascii() or is_hidden(char):
            message = (
                f"it contains {_quote_name(char)}, which no token has. Copy only the token, and nothing around it."
            )
            raise ValueError(message)
    return value


def parse_plex_token(value: str) -> str:
    """Check a token of Plex, and return it.

    Raises:
        ValueError: it is not a token, or more than a token.
    """
    parse_secret(value)
    if "x-plex-token=" in value.lower() or "://" in value:
        message = "it is more than a token. Give only what follows X-Plex-Token=, up to the next & or the end."
        raise ValueError(message)
    if any(char in BLANKS for char in value):
        message = "it contains a blank, which no token has. Copy only the token, and nothing around it."
        raise ValueError(message)
    if value[0] in "\"'" or value[-1] in "\"'":
        message = "it has a quotation mark at one end only. Write the token without it."
        raise ValueError(message)
    return value


@dataclass(frozen=True, slots=True)
class PlexAddress:
    """The address of the server. `url` has no scheme if none was given: then https is tried first, and http after it."""

    url: str
    notes: tuple[str, ...] = ()
    """Sentences for a person about how the address was read."""


def parse_plex_url(value: str) -> PlexAddress:
    """Parse the address of the server, which may have been copied from a browser.

    Raises:
        ValueError: no server can be at such an address.
    """
    _refuse_blanks(value)
    scheme, rest = _split_scheme(value.rstrip(".,;"))
    kept = _CUT.sub("", rest)
    authority, slash, path = kept.partition("/")
    if "://" in kept or authority.lower() in {"http:", "https:"}:
        message = f"it holds more than one address. Give one, as {EXAMPLE}."
        raise ValueError(message)
    if web := _WEB_APP.fullmatch(slash + path):
        kept = authority + web[1]
        slash, path = "", web[1]
    url = f"{_check_authority(authority)}{slash}{path}".rstrip("/")
    notes = []
    if kept != rest:
        notes.append(_cut_note(rest))
    if not scheme:
        notes.append("PLEX_URL begins with neither http:// nor https://: https is tried first, then http.")
    return PlexAddress(f"{scheme}://{url}" if scheme else url, tuple(notes))


def has_port(url: str) -> bool:
    """Return whether an address contains a port."""
    return re.match(r"(?:\w+://)?(?:\[[^\]]*\]|[^/:]*):\d", url) is not None


def parse_port(text: str) -> int:
    """Parse the number of a port.

    Raises:
        ValueError: there is no such port.
    """
    if not (text.isascii() and text.isdecimal()):
        message = f"its port is not a number. Plex's is usually 32400, as in {EXAMPLE}."
        raise ValueError(message)
    if not 1 <= int(text[:9]) <= LAST_PORT:
        message = f"it names port {text[:9]}, and ports go from 1 to {LAST_PORT}. Plex's is usually 32400."
        raise ValueError(message)
    return int(text)


def parse_listen_host(value: str) -> str:
    """Check a name or address to listen on, and return it.

    Raises:
        ValueError: no machine can have it.
    """
    allowed = all(char.isalnum() or char in "-_.:%" for char in value)
    if not allowed or not _is_host_name(value.rstrip(".")):
        message = "must be a name or an address of this machine alone, such as 127.0.0.1, 0.0.0.0 or ::1"
        raise ValueError(message)
    return value


def _refuse_blanks(value: str) -> None:
    for char in value:
        if char in BLANKS or is_hidden(char) or char in _CURLY or char in "\"'":
            what = "a blank" if char in BLANKS else _quote_name(char)
            message = f"it holds {what}, which no address has. Give the address alone, as {EXAMPLE}."
            raise ValueError(message)


def _split_scheme(text: str) -> tuple[str, str]:
    """Split an address into its scheme (empty if there is none) and the rest."""
    found = _SCHEME.fullmatch(text)
    if found is None or "/" in found[1]:
        half = _HALF_SCHEME.match(text) or "\\" in text or text.startswith(("/", ":"))
        if half and not _is_ipv6(text):
            message = f"must begin with http:// or https://, as {EXAMPLE}."
            raise ValueError(message)
        return "", text
    scheme = found[1].lower()
    if scheme not in {"http", "https"}:
        message = f"it begins with {scheme[:20]}://, and Plex answers at http:// or https://, as {EXAMPLE}."
        raise ValueError(message)
    return scheme, found[2]


def _cut_note(rest: str) -> str:
    note = "PLEX_URL needs the address of the server alone; what follows it (/web, ?, #) is not used."
    if "x-plex-token=" in rest.lower():
        note += " A token goes into PLEX_TOKEN."
    return note


def _check_authority(authority: str) -> str:
    """Check host and port, and return `host:port`, or `host` if there is no port."""
    if "@" in authority:
        message = "must hold no user name and no password. Plex asks for a token, and that goes into PLEX_TOKEN."
        raise ValueError(message)
    host, port = _split_port(authority)
    host = host.rstrip(".")
    if not host:
        message = f"it names no host. Give the address of the server, as {EXAMPLE}."
        raise ValueError(message)
    _check_host(host)
    return f"{host}:{parse_port(port)}" if port else host


def _split_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, after = authority.partition("]")
        if not bracket or not _is_ipv6(host[1:]) or (after and not after.startswith(":")):
            message = "it holds no IPv6 address in its brackets. It is written as http://[fd00::10]:32400."
            raise ValueError(message)
        return host + bracket, after[1:]
    if authority.count(":") > 1:
        if "::" in authority or _is_ipv6(authority):
            message = "must have brackets around an IPv6 address, as http://[fd00::10]:32400."
        else:
            message = f"it holds too many colons. An address is written as {EXAMPLE} or http://[fd00::10]:32400."
        raise ValueError(message)
    host, _, port = authority.partition(":")
    return host, port


def _check_host(host: str) -> None:
    if host.startswith("["):
        return
    if host.lower() == "plex.tv" or host.lower().endswith(".plex.tv"):
        message = (
            "that is Plex's own web page and not your server. Run plex-companion login, which finds the server, or give its "
            f"address, as {EXAMPLE}."
        )
        raise ValueError(message)
    if wrong := next((char for char in host if not (char.isalnum() or char in "-_.")), None):
        found = "more than one address" if wrong in ",;|" else f"{wrong!r} in the name of the host"
        message = f"it holds {found}. Give one address, as {EXAMPLE}."
        raise ValueError(message)
    labels = host.split(".")
    if not _is_host_name(host):
        message = f"it holds a name that no host can have. Give the address of the server, as {EXAMPLE}."
        raise ValueError(message)
    if all(label.isdecimal() for label in labels) and not _is_ipv4(host):
        message = f"it holds no IP address: that is four numbers from 0 to 255, as in {EXAMPLE}."
        raise ValueError(message)


def _is_host_name(host: str) -> bool:
    labels = host.split(".")
    return len(host) <= LONGEST_HOST and all(
        0 < len(label) <= LONGEST_LABEL and not label.startswith("-") and not label.endswith("-") for label in labels
    )


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_NAMES = {"\r": "a line break", "\n": "a line break", "\t": "a tab", "\ufeff": "a byte order mark (U+FEFF)"}


def _quote_name(char: str) -> str:
    """Name a character that is invisible or looks like another. A letter is not named: it may be part of a secret."""
    if char in _NAMES:
        return _NAMES[char]
    if unicodedata.category(char) == "Cs":
        return "a byte that is not UTF-8 text"
    if unicodedata.category(char)[0] in "LN":
        return "a character outside ASCII"
    name = unicodedata.name(char, "control character").lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} (U+{ord(char):04X})"
