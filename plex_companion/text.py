"""Text from elsewhere, made safe to store and show: no control or bidi characters, no secret, no address."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TOKEN = re.compile(
    # Any other word that ends in "token" counts only with a sign of assignment: "token expired" is prose.
    r"(?i)(x-plex-token|plexonlinetoken|access_?token|auth_?token"
    r"|(?:token|api_?key|jwt|signature)(?=[\"']?\s{0,2}(?:[=:]|%3D)))"
    r"(\W{1,4})[\w.\-~%+/]{4,}={0,2}"
)
_PIN = re.compile(r"(?i)([?&](?:pin|sig|secret|password)=)[^&#\s\"']+")
_LOGIN = re.compile(r"(?i)(?<=://)[^/\s@\"'?#]{1,500}@")
_KEYS = re.compile(r"(?i)([?&][\w.\-]*(?:token|key|secret|sig|signature|auth|password)=)[^&#\s]+")
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_ADDRESS = re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.])")
_DOTS = 3
HIDDEN = "hidden"


def clean(value: str) -> str:
    """The text without control, surrogate and bidi characters; line breaks become spaces.

    Plex passes on what players and files are called: control characters (plexapi #1450), cut multibyte characters
    (PlexAutoLanguages #48). Joiners stay, since emoji and Indic scripts are written with them.
    """
    if value.isprintable():
        return value
    return "".join(" " if char in "\n\r\t" else char for char in value if _is_harmless(char))


def _is_harmless(char: str) -> bool:
    return char in "\n\r\t" or (char not in _BIDI and unicodedata.category(char) not in {"Cc", "Cs"})


def without(value: str, secrets: Iterable[str]) -> str:
    """The text without these secrets."""
    for secret in secrets:
        if secret and secret in value:
            value = value.replace(secret, HIDDEN)
    return value


def redact(value: str) -> str:
    """The text without whatever stands where Plex puts a token or the PIN of a profile, or addresses a password."""
    if "=" in value:
        value = _PIN.sub(rf"\1{HIDDEN}", value)
    if "@" in value:
        value = _LOGIN.sub(f"{HIDDEN}@", value)
    # Few texts pay for the search.
    suspicious = any(word in value.lower() for word in ("token", "key", "jwt", "signature"))
    return _TOKEN.sub(rf"\1\2{HIDDEN}", value) if suspicious else value


def without_keys(address: str) -> str:
    """An address without what opens other services: they put it under any name."""
    return _KEYS.sub(rf"\1{HIDDEN}", redact(address))


def mask(value: str) -> str:
    """The text with e-mail addresses and IPv4 addresses hidden."""
    if "@" in value:
        value = _EMAIL.sub(HIDDEN, value)
    return _ADDRESS.sub(HIDDEN, value) if value.count(".") >= _DOTS else value


def discreet(value: str) -> str:
    """The text as it may be kept: without tokens, e-mail addresses and IPv4 addresses."""
    return mask(redact(value))
