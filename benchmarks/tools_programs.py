"""Programs of `make bench-tools` and `make bench-peer`: demo servers, and the companion with other limits.

`demo FOLDER`: the demo server; its control calls make it slow. `streams COUNT`: a demo server with the built-in household
and so many sessions. `slots COUNT MS ARGUMENTS…`: `plex-companion ARGUMENTS`
in which so many tools ask Plex at a time, and a thread that wants to run waits so many ms for the one that does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from benchmarks.simulated_load import build_household_with_players, start_sessions
from benchmarks.tools_calls import build_big_household, list_watchlist_ids
from plex_companion.demo import open_demo


async def serve_household(folder: str) -> None:
    async with open_demo(alive=False, household=build_big_household(Path(folder))) as demo:
        demo.start(demo.get_movie())
        demo.watchlists[demo.get_user().id] = list_watchlist_ids(demo)
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


async def serve_streams(count: int) -> None:
    async with open_demo(alive=False, household=build_household_with_players(count)) as demo:
        start_sessions(demo, count)
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


def run_with_slots(count: int, switch_ms: float, arguments: list[str]) -> None:
    from plex_companion.cli import main  # noqa: PLC0415 - the other program has no use for it
    from plex_companion.plex import gateway  # noqa: PLC0415 - the same

    gateway.TOOLS = count
    gateway.MOST_THREADS = 4 * (count + gateway.AHEAD)
    sys.setswitchinterval(switch_ms / 1000)
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    if sys.argv[1] == "demo":
        anyio.run(serve_household, sys.argv[2])
    elif sys.argv[1] == "streams":
        anyio.run(serve_streams, int(sys.argv[2]))
    else:
        run_with_slots(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
