"""A value of a JSON file that knows its place, so that every error says where it is."""

from __future__ import annotations

import json
from typing import Any

from plex_companion.errors import SettingsError


class JsonValue:
    """A value of the file with its path, so that every error says where it is."""

    def __init__(self, file: str, path: str, value: Any) -> None:
        self.file, self.path, self.value = file, path, value

    def build_error(self, problem: str) -> SettingsError:
        """Build the error to raise about this value."""
        return SettingsError(f"{self.file}: {self.path or 'top level'}: {problem}", file=self.file, place=self.path)

    def require(self, kind: type | tuple[type, ...], name: str) -> Any:
        """Return the value if it is of the kind; `True` is not a number."""
        if not isinstance(self.value, kind) or (isinstance(self.value, bool) and kind is not bool):
            raise self.build_error(f"expected {name}, found {json.dumps(self.value, ensure_ascii=False)[:60]}")
        return self.value

    def require_fields(self, known: set[str]) -> JsonValue:
        """Return this value if it is an object without unknown fields."""
        unknown = sorted(set(self.require(dict, "an object")) - known)
        if unknown:
            raise self.build_error(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
        return self

    def get(self, name: str) -> JsonValue | None:
        """Return a field, or `None` if it is absent or null."""
        if name not in self.value or self.value[name] is None:
            return None
        return JsonValue(self.file, f"{self.path}.{name}" if self.path else name, self.value[name])

    def get_text(self, name: str, default: str | None = None) -> str:
        """Return a text field. Without a default it is required. Numbers are accepted, for keys."""
        found = self.get(name)
        if found is None and default is None:
            raise self.build_error(f"'{name}' is missing")
        return default or "" if found is None else str(found.require((str, int), "text"))

    def get_number(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number."""
        found = self.get(name)
        return default if found is None else int(found.require(int, "a whole number"))

    def get_count(self, name: str, default: int = 0) -> int:
        """Return a number of things, which must not be negative."""
        found = self.get_number(name, default) or 0
        if found < 0:
            raise self.build_error(f"'{name}' must not be negative")
        return found

    def get_flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self.get(name)
        return default if found is None else bool(found.require(bool, "true or false"))

    def list(self, name: str) -> list[JsonValue]:
        """Return the members of a list, or none if it is absent."""
        if (found := self.get(name)) is None:
            return []
        values = enumerate(found.require(list, "a list"))
        return [JsonValue(self.file, f"{found.path}[{n}]", value) for n, value in values]

    def get_texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(str(place.require(str, "text")) for place in self.list(name))
