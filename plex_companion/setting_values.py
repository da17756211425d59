"""Reads values of settings as people write them: quotes and hidden characters, secrets, Plex's address.

Every function raises `ValueError` with a message that continues the name of the setting. No message repeats a value.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BLANKS = " \t\r\n\f\v"
EXAMPLE = "http://192.168.1.10:32400"
SECOND_EXAMPLE = "http://192.168.1.20:32400"
BY_HAND = (
    "sign in to Plex Web as the owner, open an item, choose \N{VERTICAL ELLIPSIS} \N{RIGHTWARDS ARROW} Get Info "
    "\N{RIGHTWARDS ARROW} View XML, and copy what follows X-Plex-Token= in the browser's address bar"
)
"""How to get a token by hand."""
BROKER_EXAMPLE = "mqtt://user:password@192.168.1.5:1883"
BROKER_PORTS = {"mqtt": 1883, "mqtts": 8883}
"""The ports that IANA has registered, by scheme."""
LAST_PORT = 65_535
SCHEME_PORTS = {"http": "80", "https": "443"}
LONGEST_HOST, LONGEST_LABEL = 253, 63
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_HALF_SCHEME = re.compile(r"(?i)https?(:/?|//)(?!\d+$)")
"""Matches `http:/host` and `http//host`, but not a host that is called http."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_PASSWORD_IN_URL = re.compile(r"(?<=://)[^:/@?#]*:([^/?#]*)@")
_PASSWORD_BY_NAME = re.compile(r"(?i)password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]+))")
"""In a list of names and values (`host=… password=…`), and after the question mark of an address."""
_WEB_APP = re.compile(r"(.*?)/web(/.*)?", re.DOTALL)
_CUT = re.compile(r"[?#].*", re.DOTALL)
_TARGET_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_SERVICE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://\S+")
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


def parse_schema_name(value: str) -> str:
    """Return the name of a schema in PostgreSQL, in lower case.

    Raises:
        ValueError: it is none, or one that PostgreSQL has for itself or gives to everybody.
    """
    name = value.strip().lower()
    if not _SCHEMA.fullmatch(name) or name in {"public", "information_schema"} or name.startswith("pg_"):
        message = "must be a name of its own, of letters, digits and _, 48 at most, that begins with a letter and not with pg_"
        raise ValueError(message)
    return name


def list_address_secrets(address: str) -> list[str]:
    """Return what must not be shown of the address of a database: the whole, and its password in each spelling."""
    found = [address, *_PASSWORD_IN_URL.findall(address)]
    found += [quoted or bare for quoted, bare in _PASSWORD_BY_NAME.findall(address)]
    return list(dict.fromkeys(spelling for secret in found for spelling in (secret, unquote(secret))))


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


def parse_notify_targets(value: str) -> dict[str, str]:
    """Read `family=discord://…;me=ntfy://…`: the URLs of targets of notifications by name, in order.

    Raises:
        ValueError: a part is not NAME=URL, or two targets have one name.
    """
    found: dict[str, str] = {}
    parts = [part.strip(BLANKS) for part in value.split(";")]
    for number, part in enumerate(filter(None, parts), 1):
        name, separator, url = (piece.strip(BLANKS) for piece in part.partition("="))
        if not separator or not _TARGET_NAME.fullmatch(name):
            message = (
                f"target number {number} is not NAME=URL, as family=discord://…, with a name of letters, digits, - and _. "
                "Targets are separated by semicolons; one inside a URL is written %3B."
            )
            raise ValueError(message)
        if not _SERVICE.fullmatch(url):
            message = f"the URL of {name} must begin with a service of Apprise, as discord:// or mailto://, and have no blanks"
            raise ValueError(message)
        if name.casefold() in map(str.casefold, found):
            message = f"two targets are called {name}. Give each a name of its own"
            raise ValueError(message)
        found[name] = url
    return found


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
    if ";" in value or "|" in value:
        message = "it holds more than one token. Separate tokens by commas, in the order of the addresses."
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
        message = f"it holds more than one address. Separate addresses by commas, as {EXAMPLE},{SECOND_EXAMPLE}."
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


def parse_plex_urls(value: str) -> tuple[PlexAddress, ...]:
    """Parse the addresses of one or more servers, separated by commas.

    Raises:
        ValueError: no server can be at one of them, or two are the same.
    """
    parts = _split_list(value)
    if len(parts) < 2:  # noqa: PLR2004 - one address
        return (parse_plex_url(value),)
    addresses = tuple(
        _parse_part(parse_plex_url, part, f"address {n} of {len(parts)}") for n, part in enumerate(parts, 1)
    )
    first: dict[str, int] = {}
    for number, address in enumerate(addresses, 1):
        if (known := first.setdefault(_identify_address(address.url), number)) != number:
            message = f"addresses {known} and {number} are the same. Give each server once."
            raise ValueError(message)
    return addresses


def parse_plex_tokens(value: str) -> tuple[str, ...]:
    """Check the tokens of one or more servers, separated by commas, and return them.

    Raises:
        ValueError: one of them is not a token, or more than a token.
    """
    parts = _split_list(value)
    if len(parts) == 1 and "," in value:
        message = "it holds one token and a comma. Give one token for all servers, or one each in their order."
        raise ValueError(message)
    if len(parts) < 2:  # noqa: PLR2004 - one token
        return (parse_plex_token(parts[0] if parts else value),)
    return tuple(_parse_part(parse_plex_token, part, f"token {n} of {len(parts)}") for n, part in enumerate(parts, 1))


def normalize_plex_url(url: str) -> str:
    """Return an address in the one spelling by which addresses are compared: in lower case, with a scheme."""
    return (url if "://" in url else f"http://{url}").rstrip("/").lower()


def _identify_address(url: str) -> str:
    """Return what is the same for every spelling of an address: of an IPv6 host, and with the port that its scheme implies."""
    scheme, _, rest = normalize_plex_url(url).partition("://")
    authority, slash, path = rest.partition("/")
    host, port = _split_port(authority)
    if host.startswith("["):
        host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
    return f"{scheme}://{host}:{port or SCHEME_PORTS[scheme]}{slash}{path}"


def _split_list(value: str) -> list[str]:
    """Split at commas. An empty last part is dropped; an empty one in between stays, or the order would shift."""
    parts = [part.strip(BLANKS) for part in value.split(",")]
    return parts if parts[-1] else parts[:-1]


def _parse_part(parse: Callable[[str], T], part: str, where: str) -> T:
    """Parse one of several values; what is wrong with it is said with its place."""
    if not part:
        message = f"{where}: it is empty"
        raise ValueError(message)
    try:
        return parse(part)
    except ValueError as error:
        message = f"{where}: {error}"
        raise ValueError(message) from None


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
        raise ValueError("must be a name or an address of this machine alone, such as 127.0.0.1, 0.0.0.0 or ::1")
    return value


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """The address of an MQTT broker."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False


def parse_broker_url(value: str) -> BrokerAddress:
    """Parse the address of an MQTT broker. Signs in user name and password may be percent-encoded.

    Raises:
        ValueError: no broker can be at such an address.
    """
    if any(char in BLANKS or is_hidden(char) for char in value):
        message = f"it holds a blank or an invisible character. Give the address alone, as {BROKER_EXAMPLE}."
        raise ValueError(message)
    try:
        parts = urlsplit(value)
    except ValueError:
        message = f"it holds no address of an MQTT broker. It is written as {BROKER_EXAMPLE}."
        raise ValueError(message) from None
    if parts.scheme not in BROKER_PORTS:
        message = f"must begin with mqtt:// or mqtts://, as {BROKER_EXAMPLE}."
        raise ValueError(message)
    host, port = _split_broker(parts)
    username, password = (unquote(one) if one else None for one in (parts.username, parts.password))
    if password and not username:
        message = f"it holds a password without a user name. It is written as {BROKER_EXAMPLE}."
        raise ValueError(message)
    return BrokerAddress(host, port, username, password, tls=parts.scheme == "mqtts")


def _split_broker(parts: SplitResult) -> tuple[str, int]:
    if parts.path.strip("/") or parts.query or parts.fragment:
        message = (
            f"it has something after the port. It is written as {BROKER_EXAMPLE}; write / ? # and @ in a password as "
            "%2F %3F %23 and %40."
        )
        raise ValueError(message)
    host = parts.hostname or ""
    if not (_is_host_name(host) or _is_ipv6(host)):
        message = f"it names no host. It is written as {BROKER_EXAMPLE}."
        raise ValueError(message)
    try:
        port = parts.port if parts.port is not None else BROKER_PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not port:
        message = f"its port is no number from 1 to {LAST_PORT}. It is usually 1883, as in {BROKER_EXAMPLE}."
        raise ValueError(message)
    return host, port


def _refuse_blanks(value: str) -> None:
    for char in value:
        if char in BLANKS or is_hidden(char) or char in _CURLY or char in "\"'":
            what = "a blank" if char in BLANKS else _quote_name(char)
            raise ValueError(f"it holds {what}, which no address has. Give the address alone, as {EXAMPLE}.")


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
        if wrong in ";|":
            message = f"it holds more than one address. Separate addresses by commas, as {EXAMPLE},{SECOND_EXAMPLE}."
        else:
            message = f"it holds {wrong!r} in the name of the host. Give the address, as {EXAMPLE}."
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
    return _can_parse(ipaddress.IPv4Address, text)


def _is_ipv6(text: str) -> bool:
    return _can_parse(ipaddress.IPv6Address, text)


def _can_parse(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
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
