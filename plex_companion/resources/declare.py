"""How a resource is declared: what it is called, what it reads, and which changes touch it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from plex_companion.companion import Companion

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Resource:
    """One resource, or with `{fields}` in its URI a whole family of them."""

    uri: str
    title: str
    description: str
    read: Callable[..., Awaitable[Mapping[str, Any]]]
    """`read(companion, **fields)` gives the body beyond the envelope, or raises `NotFound`. One that also takes
    `cursor`, the `next_cursor` of an earlier answer, goes on from there."""
    touched_by: tuple[type, ...]
    """The kinds of change that touch it; the URI's fields are read from the change's attributes of the same name."""
    progress: bool = True
    """Whether mere progress of a session touches it."""
    list_existing: Callable[[Companion], Iterable[Mapping[str, str]]] | None = None
    """For a family: the fields of the members that exist now, each with a `title`."""
    of_state: bool = False
    """Whether the body says nothing but what the state holds: it is written out once a commit, however many read it."""

    @property
    def name(self) -> str:
        """The URI without its scheme, fields bare: `sessions/session_key`."""
        return _FIELD.sub(r"\1", self.uri.removeprefix("plex://"))

    @cached_property
    def _fields(self) -> list[str]:
        return _FIELD.findall(self.uri)

    @property
    def is_family(self) -> bool:
        """Whether the URI has fields to fill."""
        return bool(self._fields)

    @property
    def paged(self) -> bool:
        """Whether reading it can go on from a cursor."""
        return "cursor" in inspect.signature(self.read).parameters

    def expand(self, fields: Mapping[str, str]) -> str:
        """The concrete URI for these fields, percent-encoded so that any identifier fits."""
        return _FIELD.sub(lambda found: quote(fields[found[1]], safe=""), self.uri)

    def find_touched_uri(self, change: object) -> str | None:
        """The concrete URI that this change touches, if any."""
        if not isinstance(change, self.touched_by):
            return None
        if not self._fields:
            return self.uri
        values = {name: getattr(change, name, None) for name in self._fields}
        if not all(values.values()):
            return None
        return self.expand({name: str(value) for name, value in values.items()})

    def parse_uri(self, uri: str) -> dict[str, str] | None:
        """The fields of a concrete URI of this family, decoded; `None` when it is another's."""
        pattern = _FIELD.sub(r"(?P<\1>[^/?#]+)", self.uri)
        found = re.fullmatch(pattern, uri)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None
