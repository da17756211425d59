"""Several demo servers side by side: who they say they are, and what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.demo_clients import asked

from plex_companion.demo import Household, build_household, build_households, open_demo

if TYPE_CHECKING:
    from plexapi.server import PlexServer

NOW = 1_780_000_000


def identify(plex: PlexServer) -> tuple[str, str]:
    return plex.machineIdentifier, plex.friendlyName


async def test_two_demo_servers_run_side_by_side_under_different_names_and_identifiers() -> None:
    async with (
        open_demo(alive=False, identifier="den-1", name="Den") as den,
        open_demo(alive=False, name="Cabin") as cabin,
    ):
        assert await asked(den, identify) == ("den-1", "Den")
        identifier, name = await asked(cabin, identify)
        assert (len(identifier), name) == (40, "Cabin")


async def test_an_identifier_alone_keeps_the_name_of_the_household() -> None:
    async with open_demo(alive=False, identifier="another") as demo:
        assert await asked(demo, identify) == ("another", build_household(now=NOW).name)


def list_guids(household: Household) -> set[str]:
    return {item.guid for item in household.items}


def test_households_share_five_films_and_no_other_guid() -> None:
    den, cabin, attic = build_households(3, now=NOW)
    for one, other in ((den, cabin), (den, attic), (cabin, attic)):
        shared = list_guids(one) & list_guids(other)
        assert len(shared) == 5
        assert {item.type for item in one.items if item.guid in shared} == {"movie"}


def test_households_use_the_same_rating_keys_and_libraries_for_different_things() -> None:
    den, cabin = build_households(2, now=NOW)
    assert {item.key for item in cabin.items} <= {item.key for item in den.items}
    assert {section.key for section in cabin.sections} <= {section.key for section in den.sections}
    titles = {item.key: item.title for item in den.items}
    assert all(titles[item.key] != item.title for item in cabin.items[:5])


def test_the_third_household_belongs_to_another_person_who_is_a_guest_elsewhere() -> None:
    den, cabin, attic = build_households(3, now=NOW)
    owners = [next(user for user in household.users if user.id == 1).name for household in (den, cabin, attic)]
    assert owners[0] == owners[1] != owners[2]
    assert {user.cloud_id for user in den.users} == {user.cloud_id for user in attic.users}


@pytest.mark.parametrize("count", [1, 9])
def test_every_household_has_a_name_and_an_identifier_of_its_own(count: int) -> None:
    households = build_households(count, now=NOW)
    assert len({one.name for one in households}) == len({one.machine_identifier for one in households}) == count
