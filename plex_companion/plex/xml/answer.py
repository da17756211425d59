"""Reads an answer of Plex as XML: in pieces, within limits, past damaged rows, and never with a document type."""

from __future__ import annotations

import codecs
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

from plex_companion.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

PIECE = 64 * 1024
"""Bytes parsed at a time. Between two pieces other threads run, and a cancelled call ends."""
LONGEST_TAG = 512 * 1024
"""Bytes without a `<`. One tag is parsed in one go, which takes 0.1 s for each MB of attributes."""
MOST_TAGS = 1_000_000
"""Start and end tags that are kept: 5,000 items of a library have some 200,000."""
DEEPEST = 64
"""Levels of nested elements; Plex uses six."""


class DocumentTypeDeclared(Exception):
    """The answer declares a document type, which Plex never does."""


@dataclass(slots=True)
class Damage:
    """The parts of an answer that could not be read, or only after a repair."""

    asked: str = ""
    """The request, as `GET /library/sections`."""
    skipped: list[Element] = field(default_factory=list)
    """Rows that are left out, with the attributes that are certain."""
    repaired: int = 0
    """Rows that are used, though they were not well-formed."""
    beyond: int = 0
    """Rows over the limit."""
    cut: bool = False
    """Whether rows may be missing after the last one."""

    def __bool__(self) -> bool:
        """Return whether there is any damage."""
        return bool(self.skipped or self.repaired or self.beyond or self.cut)

    def describe(self) -> str:
        """Describe the damage to a person."""
        parts = [
            f"{format_count(len(self.skipped), 'row')} could not be read" if self.skipped else "",
            f"{format_count(self.repaired, 'row')} could not be read as Plex wrote it, and what is certain of it is used"
            if self.repaired
            else "",
            f"{format_count(self.beyond, 'row')} more than can be kept" if self.beyond else "",
            "the rest could not be read" if self.cut else "",
        ]
        return f"{self.asked}: {'; '.join(part for part in parts if part)}."


_FOUND: ContextVar[list[Damage] | None] = ContextVar("damage", default=None)


@contextmanager
def collect_damage() -> Iterator[list[Damage]]:
    """Collect the damage of every answer read inside the block, also in threads that it starts."""
    outer, found = _FOUND.get(), list[Damage]()
    mark = _FOUND.set(found)
    try:
        yield found
    finally:
        _FOUND.reset(mark)
        if outer is not None:
            outer += found


def report_damage(damage: Damage) -> None:
    """Add damage to the innermost `collect_damage`."""
    found = _FOUND.get()
    if damage and found is not None:
        found.append(damage)


def describe_damage(found: Sequence[Damage]) -> str | None:
    """Describe the damage of several answers, once for each request; return `None` if there is none."""
    return " ".join(dict.fromkeys(damage.describe() for damage in found)) or None


def read_xml(
    body: bytes, *, most_rows: int | None = None, check: Callable[[], object] = lambda: None
) -> tuple[Element | None, Damage]:
    """Return the root element of an answer and what could not be read; no element for an answer without content.

    Args:
        body: the answer, which is UTF-8 whatever it declares.
        most_rows: how many children of the root are kept.
        check: called between pieces; if it raises, reading ends.

    Raises:
        DocumentTypeDeclared: it declares a document type, in whatever place.
        ParseError: it is not XML, and cannot be repaired.
    """
    if not body or body.isspace():
        return None, Damage()
    body = _encode_utf8(body)
    try:
        return _read_strictly(body, most_rows, check)
    except ParseError:
        from plex_companion.plex.xml.xml_repair import repair_xml  # noqa: PLC0415 - seldom needed

        return repair_xml(body, most_rows, check)


def _encode_utf8(body: bytes) -> bytes:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode()
    return body.removeprefix(codecs.BOM_UTF8)


class _RefusingBuilder(TreeBuilder):
    """Builds elements, and refuses a document type before any of its entities is known."""

    def doctype(self, *_: object) -> None:
        raise DocumentTypeDeclared


def _read_strictly(body: bytes, most_rows: int | None, check: Callable[[], object]) -> tuple[Element | None, Damage]:
    # The parser reads UTF-8 whatever the answer declares, so a document type cannot hide in another encoding. It detects
    # UTF-16 by its NULs. The slower builder is only needed where a document type may be declared.
    builder = _RefusingBuilder() if b"<!DOCTYPE" in body or b"\x00" in body else TreeBuilder()
    parser = XMLParser(target=builder, encoding="utf-8")  # noqa: S314 - without a document type there are no entities
    if len(body) <= PIECE:
        parser.feed(body)
        root: Element = parser.close()
        return root, _trim(root, most_rows, Damage())
    return _read_in_pieces(body, builder, parser, most_rows, check)


def _read_in_pieces(
    body: bytes, builder: TreeBuilder, parser: XMLParser, most_rows: int | None, check: Callable[[], object]
) -> tuple[Element | None, Damage]:
    damage, limits = Damage(), Limits()
    for start in range(0, len(body), PIECE):
        check()
        piece = body[start : start + PIECE]
        if not limits.allow(piece):
            damage.cut = True
            break
        parser.feed(piece)
        root: Element | None = builder.close()  # what there is so far: the builder goes on
        if root is not None:
            beyond = damage.beyond
            if _trim(root, most_rows, damage, open_rows=1).beyond > beyond:
                limits.tags = 0  # removed rows take no memory
            if is_too_deep(root):
                root[-1:] = []
                damage.cut = True
                break
    else:
        parser.close()
    root = builder.close()
    if root is None:
        raise ParseError("no element")
    return root, _trim(root, most_rows, damage)


@dataclass(slots=True)
class Limits:
    """Counts what an answer costs in memory and time."""

    tags: int = 0
    silent: int = 0

    def allow(self, piece: bytes) -> bool:
        """Return whether this piece may be parsed too."""
        tags = piece.count(b"<")
        self.tags += tags
        self.silent = 0 if tags else self.silent + len(piece)
        return self.tags <= MOST_TAGS and self.silent <= LONGEST_TAG


def _trim(root: Element, most_rows: int | None, damage: Damage, open_rows: int = 0) -> Damage:
    """Remove the rows over the limit, except the last one while it may be open."""
    if most_rows is not None and len(root) > most_rows + open_rows:
        over = len(root) - most_rows - open_rows
        damage.beyond += over
        del root[most_rows : most_rows + over]
    return damage


def is_too_deep(root: Element) -> bool:
    """Return whether the open elements are nested too deep."""
    element = root
    for _ in range(DEEPEST):
        if not len(element):
            return False
        element = element[-1]
    return True
