"""Several households side by side: each has its own server, and some films, people and numbers in common with the others."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from plex_companion.demo.household.built_in import (
    ARTISTS,
    MOVIES,
    SHOWS,
    HouseholdBuilder,
    add_artist,
    add_movie,
    add_show,
    add_twin,
    build_household,
    build_players,
    build_users,
    derive_views,
    make_history,
    make_section,
)
from plex_companion.demo.household.model import DemoUser, Household

NAMES = ("Den", "Cabin", "Attic", "Barn", "Loft", "Cellar", "Porch", "Shed", "Dock")
MOST = len(NAMES)
SHARED = 5
"""How many films every household has of the first one."""
PLAYS = 60


def build_households(count: int, *, now: float) -> list[Household]:
    """Build so many households, at most `MOST`, with the same people and five films in common.

    Their numbers clash as those of real servers do: rating keys, libraries and session keys all start at the same number.
    Every third household belongs to another person, to whom the owner of the others is a guest.
    """
    first = rename_household(build_household(now=now), None, NAMES[0])
    return [first, *(_build_neighbour(first, number, int(now)) for number in range(1, count))]


def rename_household(household: Household, identifier: str | None, name: str | None) -> Household:
    """Return the household under another name. Without an identifier, it gets one that follows from the name."""
    if name is None and identifier is None:
        return household
    derived = hashlib.sha256((name or "").encode()).hexdigest()[:40]
    return replace(household, name=name or household.name, machine_identifier=identifier or derived)


def _build_neighbour(first: Household, number: int, now: int) -> Household:
    builder = HouseholdBuilder(now, random.Random(number), house=number)  # noqa: S311  # content, not secrets
    films = [item for item in first.items if item.type == "movie" and item.section == "1"]
    for film in films[:SHARED]:
        add_twin(builder, film, "1")
    for title in MOVIES[SHARED + number :: 3]:
        add_movie(builder, "1", title)
    for title, genre, seasons, episodes in SHOWS[number % len(SHOWS) :][:2]:
        add_show(builder, "2", title, genre, seasons, episodes)
    for artist, genre, albums in ARTISTS[number % len(ARTISTS) :][:1]:
        add_artist(builder, "3", artist, genre, albums)
    users = build_users() if number % 3 != 2 else _swap_owner(build_users())  # noqa: PLR2004  # see `build_households`
    players = build_players()
    history = make_history(builder, users, players, PLAYS)
    sections = [make_section("1", "Films", "movie"), make_section("2", "Series", "show"), make_section("3", "Music", "artist")]  # fmt: skip
    household = Household("", "", first.version, sections, builder.items, users, players, history=history,
                          views=derive_views(history), house=number)  # fmt: skip
    return rename_household(household, None, NAMES[number])


def _swap_owner(users: list[DemoUser]) -> list[DemoUser]:
    """Return the people of a server that belongs to the second of them. The owner's number on a server is always 1."""
    owner, second, *others = users
    return [replace(second, id=owner.id), replace(owner, id=owner.cloud_id, home=False), *others]
