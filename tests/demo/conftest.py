"""The fixture every test of the demo shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest_demo import FAST

from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    """A quiet household whose clock runs a thousand times too fast."""
    async with open_demo(alive=False, speed=FAST) as running:
        yield running
