"""OAuth 2.1 resource server: accepts access tokens that an issuer signed for this server, on the MCP routes."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl
from starlette.authentication import AuthCredentials

from plex_companion.server.auth.authenticate import AuthenticatedCaller
from plex_companion.server.auth.jwks import ALGORITHMS, JwksClient
from plex_companion.server.auth.scopes import READ, WRITE
from plex_companion.server.http.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route
    from starlette.types import Scope

RESOURCES = ("/mcp", "/sse")
"""The paths that are separate resources in the metadata; `/messages/` belongs to `/sse`."""
LEEWAY_SECONDS = 30
LONGEST_TOKEN = 16 * 1024
_CLAIMED = (
    jwt.ExpiredSignatureError,
    jwt.ImmatureSignatureError,
    jwt.InvalidAudienceError,
    jwt.InvalidIssuedAtError,
    jwt.InvalidIssuerError,
    jwt.MissingRequiredClaimError,
)
"""Raised after the signature was verified: such a token is not a guess."""


class TokenRejected(Exception):
    """A token is refused. `is_forged`: it lacks a valid signature of the issuer."""

    def __init__(self, reason: str, *, guessed: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_forged = guessed


@dataclass(frozen=True, slots=True)
class Bearer:
    """The user of a token, and when it expires in seconds since 1970."""

    user: AuthenticatedUser
    expires_at: float

    @property
    def caller(self) -> AuthenticatedCaller:
        """Who it is. A token of a program without a user is the program's own."""
        access = self.user.access_token
        issuer = str((access.claims or {}).get("iss", ""))
        return AuthenticatedCaller(issuer, access.subject or access.client_id)

    def apply(self, scope: Scope) -> None:
        """Store the user where the SDK looks: it lets only the user who opened an MCP session use it."""
        scope["user"], scope["auth"] = self.user, AuthCredentials(self.user.scopes)


class ResourceServer:
    """Verifies tokens of one issuer. They must be signed by it, current, meant for this server, and have the scope `read`."""

    def __init__(
        self, issuer: str, public_url: str, audiences: Sequence[str] = (), keys_url: str | None = None
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: the value of `iss`; a slash at its end does not matter.
            public_url: the address that clients use.
            audiences: what `aud` may be; by default the public URLs of `/mcp` and `/sse`.
            keys_url: where the issuer's keys are, if not where its metadata says.
        """
        self.keys = JwksClient(issuer, keys_url)
        self._issuer = issuer
        self._public = public_url.rstrip("/")
        self._audiences = tuple(audiences) or tuple(self._public + path for path in RESOURCES)

    async def verify(self, token: str) -> Bearer:
        """Verify a token and return its user.

        Raises:
            TokenRejected: it is not accepted.
            KeysUnavailable: the issuer's keys have never been read.
        """
        try:
            header = jwt.get_unverified_header(token) if len(token) < LONGEST_TOKEN else {}
        except jwt.PyJWTError:
            raise TokenRejected("It is not a token of the issuer.", guessed=True) from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise TokenRejected("Its signature algorithm is not accepted.", guessed=True)
        key = await self.keys.find(key_id, algorithm)
        if key is None:
            raise TokenRejected("Its key is not one of the issuer's.", guessed=True)
        return _build_bearer(self._decode(token, key))

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        bare = self._issuer.rstrip("/")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audiences,
                issuer=(bare, f"{bare}/"),
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRejected("It has expired.", guessed=False) from None
        except _CLAIMED:
            raise TokenRejected("It is not meant for this server.", guessed=False) from None
        except jwt.PyJWTError:
            raise TokenRejected("Its signature is wrong.", guessed=True) from None
        return claims

    def refuse(self, path: str, reason: str | None) -> Refusal:
        """Return a 401 that says where to get a token (RFC 9728, section 5.1; RFC 6750, section 3.1)."""
        error = f', error="invalid_token", error_description="{reason}"' if reason else ""
        challenge = f'Bearer resource_metadata="{self._build_metadata(path)}", scope="{READ}"{error}'
        message = (
            "This server needs a token of its OAuth issuer."
            if reason is None
            else f"The token is not accepted. {reason}"
        )
        return Refusal(HTTPStatus.UNAUTHORIZED, message, {"www-authenticate": challenge})

    def forbid(self, path: str, scope: str) -> Refusal:
        """Return a 403: the token is valid, but lacks a scope (RFC 6750, section 3.1)."""
        scopes = READ if scope == READ else f"{READ} {WRITE}"
        metadata = self._build_metadata(path)
        challenge = f'Bearer error="insufficient_scope", scope="{scopes}", resource_metadata="{metadata}"'
        return Refusal(HTTPStatus.FORBIDDEN, f"The token lacks the scope {scope}.", {"www-authenticate": challenge})

    def _build_metadata(self, path: str) -> str:
        resource = RESOURCES[0] if path == RESOURCES[0] else RESOURCES[1]
        return str(build_resource_metadata_url(AnyHttpUrl(self._public + resource)))

    def build_routes(self) -> list[Route]:
        """Build the routes of the metadata (RFC 9728), one document for each resource."""
        return [
            route
            for path in RESOURCES
            for route in create_protected_resource_routes(
                AnyHttpUrl(self._public + path),
                [AnyHttpUrl(self._issuer)],
                scopes_supported=[READ, WRITE],
                resource_name="plex-companion",
            )
        ]


def build_unavailable() -> Refusal:
    """Return a 503: the token cannot be checked now."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, "The issuer's keys cannot be read now. Try again.", {"retry-after": "5"}
    )


def _build_bearer(claims: dict[str, Any]) -> Bearer:
    client = claims.get("client_id") or claims.get("azp") or claims.get("sub") or "unknown"
    subject = claims.get("sub")
    access = AccessToken(
        token="",  # nothing behind the guard needs it
        client_id=str(client),
        scopes=_parse_scopes(claims),
        expires_at=int(claims["exp"]),
        subject=None if subject is None else str(subject),
        claims={"iss": claims["iss"]},
    )
    return Bearer(AuthenticatedUser(access), float(claims["exp"]) + LEEWAY_SECONDS)


def _parse_scopes(claims: dict[str, Any]) -> list[str]:
    """Return the scopes of a token. `scope` is a text with spaces (RFC 9068); some issuers write `scp`, or a list."""
    given = claims.get("scope", claims.get("scp", ""))
    listed = given.split() if isinstance(given, str) else given
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
