"""Checks a condition against the fields that the occurrences declare, and against what could make it take long.

CEL does not know the fields, whose values are only known when it runs, and cannot be stopped while it runs. So nothing
that costs more than its length times one list is allowed: no lists in lists, no `map`, no lists or objects compared, few
and short patterns.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from plex_companion.errors import Invalid
from plex_companion.rules.condition_source import HIDDEN_TYPE, TYPE, describe_place, find_place
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.rules.occurrence_fields import Schema
    from plex_companion.rules.syntax_tree import SyntaxNode

FACTS = ("data", "at", "type", "inferred", "id")
"""What a condition may use of an occurrence."""
SCALARS = frozenset({"string", "number", "boolean", "time", "duration"})
ORDERED = SCALARS - {"boolean"}
MOST_PATTERNS, LONGEST_PATTERN, MOST_REPEATS, MOST_COUNTED = 4, 200, 2, 20
LONGEST_SHOWN = 40
_COUNTED = re.compile(r"(?<!\\)\{(\d*),?(\d*)\}")
_WORDS = {
    "string": "text",
    "number": "a number",
    "boolean": "true or false",
    "time": "a time",
    "duration": "a duration",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "bytes": "bytes",
}
_COMPARED = {"_==_": "==", "_!=_": "!="}
_SIGNS = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_LOGIC = {"_&&_": "&&", "_||_": "||", "!_": "!"}
_SUMS = {"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "-_": "-"}
_OF_TEXT = frozenset({"startsWith", "endsWith", "contains", "matches", "streams_of"})
_MACROS = "exists, all, exists_one and filter"
_ANY: Schema = {}


def check_tree(tree: SyntaxNode, row: Schema, source: str) -> None:
    """Check a condition whose syntax is right.

    Raises:
        Invalid: a field is unknown, kinds are mixed, it is not true or false, or it could take long. Facts: `line`,
            `column`, `allowed`.
    """
    checker = _Checker(row, source)
    kind = checker.check(tree)
    if kind not in {"boolean", ""}:
        checker.refuse(
            tree, f"the condition must be true or false, and {format_path(tree)} is {_WORDS.get(kind, kind)}"
        )


class _Checker:
    def __init__(self, row: Schema, source: str) -> None:
        known = row["properties"]
        self.scope: dict[str, Schema] = {HIDDEN_TYPE: known["type"], **{name: known[name] for name in FACTS}}
        self.scope["at"] = {"type": "time"}
        self.source = source
        self.patterns = 0
        self.within = False
        """Whether it is checked what is asked of each element of a list."""

    def refuse(self, node: SyntaxNode, reason: str, allowed: list[str] | None = None) -> NoReturn:
        line, column = find_place(self.source, node.position)
        facts = {} if allowed is None else {"allowed": allowed}
        place = describe_place(self.source, line, column)
        raise Invalid(f"only_if, {place}: {reason}.", argument="only_if", line=line, column=column, **facts)

    def check(self, node: SyntaxNode) -> str:
        """Check a part, and return its kind; empty if it is not known."""
        return read_kind(self.find_schema(node)) or (node.type if node.kind in {"call", "constant"} else "")

    def find_schema(self, node: SyntaxNode) -> Schema:
        return _CHECKS[node.kind](self, node)

    def check_constant(self, node: SyntaxNode) -> Schema:
        return {"type": node.type}

    def check_name(self, node: SyntaxNode) -> Schema:
        return self.scope.get(node.name, _ANY)

    def check_select(self, node: SyntaxNode) -> Schema:
        return self._find_part(node, self.find_schema(node.parts[0]), node.name)

    def check_has(self, node: SyntaxNode) -> Schema:
        found = self._find_part(node, self.find_schema(node.parts[0]), node.name)
        if "properties" in found:
            path = f"{format_path(node.parts[0])}.{node.name}"
            fields = [f"{path}.{name}" for name in found["properties"]]
            self.refuse(node, f"has({path}) says nothing: ask for one of its fields, {', '.join(fields)}", fields)
        return {"type": "boolean"}

    def _find_part(self, node: SyntaxNode, of: Schema, name: str) -> Schema:
        kind, path = read_kind(of), format_path(node.parts[0])
        if kind == "array":
            self.refuse(node, f"{path} is a list: write {path}.exists(one, one.{name} == …)")
        if kind not in {"object", ""}:
            self.refuse(node, f"{path} is {_WORDS[kind]}, and has no fields")
        if "properties" not in of:
            return _ANY
        if name not in of["properties"]:
            self._refuse_field(node, path, name, [*of["properties"]])
        found: Schema = of["properties"][name]
        return found

    def _refuse_field(self, node: SyntaxNode, path: str, name: str, fields: list[str]) -> NoReturn:
        near = next(iter(get_close_matches(name, fields, 1, 0.6)), None)
        hint = f" Did you mean {path}.{near}?" if near else ""
        self.refuse(node, f"{path} has no field {name[:40]!r}.{hint} Fields: {', '.join(fields)}", fields)

    def check_list(self, node: SyntaxNode) -> Schema:
        kinds = {self._check_scalar(part, "a list here holds texts and numbers") for part in node.parts} - {""}
        if len(kinds) > 1:
            self.refuse(
                node, f"a list holds things of one kind, not {' and '.join(sorted(_WORDS[kind] for kind in kinds))}"
            )
        return {"type": "array", "items": {"type": kinds.pop()} if kinds else _ANY}

    def _check_scalar(self, node: SyntaxNode, reason: str) -> str:
        kind = self.check(node)
        if kind == "null":
            self.refuse(node, "nothing is null: a field without a value is left out. Write has(data.…) or !has(data.…)")
        if kind and kind not in SCALARS:
            self.refuse(node, f"{format_path(node)} is {_WORDS.get(kind, kind)}, and {reason}")
        return kind

    def check_map(self, node: SyntaxNode) -> Schema:
        self.refuse(node, "objects cannot be made in a condition")

    def check_each(self, node: SyntaxNode) -> Schema:
        range_, initial, step, result = node.parts
        if self.within:
            self.refuse(node, f"{_MACROS} cannot be used within one another: that can take very long")
        if initial.kind == "list" and not _is_filter(step, node.name):
            self.refuse(node, f"map is not available. For lists there are {_MACROS}")
        of = self.find_schema(range_)
        if read_kind(of) not in {"array", ""}:
            self.refuse(range_, f"{format_path(range_)} is {_WORDS[read_kind(of)]} and no list")
        self._check_step(node, step, of.get("items", _ANY))
        return of if initial.kind == "list" else {"type": result.type}

    def _check_step(self, node: SyntaxNode, step: SyntaxNode, element: Schema) -> None:
        outer, self.scope, self.within = self.scope, {**self.scope, node.name: element, node.carried: _ANY}, True
        for part in _list_asked(step, node.carried):
            self._check_operands((part,), {"boolean"}, "must be true or false")
        self.scope, self.within = outer, False

    def check_call(self, node: SyntaxNode) -> Schema:
        check = _CALLS.get(node.name)
        if check is not None:
            return check(self, node)
        if node.name in _OF_TEXT:
            self._check_operands(node.parts, {"string"}, f"{node.name}() needs text")
        elif node.name == "minutes":
            self._check_operands(node.parts, {"number"}, "minutes() needs a number of milliseconds")
        else:
            for part in node.parts:
                self.check(part)
        return {"type": node.type} if node.type else _ANY

    def _check_operands(self, parts: tuple[SyntaxNode, ...], kinds: set[str], reason: str) -> None:
        for part in parts:
            kind = self.check(part)
            if kind and kind not in kinds:
                self.refuse(part, f"{reason}, and {format_path(part)} is {_WORDS.get(kind, kind)}")

    def check_comparison(self, node: SyntaxNode) -> Schema:
        sign = _COMPARED.get(node.name) or _SIGNS[node.name]
        left, right = (self._check_scalar(part, f"{sign} compares texts, numbers and times") for part in node.parts)
        if left and right and left != right:
            self._refuse_mixed(node, sign, left, right)
        if node.name in _SIGNS and "boolean" in (left, right):
            self.refuse(node, f"{sign} does not compare true and false")
        self._check_choices(node.parts[0], node.parts[1])
        self._check_choices(node.parts[1], node.parts[0])
        return {"type": "boolean"}

    def _refuse_mixed(self, node: SyntaxNode, sign: str, left: str, right: str) -> NoReturn:
        first, second = (format_path(part) for part in node.parts)
        self.refuse(
            node, f"{sign} compares like with like, but {first} is {_WORDS[left]} and {second} is {_WORDS[right]}"
        )

    def _check_choices(self, field: SyntaxNode, value: SyntaxNode) -> None:
        """Refuse a value that a field of few values never has."""
        choices = self.find_schema(field).get("enum") if field.kind in {"select", "name"} else None
        if choices and value.kind == "constant" and value.value not in choices:
            message = f"{format_path(field)} is never {format_path(value)}. Values: {', '.join(map(str, choices))}"
            self.refuse(value, message, [*choices])

    def check_in(self, node: SyntaxNode) -> Schema:
        element, among = node.parts
        kind = self._check_scalar(element, "in looks for a text or a number")
        of = self.find_schema(among)
        if read_kind(of) not in {"array", ""}:
            self.refuse(among, f"in needs a list, and {format_path(among)} is {_WORDS[read_kind(of)]}")
        inner = read_kind(of.get("items", _ANY))
        if inner == "object":
            hint = f"write {format_path(among)}.exists(one, one.… == {format_path(element)})"
            self.refuse(among, f"{format_path(among)} is a list of objects: {hint}")
        if kind and inner and kind != inner:
            self._refuse_mixed(node, "in", kind, inner)
        for part in among.parts if among.kind == "list" else ():
            self._check_choices(element, part)
        return {"type": "boolean"}

    def check_logic(self, node: SyntaxNode) -> Schema:
        self._check_operands(node.parts, {"boolean"}, f"{_LOGIC[node.name]} needs conditions")
        return {"type": "boolean"}

    def check_choice(self, node: SyntaxNode) -> Schema:
        self._check_operands(node.parts[:1], {"boolean"}, "? needs a condition")
        left, right = (self._check_scalar(part, "? chooses texts and numbers") for part in node.parts[1:])
        if left and right and left != right:
            self._refuse_mixed(node, ":", left, right)
        return {"type": left or right} if left or right else _ANY

    def check_sum(self, node: SyntaxNode) -> Schema:
        sign = _SUMS[node.name]
        kinds = [self._check_scalar(part, f"{sign} needs numbers") for part in node.parts]
        known = {kind for kind in kinds if kind}
        if "boolean" in known or ("string" in known and (len(known) > 1 or sign != "+")):
            shown = " and ".join(
                f"{format_path(part)} is {_WORDS[kind]}" for part, kind in zip(node.parts, kinds, strict=True) if kind
            )
            self.refuse(node, f"{sign} needs numbers, but {shown}")
        return {"type": node.type or (known.pop() if len(known) == 1 else "")}

    def check_index(self, node: SyntaxNode) -> Schema:
        operand, index = node.parts
        of = self.find_schema(operand)
        if read_kind(of) == "array":
            self._check_operands((index,), {"number"}, "a list is asked by number")
            inner: Schema = of.get("items", _ANY)
            return inner
        if index.kind != "constant" or not isinstance(index.value, str):
            self.refuse(index, f"{format_path(operand)}[…] needs the name of a field")
        return self._find_part(node, of, index.value)

    def check_size(self, node: SyntaxNode) -> Schema:
        self._check_operands(node.parts, {"string", "array"}, "size() needs text or a list")
        return {"type": "number"}

    def check_matches(self, node: SyntaxNode) -> Schema:
        self._check_operands(node.parts, {"string"}, "matches() needs text")
        self.patterns += 1
        pattern = node.parts[1]
        if self.within or self.patterns > MOST_PATTERNS:
            reason = f"matches() can take long, so it is allowed {MOST_PATTERNS} times, and not within {_MACROS}"
            self.refuse(node, f"{reason}. There are also contains(), startsWith() and endsWith()")
        if pattern.kind != "constant" or not isinstance(pattern.value, str):
            self.refuse(pattern, "the pattern of matches() must be written out")
        counts = [int(number) for pair in _COUNTED.findall(pattern.value) for number in pair if number]
        if (
            len(pattern.value) > LONGEST_PATTERN
            or len(_COUNTED.findall(pattern.value)) > MOST_REPEATS
            or any(count > MOST_COUNTED for count in counts)
        ):
            allowed = f"{LONGEST_PATTERN} characters, {MOST_REPEATS} counted repetitions, {MOST_COUNTED} times each"
            self.refuse(pattern, f"the pattern of matches() can take long. Allowed: {allowed}")
        return {"type": "boolean"}


_CHECKS: dict[str, Callable[[_Checker, SyntaxNode], Schema]] = {
    "constant": _Checker.check_constant,
    "name": _Checker.check_name,
    "select": _Checker.check_select,
    "has": _Checker.check_has,
    "call": _Checker.check_call,
    "list": _Checker.check_list,
    "map": _Checker.check_map,
    "each": _Checker.check_each,
}
_CALLS: dict[str, Callable[[_Checker, SyntaxNode], Schema]] = {
    **dict.fromkeys((*_COMPARED, *_SIGNS), _Checker.check_comparison),
    **dict.fromkeys(_LOGIC, _Checker.check_logic),
    **dict.fromkeys(_SUMS, _Checker.check_sum),
    "@in": _Checker.check_in,
    "_?_:_": _Checker.check_choice,
    "_[_]": _Checker.check_index,
    "size": _Checker.check_size,
    "matches": _Checker.check_matches,
}


def read_kind(schema: Schema) -> str:
    """Return the kind of a schema's values that are not null; empty if it says none."""
    types = schema.get("type", "")
    name = next((one for one in types if one != "null"), "null") if isinstance(types, list) else types
    return "number" if name == "integer" else name


def _is_filter(step: SyntaxNode, element: str) -> bool:
    """Return whether a step adds the element itself to the list, as `filter` does."""
    if step.name != "_?_:_":
        return False
    kept = step.parts[1].parts[1].parts[0]
    return kept.kind == "name" and kept.name == element


def _list_asked(step: SyntaxNode, carried: str) -> list[SyntaxNode]:
    """Return what a step asks of an element; the rest of it is made by the macro."""
    if step.name == "_?_:_":
        return [step.parts[0]]
    return [part for part in step.parts if not (part.kind == "name" and part.name == carried)]


def format_path(node: SyntaxNode) -> str:
    """Return the text of a part for a message: a path, a constant, or what it does."""
    match node.kind, node.name:
        case "name", name:
            return TYPE if name == HIDDEN_TYPE else name
        case "select", name:
            return f"{format_path(node.parts[0])}.{name}"
        case "constant", _:
            return _format_constant(node.value)
        case "call", "_[_]":
            return f"{format_path(node.parts[0])}[{format_path(node.parts[1])}]"
        case _, name:
            return f"{name}()" if name.isidentifier() and node.kind == "call" else "this"


def _format_constant(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bytes():
            return "these bytes"
        case _:
            return encode_json(
                value if not isinstance(value, str) or len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
            )
