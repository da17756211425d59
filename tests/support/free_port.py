"""A port for a program that must be told one."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

PORTS = range(20_000, 32_000)
"""Below those that systems give to connections and to whoever listens on any port, so that nobody gets one by chance
before the program listens, or while it is being started again.
"""


def find_free_port() -> int:
    """Return a port of loopback that nothing listened on a moment ago."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
