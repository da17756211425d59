"""A demo server in a process of its own that floods: its address on the first line, then 5,000 frames a second until it ends.

Run by `benchmarks.link_failures`. The frames are made beforehand and 25 are sent at once, so that the sender, which would
be another machine, takes next to nothing of the processor that its receiver is measured on.
"""

from __future__ import annotations

import struct
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.demo import build_household, frames, open_demo

if TYPE_CHECKING:
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

AT_ONCE, PAUSE_SECONDS = 25, 0.005
SECONDS = 20
"""How long the frames last."""
SMALL, MEDIUM = 126, 65_536


async def flood() -> None:
    household = replace(build_household(now=time.time()), name="f", machine_identifier="f" * 40, history=[])
    async with open_demo(alive=False, household=household) as demo:
        session = demo.start()
        blocks = [build_block(session) for _ in range(int(SECONDS / PAUSE_SECONDS))]
        sys.stdout.write(f"{demo.url}\n")
        sys.stdout.flush()
        while not demo.subscribers.listeners:  # noqa: ASYNC110  # the demo has no event for it
            await anyio.sleep(PAUSE_SECONDS)
        await anyio.sleep(0.2)  # until the answer to the request for the websocket is sent
        began = time.monotonic()
        for number, block in enumerate(blocks):
            await anyio.sleep(max(0.0, began + number * PAUSE_SECONDS - time.monotonic()))
            await send_block(demo, block)
        await anyio.sleep_forever()


def build_block(session: DemoSession) -> bytes:
    """Return the bytes of the next frames, as a server sends them on a websocket."""
    block = b""
    for _ in range(AT_ONCE):
        session.offset += 10
        payload = frames.build_playing(session.build_entry()).payload
        text = payload.encode() if isinstance(payload, str) else payload
        assert SMALL <= len(text) < MEDIUM
        block += b"\x81" + struct.pack("!BH", SMALL, len(text)) + text
    return block


async def send_block(demo: Demo, block: bytes) -> None:
    for link in list(demo.relay.links):
        if link.websocket:
            await link.client.send(block)


if __name__ == "__main__":
    anyio.run(flood)
