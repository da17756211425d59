"""Entries of the chronicle as bytes: a line with the format's number, then compressed JSON."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import decode, encode

from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.replication.entry import Entry
from plex_companion.cache.replication.entry_log import EntryLog
from plex_companion.cache.replication.position import Position, compute_digest
from plex_companion.cache.replication.registry import NAMED_WRITES
from plex_companion.cache.replication.replay import LoggedEntry
from plex_companion.errors import EntryNewer, EntryUnreadable

if TYPE_CHECKING:
    from plex_companion.cache.replication.entry import Append
    from plex_companion.cache.replication.named_write import WriteCall

FORMAT = 1
LARGEST_ENTRY = 256_000_000
"""Bytes of JSON in an entry at most. A page of the catalogue has 100,000."""
_HEADER = b"plex-companion entry "
_LEVEL = 1
"""Of compression: the fastest one makes a tenth of it, the best one a twelfth."""


class _Body(Struct, frozen=True, omit_defaults=True):
    """The JSON of an entry."""

    schema: int
    """The number of the leader's last migration. A database with an older one may lack what the writes name."""
    at: int
    calls: list[tuple[str, Any]]
    """The name and the arguments of each write."""
    immediate: list[str] = []
    progress_only: list[str] = []
    listing: bool = False
    counters: dict[str, Any] | None = None
    answered: list[str] = []


def encode_entry(entry: Entry, schema: int) -> bytes:
    """Encode an entry that a database of this schema wrote."""
    touched = entry.touched
    body = _Body(
        schema,
        entry.at,
        [(call.write.name, call.arguments) for call in entry.calls],
        sorted(touched.immediate),
        sorted(touched.progress_only),
        touched.listing,
        dict(entry.counters) if entry.counters is not None else None,
        list(entry.answered),
    )
    return b"%s%d\n%s" % (_HEADER, FORMAT, zlib.compress(encode(body), _LEVEL))


def decode_entry(encoded: bytes, schema: int) -> Entry:
    """Decode an entry, for a database of this schema.

    Raises:
        EntryNewer: a newer version of this program wrote it.
        EntryUnreadable: it is damaged, or no entry at all.
    """
    header, line, packed = encoded.partition(b"\n")
    number = header.removeprefix(_HEADER)
    if not (line and header.startswith(_HEADER) and number.isdigit()):
        raise _refuse("it does not begin as entries do")
    if int(number) > FORMAT:
        raise EntryNewer(f"An entry of the chronicle has format {int(number)}, this version knows {FORMAT}. {_UPDATE}")
    try:
        body = decode(_unpack(packed), type=_Body)
    except (zlib.error, DecodeError, ValidationError, UnicodeDecodeError) as error:
        raise _refuse(str(error)) from error
    if body.schema > schema:
        message = (
            f"An entry of the chronicle was written with schema {body.schema}, this version knows {schema}. {_UPDATE}"
        )
        raise EntryNewer(message)
    touched = TouchedUris(set(body.immediate), set(body.progress_only), body.listing)
    calls = [_find_write(name, arguments) for name, arguments in body.calls]
    return Entry(body.at, calls, touched, body.counters, body.answered)


_UPDATE = "Update plex-companion on this machine."


def _unpack(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(packed, LARGEST_ENTRY)
    if not unpacking.eof:
        raise zlib.error("it ends too early, or is too large")
    return unpacked


def _find_write(name: str, arguments: Any) -> WriteCall:
    if name not in NAMED_WRITES:
        raise EntryNewer(
            f"An entry of the chronicle has a write {name[:40]!r}, which this version does not know. {_UPDATE}"
        )
    return NAMED_WRITES[name].call(arguments)


def _refuse(reason: str) -> EntryUnreadable:
    return EntryUnreadable(f"An entry of the chronicle cannot be read: {reason}.", reason=reason)


def build_entry_log(append: Append, schema: int) -> EntryLog:
    """Return the log that a leader with a database of this schema writes to."""
    return EntryLog(partial(encode_entry, schema=schema), append)


def decode_logged(number: int, encoded: bytes, schema: int) -> LoggedEntry:
    """Decode an entry of the log with its number; see `decode_entry`."""
    return LoggedEntry(Position(number, compute_digest(encoded)), decode_entry(encoded, schema))
