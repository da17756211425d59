"""The canonical spelling of every URI, because MCP compares URIs of subscriptions as exact strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.resources.declare import Resource


class UriIndex:
    """The URIs of the declared resources: fixed ones, and all possible members of families."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._fixed = frozenset(resource.uri for resource in resources if not resource.is_family)
        self._families = tuple(resource for resource in resources if resource.is_family)
        self.resolve: Callable[[str], str | None] = lambda uri: uri
        """Puts into one spelling what only the running companion can tell: which server a name means."""
        self._schemes = frozenset(resource.uri.partition("://")[0] for resource in resources)

    def canonicalize(self, uri: str) -> str | None:
        """Return the URI in the spelling of announcements; `None` if it has our scheme and no declared resource matches.

        A member of a family need not exist yet. A URI with another scheme can be subscribed to, but never changes.
        """
        plain = _normalize(uri)
        if plain.partition("://")[0] not in self._schemes:
            return uri
        resolved = self.resolve(plain)
        if resolved is None or resolved in self._fixed:
            return resolved
        return self._match_member(resolved)

    def _match_member(self, uri: str) -> str | None:
        for family in self._families:
            if fields := family.parse_uri(uri):
                return family.expand(fields)
        return None


def _normalize(uri: str) -> str:
    """Put scheme and first segment in lower case (RFC 3986, section 6.2.2.1), and remove a closing slash."""
    scheme, separator, rest = uri.partition("://")
    first, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}" + f"{first.lower()}{slash}{path}".removesuffix("/")
