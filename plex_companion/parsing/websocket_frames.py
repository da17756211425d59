"""Parses the frames of Plex's websocket: fast where they have the usual form, and tolerantly otherwise. Never raises.

The fast way decodes only what both ways understand alike. Whatever is odd (a number written as a text, a key that
occurs twice, half a character) is left to the tolerant parser, whose events say that they are `irregular`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import convert, defstruct, structs
from msgspec.json import Decoder

from plex_companion.events import Malformed, Unknown
from plex_companion.parsing.notifications import KINDS, ActivityFields, read_leniently
from plex_companion.text import LONGEST, clean, encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.events import Frame
    from plex_companion.parsing.notifications import NotificationKind

MOST_ENTRIES = 20_000
"""Entries of a frame that are read. Plex sends one, and a few dozen when a season is added."""
UNREADABLE = '{"unreadable":true}'
"""Stands in for an entry that cannot be written as JSON."""

Json = dict[str, Any]
_Plain = str | int | float | bool | None
_Lists = list[msgspec.Raw] | None
_Container = defstruct(
    "_Container",
    [
        ("type", str),
        ("size", int),
        *((key, _Lists, None) for key in sorted({kind.list_key for kind in KINDS.values()})),
    ],
    forbid_unknown_fields=True,
)
_Envelope = defstruct("_Envelope", [("NotificationContainer", _Container)], forbid_unknown_fields=True)
_decode_envelope = Decoder(_Envelope).decode
_decode_entry = Decoder(dict[str, _Plain | dict[str, _Plain | dict[str, _Plain]]]).decode
_DELETE, _LINE_FEED, _RETURN, _TAB = b"\x7f\n\r\t"
_ENVELOPE_NAMES = 4
"""`NotificationContainer`, `type`, `size` and the list."""


def parse_frame(frame: str | bytes) -> list[Frame]:
    """Parse a frame into one event per entry, in order. Never raises: what cannot be parsed becomes `Malformed`."""
    events = decode_regular_frame(frame)
    return parse_tolerantly(frame) if events is None else events


def decode_regular_frame(frame: str | bytes) -> list[Frame] | None:
    """Decode a frame of the usual form; `None` for any other."""
    try:
        data = frame.encode() if isinstance(frame, str) else frame
        container: Any = _decode_envelope(data).NotificationContainer  # type: ignore[attr-defined] # declared above
        kind = KINDS[container.type]
        entries = getattr(container, kind.list_key)
        if not entries or len(entries) > MOST_ENTRIES or not _is_plain(data):
            return None
        return _decode_entries(container.type, kind, entries, data.count(b'":') - _ENVELOPE_NAMES)
    except (msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        return None


def _decode_entries(name: str, kind: NotificationKind, entries: list[msgspec.Raw], names: int) -> list[Frame] | None:
    """Decode the entries of a frame, which have this many names together.

    A name that occurs twice in an object would otherwise lose its first value silently. Names are counted by the quote
    and the colon after them; where a text holds the two, the count is too high, and the frame is not decoded either.
    """
    _, fields, build = kind
    events: list[Frame] = []
    for entry in entries:
        text = str(entry, "utf-8")
        value = _decode_entry(text)
        if len(text) > LONGEST or not ((text.isascii() and "\\" not in text) or _is_clean(text, value)):
            return None
        names -= len(value) if fields is not ActivityFields else _count_names(value)
        events.append(build(name, convert(value, fields), text))
    return None if names else events


def _is_plain(data: bytes) -> bool:
    """Return whether a frame is without the ASCII characters that JSON may hold as they are, but that cannot be seen."""
    return not (_DELETE in data or _LINE_FEED in data or _RETURN in data or _TAB in data)


def _is_clean(text: str, value: Json) -> bool:
    """Return whether `clean` would change nothing in the texts of an entry, nor in the entry as a whole."""
    if not (text.isascii() or clean(text) == text):
        return False
    return "\\" not in text or all(clean(one) == one for one in _iterate_texts(value))


def _count_names(value: Json) -> int:
    return len(value) + sum(_count_names(inner) for inner in value.values() if isinstance(inner, dict))


def _iterate_texts(value: Json) -> Iterator[str]:
    for name, inner in value.items():
        yield name
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            yield from _iterate_texts(inner)


def parse_tolerantly(frame: str | bytes) -> list[Frame]:
    """Parse a frame of any form. Values of the wrong type are converted, and half characters are replaced."""
    text = frame if isinstance(frame, str) else bytes(frame).decode("utf-8", errors="replace")
    try:
        content = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return [Malformed(f"not JSON: {type(error).__name__}")]
    if not isinstance(content, dict):
        return [Malformed("not a JSON object")]
    container = content.get("NotificationContainer")
    if container is None and content.get("_elementType") == "NotificationContainer":
        container = content  # PMS before 1.3 (2016), as Tautulli still falls back to
    if not isinstance(container, dict):
        return [Malformed("no NotificationContainer")]
    kind = container.get("type")
    if not isinstance(kind, str) or not kind:
        return [Malformed("a container without a type")]
    return _parse_entries(clean(kind), container)


def _parse_entries(kind: str, container: Json) -> list[Frame]:
    key = KINDS[kind].list_key if kind in KINDS else ""
    listed = container.get(key) if key in container else container.get("_children", _find_first_list(container))
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list) or not listed:
        return [Unknown(kind, raw=_encode(container), irregular=True)]
    found = [_parse_entry(kind, entry) for entry in listed[:MOST_ENTRIES]]
    return found if len(listed) <= MOST_ENTRIES else [*found, Malformed(f"more than {MOST_ENTRIES} entries")]


def _parse_entry(kind: str, entry: object) -> Frame:
    if not isinstance(entry, dict):
        return Malformed(f"an entry of '{kind}' that is not an object")
    if kind not in KINDS:
        return Unknown(kind, raw=_encode(entry), irregular=True)
    known = KINDS[kind]
    event = known.build(kind, read_leniently(known.fields, entry), _encode(entry))
    return structs.replace(event, irregular=True)


def _encode(entry: Json) -> str:
    try:
        return encode_json(entry)
    except (RecursionError, ValueError):
        return UNREADABLE


def _find_first_list(container: Json) -> object:
    return next((value for value in container.values() if isinstance(value, list)), None)


def reject_constant(constant: str) -> float:
    """Refuse NaN and the infinities.

    Raises:
        ValueError: always.
    """
    message = f"{constant} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=reject_constant)
