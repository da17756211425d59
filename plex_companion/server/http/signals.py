"""Waits for a signal to end."""

from __future__ import annotations

import signal
import sys
import threading

import anyio


async def wait_for_signal() -> None:
    """Return at the first SIGINT, SIGTERM or SIGHUP. A second one meets the original handlers and ends the process.

    SIGHUP stays ignored if it was (`nohup`). It is also ignored after the first one: a terminal that closes sends it,
    and then the shell in it sends it again.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        await anyio.sleep_forever()  # there Ctrl+C cancels the main task
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*ends) as signals:
        first = await anext(aiter(signals))
    if first == signal.SIGHUP:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
