"""The declaration of a resource: its URI, its reader, and the changes that touch it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from plex_companion.companion import Companion

_FIELD = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=32_768)
def _expand(uri: str, values: tuple[object, ...]) -> str:
    """Return a URI with these values, which are the same at every report of a session, in place of its fields."""
    left = iter(values)
    return _FIELD.sub(lambda _: quote(str(next(left)), safe=""), uri)


@dataclass(frozen=True)
class Resource:
    """A resource, or with `{fields}` in its URI a family of resources (an MCP resource template)."""

    uri: str
    title: str
    description: str
    read: Callable[..., Awaitable[Mapping[str, Any]]]
    """`read(companion, **fields)` returns the body without the envelope, or raises `NotFound`. A reader with a parameter
    `cursor` takes the `next_cursor` of an earlier answer and continues from there."""
    touched_by: tuple[type, ...]
    """The kinds of change that touch it. The fields of the URI are the attributes of the change with the same names."""
    progress: bool = True
    """Whether the progress of a session touches it."""
    list_existing: Callable[[Companion], Iterable[Mapping[str, str]]] | None = None
    """For a family: the fields of the members that exist now, each with a `title`."""
    of_state: bool = False
    """Whether the body depends on the state alone. If so, it is serialized once per commit for all readers."""

    @property
    def name(self) -> str:
        """The URI without scheme and braces: `sessions/session_key`."""
        return _FIELD.sub(r"\1", self.uri.removeprefix("plex://"))

    @cached_property
    def _fields(self) -> list[str]:
        return _FIELD.findall(self.uri)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_FIELD.sub(r"(?P<\1>[^/?#]+)", self.uri))

    @property
    def is_family(self) -> bool:
        """Whether the URI has fields to fill."""
        return bool(self._fields)

    @property
    def paged(self) -> bool:
        """Whether a read can continue from a cursor."""
        return "cursor" in inspect.signature(self.read).parameters

    def expand(self, fields: Mapping[str, str]) -> str:
        """Return the concrete URI for these fields. Values are percent-encoded (RFC 3986, section 2.1), so any fits."""
        return _expand(self.uri, tuple(fields[name] for name in self._fields))

    def find_touched_uri(self, change: object) -> str | None:
        """Return the concrete URI that a change of a kind in `touched_by` touches; `None` if a field of it is unknown."""
        values = tuple([getattr(change, name, None) for name in self._fields])
        return _expand(self.uri, values) if all(values) else None

    def parse_uri(self, uri: str) -> dict[str, str] | None:
        """Return the decoded fields of a concrete URI of this family; `None` if the URI does not belong to it."""
        found = self._pattern.fullmatch(uri)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None
