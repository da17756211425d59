"""Conditions of rules, in CEL: compiled and checked once, and judged for each occurrence.

CEL cannot be interrupted and keeps Python's lock while it runs, so what may take long is refused (`condition_check.py`),
and texts and lists are cut before they are judged. Judge in a worker thread all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid, NotSupported
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.rules.condition_check import check_tree
from plex_companion.rules.condition_errors import explain_compilation, explain_failure, is_missing
from plex_companion.rules.condition_source import HIDDEN_TYPE, check_source, hide_type, split_operands
from plex_companion.rules.occurrence_fields import build_row_schema
from plex_companion.rules.syntax_tree import read_tree
from plex_companion.text import encode_json
from plex_companion.times import MINUTE_MS
from plex_companion.zones import find_host_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import tzinfo

    from plex_companion.rules.occurrence_fields import Schema
    from plex_companion.rules.syntax_tree import SyntaxNode
    from plex_companion.serialize import Json

INSTALL = "pip install 'plex-companion[rules]'"
LONGEST_TEXT, MOST_ELEMENTS, DEEPEST = 1_000, 100, 10
"""Characters of a text, elements of a list, and lists and objects within one another that a condition sees."""
NO_CONDITION = "RESULT: it is neither true nor false"
"""The error of a part whose kind is only known when it runs, and is none that can be true."""
CONDITIONS_KEPT = 64
"""Compiled conditions that are kept."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What else was going on at the moment of an occurrence."""

    streams: int
    """Plays that went on, a new one included."""
    streams_of: Callable[[str], int]
    """Those of the user with a name or id."""
    bandwidth_kbps: int
    """What all of them took."""


FACTS = frozenset({"streams", "streams_of", "bandwidth"})
NO_FACTS = Facts(0, lambda _: 0, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an occurrence meets a condition."""

    matched: bool
    failed: str | None = None
    """The only one of several parts that was not true, as it is written; `None` otherwise: where there is one part, or where
    several were not true, the occurrence was not nearly meant.
    """
    error: str | None = None
    """Why it could not be evaluated."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of a condition; all parts must be true."""

    text: str
    expression: Any
    tree: SyntaxNode


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    source: str
    row: Schema
    used: frozenset[str]
    """The fields of `data` that it uses."""
    operands: tuple[Operand, ...]
    environment: Any
    asks_for_streams: bool = False
    """Whether it uses `Facts`."""

    def judge(self, occurrence: Json, facts: Facts = NO_FACTS) -> Verdict:
        """Judge an occurrence as it is read. An empty condition is met by all."""
        if not self.operands:
            return Verdict(matched=True)
        activation = self._activate(occurrence, facts)
        found = [(operand, _evaluate(operand.expression, activation)) for operand in self.operands]
        others = [(operand, value) for operand, value in found if value is not True]
        failed = others[0][0].text if len(others) == 1 < len(found) else None
        errors = [value for _, value in others if isinstance(value, str)]  # anything false absorbs them
        error = explain_failure(errors[0]) if errors and len(errors) == len(others) else None
        return Verdict(not others, failed, error)

    def _activate(self, occurrence: Json, facts: Facts) -> Any:
        fields = self.row["properties"]["data"]["properties"]
        data = _shorten_object(occurrence["data"], {name: fields[name] for name in self.used if name in fields})
        values = {
            "data": data,
            "at": datetime.fromisoformat(occurrence["at"]),
            HIDDEN_TYPE: occurrence["type"],
            "id": occurrence["id"],
            "inferred": bool(occurrence["inferred"]),
        }
        return self.environment.Activation(values, _bind_facts(facts) if self.asks_for_streams else None)


def _bind_facts(facts: Facts) -> list[Any]:
    cel = load_cel()
    return [
        cel.Function("streams", [], is_member=False, impl=lambda: facts.streams),
        cel.Function("streams_of", [cel.Type.STRING], is_member=False, impl=facts.streams_of),
        cel.Function("bandwidth", [], is_member=False, impl=lambda: facts.bandwidth_kbps),
    ]


def load_cel() -> Any:
    """Import CEL.

    Raises:
        NotSupported: it is not installed.
    """
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped]  # noqa: PLC0415 - not everybody needs it
    except ImportError:
        message = f"Conditions of rules need a package that is not installed. To install it: {INSTALL}"
        raise NotSupported(message, reason="not_installed") from None
    return cel


def compile_condition(source: str, when: Collection[str] = (), zone: tzinfo | None = None) -> Condition:
    """Compile a condition and check it.

    Args:
        source: the condition. An empty one needs no CEL.
        when: the types of occurrences that it is for; all if there are none.
        zone: the zone of `hour` and `weekday`, otherwise this host's.

    Raises:
        Invalid: it cannot be parsed, uses an unknown field, mixes kinds, or could take long. Facts: `line`, `column`.
        NotSupported: CEL is not installed.
    """
    types = tuple(name for name in OCCURRENCE_TYPES if name in when or not when)
    return _compile(source.strip(), types, zone or find_host_zone())


@lru_cache(maxsize=CONDITIONS_KEPT)
def _compile(source: str, types: tuple[str, ...], zone: tzinfo) -> Condition:
    row = build_row_schema(types)
    if not source:
        return Condition(source, row, frozenset(), (), None)
    check_source(source, "only_if")
    environment = _build_environment(zone)
    hidden = hide_type(source)
    compiled = _compile_part(environment, hidden, source, row)
    tree = read_tree(compiled.serialize())
    check_tree(tree, row, source)
    _check_patterns(tree, environment)
    operands = _build_operands(environment, hidden, source, tree)
    asks_for_streams = any(node.kind == "call" and node.name in FACTS for node in tree.walk())
    return Condition(source, row, _list_used(tree), operands, environment, asks_for_streams)


def _compile_part(environment: Any, part: str, source: str, row: Schema) -> Any:
    try:
        return environment.compile(part)
    except RuntimeError as error:
        raise explain_compilation(str(error), source, row) from None


def _build_operands(environment: Any, hidden: str, source: str, tree: SyntaxNode) -> tuple[Operand, ...]:
    places = [*split_operands(hidden)] if tree.name == "_&&_" else [(0, len(source))]
    compiled = [environment.compile(hidden[start:end]) for start, end in places]
    return tuple(
        Operand(" ".join(source[start:end].split()), expression, read_tree(expression.serialize()))
        for (start, end), expression in zip(places, compiled, strict=True)
    )


def _check_patterns(tree: SyntaxNode, environment: Any) -> None:
    """Try every pattern: CEL reads them only when they are used."""
    for node in tree.walk():
        if node.kind == "call" and node.name == "matches":
            found = environment.compile(f"''.matches({encode_json(node.parts[1].value)})").eval(data={}).value()
            if not isinstance(found, bool):
                message = f"only_if: the pattern of matches() is wrong: {str(found).rpartition('expression: ')[2]}."
                raise Invalid(message, argument="only_if")


def _list_used(tree: SyntaxNode) -> frozenset[str]:
    """Return the fields directly below `data` that a condition uses, written with a point or in brackets."""
    found = set()
    for node in tree.walk():
        if node.parts and node.parts[0].kind == "name" and node.parts[0].name == "data":
            found.add(str(node.parts[1].value) if node.name == "_[_]" else node.name)
    return frozenset(found)


@lru_cache(maxsize=4)
def _build_environment(zone: tzinfo) -> Any:
    cel = load_cel()
    types, overload = cel.Type, cel.Overload

    def declare(name: str, *overloads: Any) -> Any:
        return cel.FunctionDecl(name, overloads)

    def declare_clock(name: str, read: Callable[[datetime], int]) -> Any:
        return declare(
            name,
            overload(f"{name}_time", types.INT, [types.TIMESTAMP], impl=lambda at: read(at.astimezone(zone))),
            overload(f"{name}_text", types.INT, [types.STRING], impl=lambda at: read(_parse_iso(at).astimezone(zone))),
        )

    bound = [
        declare_clock("hour", lambda at: at.hour),
        declare_clock("weekday", lambda at: at.weekday()),
        declare("minutes", overload("minutes_int", types.INT, [types.INT], impl=lambda ms: ms // MINUTE_MS)),
    ]
    facts = [
        declare("streams", overload("streams_none", types.INT, [])),
        declare("streams_of", overload("streams_of_text", types.INT, [types.STRING])),
        declare("bandwidth", overload("bandwidth_none", types.INT, [])),
    ]
    variables = {
        "data": types.Map(types.STRING, types.DYN),
        "at": types.TIMESTAMP,
        HIDDEN_TYPE: types.STRING,
        "id": types.STRING,
        "inferred": types.BOOL,
    }
    # What an extension declares without an implementation is given to each evaluation.
    return cel.NewEnv(variables=variables, functions=bound, extensions=[cel.CelExtension("facts", facts)])


def _parse_iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _evaluate(expression: Any, activation: Any) -> bool | str | None:
    """Return whether a part is true, its error, or `None` if a field that it needs is not there."""
    try:
        result = expression.eval(activation)
        value = result.value()
    except RuntimeError as error:  # the limit of CEL's own
        return str(error)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and result.type().name() == "ERROR":
        return None if is_missing(value) else value
    return NO_CONDITION


def _shorten_object(value: Any, fields: dict[str, Schema]) -> dict[str, Any]:
    """Return an object with what a condition may use. What is null is left out, and an object is never missing."""
    of = value if isinstance(value, dict) else {}
    found = {}
    for name, schema in fields.items():
        if "properties" in schema:
            found[name] = _shorten_object(of.get(name), schema["properties"])
        elif of.get(name) is not None:
            found[name] = _shorten(of[name], schema.get("items", {}))
    return found


def _shorten(value: Any, items: Schema, depth: int = 0) -> Any:
    match value:
        case str():
            return value[:LONGEST_TEXT]
        case list() if depth < DEEPEST:
            return [_shorten_element(one, items, depth + 1) for one in value[:MOST_ELEMENTS] if one is not None]
        case dict() if depth < DEEPEST:
            return {str(name): _shorten(one, {}, depth + 1) for name, one in value.items() if one is not None}
        case list() | dict():
            return ""
        case _:
            return value


def _shorten_element(value: Any, schema: Schema, depth: int) -> Any:
    return _shorten_object(value, schema["properties"]) if "properties" in schema else _shorten(value, {}, depth)
