"""The settings of authentication: host names, a token, an OAuth issuer."""

from __future__ import annotations

import functools
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plex_companion.server.auth.authenticate import Authenticator
from plex_companion.server.auth.cookie import Cookies
from plex_companion.server.auth.login import LoginPages
from plex_companion.server.auth.login_throttle import LoginThrottle
from plex_companion.server.http.guard import RequestGuard
from plex_companion.settings import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.routing import Route
    from starlette.types import ASGIApp

    from plex_companion.server.auth.login import LoginCode
    from plex_companion.server.auth.oauth import ResourceServer
    from plex_companion.settings import Settings

    Writes = Callable[[str, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class AuthConfig:
    """The configuration of the guard, the authenticator and the login."""

    token: str | None = None
    """If given, every request must have it."""
    issuer: ResourceServer | None = None
    """The issuer whose tokens are accepted on the MCP routes too."""
    hosts: tuple[str, ...] = ()
    """Allowed in addition to loopback."""
    origins: tuple[str, ...] = ()
    any_address: bool = False
    """Whether a Host may be any bare IP address."""
    code: LoginCode | None = None
    """Logs one browser in without the token."""
    throttle: LoginThrottle = field(default_factory=LoginThrottle)

    @functools.cached_property
    def cookies(self) -> Cookies | None:
        """The cookies of browsers that have logged in; `None` without a token."""
        return Cookies(self.token) if self.token else None

    def build_guard(self, app: ASGIApp, *, writes: Writes, body_seconds: float) -> RequestGuard:
        """Build the one guard in front of an application. `writes` returns whether a call of a tool changes something."""
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
        """Build the routes of the login, and of the metadata that OAuth clients read first."""
        login = LoginPages(self.token, self.cookies, self.throttle, self.code)
        return [*login.build_routes(), *(self.issuer.build_routes() if self.issuer else ())]


OPEN_ACCESS = AuthConfig()
"""Checks only that a request is meant for this machine."""


def build_auth_config(settings: Settings, code: LoginCode | None = None) -> AuthConfig:
    """Return who may use the HTTP application, as the settings say.

    Beyond loopback that is every client with the token, under any address of this machine.
    """
    beyond = settings.host not in LOOPBACK
    own = [settings.host, socket.gethostname(), f"{socket.gethostname()}.local"] if beyond else []
    public = [settings.public_url] if settings.public_url else []
    return AuthConfig(
        token=settings.token.get_secret_value() if settings.token else None,
        issuer=_build_resource_server(settings),
        hosts=(*settings.allowed_hosts, *own, *(urlsplit(url).netloc for url in public)),
        origins=(*settings.allowed_origins, *public),
        any_address=beyond and settings.token is not None,
        code=code,
    )


def _build_resource_server(settings: Settings) -> ResourceServer | None:
    if settings.oauth_issuer is None or settings.public_url is None:
        return None
    from plex_companion.server.auth.oauth import ResourceServer  # noqa: PLC0415 - cryptography takes long to import

    return ResourceServer(settings.oauth_issuer, settings.public_url, settings.oauth_audience, settings.oauth_jwks_url)
