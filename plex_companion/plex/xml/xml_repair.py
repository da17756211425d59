"""Reads XML that is not well-formed, row by row: a row that is certain is kept, one that is not is left out.

Plex has sent duplicate attributes, bare `&`, control characters as references, and file names with anything in them. A
parser stops at the first of these. Here a child of the root is repaired where only one reading is possible, and left out
otherwise. Time is linear in the length of the answer.
"""

from __future__ import annotations

import codecs
import re
import sys
from html.entities import html5
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from plex_companion.plex.xml.answer import DEEPEST, LONGEST_TAG, MOST_TAGS, PIECE, Damage, DocumentTypeDeclared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARK = re.compile(r"<(?=[A-Za-z_/!?])")
_TAG = re.compile(
    # A value may hold a `<` that begins no tag. So a missing quote reaches no further than the next tag.
    r"<([A-Za-z_][\w.:\-]*+)((?:[^<>\"']++"
    r"|\"(?:[^\"<]++|<(?![A-Za-z_/!?]))*+\""
    r"|'(?:[^'<]++|<(?![A-Za-z_/!?]))*+')*+)>"
)
_NAME = re.compile(r"<([A-Za-z_][\w.:\-]*+)")
_END = re.compile(r"</([^<>\s]*+)[^<>]*+>?")
_ATTRIBUTE = re.compile(r"\s*+([^\s=<>\"'/]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
_DECLARED = re.compile(r"(?i)<!(?:doctype|entity|element|attlist|notation)")
_REFERENCE = re.compile(r"&(?:#(\d{1,8});|#[xX]([0-9A-Fa-f]{1,6});|([A-Za-z][A-Za-z0-9]{0,30};))?")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""The characters that XML 1.0 forbids (production 2, Char)."""
_OWN = {"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"', "apos;": "'"}
"""The predefined entities (XML 1.0, 4.6)."""
_ROWS = frozenset({"Video", "Track", "Photo", "Directory", "Playlist"})
_HOLDERS = frozenset(
    {"MediaContainer", "Hub", "Extras", "Related", "OnDeck", "PopularLeaves", "Children", "Feature", "MediaProvider"}
)
"""Elements inside a row that may hold rows."""
_CHECK_EVERY = 1000
_MOST_SKIPPED = 2000
"""After this many skipped rows the rest is skipped too."""


def repair_xml(body: bytes, most_rows: int | None, check: Callable[[], object]) -> tuple[Element, Damage]:
    """Return the root of an answer that is not well-formed, and the damage.

    Raises:
        DocumentTypeDeclared: a document type is declared outside of comments and CDATA.
        ParseError: it does not begin with an element, or is a web page.
    """
    reader = _Reader("".join(_split_pieces(body, check)), most_rows)
    reader.read(check)
    if reader.root is None or reader.root.tag.lower() == "html":
        raise ParseError("no element of Plex")
    return reader.root, reader.damage


def _split_pieces(body: bytes, check: Callable[[], object]) -> Iterator[str]:
    """Yield the text without characters that XML forbids, in pieces: a regular expression lets no other thread run."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for start in range(0, len(body), PIECE):
        check()
        yield _NOT_XML.sub("", decoder.decode(body[start : start + PIECE], start + PIECE >= len(body)))


class _Row:
    """The state of the row (the child of the root) that is being read."""

    def __init__(self) -> None:
        self.is_bad = self.is_repaired = False


class _Reader:
    """Reads a text once, from start to end; the results are `root` and `damage`."""

    def __init__(self, text: str, most_rows: int | None) -> None:
        self.root: Element | None = None
        self.damage = Damage()
        self._text, self._most_rows = text, most_rows
        self._open: list[Element] = []
        self._row = _Row()
        self._is_over = False
        self._tags = 0
        """Since the first row that is not kept."""

    def read(self, check: Callable[[], object]) -> None:
        """Read to the end of the root, or of the text."""
        position, taken = 0, 0
        while (mark := _MARK.search(self._text, position)) is not None:
            if taken % _CHECK_EVERY == 0:
                check()
            taken += 1
            self._tags += 1
            self._take_text(self._text[position : mark.start()])
            if self._tags > MOST_TAGS:
                self.damage.cut = True
                break
            if self._is_over and not self._text.startswith("<!", mark.start()):
                position = mark.end()  # a document type is still refused
            else:
                position = self._take_mark(mark.start())
        if self.root is None:
            return
        if self._open:
            self.damage.cut = True
            self._row.is_bad = self._row.is_bad or len(self._open) > 1
            self._close(1)
        if not self.damage:
            self.damage.repaired = 1  # the fault is in no row, or was a forbidden character

    def _take_mark(self, at: int) -> int:
        """Read what begins at a `<`, and return where to continue."""
        text = self._text
        if text.startswith("<!--", at):
            return self._skip_to("-->", at + 4)
        if text.startswith("<![CDATA[", at):
            end = self._skip_to("]]>", at + 9)
            self._add_text(text[at + 9 : end - 3 if text.startswith("]]>", end - 3) else end])
            return end
        if text.startswith("<?", at):
            return self._skip_to("?>", at + 2)
        if text.startswith("<!", at):
            if _DECLARED.match(text, at):
                raise DocumentTypeDeclared
            self._row.is_bad = True
            return at + 2
        ending = _END.match(text, at, at + LONGEST_TAG)
        if ending is not None:
            self._end(ending[1])
            return ending.end()
        tag = _TAG.match(text, at, at + LONGEST_TAG)
        return self._take_broken(at) if tag is None else self._take_tag(tag)

    def _skip_to(self, end: str, start: int) -> int:
        if (found := self._text.find(end, start)) >= 0:
            return found + len(end)
        self.damage.cut = True
        return len(self._text)

    def _take_tag(self, tag: re.Match[str]) -> int:
        closed = tag[2].endswith("/")
        attributes, is_certain, is_plain = _parse_attributes(tag[2].removesuffix("/"))
        self._start(tag[1], attributes, is_certain=is_certain, is_plain=is_plain, closed=closed)
        return tag.end()

    def _take_broken(self, at: int) -> int:
        """Read a tag whose end is uncertain, up to the next tag."""
        following = _MARK.search(self._text, at + 1)
        end = len(self._text) if following is None else following.start()
        name = _NAME.match(self._text, at, at + LONGEST_TAG)
        if name is None:
            self._row.is_bad = True
            return at + 1
        text = self._text[name.end() : min(end, at + LONGEST_TAG)].rstrip()
        attributes, _, _ = _parse_attributes(text)
        self._start(name[1], attributes, is_certain=False, is_plain=False, closed=text.endswith("/>"))
        return end

    def _start(self, name: str, attributes: dict[str, str], *, is_certain: bool, is_plain: bool, closed: bool) -> None:
        if self._begins_row(name):
            self._row.is_bad = True  # the row before was never closed
            self._close(1)
        element = Element(name, attributes)
        if len(self._open) == 1:
            self._row = _Row()
        if self._open:
            self._open[-1].append(element)
            self._row.is_bad = self._row.is_bad or not is_certain
            self._row.is_repaired = self._row.is_repaired or not is_plain
        else:
            self.root = element
        self._open.append(element)
        if len(self._open) > DEEPEST:
            self._row.is_bad = self.damage.cut = self._is_over = True
            self._close(1)
        elif closed:
            self._close(len(self._open) - 1)

    def _begins_row(self, name: str) -> bool:
        """Return whether a tag begins a row while another is still open: only some elements hold rows inside a row."""
        if len(self._open) < 2:  # noqa: PLR2004 - the root and a row
            return False
        return (name in _ROWS or name == self._open[1].tag) and self._open[-1].tag not in _HOLDERS

    def _end(self, name: str) -> None:
        names = [element.tag for element in self._open]
        if name not in names:
            self._row.is_repaired = True
            return
        depth = len(names) - 1 - names[::-1].index(name)
        if depth != len(names) - 1:  # elements inside were never closed, so it is uncertain what belongs where
            self._row.is_bad = True
        self._close(depth)

    def _close(self, depth: int) -> None:
        """Close elements until `depth` are open. A row that ends is kept or left out."""
        if len(self._open) > 1 >= depth:
            self._judge(self._open[1])
        del self._open[depth:]
        self._is_over = self._is_over or depth == 0

    def _judge(self, row: Element) -> None:
        if self.root is None:
            return
        if self._row.is_bad:
            del self.root[-1]
            self.damage.skipped.append(Element(row.tag, row.attrib))
            if len(self.damage.skipped) >= _MOST_SKIPPED:
                self.damage.cut = self._is_over = True
        elif self._most_rows is not None and len(self.root) > self._most_rows:
            del self.root[-1]
            self.damage.beyond += 1
            self._tags = 0
        elif self._row.is_repaired:
            self.damage.repaired += 1
        self._row = _Row()

    def _take_text(self, text: str) -> None:
        if self.root is None and text.strip("\ufeff \t\r\n"):
            raise ParseError("text before the first element")
        if text:
            value, is_plain = _resolve(text[:LONGEST_TAG])
            self._row.is_repaired = self._row.is_repaired or not is_plain
            self._add_text(value)

    def _add_text(self, text: str) -> None:
        if not self._open:
            return
        parent = self._open[-1]
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + text
        else:
            parent.text = (parent.text or "") + text


def _parse_attributes(text: str) -> tuple[dict[str, str], bool, bool]:
    """Return the attributes of a tag that are certain, whether all of them are, and whether none was repaired."""
    found: dict[str, str] = {}
    doubtful: set[str] = set()
    is_certain, is_plain, position = True, True, 0
    while (match := _ATTRIBUTE.match(text, position)) is not None:
        raw = match[2] if match[2] is not None else match[3]
        value, was_plain = _resolve(raw)
        name = match[1]
        is_plain = is_plain and was_plain and name not in found and "<" not in raw and match[0][:1].isspace()
        if found.get(name, value) != value:
            doubtful.add(name)
        found.setdefault(name, value)
        position = match.end()
    is_certain = not doubtful and not text[position:].strip()
    return {name: value for name, value in found.items() if name not in doubtful}, is_certain, is_plain


def _resolve(text: str) -> tuple[str, bool]:
    """Return a text with its references resolved, and whether an XML parser would have read it in the same way."""
    if "&" not in text:
        return text, True
    is_plain = True

    def resolve(match: re.Match[str]) -> str:
        nonlocal is_plain
        decimal, hexadecimal, name = match.groups()
        if name in _OWN:
            return _OWN[name]
        number = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else None
        if number is not None and number <= sys.maxunicode and not _NOT_XML.match(chr(number)):
            return chr(number)
        is_plain = False
        return "" if number is not None else html5.get(name or "", match[0])

    return _REFERENCE.sub(resolve, text), is_plain
