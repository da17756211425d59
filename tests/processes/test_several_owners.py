"""All companions on one database look after the same servers; one of another household ends with a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.several_processes import rows
from support.several_servers import ATTIC, CABIN, DEN, all_live, household, looking_after, state_of

from plex_companion.cache.leadership import LinkStatus
from plex_companion.cache.link_rows import plan_link_update
from plex_companion.cache.open_files import Owner
from plex_companion.cli import _find_expected_error
from plex_companion.errors import DatabaseOfAnotherServer
from plex_companion.models import Connection
from plex_companion.processes.ownership import judge_links

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.demo import Demo


@pytest.fixture
async def attic() -> AsyncIterator[Demo]:
    async with household(ATTIC) as running:
        yield running


async def refused(folder: Path, *demos: Demo, busy: Demo | None = None) -> str:
    """A companion of these servers ends with one line, at the latest when the one that listens commits something."""

    async def run() -> None:
        async with looking_after(folder, *demos):
            while True:
                if busy is not None:
                    busy.stop(busy.start())
                await anyio.sleep(0.05)

    with pytest.raises((BaseExceptionGroup, DatabaseOfAnotherServer)) as raised:
        await run()
    error = raised.value
    found = _find_expected_error(error) if isinstance(error, BaseExceptionGroup) else error
    assert isinstance(found, DatabaseOfAnotherServer)
    assert "\n" not in found.message
    return found.message


async def test_fewer_or_other_servers_than_the_process_that_listens_has_are_refused(
    den: Demo, cabin: Demo, attic: Demo, tmp_path: Path
) -> None:
    async with looking_after(tmp_path, den, cabin) as one:
        await all_live(one)
        for demos in ((cabin,), (den, attic), (den, cabin, attic)):
            line = await refused(tmp_path, *demos, busy=den)
            assert DEN in line
            assert CABIN in line
        assert CABIN in await refused(tmp_path, attic)
        assert one.listens
        await all_live(one)
    sql = "SELECT machine_identifier FROM servers WHERE length(machine_identifier) = 40 ORDER BY 1"
    assert rows(tmp_path, sql) == [(CABIN,), (DEN,)]


async def test_another_household_is_refused_when_nobody_listens(
    den: Demo, cabin: Demo, attic: Demo, tmp_path: Path
) -> None:
    async with looking_after(tmp_path, den, cabin) as one:
        await all_live(one)
    assert ATTIC in await refused(tmp_path, attic)


async def test_the_same_servers_in_another_order_or_spelling_are_followed(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    spelled = f"{cabin.url.replace('127.0.0.1', 'localhost')},{den.url}"
    async with looking_after(tmp_path, den, cabin) as one:
        await all_live(one)
        den.start()
        cabin.start()
        await one.until(lambda: all(state_of(one, name).sessions for name in ("Den", "Cabin")))
        for more in ({}, {"plex_url": spelled}):
            async with looking_after(tmp_path, cabin, den, **more) as second:
                assert not second.listens
                await second.until(lambda second=second: len(names_of(second)) == 2)  # type: ignore[misc]  # bound by default
                for name in ("Den", "Cabin"):
                    await second.until(
                        lambda second=second, name=name: state_of(second, name).sessions  # type: ignore[misc]  # the same
                    )


async def test_an_address_in_another_spelling_keeps_what_goes_on_there(den: Demo, tmp_path: Path) -> None:
    async with looking_after(tmp_path, den) as one:
        await all_live(one)
        den.start()
        await one.until(lambda: rows(tmp_path, "SELECT 1 FROM plays WHERE ended_at IS NULL"))
    async with looking_after(tmp_path, den, plex_url=den.url.replace("127.0.0.1", "localhost")) as one:
        await all_live(one)
        assert len(one.sessions) == 1
    assert len(rows(tmp_path, "SELECT 1 FROM plays WHERE ended_by IS NOT 'imported'")) == 1
    assert rows(tmp_path, "SELECT server FROM links") == [(DEN,)]


def names_of(one: Any) -> list[str]:
    return [link.name for link in one.companion.links if link.name]


TWO = {"a": "A", "b": "B"}


@pytest.mark.parametrize(
    ("theirs", "ours", "identities", "verdict"),
    [
        (TWO, "ab", {}, "same"),
        (TWO, "ac", {"c": "B"}, "same"),
        (TWO, "cd", {"c": "B", "d": "A"}, "same"),
        (TWO, "ac", {}, "unknown"),
        (TWO, "ac", {"c": "C"}, "differs"),
        (TWO, "a", {}, "differs"),
        (TWO, "abc", {}, "differs"),
        (TWO, "cd", {"c": "C", "d": "D"}, "another"),
        (TWO, "c", {"c": "C"}, "another"),
        ({"a": "A"}, "b", {"b": "B"}, "another"),
        ({"a": "A"}, "b", {}, "unknown"),
        ({"a": "A"}, "b", {"b": "A"}, "same"),
        ({"a": "A", "b": None}, "ab", {}, "same"),
    ],
)
def test_servers_are_compared_by_address_and_then_by_identity(
    theirs: dict[str, str | None], ours: str, identities: dict[str, str], verdict: str
) -> None:
    assert judge_links(Owner("A", "Den", 1, theirs), set(ours), identities, own_address=False) == verdict


def row(link: str, server: str | None) -> LinkStatus:
    return LinkStatus(link, server, Connection("live", 1), sessions_read=True, last_event_at=1, refreshed_at=1)


@pytest.mark.parametrize(
    ("links", "rows", "identities", "renamed", "ended"),
    [
        ("a", [], {}, {}, []),
        ("ab", [("a", "A"), ("b", "B")], {}, {}, []),
        ("ba", [("a", "A"), ("b", "B")], {}, {}, []),
        ("a", [("a", "A"), ("b", "B")], {}, {}, ["B", "unknown:b"]),
        ("a", [("a", "A"), ("b", None)], {}, {}, ["unknown:b"]),
        ("abc", [("a", "A")], {}, {}, []),
        ("c", [("a", "A")], {}, {"a": "c"}, []),
        ("ca", [("a", "A"), ("b", "B")], {"c": "B"}, {"b": "c"}, []),
        ("ca", [("a", "A"), ("b", "B")], {}, {}, ["B", "unknown:b"]),
        ("ab", [("", "A")], {}, {"": "a"}, []),
    ],
)
def test_what_goes_on_at_addresses_that_were_removed_ends_and_other_rows_stay(
    links: str,
    rows: list[tuple[str, str | None]],
    identities: dict[str, str],
    renamed: dict[str, str],
    ended: list[str],
) -> None:
    update = plan_link_update(list(links), [row(*one) for one in rows], identities)
    assert (update.renamed, update.ended) == (renamed, ended)
    assert bool(update) == bool(renamed or ended)
