"""The command `watch`: what happens in Plex, live, in a terminal or a pipe."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.app import open_companion
from plex_companion.commands.terminal.lines import render_lines
from plex_companion.commands.terminal.tty import (
    buffer_log,
    disable_echo,
    drop_unwritable,
    is_screen,
    stop_when_closed,
    wait_for_key,
)
from plex_companion.commands.terminal.view import MOST_ALERTS, render_servers
from plex_companion.commands.terminal.view_model import ViewModel
from plex_companion.companion import ServerFound, find_link
from plex_companion.duties import check_notify_targets
from plex_companion.history.alert_pages import read_latest
from plex_companion.resources.alerts import ALERTS
from plex_companion.server.http.signals import wait_for_signal
from plex_companion.text import clean
from plex_companion.wording import label_servers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.companion import Companion
    from plex_companion.models import Alert
    from plex_companion.settings import Settings

TICK_SECONDS = 1.0
"""How often the positions of playing sessions are redrawn."""
FRAME_SECONDS = 0.1
"""The shortest time between two redraws."""
SETTLE_SECONDS = 0.5
"""Changes within this time become one line: the title of a new session arrives a moment after the session."""


async def watch(settings: Settings, *, demo: int, server: str | None = None) -> None:
    """Show the live state of every server, or of one, until Ctrl+C, SIGTERM, SIGHUP or `q`, and leave the terminal as it was.

    On a terminal this is a live view. In a pipe or a file it writes no control codes: first the current state, then a line
    for each change. Nothing is polled; positions advance by the clock between reports.

    Raises:
        SettingsError: no server is set, or a target of notifications cannot be used.
        StartError: the database cannot be used.
        NotFound: no server is called `server`.
        Ambiguous: several are.
    """
    if not demo:
        settings.require_plex()
    await check_notify_targets(settings)
    async with AsyncExitStack() as stack:
        screen = is_screen()
        if screen:
            stack.callback(drop_unwritable, sys.stdout, sys.stderr)
            stack.enter_context(buffer_log())
        if demo:
            from plex_companion.demo.demo_settings import open_demo_settings  # noqa: PLC0415 - never loaded unless asked for

            settings = await stack.enter_async_context(open_demo_settings(settings, demo))
        seen = _RecentAlerts()
        companion = await stack.enter_async_context(open_companion(settings, seen.announce))
        # Only the view is cancelled. A cancelled close of the database would leave its threads running.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_after, wait_for_signal, tasks.cancel_scope)
            if server is not None:
                companion = await _choose_server(companion, server)
            await (_draw(companion, seen) if screen else _write(companion, seen))
            tasks.cancel_scope.cancel()


async def _choose_server(companion: Companion, server: str) -> Companion:
    """Return the companion of one server, once Plex has said which server that is. Say once what is waited for."""
    waiting = False
    while not isinstance(find_link(companion.links, server), ServerFound):
        unknown = [link for link in companion.links if link.machine_identifier is None]
        if not unknown:
            break  # it is known that there is none, or more than one
        if not waiting and all(link.connection.detail for link in unknown):
            waiting = True
            states = companion.live.states
            labels = dict(zip(states, label_servers([state.server for state in states.values()]), strict=True))
            reasons = ", ".join(f"{labels[link.link_id]} ({link.connection.detail})" for link in unknown)
            await _try_write([clean(f"No server is called '{server}' so far. Waiting for {reasons}.")])
        await companion.live.wait_for_commit()
    return companion.choose_server(server)


async def _end_after(wait: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
    await wait()
    scope.cancel()


class _RecentAlerts:
    """The recent alerts, read again only after a change."""

    def __init__(self) -> None:
        self._past: dict[str, list[Alert]] = {}

    def announce(self, touched: TouchedUris) -> None:
        if ALERTS.uri in touched.immediate:
            self._past.clear()

    async def build_view_model(self, companion: Companion) -> ViewModel:
        if (past := self._past.get(companion.link_id)) is None:
            past = self._past[companion.link_id] = await read_latest(companion, 2 * MOST_ALERTS)
        states = companion.live.states
        names = dict(zip(states, label_servers([state.server for state in states.values()]), strict=True))
        name = names.get(companion.link_id, "")
        return ViewModel(companion.state, companion.now_ms, past, companion.live.storage, companion.zone, name)


async def _draw(companion: Companion, seen: _RecentAlerts) -> None:
    from rich.console import Console  # noqa: PLC0415 - not needed in a pipe
    from rich.live import Live  # noqa: PLC0415 - the same

    console = Console()
    shown = _list_shown(companion)
    with stop_when_closed(), disable_echo(), Live(console=console, screen=True, auto_refresh=False) as view:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_after, partial(wait_for_key, b"q"), tasks.cancel_scope)
            while True:
                models = [await seen.build_view_model(one) for one in shown]
                view.update(render_servers(models, console.height), refresh=True)
                await anyio.sleep(FRAME_SECONDS)
                if _are_current(shown, models):
                    with anyio.move_on_after(TICK_SECONDS - FRAME_SECONDS):
                        await companion.live.wait_for_commit()


async def _write(companion: Companion, seen: _RecentAlerts) -> None:
    """Print the differences between view models until nobody reads them. A slow reader skips intermediate states, so no lines pile up."""
    shown = _list_shown(companion)
    before: list[ViewModel | None] = [None] * len(shown)
    while True:
        after = [await seen.build_view_model(one) for one in shown]
        pairs = zip(before, after, strict=True)
        if not await _try_write([line for old, new in pairs for line in render_lines(old, new, named=len(shown) > 1)]):
            return
        before = [*after]
        if _are_current(shown, after):
            await companion.live.wait_for_commit()
        await anyio.sleep(SETTLE_SECONDS)


def _list_shown(companion: Companion) -> list[Companion]:
    """Return a companion of each server that is shown."""
    return [companion] if companion.is_limited else [companion.choose_link(one.link_id) for one in companion.links]


def _are_current(shown: Sequence[Companion], models: Sequence[ViewModel]) -> bool:
    return all(one.state is model.state for one, model in zip(shown, models, strict=True))


async def _try_write(lines: list[str]) -> bool:
    """Print the lines, and return whether the pipe still has a reader."""
    try:
        for line in lines:
            await _wait_for_pipe()
            print(line, flush=True)  # noqa: T201 - the answer
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter's flush at exit fails
        return False
    return True


async def _wait_for_pipe() -> None:
    """Wait until a pipe can take a line. Writing to a full pipe would block the event loop, and with it the listener."""
    mode = os.fstat(sys.stdout.fileno()).st_mode
    if sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        await anyio.wait_writable(sys.stdout)
