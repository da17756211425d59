"""Renews the login at Plex when its token has died: the caller's user is shown plex.tv's page, where they allow a new one.

The page's address holds a code and no secret: only the program that requested it can fetch the token. Opening the page is no
proof of anything, so plex.tv is asked, and the token must be the owner's of the same server.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.errors import PlexUnauthorized, ToolError
from plex_companion.plex.account import create_pin, poll_pin

if TYPE_CHECKING:
    from pydantic import SecretStr

    from plex_companion.companion import Companion
    from plex_companion.plex.account import Pin
    from plex_companion.tools.declare import Caller

POLL_SECONDS = 2.0
TRIES = 30
MESSAGE = (
    "Plex no longer accepts the companion's token. Sign in at plex.tv as the owner of the server and allow a new one."
)
SPARE_MS = 60_000
"""How long before it expires a page is replaced."""


@dataclass(slots=True)
class LoginRenewal:
    """Renews the login of one companion. All callers are shown the same page while it is valid."""

    companion: Companion
    poll_seconds: float = POLL_SECONDS
    pin: Pin | None = None
    expires_at: int = 0

    async def renew(self, caller: Caller) -> bool:
        """Return whether Plex can be asked again: the token has been renewed, here or by another process."""
        try:
            return await self._is_accepted() or await self._ask(caller)
        except ToolError:
            return False

    async def _is_accepted(self) -> bool:
        try:
            await self.companion.gateway.call(lambda plex: plex.machineIdentifier)
        except PlexUnauthorized:
            return False
        return True

    async def _ask(self, caller: Caller) -> bool:
        if not caller.can_open_pages:
            return False
        pin = await self._get_pin()
        if not await caller.open_page(MESSAGE, pin.page):
            return False
        token = await self._wait_for_token(pin, caller)
        if token is None:
            return False
        self.companion.secrets.add(token.get_secret_value())
        server = self.companion.state.server
        self.pin = None
        await self.companion.gateway.adopt_token(token, server.machine_identifier if server else None)
        return True

    async def _get_pin(self) -> Pin:
        if self.pin is None or self.companion.now_ms > self.expires_at:
            self.pin = await self.companion.gateway.call_plex_tv(create_pin)
            self.expires_at = self.companion.now_ms + int(self.pin.expires_in * 1000) - SPARE_MS
        return self.pin

    async def _wait_for_token(self, pin: Pin, caller: Caller) -> SecretStr | None:
        for done in range(TRIES):
            now = await self.companion.gateway.call_plex_tv(partial(poll_pin, pin=pin))
            if now.auth_token and now.auth_token.get_secret_value():
                return now.auth_token
            await caller.report_progress(done, TRIES, "waiting for the login at plex.tv")
            await anyio.sleep(self.poll_seconds)
        return None
