"""Two programs of `make bench-tools`: the big household served, and the companion set otherwise.

`house FOLDER`: the demo server; its control calls make it slow. `slots COUNT MS ARGUMENTS…`: `plex-companion ARGUMENTS`
in which so many tools ask Plex at a time, and a thread that wants to run waits so many ms for the one that does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from benchmarks.tools_calls import big_household, wished
from plex_companion.demo import open_demo


async def house(folder: str) -> None:
    async with open_demo(alive=False, household=big_household(Path(folder))) as demo:
        demo.start(demo.get_movie())
        demo.watchlists[demo.get_user().id] = wished(demo)
        print(f"serves {demo.url}", flush=True)
        await anyio.sleep_forever()


def slots(count: int, switch_ms: float, arguments: list[str]) -> None:
    from plex_companion.cli import main  # noqa: PLC0415 - the other program has no use for it
    from plex_companion.plex import gateway  # noqa: PLC0415 - the same

    gateway.TOOLS = count
    gateway.MOST_THREADS = 4 * (count + gateway.AHEAD)
    sys.setswitchinterval(switch_ms / 1000)
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    if sys.argv[1] == "house":
        anyio.run(house, sys.argv[2])
    else:
        slots(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
