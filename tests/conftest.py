"""What every test may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    """A quiet household whose clock runs a thousand times too fast."""
    async with open_demo(alive=False, speed=1_000.0) as running:
        yield running
