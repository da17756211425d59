"""What every test may use."""

from __future__ import annotations

import gc
import pickle
import signal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from support.several_servers import CABIN, DEN, household
from support.tools import Tools, tools_home

from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.postgres import Postgres

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # in the background of a shell: what tests start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # no example fails for what the machine does beside it
gc.disable()  # until all tests are collected: nothing of that can be freed


def pytest_collection_finish() -> None:
    """Spare the collector what lives as long as the process: a quarter of a second each time, some hundred times."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of every test, and of what the tests of a module share."""
    return "asyncio"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    """A quiet household whose clock runs a thousand times too fast."""
    async with open_demo(alive=False, speed=1_000.0) as running:
        yield running


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    """The home that the tests of a module share. A module with a household of its own has a fixture of this name too."""
    async with tools_home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


@pytest.fixture
def tools(shared: Tools) -> Iterator[Tools]:
    """The shared home, for a test that only reads."""
    shared.application.companion.ttl_cache.clear()
    shared.demo.requests.clear()
    before = copy_state(shared.demo)
    yield shared
    assert copy_state(shared.demo) == before, "This test changes Plex: it needs a home of its own."


def copy_state(demo: Demo) -> bytes:
    """Whatever a tool can change."""
    state = demo.state
    library = (state.sections, state.items, state.playlists, state.collections, state.changed_at)
    people = (state.users, state.players, state.history, state.views, state.watchlists, state.account)
    rest = (state.prefs, state.sessions, state.activities, state.refreshing, state.play_queues, state.item_prefs)
    return pickle.dumps((library, people, rest, state.chosen_pictures, state.chosen_streams, state.managed_hubs))


@pytest.fixture
async def den() -> AsyncIterator[Demo]:
    async with household(DEN) as running:
        yield running


@pytest.fixture
async def cabin() -> AsyncIterator[Demo]:
    async with household(CABIN) as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the tests of a module."""
    from support.postgres import run_postgres  # noqa: PLC0415 - for the few tests that want it

    with run_postgres() as running:
        yield running


@pytest.fixture
def group() -> str:
    """The group of a test's chronicle, so that tests can share a PostgreSQL."""
    return f"g{uuid4().hex[:12]}"
