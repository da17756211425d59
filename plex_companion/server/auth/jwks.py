"""The keys of an OAuth issuer: fetched when first needed, kept, and fetched again for a key nobody knows."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

KEPT_SECONDS = 3_600.0
AGAIN_SECONDS = 30.0
"""How soon an unknown key makes us ask again: anybody can invent key ids."""
FAILED_SECONDS = 5.0
FETCH_SECONDS = 5.0
MOST_BYTES = 256 * 1024
MOST_KEYS = 50
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that need a private key. With HS256 the public key would be the secret; with none there is none."""
KINDS = frozenset({"RSA", "EC", "OKP"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class KeysUnavailable(Exception):
    """The issuer cannot be asked, and nothing is known from before."""


class JwksClient:
    """The public keys of one issuer, by key id."""

    def __init__(
        self,
        issuer: str,
        address: str | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            issuer: whose metadata names the keys.
            address: where the keys are, if not to be taken from there.
            now: seconds of a monotonic clock.
        """
        self.fetches = 0
        self._issuer = issuer
        self._address = address
        self._now = now
        self._keys: dict[str | None, Mapping[str, Any]] = {}
        self._fetched_at: float | None = None
        self._next_at = now()
        self._fetching = anyio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of this id for this algorithm; `None` when the issuer has no such key.

        Raises:
            KeysUnavailable: the issuer has never answered.
        """
        if key_id not in self._keys or self._is_old():
            await self._fetch_unless_known(key_id)
        if self._fetched_at is None:
            raise KeysUnavailable
        return _build_key(self._keys.get(key_id), algorithm)

    def _is_old(self) -> bool:
        return self._fetched_at is None or self._now() - self._fetched_at > KEPT_SECONDS

    async def _fetch_unless_known(self, key_id: str | None) -> None:
        """Fetch, one at a time and not too often; those who waited find what the first one fetched."""
        async with self._fetching:
            if (key_id in self._keys and not self._is_old()) or self._now() < self._next_at:
                return
            try:
                with anyio.fail_after(FETCH_SECONDS):
                    self._keys = await self._fetch()
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
                logger.warning("The keys of %s cannot be read: %s", self._issuer, type(error).__name__)
                self._next_at = self._now() + FAILED_SECONDS
                return
            self._fetched_at = self._now()
            self._next_at = self._now() + AGAIN_SECONDS

    async def _fetch(self) -> dict[str | None, Mapping[str, Any]]:
        self.fetches += 1
        async with httpx2.AsyncClient(follow_redirects=False, timeout=FETCH_SECONDS) as web:
            address = self._address or await self._discover(web)
            found = (await _fetch_json(web, address)).get("keys")
        keys = [key for key in found if _is_public(key)] if isinstance(found, list) else []
        if not keys:
            raise ValueError("no keys")
        named: dict[str | None, Mapping[str, Any]] = {key.get("kid"): key for key in keys[:MOST_KEYS]}
        return {**named, None: keys[0]} if len(keys) == 1 else named  # a token may leave out the id of the only key

    async def _discover(self, web: httpx2.AsyncClient) -> str:
        """Where its metadata says the keys are (RFC 8414, else OpenID Connect)."""
        for place in list_metadata_addresses(self._issuer):
            try:
                metadata = await _fetch_json(web, place)
            except (httpx2.HTTPStatusError, ValueError):
                continue
            address = metadata.get("jwks_uri")
            same = str(metadata.get("issuer", "")).rstrip("/") == self._issuer.rstrip("/")
            if same and isinstance(address, str) and is_safe(address):
                return address
        raise ValueError("no metadata")


def list_metadata_addresses(issuer: str) -> tuple[str, ...]:
    """Where an issuer publishes about itself, in the order in which MCP clients look."""
    parts = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
    inserted = (f"{base}{oauth}{path}", f"{base}{openid}{path}")
    return inserted if not path else (*inserted, f"{base}{path}{openid}")


def is_safe(address: str) -> bool:
    """Whether keys from there can be trusted: over TLS, or from this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


async def _fetch_json(web: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    """A JSON object of decent size."""
    body = bytearray()
    async with web.stream("GET", address, headers={"accept": "application/json"}) as response:
        response.raise_for_status()
        if response.is_redirect:
            raise ValueError("redirected")
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError("too large")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - what came is wrong, not what was passed
    return found


def _is_public(key: object) -> bool:
    """Whether it may verify signatures: no shared secret, no key for encryption."""
    return (
        isinstance(key, dict)
        and key.get("kty") in KINDS
        and key.get("use", "sig") == "sig"
        and isinstance(key.get("kid"), str | None)
    )


def _build_key(key: Mapping[str, Any] | None, algorithm: str) -> jwt.PyJWK | None:
    if key is None or key.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK.from_dict(dict(key), algorithm)
    except jwt.PyJWTError:
        return None
