"""Prepares the terminal for the live view and restores it: keys are not echoed, and log lines wait until the view closes."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

KEPT = 20


def is_screen() -> bool:
    """Return whether standard output is a terminal that understands cursor movement."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


@contextmanager
def disable_echo() -> Iterator[None]:
    """Read keys one by one, without echo, in the block. Ctrl+C and Ctrl+Z work as usual (cbreak mode, termios(3))."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - not on Windows
    import tty  # noqa: PLC0415 - the same

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal has been closed
            termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


@contextmanager
def stop_when_closed() -> Iterator[None]:
    """End the block quietly when its terminal is closed. Later output goes to the null device."""
    try:
        yield
    except* OSError:
        screen, log, nowhere = sys.stdout.fileno(), sys.stderr.fileno(), os.open(os.devnull, os.O_WRONLY)
        for descriptor in [screen, log] if os.path.sameopenfile(screen, log) else [screen]:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)


def drop_unwritable(*streams: TextIO) -> None:
    """Drop what waits for a terminal that has been closed: as the interpreter ends, it would be an error (exit code 120)."""
    for stream in streams:
        try:
            stream.flush()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


async def wait_for_key(key: bytes) -> None:
    """Wait until a key is pressed. Without a keyboard, wait forever."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        await anyio.sleep_forever()
    typed = b" "
    while typed and key not in typed:
        await anyio.wait_readable(sys.stdin)
        typed = os.read(sys.stdin.fileno(), 64)
    if not typed:
        await anyio.sleep_forever()


class _BufferedHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def buffer_log() -> Iterator[None]:
    """Hold back warnings until the block ends, because the view would draw over them. A log file is not affected."""
    root, buffer = logging.getLogger(), _BufferedHandler()
    if not sys.stderr.isatty():
        yield
        return
    handlers = root.handlers[:]
    buffer.setFormatter(handlers[0].formatter if handlers else None)
    root.handlers[:] = [buffer]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        with suppress(OSError):  # the terminal has been closed
            for line in buffer.lines:
                print(line, file=sys.stderr)  # noqa: T201 - this is what a person reads
