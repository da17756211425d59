"""`/users` and `/users/{id}`: everybody, and one person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.catalogue.viewers.show_progress import list_progress
from plex_companion.dashboard.addresses import build_query_url, page_url
from plex_companion.dashboard.layout import redirect
from plex_companion.dashboard.pages.play_rows import build_play_rows
from plex_companion.errors import Invalid
from plex_companion.history.play_pages import PlayQuery
from plex_companion.history.resumed_plays import list_resumed_plays
from plex_companion.history.scope import find_person
from plex_companion.history.user_pages import NO_PLAYS, count_users, list_user_page, read_habits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.history.scope import PlayScope

SHOWN = 50
PLAYS = 15
PERIODS = (("today", "Today"), ("7d", "Last 7 days"), ("30d", "Last 30 days"), ("1y", "Last year"))
"""Periods to choose from, besides all time."""
ALL_TIME = "all"


def build_people_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the list of people and of the pages of each."""

    async def show_all(request: Request) -> Response:
        period, page = read_period(request), read_page(request)
        found, problem = await _list_users(companion, period, page)
        last = max(1, -(-found["total"] // SHOWN))
        return await layout.respond(
            request,
            "users.html",
            title="People",
            section="/users",
            found=found,
            problem=problem,
            period=period,
            periods=PERIODS,
            page=page,
            next=_build_page_url(request, page + 1) if page < last else None,
            first=_build_page_url(request),
        )

    async def show(request: Request, companion: Companion, given: str) -> Response:
        person = await find_person(companion, given)
        user_id = str(person.user)
        if user_id != given:
            return redirect(page_url("users", request.path_params.get("server"), user_id))
        period = read_period(request)
        entry, problem = await _count_user(companion, period, user_id)
        habits = await read_habits(companion, person.users)
        recent = await list_resumed_plays(companion, PlayQuery(user_id), PLAYS)
        return await layout.respond(
            request,
            "user.html",
            title=entry["label"] or f"User {user_id}",
            section="/users",
            server=request.path_params.get("server"),
            user_id=user_id,
            entry=entry,
            problem=problem,
            period=period,
            periods=PERIODS,
            habits=habits,
            shows=await _read_progress(companion, habits.shows, person),
            rows=build_play_rows(recent["plays"], recent["groups"], companion.states),
            total=recent["total"],
        )

    everybody = Route("/users", layout.guard_page(show_all), methods=["GET"])
    return [everybody, *layout.build_thing_routes("users", show, shared=True)]


def _build_page_url(request: Request, page: int | None = None) -> str:
    return build_query_url("/users", {"period": request.query_params.get("period"), "page": page})


def read_period(request: Request) -> str:
    """Return the period of an address; all time if there is none."""
    return request.query_params.get("period", "").strip() or ALL_TIME


def read_page(request: Request) -> int:
    """Return the number of the page of a list, from 1 on. Nonsense is the first."""
    given = request.query_params.get("page", "")
    return max(1, int(given)) if given.isascii() and given.isdecimal() and len(given) < 10 else 1  # noqa: PLR2004 - digits


async def _list_users(companion: Companion, period: str, page: int) -> tuple[dict[str, Any], str | None]:
    """Return a page of people, or an empty one and the sentence that says why."""
    try:
        return await list_user_page(companion, period, (page - 1) * SHOWN, SHOWN), None
    except Invalid as error:
        return {"users": [], "total": 0, "plays": 0}, error.message


async def _count_user(companion: Companion, period: str, user_id: str) -> tuple[dict[str, Any], str | None]:
    """Return a person's figures of a period; of all time, and a sentence, if the period is malformed."""
    problem = None
    try:
        everybody = await count_users(companion, period)
    except Invalid as error:
        everybody, problem = await count_users(companion, ALL_TIME), error.message
    found = (entry for entry in everybody if entry["id"] == user_id)
    return next(found, {"label": None, **NO_PLAYS}), problem


async def _read_progress(companion: Companion, shows: Sequence[str], person: PlayScope) -> list[dict[str, Any]]:
    """Return how far a person is in shows, as far as the catalogue has them.

    Every server has a catalogue and accounts of its own, so there is none for several servers together.
    """
    accounts = [account for account in person.users if account is not None]
    if len(companion.states) > 1 or len(accounts) != 1:
        return []
    return await list_progress(companion, shows, accounts[0])
