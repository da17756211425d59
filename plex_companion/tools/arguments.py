"""Arguments as hosts and models send them, converted to the types of a tool's schema before validation.

Hosts send `null` and `""` for fields that a person left empty. Models write lists and objects as strings, numbers for
texts and `1917.0` for `1917`. Only the top level is converted.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LARGEST = 2**53
"""The largest whole number that JSON represents exactly. No list is that long."""
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(?:\.0*)?")
_FRACTION = re.compile(r"[0-9]{1,18}\.0+")
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list of texts",
    "object": "an object",
}
_SHOWN = 80
"""How many characters of a value an error message shows."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """The facts of a tool's schema about one argument."""

    types: tuple[str, ...]
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    empty_clears: bool = False
    """An empty text is a value that clears the field."""
    is_id: bool = False
    """Holds ids of Plex, which some callers write as numbers."""

    def is_unset(self, value: object) -> bool:
        """Return whether the value is what hosts send for an argument that nobody filled in."""
        if not isinstance(value, str):
            return value is None
        return value == "" and not self.empty_clears if "string" in self.types else value.strip() in {"", "null"}

    def coerce(self, value: Any) -> Any:
        """Return the value in the type of the schema if its meaning is clear, else unchanged."""
        if not self.types:
            return value
        if isinstance(value, str):
            return self._parse_text(value)
        if "array" in self.types and not isinstance(value, dict | bool):
            return [self._coerce_text(one) for one in (value if isinstance(value, list) else [value])]
        if "boolean" in self.types and isinstance(value, int | float) and value in {0, 1}:
            return bool(value)
        if isinstance(value, float) and value.is_integer() and "integer" in self.types and abs(value) <= LARGEST:
            return int(value)
        return self._coerce_text(value) if self.types == ("string",) else value

    def _coerce_text(self, value: Any) -> Any:
        """Return a number as text. An id loses the `.0` that some callers append."""
        if self.is_id and isinstance(value, str) and _FRACTION.fullmatch(value.strip()):
            return value.strip().partition(".")[0]
        return _format_text(value)

    def _parse_text(self, text: str) -> Any:
        if self.choices:
            return next((one for one in self.choices if _normalize_word(one) == _normalize_word(text)), text)
        match self.types:
            case ("array",):
                found = _decode(text, "[")
                return [self._coerce_text(one) for one in (found if isinstance(found, list) else [text])]
            case ("object",):
                found = _decode(text, "{")
                return found if isinstance(found, dict) else text
            case ("boolean",):
                return _FLAGS.get(text.strip().casefold(), text)
            case ("integer",) | ("number",):
                return _parse_number(text)
        return self._coerce_text(text)

    @property
    def expected(self) -> str:
        """The accepted values of this argument, as error messages state them."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = " or ".join(_WORDS[one] for one in self.types) or "something else"
        if self.least is not None and self.most is not None:
            return f"{words} from {self.least:g} to {self.most:g}"
        return words if self.least is None else f"{words} of at least {self.least:g}"


def list_parameters(properties: Mapping[str, Any], clearing: Collection[str]) -> dict[str, Parameter]:
    """Return the parameters in the properties of a JSON schema. An empty text is a value of those in `clearing`."""
    return {
        name: _describe_parameter(name, schema, empty_clears=name in clearing) for name, schema in properties.items()
    }


def _describe_parameter(name: str, schema: Mapping[str, Any], *, empty_clears: bool) -> Parameter:
    forms = schema.get("anyOf", [schema])
    return Parameter(
        types=tuple(form["type"] for form in forms if "type" in form),
        choices=tuple(choice for form in forms for choice in form.get("enum", ())),
        least=next((form["minimum"] for form in forms if "minimum" in form), None),
        most=next((form["maximum"] for form in forms if "maximum" in form), None),
        empty_clears=empty_clears,
        is_id=name.rpartition("_")[2] in {"id", "ids", "key"},
    )


def choose(value: str, choices: Collection[str]) -> str:
    """Return the choice that matches regardless of case and separators (`Skip_Next` is `skipNext`), else the value."""
    return next((one for one in choices if _normalize_word(one) == _normalize_word(value)), value)


def quote_value(value: object) -> str:
    """Return a value as an error message shows it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _normalize_word(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())


def _format_text(value: Any) -> Any:
    """Return a number as text, `1917.0` as `1917`; anything else unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if abs(value) > LARGEST or not math.isfinite(value):
        return value
    return str(int(value)) if value == int(value) else str(value)


def _decode(text: str, opening: str) -> Any:
    """Return the parsed content of a text that looks like JSON, or `None`."""
    if text.lstrip().startswith(opening):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return None


def _parse_number(text: str) -> Any:
    plain = text.strip()
    if _WHOLE.fullmatch(plain):
        return int(plain.partition(".")[0])
    with suppress(ValueError):
        found = float(plain)
        return int(found) if found.is_integer() and abs(found) <= LARGEST else found
    return text
