"""Reads the syntax tree of a compiled condition, which CEL gives as a message of its own published format.

The format is `cel.expr.CheckedExpr` (cel-spec, `proto/cel/expr/checked.proto` and `syntax.proto`); the numbers are those of
its fields. The CEL library names no nodes itself, and the package `protobuf` would only be needed for this.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    Message = dict[int, list[int | bytes]]

SyntaxKind = Literal["constant", "name", "select", "has", "call", "list", "map", "each"]
_TYPES = {1: "boolean", 2: "number", 3: "number", 4: "number", 5: "string", 6: "bytes"}
"""The primitive types, as JSON Schema names them where it knows them."""
_WELL_KNOWN = {2: "time", 3: "duration"}
_TEST_ONLY = 3
_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5
_SIGN, _ALL = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class SyntaxNode:
    """A part of a condition."""

    kind: SyntaxKind
    position: int
    """Characters before it; of an operator, before its sign."""
    type: str
    """What CEL found it to be: `boolean`, `number`, `string`, `time`, …; empty if only the run can tell."""
    name: str = ""
    """Of a name, a selected field or a function; of `each`, what the element is called."""
    value: str | float | bool | bytes | None = None
    """Of a constant."""
    parts: tuple[SyntaxNode, ...] = ()
    """The operands, a method's object first. Of `each`: the list, the beginning, the step and the result."""
    method: bool = False
    """Whether a function was called as a method of its first operand."""
    carried: str = ""
    """Of `each`: what is carried from step to step is called."""

    def walk(self) -> Iterator[SyntaxNode]:
        """Iterate over this node and all below."""
        yield self
        for part in self.parts:
            yield from part.walk()


def read_tree(checked: bytes) -> SyntaxNode:
    """Read the tree of a checked expression, as it is serialized: within a `google.protobuf.Any`."""
    message = _parse(_read_bytes(_parse(checked), 2))
    types = {key: _read_type(_parse(value)) for key, value in _read_map(message, 3)}
    source = _parse(_read_bytes(message, 5))
    positions = {key: _pick_int(entry) for key, entry in _read_map_of_numbers(source, 4)}
    return _TreeReader(types, positions).read(_read_bytes(message, 4))


@dataclass(frozen=True, slots=True)
class _TreeReader:
    types: dict[int, str]
    positions: dict[int, int]

    def read(self, expression: bytes) -> SyntaxNode:
        message = _parse(expression)
        id_ = _pick_int(_first(message, 2))
        found = next((number for number in _READERS if number in message), 3)
        return _READERS[found](
            self, _parse(_read_bytes(message, found)), self.positions.get(id_, 0), self.types.get(id_, "")
        )

    def read_constant(self, message: Message, position: int, type_: str) -> SyntaxNode:
        return SyntaxNode("constant", position, type_ or "null", value=_read_value(message))

    def read_name(self, message: Message, position: int, type_: str) -> SyntaxNode:
        return SyntaxNode("name", position, type_, _read_text(message, 1))

    def read_select(self, message: Message, position: int, type_: str) -> SyntaxNode:
        kind: SyntaxKind = "has" if _TEST_ONLY in message else "select"
        return SyntaxNode(kind, position, type_, _read_text(message, 2), parts=self.read_all(message, 1))

    def read_call(self, message: Message, position: int, type_: str) -> SyntaxNode:
        parts = (*self.read_all(message, 1), *self.read_all(message, 3))
        return SyntaxNode("call", position, type_, _read_text(message, 2), parts=parts, method=1 in message)

    def read_list(self, message: Message, position: int, type_: str) -> SyntaxNode:
        return SyntaxNode("list", position, type_, parts=self.read_all(message, 1))

    def read_map(self, _: Message, position: int, type_: str) -> SyntaxNode:
        return SyntaxNode("map", position, type_)

    def read_each(self, message: Message, position: int, type_: str) -> SyntaxNode:
        parts = tuple(part for number in (2, 4, 6, 7) for part in self.read_all(message, number))
        return SyntaxNode("each", position, type_, _read_text(message, 1), parts=parts, carried=_read_text(message, 3))

    def read_all(self, message: Message, number: int) -> tuple[SyntaxNode, ...]:
        return tuple(self.read(one) for one in message.get(number, ()) if isinstance(one, bytes))


_READERS = {
    3: _TreeReader.read_constant,
    4: _TreeReader.read_name,
    5: _TreeReader.read_select,
    6: _TreeReader.read_call,
    7: _TreeReader.read_list,
    8: _TreeReader.read_map,
    9: _TreeReader.read_each,
}


def _read_value(constant: Message) -> str | float | bool | bytes | None:
    number, found = next(((number, values[0]) for number, values in constant.items()), (1, 0))
    match number, found:
        case 2, int():
            return bool(found)
        case 3, int():
            return found - _ALL if found & _SIGN else found
        case 5, bytes():
            return float(struct.unpack("<d", found)[0])
        case 6, bytes():
            return found.decode()
        case 1, _:
            return None
        case _:
            return found


def _read_type(message: Message) -> str:
    for number, values in message.items():
        match number, values[0]:
            case 2, _:
                return "null"
            case 3 | 4, int() as primitive:
                return _TYPES.get(primitive, "")
            case 5, int() as known:
                return _WELL_KNOWN.get(known, "")
            case 6, _:
                return "array"
            case _:
                pass
    return ""


def _parse(data: bytes) -> Message:
    """Parse one message of Protocol Buffers into the values of its fields, those of a length as bytes."""
    found: Message = {}
    at = 0
    while at < len(data):
        tag, at = _parse_varint(data, at)
        value, at = _parse_value(data, at, tag & 7)
        found.setdefault(tag >> 3, []).append(value)
    return found


def _parse_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _parse_varint(data, at)
    size, start = _parse_varint(data, at) if wire == _SIZED else ({_EIGHT: 8, _FOUR: 4}[wire], at)
    return data[start : start + size], start + size


def _parse_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at


def _read_map(message: Message, number: int) -> Iterator[tuple[int, bytes]]:
    for entry in message.get(number, ()):
        pair = _parse(_pick_bytes(entry))
        yield _pick_int(_first(pair, 1)), _pick_bytes(_first(pair, 2))


def _read_map_of_numbers(message: Message, number: int) -> Iterator[tuple[int, int | bytes]]:
    for entry in message.get(number, ()):
        pair = _parse(_pick_bytes(entry))
        yield _pick_int(_first(pair, 1)), _first(pair, 2)


def _first(message: Message, number: int) -> int | bytes:
    """Return the value of a field. One that has its default is not in the message."""
    return message.get(number, (0,))[0]


def _read_bytes(message: Message, number: int) -> bytes:
    return _pick_bytes(_first(message, number))


def _read_text(message: Message, number: int) -> str:
    return _read_bytes(message, number).decode()


def _pick_int(value: int | bytes) -> int:
    return value if isinstance(value, int) else 0


def _pick_bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""
