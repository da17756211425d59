"""The command `login`: a token by confirmation in a browser, the servers it opens, and a `.env` for the user alone."""

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

KNOCK_SECONDS = 5.0
"""How long an address may take to answer."""
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ReachedServer:
    """A server that was reached."""

    server: Server
    address: str

    @property
    def title(self) -> str:
        """For a person choosing."""
        whose = "" if self.server.owned else ", somebody else's: Plex tells everything only to its owner"
        return f"{clean(self.server.name)} at {self.address}{whose}"


async def login(
    settings: Settings, person: Prompter, path: Path, *, wanted: str | None = None, poll_seconds: float = POLL_SECONDS
) -> None:
    """Sign in at Plex, choose a server, keep its address and token.

    Args:
        settings: `plex_url`, if set, is the only address tried.
        person: confirms and chooses.
        path: the `.env` written to.
        wanted: name of the server to take without asking.
        poll_seconds: how often plex.tv is asked whether the person has confirmed.

    Raises:
        StartError: nobody confirmed, no server was reached, or plex.tv is away: the message says how to do without.
        ToolError: plex.tv does not answer as it should.
    """
    # No server is known yet, and a gateway needs an address: plex.tv's own stands in, and no token goes along.
    cloud = settings.model_copy(update={"plex_url": settings.plex_tv_url, "plex_token": None})
    try:
        async with open_gateway(cloud) as gateway:
            token = await _wait_for_confirmation(gateway, person, poll_seconds)
            known = await gateway.call_plex_tv(partial(list_servers, token=token))
    except (PlexTvUnreachable, TimedOut, RateLimited) as error:
        raise StartError(_explain_by_hand(error, path)) from error
    found = await _find_reachable(_select_named(known, wanted), settings)
    chosen = found[0] if len(found) == 1 else found[person.choose("Which one?", [one.title for one in found])]
    # The account's own token also opens the watchlist and the users at plex.tv; a guest's server wants its own.
    key = token if chosen.server.owned else chosen.server.access_token or token
    save_settings(
        path, {name_variable("plex_url"): chosen.address, name_variable("plex_token"): key.get_secret_value()}
    )
    person.say(f"{chosen.title}. Address and token are in {path}, which only you can read. Next: plex-companion doctor")
    for name in (name_variable("plex_url"), name_variable("plex_token")):
        if os.environ.get(name):
            person.say(f"Note: {name} is set in the environment, and wins over that file.")


def _explain_by_hand(error: ToolError, path: Path) -> str:
    """Say what can be done without plex.tv."""
    url, token = name_variable("plex_url"), name_variable("plex_token")
    return (
        f"plex.tv cannot be asked for a token now ({error.message.partition('. ')[0].rstrip('.')}). Try again later, or do "
        f"without it: {BY_HAND}. The owner's token also stands in the server's Preferences.xml, as PlexOnlineToken.\n"
        f"Write the server's address and the token into {path}:\n  {url}={EXAMPLE}\n  {token}=the-token\n"
        "Then run plex-companion doctor."
    )


async def _wait_for_confirmation(gateway: Gateway, person: Prompter, poll_seconds: float) -> SecretStr:
    pin = await gateway.call_plex_tv(create_pin)
    minutes = max(1, int(pin.expires_in // 60))
    person.say(f"Open this page, sign in as the owner of the server, and allow plex-companion:\n\n  {pin.page}\n")
    person.say(f"Waiting for {minutes} minutes; Ctrl+C ends it.")
    with anyio.move_on_after(pin.expires_in):
        while True:
            await anyio.sleep(poll_seconds)
            now, pause = await _poll(gateway, pin)
            if now is None:
                break
            if now.auth_token and now.auth_token.get_secret_value():
                return now.auth_token
            await anyio.sleep(pause)
    raise StartError("Nobody allowed it in time. Run plex-companion login again.")


async def _poll(gateway: Gateway, pin: Pin) -> tuple[Pin | None, float]:
    """The pin as it is, or none when it has expired; and how long to hold back. A plex.tv that stumbles is asked again."""
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
        raise StartError("This account has no Plex Media Server, and none is shared with it.")
    names = ", ".join(clean(one.name) for one in known)
    chosen = [one for one in known if wanted is None or wanted.casefold() == one.name.casefold()]
    if not chosen:
        raise StartError(f"No server of this account is called {wanted}. Its servers: {names}.")
    return chosen


async def _find_reachable(known: Sequence[Server], settings: Settings) -> list[ReachedServer]:
    """Every server with the best address at which it answers; all are tried at once."""
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
            "Try again with --plex-url http://host:32400, the address under which you reach it."
        )
    return found


def _list_addresses(server: Server, settings: Settings) -> list[str]:
    return [settings.plex_url] if settings.plex_url else server.addresses


async def _answers_at(server: Server, address: str, settings: Settings) -> bool:
    """Whether that very server answers there. It is asked without a token, so a stranger learns nothing."""
    there = settings.model_copy(update={"plex_url": address, "plex_token": None, "plex_timeout_seconds": KNOCK_SECONDS})
    try:
        async with open_gateway(there) as gateway:
            identity = await gateway.fetch_identity()
    except (ToolError, SettingsError):
        return False
    return identity is not None and identity.machine_identifier == server.client_identifier
