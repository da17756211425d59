"""The public keys of an OAuth issuer: fetched when first needed, cached, and fetched again for an unknown key id."""

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
"""How soon an unknown key id may cause another fetch: anyone can invent key ids."""
FAILED_SECONDS = 5.0
FETCH_SECONDS = 5.0
MOST_BYTES = 256 * 1024
MOST_KEYS = 50
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms that sign with a private key (RFC 8725, sections 3.1 and 3.2).

With HS256 the public key would be the secret, and `none` does not sign.
"""
KINDS = frozenset({"RSA", "EC", "OKP"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class KeysUnavailable(Exception):
    """The issuer cannot be reached, and there are no cached keys."""


class JwksClient:
    """The public keys of one issuer, by key id."""

    def __init__(
        self,
        issuer: str,
        address: str | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: its metadata says where the keys are.
            address: where the keys are, if not where the metadata says.
            now: seconds of a monotonic clock.
        """
        self._issuer = issuer
        self._address = address
        self._now = now
        self._keys: dict[str | None, Mapping[str, Any]] = {}
        self._fetched_at: float | None = None
        self._next_at = now()
        self._fetching = anyio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key with this id for this algorithm; `None` if the issuer has no such key.

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
        """Fetch the keys, one request at a time and not too often. Callers that waited use what the first one fetched."""
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
        async with httpx2.AsyncClient(follow_redirects=False, timeout=FETCH_SECONDS) as web:
            address = self._address or await self._discover(web)
            found = (await _fetch_json(web, address)).get("keys")
        keys = [key for key in found if _is_public(key)] if isinstance(found, list) else []
        if not keys:
            raise ValueError("no keys")
        named: dict[str | None, Mapping[str, Any]] = {key.get("kid"): key for key in keys[:MOST_KEYS]}
        return (
            {**named, None: keys[0]} if len(keys) == 1 else named
        )  # a token may omit the id of the only key (RFC 7515, 4.1.4)

    async def _discover(self, web: httpx2.AsyncClient) -> str:
        """Return the address of the keys from the issuer's metadata (RFC 8414, else OpenID Connect Discovery)."""
        for url in list_metadata_addresses(self._issuer):
            try:
                metadata = await _fetch_json(web, url)
            except (httpx2.HTTPStatusError, ValueError):
                continue
            address = metadata.get("jwks_uri")
            same = str(metadata.get("issuer", "")).rstrip("/") == self._issuer.rstrip("/")
            if same and isinstance(address, str) and is_safe(address):
                return address
        raise ValueError("no metadata")


def list_metadata_addresses(issuer: str) -> tuple[str, ...]:
    """Return the addresses of an issuer's metadata, in the order of the MCP specification (Authorization)."""
    parts = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
    inserted = (f"{base}{oauth}{path}", f"{base}{openid}{path}")
    return inserted if not path else (*inserted, f"{base}{path}{openid}")


def is_safe(address: str) -> bool:
    """Return whether keys from an address can be trusted: over TLS, or from this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


async def _fetch_json(web: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    """Fetch a JSON object of a limited size."""
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
    """Return whether a key may verify signatures: not a shared secret, not a key for encryption (RFC 7517, section 4)."""
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
