"""Session cookies: signed, expiring, and not the token itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.times import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIFETIME = 90 * DAY_SECONDS
"""A browser that was not used for longer than this must log in again."""
RENEWED_AFTER = DAY_SECONDS
MOST_ENDED = 1_000
"""Logged-out sessions that are remembered until their cookies expire."""
_SALT = b"plex-companion cookies 1"
_SAFE = "__Host-"
"""Browsers accept a cookie with this prefix only over https, and send it only to this host (RFC 6265bis, 4.1.3.2)."""


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """The session of a browser that has logged in."""

    id: str
    expires: int


class Cookies:
    """Makes and checks the session cookies of one token.

    The key is derived from the token, so a cookie survives a restart without being stored, and a new token ends all
    sessions. The derivation is slow (scrypt), so that a stolen cookie is no help in guessing a weak token. The name is
    derived too, because cookies ignore ports (RFC 6265, section 8.5): two companions on one host would otherwise log
    each other's users out.
    """

    def __init__(self, token: str, *, now: Callable[[], float] = time.time) -> None:
        self._key = hashlib.scrypt(token.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
        self._now = now
        self._ended: dict[str, int] = {}
        self.name = f"plex-companion-{hmac.digest(self._key, b'name', 'sha256').hex()[:6]}"

    def issue(self, session: BrowserSession | None = None) -> str:
        """Return a cookie for a new browser session, or a renewed one for a given session."""
        text = f"{int(self._now()) + LIFETIME}.{session.id if session else secrets.token_urlsafe(16)}"
        return f"{text}.{self._sign(text)}"

    def find_session(self, cookies: Mapping[str, str]) -> BrowserSession | None:
        """Return the browser session that a request's cookies belong to, if any."""
        value = cookies.get(_SAFE + self.name) or cookies.get(self.name) or ""
        text, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        expires, _, session = text.partition(".")  # the signature is ours, so is the form
        return (
            BrowserSession(session, int(expires)) if int(expires) > self._now() and session not in self._ended else None
        )

    def is_due(self, session: BrowserSession) -> bool:
        """Return whether the cookie should be renewed."""
        return session.expires - self._now() < LIFETIME - RENEWED_AFTER

    def end(self, session: BrowserSession) -> None:
        """End a browser session: its cookies, stolen ones too, are refused while the program runs."""
        now = self._now()
        self._ended = {one: expires for one, expires in self._ended.items() if expires > now}
        if len(self._ended) >= MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = int(now) + LIFETIME  # a renewed cookie of the session may expire later

    def build_header(self, value: str, *, https: bool) -> str:
        """Return the value of `Set-Cookie` for a cookie."""
        return self._build_cookie(value, LIFETIME, https=https)

    def build_expired_header(self, *, https: bool) -> str:
        """Return the value of `Set-Cookie` that deletes the cookie."""
        return self._build_cookie("", 0, https=https)

    def _build_cookie(self, value: str, seconds: int, *, https: bool) -> str:
        name, more = (_SAFE + self.name, "; Secure") if https else (self.name, "")
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}"

    def _sign(self, text: str) -> str:
        return (
            base64.urlsafe_b64encode(hmac.digest(self._key, b"visit " + text.encode(), "sha256")).decode().rstrip("=")
        )
