"""A demo server in a process of its own that floods: its address on the first line, then 5,000 frames a second until it ends.

Run by `benchmarks.link_failures`: what the frames cost their sender is not to be counted with what they cost their receiver.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import anyio

from plex_companion.demo import build_household, open_demo

AT_ONCE, PAUSE_SECONDS = 25, 0.005


async def flood() -> None:
    household = replace(build_household(now=time.time()), name="f", machine_identifier="f" * 40, history=[])
    async with open_demo(alive=False, household=household) as demo:
        session = demo.start()
        sys.stdout.write(f"{demo.url}\n")
        sys.stdout.flush()
        began, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) / PAUSE_SECONDS) * AT_ONCE
            if due > sent:
                await demo.burst(AT_ONCE, session)
                sent += AT_ONCE
            await anyio.sleep(0 if due > sent else PAUSE_SECONDS)


if __name__ == "__main__":
    anyio.run(flood)
