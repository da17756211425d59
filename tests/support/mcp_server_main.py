"""The lamp server as a program: `stdio`, or `http` which prints its port to standard error."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from plex_companion.server.http.http_app import HttpApp
from plex_companion.server.http.web import serve_http
from plex_companion.server.mcp.stdio import serve_stdio
from support.mcp_server import LampServer


def _say(line: object) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


async def _main(transport: str) -> None:
    lamp_server = LampServer()
    try:
        async with lamp_server.notifier.run():
            if transport == "stdio":
                _say("ready")
                await serve_stdio(lamp_server.server)
            else:
                app = HttpApp(lamp_server.server, lamp_server.notifier, health=dict)
                await serve_http(
                    app, "127.0.0.1", 0, notifier=lamp_server.notifier, started=lambda _, port: _say(f"port {port}")
                )
    finally:
        _say("cleaned up")
    _say(lamp_server.notifier.count())


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1])
