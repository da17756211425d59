"""The command `login`: gets a token by confirmation in a browser, finds the servers, and saves both in the user's `.env`."""

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
from plex_companion.text import clean, format_count

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
ALL = "all"


@dataclass(frozen=True, slots=True)
class ReachedServer:
    """A server that was reached."""

    server: Server
    address: str

    @property
    def title(self) -> str:
        """The server as a choice in a menu."""
        whose = "" if self.server.owned else ", shared with you: Plex shows everything only to its owner"
        return f"{clean(self.server.name)} at {self.address}{whose}"

    def find_token(self, account: SecretStr) -> SecretStr:
        """Return the token for the server, given the account's.

        The account's token also gives access to the watchlist and the users at plex.tv. A shared server needs its own.
        """
        return account if self.server.owned else self.server.access_token or account


async def login(
    settings: Settings,
    prompter: Prompter,
    path: Path,
    *,
    server_names: Sequence[str] = (),
    known_addresses: Sequence[str] = (),
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Sign in at plex.tv, choose servers, and save their addresses and tokens.

    Args:
        settings: if `plex_url` is set, no other address is tried.
        prompter: prints and asks.
        path: the `.env` to write.
        server_names: the names or identifiers of servers to use without asking, in this order; `all` uses all.
        known_addresses: addresses in the settings so far. They are kept where they still lead to the server, and these
            servers stay first: the database is named after the first address.
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
    wanted = _select_named(known, server_names)
    found = await AddressFinder(settings, known_addresses).find_reachable(wanted)
    if server_names:
        _report_missing(prompter, [one for one in wanted if one not in {each.server for each in found}], server_names)
    _save(prompter, path, found if len(found) == 1 or server_names else _choose(prompter, found), token)


def _report_missing(prompter: Prompter, missing: Sequence[Server], server_names: Sequence[str]) -> None:
    """Say which servers do not answer. One that was asked for by name is an error."""
    names = ", ".join(clean(one.name) for one in missing)
    if missing and ALL not in map(str.casefold, server_names):
        raise StartError(f"No answer from here: {names}. Nothing was saved. Try again without, or when it is on.")
    if missing:
        prompter.say(f"No answer from here, and so not saved: {names}.")


def _choose(prompter: Prompter, found: Sequence[ReachedServer]) -> list[ReachedServer]:
    return [found[place] for place in prompter.choose_many("Which servers?", [one.title for one in found])]


def _save(prompter: Prompter, path: Path, chosen: Sequence[ReachedServer], account: SecretStr) -> None:
    """Write the addresses, and the tokens: one, if all servers take the same."""
    tokens = [one.find_token(account).get_secret_value() for one in chosen]
    url, token = name_variable("plex_url"), name_variable("plex_token")
    given = tokens[:1] if len(set(tokens)) == 1 else tokens
    save_settings(path, {url: ",".join(one.address for one in chosen), token: ",".join(given)})
    titles = "\n".join(f"{one.title}." for one in chosen)
    what = "Address and token are" if len(chosen) == 1 else "Addresses and tokens are"
    prompter.say(f"{titles} {what} in {path}, which only you can read. Next: plex-companion doctor")
    for name in (url, token):
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
    prompter.say(f"Waiting for up to {format_count(minutes, 'minute')}. Press Ctrl+C to cancel.")
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


def _select_named(known: Sequence[Server], wanted: Sequence[str]) -> list[Server]:
    """Return the servers of these names or identifiers, in the order they are named; all without names."""
    if not known:
        raise StartError("This account has no Plex Media Server, neither its own nor a shared one.")
    chosen: dict[str, Server] = {}
    for name in wanted or [ALL]:
        for server in _find_named(known, name):
            chosen[server.client_identifier] = server
    return list(chosen.values())


def _find_named(known: Sequence[Server], name: str) -> list[Server]:
    """Return the servers of a name or identifier. `all` means all, unless a server is called so."""
    found = [one for one in known if name.casefold() in {one.name.casefold(), one.client_identifier.casefold()}]
    if not found and name.casefold() != ALL:
        names = ", ".join(clean(one.name) for one in known)
        raise StartError(f"This account has no server named {name}. Its servers: {names}.")
    return found or list(known)


@dataclass(frozen=True, slots=True)
class AddressFinder:
    """Finds the addresses at which servers answer from here."""

    settings: Settings
    known: Sequence[str]
    """Addresses that are preferred, in this order."""

    async def find_reachable(self, servers: Sequence[Server]) -> list[ReachedServer]:
        """Return every server that answers, each with its best address. All addresses are tried at once."""
        answering: set[tuple[str, str]] = set()

        async def try_address(server: Server, address: str) -> None:
            if await _answers_at(server, address, self.settings):
                answering.add((server.client_identifier, address))

        tried = [(one, address) for one in servers for address in self._list_addresses(one)]
        async with anyio.create_task_group() as tasks:
            for server, address in tried:
                tasks.start_soon(try_address, server, address)
        best: dict[str, ReachedServer] = {}
        for server, address in tried:
            if (server.client_identifier, address) in answering:
                best.setdefault(server.client_identifier, ReachedServer(server, address))
        if not best:
            raise StartError(_explain_unreachable(tried))
        return sorted(best.values(), key=self._rank)

    def _list_addresses(self, server: Server) -> list[str]:
        if self.settings.plex_url:
            return self.settings.plex_url.split(",")
        return list(dict.fromkeys((*self.known, *server.addresses)))

    def _rank(self, found: ReachedServer) -> int:
        """Servers at known addresses stay first, because the database is named after the first address."""
        return self.known.index(found.address) if found.address in self.known else len(self.known)


def _explain_unreachable(tried: Sequence[tuple[Server, str]]) -> str:
    places = "\n".join(f"  {clean(server.name)}: {address}" for server, address in tried) or "  no address at all"
    return (
        f"You are signed in, but no server answers from here. Tried:\n{places}\n"
        "Try again with --plex-url http://host:32400, the address at which you can reach it."
    )


async def _answers_at(server: Server, address: str, settings: Settings) -> bool:
    """Return whether this server answers at the address. The request carries no token, which a stranger could steal."""
    probe = settings.model_copy(update={"plex_url": address, "plex_token": None, "plex_timeout_seconds": PROBE_SECONDS})
    try:
        async with open_gateway(probe) as gateway:
            identity = await gateway.fetch_identity()
    except (ToolError, SettingsError):
        return False
    return identity is not None and identity.machine_identifier == server.client_identifier
