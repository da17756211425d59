"""Text from elsewhere, made safe to store and show: of a known length, no invisible characters, no secret, no address.

Every pattern here takes time in proportion to the text, whatever it holds.
"""

from __future__ import annotations

import html
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec.json import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONGEST = 8_192
"""Characters of one text from elsewhere; what is longer is cut before any pattern sees it."""
LONGEST_SECRET = 2_048
"""Characters at the end of a cut text that may be the beginning of a secret or an address, and are cut too."""
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_LINE_BREAKS = re.compile("[\t\n\r\u2028\u2029]")
_INVISIBLE = re.compile(
    # Subdivision flags (UTS #51, ED-14a): a black flag, a region and its part in tag characters, and a closing tag.
    "(\U0001f3f4(?:[\U000e0061-\U000e007a]{2}|[\U000e0030-\U000e0039]{3})"
    "[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,4}\U000e007f)"
    "|[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff"  # controls, halves, no characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of bidi
    "\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # of no width, or fillers
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"  # tags and other controls
)
_MORE_SELECTORS = re.compile(f"(?<=[{_SELECTORS}])[{_SELECTORS}]+")
_UNSEEN = re.compile(f"[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0{_SELECTORS}]")
"""Characters that `clean` may remove though Python calls them printable: marks and fillers of no width, and selectors."""
_TOKEN = re.compile(
    # Any other word that ends in "token" counts only with a sign of assignment: "token expired" is prose.
    r"(?i)(x-plex-token|plexonlinetoken|access_?token|auth_?token"
    r"|(?:token|api_?key|jwt|signature)(?=[\"']?\s{0,2}(?:[=:]|%3D)))"
    r"(\W{1,4})[\w.\-~%+/]{4,}={0,2}"
)
SECRET_NAMES = ("token", "secret", "password", "api_key", "apikey")
"""Parts of the names of fields that hold secrets."""
_PIN = re.compile(r"(?i)([?&](?:pin|sig|secret|password)=)[^&#\s\"']+")
_LOGIN = re.compile(r"(?i)(?<=://)[^/\s@\"'?#]{1,500}@")
_KEYS = re.compile(r"(?i)([?&][\w.\-]*(?:token|key|secret|sig|signature|auth|password)=)[^&#\s]+")
_EMAIL = re.compile(
    # Matches a word whole, even if no "@" follows: restarting at each of its letters would take quadratic time.
    r"[\w.+%-]+(@[\w-]+(?:\.[\w-]+)+)?"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_ADDRESS = re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.])")
_DOTS = 3
HIDDEN = "hidden"
_UNITS, _STEP = ("bytes", "kB", "MB", "GB", "TB"), 1_000
_ENCODER = Encoder()


def format_count(number: int, one: str, several: str | None = None) -> str:
    """Format a number with its noun: `1 play`, `1,204 plays`. `several` is for plurals that do not just add an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def cut(value: str, most: int = LONGEST) -> str:
    """Return the beginning of a text, at most `most` characters.

    The word that the cut goes through is left out as well: half a token, address or e-mail address would not be
    recognised as one later.
    """
    if len(value) <= most:
        return value
    kept = value[:most]
    if value[most].isspace():
        return kept
    start = max(0, most - LONGEST_SECRET)
    words = kept[start:].split()
    half = len(words[-1]) if words and not kept[-1].isspace() else 0
    return kept[: most - half]


def clean(value: str) -> str:
    """Return the text, cut to `LONGEST`, without control, surrogate, bidi and invisible characters; line breaks become spaces.

    Plex passes on what players and files are called: control characters (plexapi #1450), cut multibyte characters
    (PlexAutoLanguages #48). Joiners stay, since emoji and Indic scripts are written with them, and so do tag characters
    where they form a flag. Of several variation selectors in a row only the first says something.
    """
    value = cut(value)
    if value.isprintable() and (value.isascii() or not _UNSEEN.search(value)):
        return value
    return _MORE_SELECTORS.sub("", _INVISIBLE.sub(r"\1", _LINE_BREAKS.sub(" ", value)))


def format_size(size: int) -> str:
    """Format a number of bytes in the largest decimal unit that leaves at least 1, such as `1.2 TB`."""
    amount, unit = float(size), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"


def encode_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as compact JSON, with the characters of other scripts as they are.

    `default` returns something that JSON has in place of a value that it has not.

    Raises:
        ValueError: a number is infinite or not a number, for which RFC 8259 has no form.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=default)


def encode_finite(value: Any) -> str:
    """Return what `encode_json` returns, in an eighth of the time, for a value all of whose numbers are finite.

    msgspec would write null for any other number, and refuses whole numbers of more than 64 bits.
    """
    try:
        return _ENCODER.encode(value).decode()
    except (OverflowError, UnicodeError):
        return encode_json(value)


class SecretFilter:
    """Replaces the secrets of the settings in what leaves the program.

    It stands where everything passes, and not in what produces an answer, so that nothing has to remember it: around the
    routes of the HTTP application, before the writer of standard output, in the log, and before a webhook is called.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms: dict[str, bytes] = {}
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide one more secret from now on, also as JSON, HTML and addresses spell it."""
        if secret:
            found = {form: form.encode() for form in _list_spellings(secret)}
            forms = sorted((self._forms | found).items(), key=lambda one: -len(one[0]))
            self._forms = dict(forms)  # the longest first: a shorter spelling may be a part of it

    def hide(self, text: str) -> str:
        """Return a text without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def hide_bytes(self, body: bytes) -> bytes:
        """Return an encoded text without the secrets."""
        for form in self._forms.values():
            if form in body:
                body = body.replace(form, HIDDEN.encode())
        return body

    def hide_values(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return a JSON object without the secrets. What JSON has no form for becomes a string."""
        found: dict[str, Any] = json.loads(self.hide(json.dumps(value, ensure_ascii=False, default=str)))
        return found


def _list_spellings(secret: str) -> Iterator[str]:
    """List a secret as it is, in JSON, in JSON within JSON (a tool's text in a message of MCP), in HTML, and in a URL."""
    yield secret
    for ascii_only in (False, True):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield html.escape(secret)
    yield html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # as markupsafe writes them
    yield quote(secret, safe="")


def fold_case(value: str) -> str:
    """Return the text in lower case, as `re.IGNORECASE` compares it with ASCII letters: a long s is an s."""
    if value.isascii():
        return value.lower()
    return value.replace("\u0130", "i").lower().replace("\u0131", "i").replace("\u017f", "s")


def redact(value: str) -> str:
    """Hide whatever stands where Plex puts a token or the PIN of a profile, or where an address holds a password."""
    if "=" in value:
        value = _PIN.sub(rf"\1{HIDDEN}", value)
    if "@" in value:
        value = _LOGIN.sub(f"{HIDDEN}@", value)
    return _TOKEN.sub(rf"\1\2{HIDDEN}", value) if _may_name_secret(value) else value


def _may_name_secret(value: str) -> bool:
    """Return whether a text has a word that is in whatever `_TOKEN` matches, or in one of `SECRET_NAMES`.

    This takes a tenth of the time of the pattern.
    """
    folded = fold_case(value)
    return (
        "token" in folded
        or "api" in folded
        or "jwt" in folded
        or "signature" in folded
        or "secret" in folded
        or "password" in folded
    )


def hide_keys(address: str) -> str:
    """Hide the keys of other services in an address. Each service has another name for its parameter."""
    return _KEYS.sub(rf"\1{HIDDEN}", redact(address))


def mask(value: str) -> str:
    """Hide e-mail addresses and IPv4 addresses in a text."""
    if "@" in value:
        value = _EMAIL.sub(lambda found: HIDDEN if found[1] else found[0], value)
    return _ADDRESS.sub(HIDDEN, value) if _has_dotted_numbers(value) else value


def _has_dotted_numbers(value: str) -> bool:
    """Return whether two numbers in a row stand between dots, as the inner ones of every IPv4 address do."""
    parts = value.split(".")
    return len(parts) > _DOTS and any(one.isdecimal() and two.isdecimal() for one, two in pairwise(parts[1:-1]))


def is_harmless(value: str) -> bool:
    """Return whether a text has no word and no sign that comes with a secret or an address.

    Where the answer is yes, `redact_personal` changes nothing, and no name in the text is in `SECRET_NAMES`.
    """
    return not ("@" in value or "=" in value or _may_name_secret(value) or _has_dotted_numbers(value))


def redact_personal(value: str) -> str:
    """Hide tokens, e-mail addresses and IPv4 addresses, so that the text may be stored."""
    return mask(redact(value))
