"""The addresses of the pages of one thing: a user, a library, an item, a play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["users", "libraries", "items", "plays"]


def page_url(kind: Kind, server: str | None, id_: str | int) -> str:
    """Return the address of the page of something. Without a server, that of the only server; plays have their own ids."""
    parts = [kind, str(id_)] if server is None or kind == "plays" else [kind, server, str(id_)]
    return "/" + "/".join(quote(part, safe="") for part in parts)


def build_query_url(path: str, parameters: Mapping[str, str | int | None]) -> str:
    """Return a path with those parameters that have a value."""
    given = {name: value for name, value in parameters.items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path
