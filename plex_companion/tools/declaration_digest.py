"""A digest of everything that a tool's schemas derive from. It shows whether a recorded schema is up to date.

Taking it is cheap, because nothing is resolved: annotations are texts, so these texts count, and the values of the names
in them. A class counts with its fields, their defaults and its docstring, and so does every class that these name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import inspect
import re
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo

from plex_companion.tools import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NAME = re.compile(r"[A-Za-z_]\w*")


def digest_declaration(function: Callable[..., Any], injected: Iterable[type] = ()) -> str:
    """Return the digest of a tool's declaration, and of the code that makes schemas.

    `injected` are the classes of the parameters that no caller passes; what they consist of does not count.
    """
    found = _Declaration(injected)
    found.add_annotations(function.__annotations__, function.__globals__)
    found.texts.append(f"{function.__defaults__} {function.__kwdefaults__}")
    return hashlib.sha256("\n".join([_read_own_code(), *found.texts]).encode()).hexdigest()[:16]


@functools.cache
def _read_own_code() -> str:
    """Return the code that makes schemas of declarations; empty if there is only bytecode of it."""
    try:
        return Path(schemas.__file__).read_text(encoding="utf-8")
    except OSError:
        return ""


class _Declaration:
    """The texts that a declaration consists of. Every class and every name's value is added once."""

    def __init__(self, skipped: Iterable[type]) -> None:
        self.texts: list[str] = []
        self._seen = {id(one) for one in skipped}

    def add_annotations(self, annotations: Mapping[str, Any], scope: Mapping[str, Any]) -> None:
        """Add annotations, and the values of the names in them."""
        for name, annotation in annotations.items():
            text = getattr(annotation, "__forward_arg__", annotation)
            if not isinstance(text, str):
                self.texts.append(name)
                self._add_value(text)
                continue
            self.texts.append(f"{name}: {text}")
            for word in _NAME.findall(text):
                if word in scope:
                    self._add_value(scope[word])

    def _add_value(self, value: Any) -> None:
        match value:
            case type():
                self._add_class(value)
            case str() | int() | float() | None | tuple() | list() | dict() | FieldInfo():
                self.texts.append(repr(value))
            case _ if dataclasses.is_dataclass(value):
                self.texts.append(type(value).__name__)
                for field in dataclasses.fields(value):
                    self._add_value(getattr(value, field.name))
            case _:
                origin = typing.get_origin(value)
                if getattr(origin, "__module__", "typing") not in {"typing", "types"}:  # unions are of either
                    self._add_value(origin)
                for part in typing.get_args(value):
                    self._add_value(part)

    def _add_class(self, found: type) -> None:
        if found.__module__ == "typing":  # its names are classes in some versions of Python only
            return
        self.texts.append(f"{found.__module__}.{found.__qualname__}")
        if id(found) in self._seen or found.__module__ == "builtins":
            return
        self._seen.add(id(found))
        self.texts.append(inspect.cleandoc(found.__doc__ or ""))
        if issubclass(found, enum.Enum):
            self.texts += [repr(one.value) for one in found]
        for base in (*found.__bases__, *getattr(found, "__orig_bases__", ())):
            self._add_value(base)
        self.add_annotations(inspect.get_annotations(found), vars(sys.modules[found.__module__]))
        for field in getattr(found, "__dataclass_fields__", {}).values():
            if field.default is not dataclasses.MISSING:
                self.texts.append(f"{field.name} = {field.default!r}")
