"""Being told to end by the operating system."""

from __future__ import annotations

import signal
import sys
import threading

import anyio


async def told_to_end() -> None:
    """Return at the first SIGINT or SIGTERM. A second one finds the handlers of before and ends the process."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        await anyio.sleep_forever()  # there Ctrl+C cancels the main task
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
