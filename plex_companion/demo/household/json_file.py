"""Households from JSON files, as `docs/demo-household.md` describes them."""

from __future__ import annotations

import json
import posixpath
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

from plex_companion.demo.household.built_in import (
    HouseholdBuilder,
    add_extra,
    add_half_watched,
    build_players,
    build_users,
    derive_views,
    make_history,
    make_section,
)
from plex_companion.demo.household.json_items import ItemsReader
from plex_companion.demo.household.json_value import JsonValue
from plex_companion.demo.household.model import LEVELS, DemoPlay, DemoPlayer, DemoSection, DemoUser, Household
from plex_companion.errors import SettingsError


def load_household(path: Path | str, *, now: float | None = None) -> Household:
    """Read the file and build its household.

    Raises:
        SettingsError: The file is wrong; the message says where.
    """
    moment = int(time.time() if now is None else now)
    top = _read(Path(path)).require_fields(
        {"name", "machine_identifier", "version", "sections", "users", "players", "history", "generate_history"}
    )
    builder = HouseholdBuilder(moment)
    reader = ItemsReader(builder)
    sections: list[DemoSection] = []
    for place in top.list("sections"):
        place.require_fields({"key", "title", "type", "items", "generate"})
        kind = place.get_text("type")
        if kind not in LEVELS:
            raise place.build_error(f"'type' must be one of {', '.join(LEVELS)}")
        key = place.get_text("key", str(len(sections) + 1))
        if key in {section.key for section in sections}:
            raise place.build_error(f"'key' {key!r} is used twice")
        sections.append(make_section(key, place.get_text("title"), kind))
        reader.fill_section(place, key, kind)
        sections[-1] = _set_folder(sections[-1], builder)
    for movie in reader.films:  # last, so that their keys move nobody else's
        add_extra(builder, movie)
    users = [_read_user(place, n) for n, place in enumerate(top.list("users"))] or build_users()
    players = [_read_player(place, n) for n, place in enumerate(top.list("players"))] or build_players()
    _check_people(top, users)
    history = _read_history(top, builder, users, players)
    views = derive_views(history)
    if 3 < len(builder.items) < 1_000 and not history:  # noqa: PLR2004  # small households get something On Deck
        add_half_watched(builder, views, users[:1])
    return Household(top.get_text("name", "Demo"), top.get_text("machine_identifier", "demo" + "0" * 36), top.get_text("version", "1.43.3.10101-5afe0c0de"),
                     sections, builder.items, users, players, collections=reader.make_collections(), history=history, views=views)  # fmt: skip


def _set_folder(section: DemoSection, builder: HouseholdBuilder) -> DemoSection:
    """Return the section with the common folder of the files that the household names for it."""
    files = [media.file for item in builder.items if item.section == section.key for media in item.media]
    named = [str(PurePosixPath(file).parent) for file in files if not file.startswith("/media/")]
    return replace(section, path=posixpath.commonpath(named)) if named and named[0].startswith("/") else section


def _read(path: Path) -> JsonValue:
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8", file=str(path)) from error
    except ValueError as error:
        raise SettingsError(f"{path}: not JSON: {error}", file=str(path)) from error
    return JsonValue(str(path), "", value)


def _check_people(top: JsonValue, users: list[DemoUser]) -> None:
    numbers = [user.id for user in users]
    if 1 not in numbers:
        raise top.build_error("'users' needs one with id 1, the owner")
    if len(set(numbers)) != len(numbers) or len({user.token for user in users}) != len(users):
        raise top.build_error("'users' has an id or a token twice")


def _read_user(place: JsonValue, position: int) -> DemoUser:
    place.require_fields({"id", "name", "email", "token", "home", "restricted", "pin"})
    number = place.get_number("id", 1 if position == 0 else 91_000 + position) or 0
    return DemoUser(number, 91_000 + position if number == 1 else number, place.get_text("name"), place.get_text("email", ""),
                place.get_text("token", f"demo-token-{number}"), place.get_flag("home", default=True),
                place.get_flag("restricted", default=False), place.get_text("pin", ""))  # fmt: skip


def _read_player(place: JsonValue, position: int) -> DemoPlayer:
    place.require_fields({"client_identifier", "title", "product", "platform", "platform_version", "device", "device_class", "version",
                  "address", "controllable", "local"})  # fmt: skip
    text = place.get_text
    return DemoPlayer(position + 1, text("client_identifier", f"demo-player-{position + 1}"), text("title"), text("product", "Plex HTPC"),
                  text("platform", "linux"), text("platform_version", "6.8"), text("device", "PC"), text("device_class", "pc"),
                  text("version", "1.66.0"), text("address", f"192.168.7.{100 + position}"),
                  controllable=place.get_flag("controllable", default=False), local=place.get_flag("local", default=True))  # fmt: skip


def _read_history(
    top: JsonValue, builder: HouseholdBuilder, users: list[DemoUser], players: list[DemoPlayer]
) -> list[DemoPlay]:
    count = top.get_count("generate_history")
    if count and not any(item.type in {"movie", "episode", "track"} for item in builder.items):
        raise top.build_error("'generate_history' needs films, episodes or tracks")
    rows = make_history(builder, users, players, count) if count else []
    known, accounts, devices = (
        {item.key for item in builder.items},
        {u.id for u in users},
        {p.client_identifier: p.id for p in players},
    )
    for number, place in enumerate(top.list("history"), count + 1):
        place.require_fields({"rating_key", "viewed_at", "user", "player"})
        user, player, key = (
            place.get_number("user", 1) or 1,
            place.get_text("player", players[0].client_identifier),
            place.get_text("rating_key"),
        )
        for found, what in (
            (key in known, f"no item {key!r}"),
            (user in accounts, f"no user {user}"),
            (player in devices, f"no player {player!r}"),
        ):
            if not found:
                raise place.build_error(what)
        rows.append(DemoPlay(number, key, place.get_number("viewed_at", builder.now) or 0, user, devices[player]))
    return rows
