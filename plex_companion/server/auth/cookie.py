"""What a browser is given in exchange for the token: a cookie that is signed, ends by itself, and is not the token."""

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
"""The tablet on the wall is asked for the token again when nobody has looked at it for so long."""
RENEWED_AFTER = DAY_SECONDS
MOST_ENDED = 1_000
"""Logged-out visits remembered until their cookies end."""
_SALT = b"plex-companion cookies 1"
_SAFE = "__Host-"
"""Browsers keep a cookie of this prefix from everyone but this very host, and take it over https only."""


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser that has shown the token."""

    id: str
    expires: int


class Cookies:
    """Makes and checks the cookies of one token.

    The key is derived from the token, so a cookie outlives a restart without being stored anywhere, and changing the
    token ends all of them. It is derived slowly (scrypt): whoever steals a cookie should not be able to try out the
    tokens that people think of. The name is derived too, because cookies do not know ports: two companions on one host
    would otherwise log each other's visitors out.
    """

    def __init__(self, token: str, *, now: Callable[[], float] = time.time) -> None:
        self._key = hashlib.scrypt(token.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
        self._now = now
        self._ended: dict[str, int] = {}
        self.name = f"plex-companion-{hmac.digest(self._key, b'name', 'sha256').hex()[:6]}"

    def issue(self, visit: BrowserSession | None = None) -> str:
        """A cookie for a new visit, or a fresh one for a visit that goes on."""
        text = f"{int(self._now()) + LIFETIME}.{visit.id if visit else secrets.token_urlsafe(16)}"
        return f"{text}.{self._sign(text)}"

    def find_session(self, cookies: Mapping[str, str]) -> BrowserSession | None:
        """The visit that a request's cookies belong to, if any."""
        value = cookies.get(_SAFE + self.name) or cookies.get(self.name) or ""
        text, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        expires, _, visit = text.partition(".")  # signed by us, so in our form
        return BrowserSession(visit, int(expires)) if int(expires) > self._now() and visit not in self._ended else None

    def is_due(self, visit: BrowserSession) -> bool:
        """Whether it is time for a fresh cookie."""
        return visit.expires - self._now() < LIFETIME - RENEWED_AFTER

    def end(self, visit: BrowserSession) -> None:
        """Log it out: its cookies, also stolen ones, no longer count while the program runs."""
        now = self._now()
        self._ended = {one: expires for one, expires in self._ended.items() if expires > now}
        if len(self._ended) >= MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[visit.id] = int(now) + LIFETIME  # a renewed cookie of it may end later than this one

    def build_header(self, value: str, *, https: bool) -> str:
        """`Set-Cookie` for a cookie."""
        return self._build_cookie(value, LIFETIME, https=https)

    def build_expired_header(self, *, https: bool) -> str:
        """`Set-Cookie` that takes it away again."""
        return self._build_cookie("", 0, https=https)

    def _build_cookie(self, value: str, seconds: int, *, https: bool) -> str:
        name, more = (_SAFE + self.name, "; Secure") if https else (self.name, "")
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}"

    def _sign(self, text: str) -> str:
        return (
            base64.urlsafe_b64encode(hmac.digest(self._key, b"visit " + text.encode(), "sha256")).decode().rstrip("=")
        )
