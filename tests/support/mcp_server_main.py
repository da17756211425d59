"""The toy house as a program: `stdio`, or `http` which prints its port to standard error."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from plex_companion.server.http.http_app import HttpApp
from plex_companion.server.http.web import serve_http
from plex_companion.server.mcp.stdio import serve_stdio
from support.mcp_server import House


def _say(line: object) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


async def _main(transport: str) -> None:
    house = House()
    try:
        async with house.notifier.run():
            if transport == "stdio":
                _say("ready")
                await serve_stdio(house.server)
            else:
                app = HttpApp(house.server, house.notifier, health=dict)
                await serve_http(
                    app, "127.0.0.1", 0, notifier=house.notifier, started=lambda _, port: _say(f"port {port}")
                )
    finally:
        _say("cleaned up")
    _say(house.notifier.count())


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1])
