"""Who is let in over HTTP, as set: names, a token, an issuer."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.server.auth.authenticate import Authenticator
from plex_companion.server.auth.cookie import Cookies
from plex_companion.server.auth.login import LoginPages
from plex_companion.server.auth.login_throttle import LoginThrottle
from plex_companion.server.http.guard import RequestGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.routing import Route
    from starlette.types import ASGIApp

    from plex_companion.server.auth.login import LoginCode
    from plex_companion.server.auth.oauth import ResourceServer

    Writes = Callable[[str, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class AuthConfig:
    """What door, guard and login are made of."""

    token: str | None = None
    """Asked of every request when given."""
    issuer: ResourceServer | None = None
    """Whose tokens open the MCP routes besides."""
    hosts: tuple[str, ...] = ()
    """Allowed besides loopback."""
    origins: tuple[str, ...] = ()
    any_address: bool = False
    """Whether a Host may be any bare IP address."""
    code: LoginCode | None = None
    """Logs one browser in without the token."""
    throttle: LoginThrottle = field(default_factory=LoginThrottle)

    @functools.cached_property
    def cookies(self) -> Cookies | None:
        """Of browsers that have shown the token."""
        return Cookies(self.token) if self.token else None

    def build_guard(self, app: ASGIApp, *, writes: Writes, body_seconds: float) -> RequestGuard:
        """The one guard, in front of an application. `writes`: whether a call of a tool with such arguments does."""
        return RequestGuard(
            app,
            Authenticator(self.token, self.cookies, self.throttle, self.issuer),
            hosts=self.hosts,
            origins=self.origins,
            any_address=self.any_address,
            writes=writes,
            body_seconds=body_seconds,
        )

    def build_routes(self) -> list[Route]:
        """The login, and what an issuer's clients read first."""
        login = LoginPages(self.token, self.cookies, self.throttle, self.code)
        return [*login.build_routes(), *(self.issuer.build_routes() if self.issuer else ())]


OPEN_ACCESS = AuthConfig()
"""Nothing is asked but that the request is meant for this machine."""
