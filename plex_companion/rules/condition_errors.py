"""CEL's own messages, as sentences for somebody who writes a condition."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from plex_companion.errors import Invalid
from plex_companion.rules.condition_source import HIDDEN_TYPE, TYPE, describe_place
from plex_companion.rules.occurrence_fields import list_fields

if TYPE_CHECKING:
    from plex_companion.rules.occurrence_fields import Schema

_PLACED = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_SIGNS = {"=": "==", "&": "&&", "|": "||", "and": "&&", "or": "||", "not": "!", "<>": "!=", "===": "=="}
_SYNTAX = re.compile(
    r"Syntax error: (?:mismatched input|extraneous input|no viable alternative at input|token recognition error at:)"
    r" '(.*?)'(?: expecting .*)?$"
)
FUNCTIONS = {
    "hour": "hour(at)",
    "weekday": "weekday(at)",
    "minutes": "minutes(data.watched_ms)",
    "streams": "streams()",
    "streams_of": "streams_of(data.user.name)",
    "bandwidth": "bandwidth()",
}
"""How each function is called."""
METHODS = {
    "contains": 'data.….contains("x")',
    "startsWith": 'data.….startsWith("x")',
    "endsWith": 'data.….endsWith("x")',
    "matches": 'data.….matches("^x")',
    "size": "size(data.…)",
}
"""How what is asked of texts is called."""
_OPERATORS = {"_?_:_": "?", "@in": "in", "_[_]": "[…]"}
_OPERATOR = re.compile(r"_?([^_]+)_?")
_KINDS = {
    "string": "text",
    "int": "a number",
    "uint": "a number",
    "double": "a number with a point",
    "bool": "true or false",
    "dyn": "a field",
    "timestamp": "a time",
}
_KIND = re.compile(rf"\b(?:{'|'.join(_KINDS)})\b")
MOST_SHOWN = 40
_MISSING = (
    "NOT_FOUND: Key not found in map",
    "UNKNOWN: Index error",
    "INVALID_ARGUMENT: Applying SELECT to non-message type",
)
"""How errors begin that say that a field or element is not there."""


def explain_compilation(message: str, source: str, row: Schema) -> Invalid:
    """Build the error of a condition that CEL cannot compile. Facts: `line`, `column`, and `allowed` for a name."""
    placed = _PLACED.search(message.replace(HIDDEN_TYPE, TYPE))
    if placed is None or "recursion" in message:
        return Invalid("only_if: the condition is nested too deeply. Split it into several rules.", argument="only_if")
    line, column, text = int(placed[1]), int(placed[2]), placed[3]
    before, after = _split_line(source, line, column)
    reason, facts = _describe(text, row, before, is_call=after.startswith("("))
    place = describe_place(source, line, column)
    return Invalid(f"only_if, {place}: {reason}.", argument="only_if", line=line, column=column, **facts)


def _split_line(source: str, line: int, column: int) -> tuple[str, str]:
    lines = source.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    return text[: column - 1], text[column - 1 :]


def _describe(text: str, row: Schema, before: str, *, is_call: bool) -> tuple[str, dict[str, list[str]]]:
    undeclared, overload, syntax = _UNDECLARED.search(text), _OVERLOAD.search(text), _SYNTAX.search(text)
    if undeclared is not None:
        return _describe_function(undeclared[1]) if is_call else _describe_name(undeclared[1], row)
    if overload is not None:
        return f"{_format_operator(overload[1])} does not take {_format_kinds(overload[2])}", {}
    if syntax is not None:
        return _describe_sign(syntax[1], before), {}
    return text[:1].lower() + text[1:200].rstrip("."), {}


def _describe_sign(found: str, before: str) -> str:
    if found == "<EOF>":
        return "the condition ends too early"
    word = (before.split() or [""])[-1]
    written = found.strip() if found.strip() in _SIGNS else word
    hint = f": write {_SIGNS[written]} for {written}" if written in _SIGNS else ""
    return f"{found.strip()[:MOST_SHOWN]!r} is not expected here{hint}"


def _describe_function(name: str) -> tuple[str, dict[str, list[str]]]:
    if called := {**FUNCTIONS, **METHODS}.get(name):
        return f"{name}() is called in another way: write it as {called}", {"allowed": [called]}
    near = next(iter(get_close_matches(name, [*FUNCTIONS, *METHODS], 1, 0.6)), None)
    hint = f" Did you mean {near}()?" if near else ""
    functions = [f"{function}()" for function in FUNCTIONS]
    known = f"Functions: {', '.join(functions)}; of text: {', '.join(f'{method}()' for method in METHODS)}"
    return f"there is no function {name[:MOST_SHOWN]!r}.{hint} {known}", {"allowed": functions}


def _describe_name(name: str, row: Schema) -> tuple[str, dict[str, list[str]]]:
    fields = [*list_fields(row)]
    near = FUNCTIONS.get(name) or _find_near_field(name, fields)
    hint = f"Did you mean {near}?" if near else f'Text is written in quotes, as "{name[:MOST_SHOWN]}".'
    return f"there is no {name[:MOST_SHOWN]!r}. {hint} Fields: {', '.join(fields)}", {"allowed": fields}


def _find_near_field(name: str, fields: list[str]) -> str | None:
    """Return the field that is meant: one without its beginning, a part of an object, or one that is written alike."""
    short = {field.removeprefix("data."): field for field in reversed(fields)}
    parts = [field for field in fields if field.startswith(f"data.{name}.")]
    named = [field for field in parts if field.endswith((".name", ".title"))]
    ends = [field for field in fields if field.endswith(f".{name}")]
    found = [*([short[name]] if name in short else []), *named, *parts, *ends]
    near = [*found, *get_close_matches(name, [*fields, *short], 1, 0.7)]
    return short.get(near[0], near[0]) if near else None


def _format_operator(name: str) -> str:
    found = _OPERATOR.fullmatch(name)
    return f"{name}()" if name.isidentifier() else _OPERATORS.get(name) or (found[1] if found else name)


def _format_kinds(kinds: str) -> str:
    shown = _KIND.sub(lambda found: _KINDS[found[0]], kinds)
    return shown.replace(", ", " and ") or "nothing"


def is_missing(message: str) -> bool:
    """Return whether an error of a run says that a field is not there, which is no failure."""
    return message.startswith(_MISSING)


def explain_failure(message: str) -> str:
    """Return a sentence for an error of a run."""
    if "Iteration budget" in message:
        return "The condition takes too long: it goes through too many elements."
    _, _, reason = message.partition(": ")
    return f"The condition cannot be evaluated: {reason[:200] or message[:200]}."
