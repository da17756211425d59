"""The command `watch`: what Plex does, as it happens, in a terminal or down a pipe."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.app import open_companion, open_demo_settings
from plex_companion.commands.terminal.lines import render_lines
from plex_companion.commands.terminal.tty import (
    buffer_log,
    disable_echo,
    drop_unwritable,
    is_screen,
    stop_when_closed,
    wait_for_key,
)
from plex_companion.commands.terminal.view import MOST_ALERTS, render
from plex_companion.commands.terminal.view_model import ViewModel
from plex_companion.history.alert_pages import read_latest
from plex_companion.resources.alerts import ALERTS
from plex_companion.server.http.signals import wait_for_signal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.companion import Companion
    from plex_companion.models import Alert
    from plex_companion.settings import Settings

TICK_SECONDS = 1.0
"""How often what plays is drawn a little further on."""
FRAME_SECONDS = 0.1
"""The shortest time between two pictures."""
SETTLE_SECONDS = 0.5
"""What changes within this time is told as one: a new session is named a moment after it is heard of."""


async def watch(settings: Settings, *, demo: bool) -> None:
    """Show what is known of Plex until Ctrl+C, SIGTERM, SIGHUP or `q`; the terminal is left as it was.

    On a terminal it is a live view. Into a pipe or a file it writes no control codes: first what there is, then a line
    for each change. Nothing is polled; what has not been heard of for a while is drawn where time must have brought it.

    Raises:
        SettingsError: there is no server to listen to.
        StartError: the database cannot be used.
    """
    if not demo:
        settings.require_plex()
    async with AsyncExitStack() as stack:
        screen = is_screen()
        if screen:
            stack.callback(drop_unwritable, sys.stdout, sys.stderr)
            stack.enter_context(buffer_log())
        if demo:
            settings = await stack.enter_async_context(open_demo_settings(settings))
        seen = _RecentAlerts()
        companion = await stack.enter_async_context(open_companion(settings, seen.announce))
        # Only the view is cancelled: the database is closed in peace, since its threads would outlive a cancelled close.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_after, wait_for_signal, tasks.cancel_scope)
            await (_draw(companion, seen) if screen else _write(companion, seen))
            tasks.cancel_scope.cancel()


async def _end_after(what: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
    await what()
    scope.cancel()


class _RecentAlerts:
    """The alerts of late, read again only when there are others."""

    def __init__(self) -> None:
        self._past: list[Alert] = []
        self._read = False

    def announce(self, touched: TouchedUris) -> None:
        if ALERTS.uri in touched.immediate:
            self._read = False

    async def build_view_model(self, companion: Companion) -> ViewModel:
        if not self._read:
            self._read = True
            self._past = await read_latest(companion, 2 * MOST_ALERTS)
        return ViewModel(companion.state, companion.now_ms, self._past, companion.live.storage, companion.zone)


async def _draw(companion: Companion, seen: _RecentAlerts) -> None:
    from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it
    from rich.live import Live  # noqa: PLC0415 - the same

    console = Console()
    with stop_when_closed(), disable_echo(), Live(console=console, screen=True, auto_refresh=False) as view:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_after, partial(wait_for_key, b"q"), tasks.cancel_scope)
            while True:
                scene = await seen.build_view_model(companion)
                view.update(render(scene, console.height), refresh=True)
                await anyio.sleep(FRAME_SECONDS)
                if companion.state is scene.state:
                    with anyio.move_on_after(TICK_SECONDS - FRAME_SECONDS):
                        await companion.live.wait_for_commit()


async def _write(companion: Companion, seen: _RecentAlerts) -> None:
    """Compares scenes, so a reader that lags is told less and costs nothing."""
    before: ViewModel | None = None
    while True:
        after = await seen.build_view_model(companion)
        if not await _try_write(render_lines(before, after)):
            return
        before = after
        if companion.state is before.state:
            await companion.live.wait_for_commit()
        await anyio.sleep(SETTLE_SECONDS)


async def _try_write(told: list[str]) -> bool:
    """Whether anybody still reads."""
    try:
        for line in told:
            await _wait_for_pipe()
            print(line, flush=True)  # noqa: T201 - the answer
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        return False
    return True


async def _wait_for_pipe() -> None:
    """Wait until a pipe takes a line; a full one would stop everything, the listener too."""
    mode = os.fstat(sys.stdout.fileno()).st_mode
    if sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        await anyio.wait_writable(sys.stdout)
