"""The names of authenticated callers in the database: digests, so that no token and no e-mail address gets there."""

from __future__ import annotations

import functools
import hashlib

_SALT = b"plex-companion event subscriptions 1"
_TOKEN, _ISSUER = "token:", "issuer:"


@functools.lru_cache(4)
def name_token_principal(token: str) -> str:
    """Return the name of whoever holds the companion's token. The derivation is slow, so that it is no help in guessing it."""
    digest = hashlib.scrypt(token.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=16)
    return f"{_TOKEN}{digest.hex()}"


def name_issuer_principal(issuer: str, subject: str) -> str:
    """Return the name of a user of an OAuth issuer."""
    bare = issuer.rstrip("/")
    return f"{_ISSUER}{_digest(bare)}:{_digest(f'{bare} {subject}')}"


def is_revoked(principal: str, token: str | None, issuer: str | None) -> bool:
    """Return whether a caller can no longer log in, with this token or issuer in the settings.

    A process without either, as on stdio, cannot tell.
    """
    if principal.startswith(_TOKEN):
        return token is not None and principal != name_token_principal(token)
    return issuer is not None and not principal.startswith(f"{_ISSUER}{_digest(issuer.rstrip('/'))}:")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
