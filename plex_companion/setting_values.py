"""How the values of settings are read, as people write them: quotes and hidden characters, secrets, Plex's address.

Everything raises `ValueError` with what follows the name of the setting in a sentence. No message repeats a value.
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
"""How a person gets a token by hand."""
LAST_PORT = 65_535
LONGEST_HOST, LONGEST_LABEL = 253, 63
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_HALF_SCHEME = re.compile(r"(?i)https?(:/?|//)(?!\d+$)")
"""`http:/host` and `http//host`, but not a host that is called http."""
_WEB_APP = re.compile(r"(.*?)/web(/.*)?", re.DOTALL)
_CUT = re.compile(r"[?#].*", re.DOTALL)
_CURLY = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u0060\u00b4")


def clean_value(value: object) -> object:
    """Return a text without the blanks and the pair of quotes around it, which Docker's `--env-file` leaves in place.

    Raises:
        ValueError: it begins or ends with a typographic quotation mark or with something that nobody sees.
    """
    if not isinstance(value, str):
        return value
    text = value.strip(BLANKS)
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip(BLANKS)
    for place, char in (("begins", text[:1]), ("ends", text[-1:])):
        if char in _CURLY or is_hidden(char) or char.isspace():
            message = f"it {place} with {_quote_name(char)}, which does not belong to it. Write the value without it."
            raise ValueError(message)
    return text


def is_hidden(char: str) -> bool:
    """Whether a character is invisible: a control or format character, a byte order mark, half a surrogate pair."""
    return bool(char) and unicodedata.category(char) in {"Cc", "Cf", "Cs"}


def parse_secret(value: str) -> str:
    """Return a token as it is sent in an HTTP header.

    Raises:
        ValueError: it holds a character that no header can carry.
    """
    for char in value:
        if not char.isascii() or is_hidden(char):
            message = f"it holds {_quote_name(char)}, which no token has. Copy the token again, and nothing around it."
            raise ValueError(message)
    return value


def parse_plex_token(value: str) -> str:
    """Return a token of Plex's.

    Raises:
        ValueError: it is no token, or more than one.
    """
    parse_secret(value)
    if "x-plex-token=" in value.lower() or "://" in value:
        message = "it is more than a token. Give only what follows X-Plex-Token=, up to the next & or the end."
        raise ValueError(message)
    if any(char in BLANKS for char in value):
        message = "it holds a blank in the middle, which no token has. Copy the token again, and nothing around it."
        raise ValueError(message)
    if value[0] in "\"'" or value[-1] in "\"'":
        message = "it has a quotation mark at one end only. Write the token without it."
        raise ValueError(message)
    return value


@dataclass(frozen=True, slots=True)
class PlexAddress:
    """Where the server is. `url` lacks the scheme where none was given: then https is tried, and http after it."""

    url: str
    notes: tuple[str, ...] = ()
    """What a person should know of how it was read."""


def parse_plex_url(value: str) -> PlexAddress:
    """Return the address of the server in what may have been copied from a browser.

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
    """Whether an address names its port."""
    return re.match(r"(?:\w+://)?(?:\[[^\]]*\]|[^/:]*):\d", url) is not None


def parse_port(text: str) -> int:
    """Return the number of a port.

    Raises:
        ValueError: there is no such port.
    """
    if not (text.isascii() and text.isdecimal()):
        message = f"it has a port that is no number. Plex's is usually 32400, as in {EXAMPLE}."
        raise ValueError(message)
    if not 1 <= int(text[:9]) <= LAST_PORT:
        message = f"it names port {text[:9]}, and ports go from 1 to {LAST_PORT}. Plex's is usually 32400."
        raise ValueError(message)
    return int(text)


def parse_listen_host(value: str) -> str:
    """Return a name or address of this machine to listen on.

    Raises:
        ValueError: no machine can have it.
    """
    allowed = all(char.isalnum() or char in "-_.:%" for char in value)
    if not allowed or not _is_host_name(value.rstrip(".")):
        message = "must be a name or an address of this machine alone, as 127.0.0.1, 0.0.0.0 or ::1"
        raise ValueError(message)
    return value


def _refuse_blanks(value: str) -> None:
    for char in value:
        if char in BLANKS or is_hidden(char) or char in _CURLY or char in "\"'":
            what = "a blank" if char in BLANKS else _quote_name(char)
            message = f"it holds {what}, which no address has. Give the address alone, as {EXAMPLE}."
            raise ValueError(message)


def _split_scheme(text: str) -> tuple[str, str]:
    """Return the scheme (empty where there is none) and what follows it."""
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
        note += " A token belongs into PLEX_TOKEN."
    return note


def _check_authority(authority: str) -> str:
    """Return `host:port`, or `host` where no port is named."""
    if "@" in authority:
        message = "must hold no user name and no password. Plex asks for a token, and that belongs into PLEX_TOKEN."
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
    """Name a character that nobody can see, or that looks like another. Letters may be part of a secret."""
    if char in _NAMES:
        return _NAMES[char]
    if unicodedata.category(char) == "Cs":
        return "a byte that is not UTF-8 text"
    if unicodedata.category(char)[0] in "LN":
        return "a character outside ASCII"
    name = unicodedata.name(char, "control character").lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name} (U+{ord(char):04X})"
