"""The command `login`: gets a token by confirmation in a browser, finds the server, and saves both in the user's `.env`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.commands.setup.config_files import save_settings
from plex_companion.errors import (
    NotFound,
    PlexTvUnreachable,
    RateLimited,
    SettingsError,
    StartError,
    TimedOut,
    ToolError,
)
from plex_companion.plex.account import create_pin, list_servers, poll_pin
from plex_companion.plex.gateway import open_gateway
from plex_companion.setting_values import BY_HAND, EXAMPLE
from plex_companion.settings import name_variable
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydantic import SecretStr

    from plex_companion.commands.setup.prompter import Prompter
    from plex_companion.plex.account import Pin, Server
    from plex_companion.plex.gateway import Gateway
    from plex_companion.settings import Settings

PROBE_SECONDS = 5.0
"""The longest time an address may take to answer."""
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ReachedServer:
    """A server that was reached."""

    server: Server
    address: str

    @property
    def title(self) -> str:
        """The server as a choice in a menu."""
        whose = "" if self.server.owned else ", shared with you: Plex tells everything only to its owner"
        return f"{clean(self.server.name)} at {self.address}{whose}"


async def login(
    settings: Settings, prompter: Prompter, path: Path, *, wanted: str | None = None, poll_seconds: float = POLL_SECONDS
) -> None:
    """Sign in at plex.tv, choose a server, and save its address and token.

    Args:
        settings: if `plex_url` is set, no other address is tried.
        prompter: prints and asks.
        path: the `.env` to write.
        wanted: the name of a server to use without asking.
        poll_seconds: how often plex.tv is asked whether the person has confirmed.

    Raises:
        StartError: nobody confirmed, no server answered, or plex.tv is unreachable; the message says what to do instead.
        ToolError: an answer of plex.tv is unusable.
    """
    # A gateway needs an address and no server is known yet: use plex.tv's own, without a token.
    cloud = settings.model_copy(update={"plex_url": settings.plex_tv_url, "plex_token": None})
    try:
        async with open_gateway(cloud) as gateway:
            token = await _wait_for_confirmation(gateway, prompter, poll_seconds)
            known = await gateway.call_plex_tv(partial(list_servers, token=token))
    except (PlexTvUnreachable, TimedOut, RateLimited) as error:
        raise StartError(_explain_by_hand(error, path)) from error
    found = await _find_reachable(_select_named(known, wanted), settings)
    chosen = found[0] if len(found) == 1 else found[prompter.choose("Which server?", [one.title for one in found])]
    # The account's token also gives access to the watchlist and the users at plex.tv. A shared server needs its own token.
    key = token if chosen.server.owned else chosen.server.access_token or token
    save_settings(
        path, {name_variable("plex_url"): chosen.address, name_variable("plex_token"): key.get_secret_value()}
    )
    prompter.say(
        f"{chosen.title}. Address and token are in {path}, which only you can read. Next: plex-companion doctor"
    )
    for name in (name_variable("plex_url"), name_variable("plex_token")):
        if os.environ.get(name):
            prompter.say(f"Note: {name} is also set in the environment, which overrides that file.")


def _explain_by_hand(error: ToolError, path: Path) -> str:
    """Explain how to get a token without plex.tv."""
    url, token = name_variable("plex_url"), name_variable("plex_token")
    return (
        f"plex.tv can't issue a token now ({error.message.partition('. ')[0].rstrip('.')}). Try again later, or find a token "
        f"by hand: {BY_HAND}. The owner's token is also in the server's Preferences.xml, as PlexOnlineToken.\n"
        f"Write the server's address and the token into {path}:\n  {url}={EXAMPLE}\n  {token}=the-token\n"
        "Then run plex-companion doctor."
    )


async def _wait_for_confirmation(gateway: Gateway, prompter: Prompter, poll_seconds: float) -> SecretStr:
    pin = await gateway.call_plex_tv(create_pin)
    minutes = max(1, int(pin.expires_in // 60))
    prompter.say(f"Open this page, sign in as the owner of the server, and allow plex-companion:\n\n  {pin.page}\n")
    prompter.say(f"Waiting for up to {minutes} minutes. Press Ctrl+C to cancel.")
    with anyio.move_on_after(pin.expires_in):
        while True:
            await anyio.sleep(poll_seconds)
            now, pause = await _poll(gateway, pin)
            if now is None:
                break
            if now.auth_token and now.auth_token.get_secret_value():
                return now.auth_token
            await anyio.sleep(pause)
    raise StartError("Access was not allowed in time. Run plex-companion login again.")


async def _poll(gateway: Gateway, pin: Pin) -> tuple[Pin | None, float]:
    """Ask plex.tv for the pin, and return it, or `None` once it has expired, with the seconds to wait before the next try.

    After a temporary failure of plex.tv, the old pin is returned.
    """
    try:
        return await gateway.call_plex_tv(partial(poll_pin, pin=pin)), 0
    except NotFound:
        return None, 0
    except RateLimited as error:
        later = error.facts.get("retry_after_s")
        return pin, float(later) if isinstance(later, int) else POLL_SECONDS
    except (PlexTvUnreachable, TimedOut):
        return pin, 0


def _select_named(known: Sequence[Server], wanted: str | None) -> list[Server]:
    if not known:
        raise StartError("This account has no Plex Media Server, neither its own nor a shared one.")
    names = ", ".join(clean(one.name) for one in known)
    chosen = [one for one in known if wanted is None or wanted.casefold() == one.name.casefold()]
    if not chosen:
        raise StartError(f"This account has no server named {wanted}. Its servers: {names}.")
    return chosen


async def _find_reachable(known: Sequence[Server], settings: Settings) -> list[ReachedServer]:
    """Return every server that answers, each with its best address. All addresses are tried at once."""
    best: dict[str, list[str]] = {one.client_identifier: [] for one in known}

    async def try_address(server: Server, address: str) -> None:
        if await _answers_at(server, address, settings):
            best[server.client_identifier].append(address)

    tried = [(one, address) for one in known for address in _list_addresses(one, settings)]
    async with anyio.create_task_group() as tasks:
        for server, address in tried:
            tasks.start_soon(try_address, server, address)
    found = [
        ReachedServer(one, min(best[one.client_identifier], key=_list_addresses(one, settings).index))
        for one in known
        if best[one.client_identifier]
    ]
    if not found:
        places = "\n".join(f"  {clean(server.name)}: {address}" for server, address in tried) or "  no address at all"
        raise StartError(
            f"You are signed in, but no server answers from here. Tried:\n{places}\n"
            "Try again with --plex-url http://host:32400, the address at which you can reach it."
        )
    return found


def _list_addresses(server: Server, settings: Settings) -> list[str]:
    return [settings.plex_url] if settings.plex_url else server.addresses


async def _answers_at(server: Server, address: str, settings: Settings) -> bool:
    """Return whether this server answers at the address. The request carries no token, which a stranger could steal."""
    there = settings.model_copy(update={"plex_url": address, "plex_token": None, "plex_timeout_seconds": PROBE_SECONDS})
    try:
        async with open_gateway(there) as gateway:
            identity = await gateway.fetch_identity()
    except (ToolError, SettingsError):
        return False
    return identity is not None and identity.machine_identifier == server.client_identifier
