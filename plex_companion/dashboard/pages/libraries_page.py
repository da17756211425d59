"""`/libraries` and `/libraries/{id}`: what is there, how large it is, how it grew, what nobody watches, what is there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.catalogue.disk_space.duplicates import find_library_duplicates
from plex_companion.catalogue.disk_space.library_sizes import measure_libraries, measure_quality
from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.catalogue.months import find_month
from plex_companion.catalogue.status import describe_catalogue, describe_library
from plex_companion.dashboard.addresses import build_query_url, page_url
from plex_companion.dashboard.cards import label_servers_by_id
from plex_companion.dashboard.layout import redirect
from plex_companion.dashboard.periods import PERIODS, choose_period
from plex_companion.errors import Invalid
from plex_companion.history.play_counts import count_plays
from plex_companion.history.source import MOST, find_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.dashboard.periods import ChosenPeriod

    Entry = dict[str, Any]

SHOWN = 20
MOST_MONTHS = 60
DAYS = 365
NOUNS = {
    "movie": ("film", "films"),
    "show": ("show", "shows"),
    "season": ("season", "seasons"),
    "episode": ("episode", "episodes"),
    "artist": ("artist", "artists"),
    "album": ("album", "albums"),
    "track": ("track", "tracks"),
    "photoalbum": ("photo album", "photo albums"),
    "photo": ("photo", "photos"),
}
"""Types in the order in which counts are shown, with their nouns."""


def build_library_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the list of libraries and of each library, with and without the server in the address."""

    async def show_all(request: Request) -> Response:
        chosen = choose_period(companion, request.query_params, "all")
        context = await _read_libraries(companion, chosen)
        return await layout.respond(
            request, "libraries.html", title="Libraries", chosen=chosen, periods=PERIODS, **context
        )

    async def show_one(request: Request) -> Response:
        given, library_id = request.path_params.get("server"), request.path_params["library_id"]
        one = layout.choose_companion(request)
        server = find_server(one)
        if given is not None and server is not None and given != server:
            return redirect(build_query_url(page_url("libraries", server, library_id), dict(request.query_params)))
        chosen = choose_period(one, request.query_params, "all")
        context = await _read_library(one, library_id, chosen)
        lists = await _read_lists(one, library_id, request)
        return await layout.respond(
            request,
            "library.html",
            title=context["library"]["title"] or f"Library {library_id}",
            section="/libraries",
            given=given,
            chosen=chosen,
            periods=PERIODS,
            **context,
            **lists,
        )

    return [
        Route("/libraries", layout.guard_page(show_all), methods=["GET"]),
        Route("/libraries/{library_id}", layout.guard_page(show_one), methods=["GET"]),
        Route("/libraries/{server}/{library_id}", layout.guard_page(show_one), methods=["GET"]),
    ]


async def _read_libraries(companion: Companion, chosen: ChosenPeriod) -> Entry:
    """Read the libraries of all servers, each server's by title."""
    servers = [companion.choose_link(link.link_id) for link in companion.links]
    libraries, unread, growth, filling = [], [], [], []
    labels = label_servers_by_id(companion.states)
    for one in servers:
        sizes = await measure_libraries(one)
        plays = await _count_library_plays(one, chosen)
        server = find_server(one)
        where = {"server": server if labels else None, "server_name": labels.get(server or "")}
        this_month = find_month(one.now_ms, one.zone).name
        added = {each["id"]: each for each in sizes.growth if each["month"] == this_month}
        libraries += [
            {
                **each,
                **where,
                "words": _list_counts(each["counts"]),
                "added": added.get(each["id"], _NOTHING),
                **plays.get(each["id"], _NO_PLAYS),
            }
            for each in sizes.libraries
        ]
        known = {each["id"] for each in sizes.libraries}
        unread += [section for section in one.state.sections if section.section_id not in known]
        growth += sizes.growth
        filling.append(await describe_catalogue(one))
    return {
        "libraries": libraries,
        "unread": unread,
        "growth": build_growth(growth, find_month(companion.now_ms, companion.zone).name),
        "catalogue": _join_status(filling),
        "enabled": companion.settings.catalogue,
    }


def _join_status(found: Sequence[Entry]) -> Entry:
    """Add up how far the catalogues of several servers are filled."""
    details = [status["detail"] for status in found if status["detail"]]
    return {
        "items": sum(status["items"] for status in found),
        "total": sum(status["total"] or 0 for status in found) or None,
        "complete": all(status["complete"] for status in found),
        "detail": details[0] if details else None,
    }


async def _read_library(companion: Companion, library_id: str, chosen: ChosenPeriod) -> Entry:
    library = (await describe_library(companion, library_id))["library"]
    sizes = await measure_libraries(companion)
    plays = await _count_library_plays(companion, chosen)
    return {
        "library": library,
        "words": _list_counts(library["counts"]),
        "duration_ms": next((one["duration_ms"] for one in sizes.libraries if one["id"] == library["id"]), None),
        "plays": plays.get(library["id"], _NO_PLAYS),
        "quality": await measure_quality(companion, library["id"]),
        "growth": build_growth(
            [added for added in sizes.growth if added["id"] == library["id"]],
            find_month(companion.now_ms, companion.zone).name,
        ),
    }


_NOTHING: Entry = {"items": 0, "size_bytes": 0}
_NO_PLAYS: Entry = {"plays": 0, "watched_ms": 0, "estimated_ms": 0, "timed": 0}


async def _count_library_plays(companion: Companion, chosen: ChosenPeriod) -> dict[str, Entry]:
    """Return the plays of each library in the period, as `history_stats` counts them."""
    if chosen.window is None:
        return {}
    found = await count_plays(companion, "library", chosen.window, MOST)
    names = tuple(_NO_PLAYS)
    return {entry["id"]: {name: entry[name] for name in names} for entry in found["entries"] if entry.get("id")}


def _list_counts(counts: dict[str, int]) -> list[tuple[int, str, str]]:
    return [(counts[kind], *nouns) for kind, nouns in NOUNS.items() if counts.get(kind)]


def build_growth(growth: Sequence[Entry], this_month: str) -> list[Entry]:
    """Add up what was added to several libraries in each month up to this one: oldest first, none left out."""
    sums: dict[str, Entry] = {}
    for added in growth:
        month = sums.setdefault(added["month"], {"month": added["month"], "items": 0, "size_bytes": 0})
        month["items"] += added["items"]
        month["size_bytes"] += added["size_bytes"]
    if not sums:
        return []
    return [sums.get(name, {"month": name, **_NOTHING}) for name in _list_months(min(sums), max(*sums, this_month))][
        -MOST_MONTHS:
    ]


def _list_months(first: str, last: str) -> list[str]:
    numbers = [int(name[:4]) * 12 + int(name[5:]) - 1 for name in (first, last)]
    return [
        f"{number // 12:04d}-{number % 12 + 1:02d}"
        for number in range(max(numbers[0], numbers[1] - MOST_MONTHS), numbers[1] + 1)
    ]


async def _read_lists(companion: Companion, library_id: str, request: Request) -> Entry:
    """Read a page of what nobody watches and of what is there twice, each with the address of its next page."""
    asked = request.query_params
    cursors = {name: asked.get(name) or None for name in ("neglected", "duplicates")}
    found: Entry = {"problem": "", "path": request.url.path}
    for name, cursor in cursors.items():
        try:
            found[name] = await _read_list(companion, name, library_id, cursor)
        except Invalid:
            found["problem"] = "The list has changed meanwhile: this is its first page."
            cursors[name] = None
            found[name] = await _read_list(companion, name, library_id, None)
    for name, cursor in cursors.items():
        following = {**cursors, name: found[name]["next_cursor"]}
        found[f"{name}_next"] = f"{build_query_url(request.url.path, following)}#{name}" if following[name] else None
        first = build_query_url(request.url.path, {**cursors, name: None})
        found[f"{name}_first"] = f"{first}#{name}" if cursor else None
    return found


async def _read_list(companion: Companion, name: str, library_id: str, cursor: str | None) -> Entry:
    if name == "neglected":
        return await find_neglected(companion, DAYS, library_id, SHOWN, cursor, hourly=True)
    return await find_library_duplicates(companion, library_id, SHOWN, cursor)
