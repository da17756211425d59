"""`/history`: plays with filters, a page at a time, and the same plays as CSV or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from starlette.responses import Response
from starlette.routing import Route

from plex_companion.cache.queries.plays import list_play_players
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.dashboard.addresses import build_query_url
from plex_companion.dashboard.cards import list_server_choices
from plex_companion.dashboard.layout import HEADERS
from plex_companion.dashboard.pages.play_export import MOST_EXPORTED, export_plays, write_csv
from plex_companion.dashboard.pages.play_rows import build_play_rows
from plex_companion.dashboard.periods import describe_problem, list_period_links
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.history.filters import TYPES, list_libraries, list_users
from plex_companion.history.play_pages import PlayQuery
from plex_companion.history.resumed_plays import list_resumed_plays
from plex_companion.history.scope import read_libraries, read_people
from plex_companion.models import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout

SHOWN = 50
"""Plays a page."""
MOST_CHOICES = 200
"""With more users or players than this, their names are typed instead of chosen."""
_TYPE_NAMES = {"movie": "Film", "episode": "Episode", "track": "Track", "photo": "Photo", "clip": "Clip"}


def build_history_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the history and of its exports."""

    async def show(request: Request) -> Response:
        asked, cursor = parse_question(request.query_params), request.query_params.get("cursor") or None
        found, problem, wrong = await _find_plays(companion, asked, cursor)
        given = asked.given
        return await layout.respond(
            request,
            "history.html",
            title="History",
            section="/history",
            rows=build_play_rows(found["plays"], found["groups"], companion.states),
            found=found,
            problem=problem,
            wrong=wrong,
            query=given,
            periods=list_period_links("/history", given, companion.now_ms, companion.zone),
            is_filtered=any(given.values()),
            cursor=cursor,
            choices=await _list_choices(companion),
            next=build_query_url("/history", {**given, "cursor": found["next_cursor"]})
            if found["next_cursor"]
            else None,
            first=build_query_url("/history", given),
            csv=build_query_url("/history/export.csv", given),
            json=build_query_url("/history/export.json", given),
            most_exported=MOST_EXPORTED,
        )

    async def export_csv(request: Request) -> Response:
        plays, _ = await _export(companion, parse_question(request.query_params))
        return _build_download(write_csv(plays), "csv", "text/csv")

    async def export_json(request: Request) -> Response:
        plays, more = await _export(companion, parse_question(request.query_params))
        body = {"plays": plays, "count": len(plays), "more": more}
        return _build_download(json.dumps(body, ensure_ascii=False), "json", "application/json")

    return [
        Route("/history", layout.guard_page(show), methods=["GET"]),
        Route("/history/export.csv", layout.guard_page(export_csv), methods=["GET"]),
        Route("/history/export.json", layout.guard_page(export_json), methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """The filters of an address, and the server they are about; `None` for all servers."""

    query: PlayQuery
    server: str | None

    @property
    def given(self) -> dict[str, str | None]:
        """The parameters of the address."""
        return {**asdict(self.query), "server": self.server}


def parse_question(given: Mapping[str, str]) -> HistoryQuestion:
    """Read the filters of an address. Empty fields, which a form sends too, do not filter."""

    def get(name: str) -> str | None:
        return given.get(name, "").strip() or None

    return HistoryQuestion(PlayQuery(**{field.name: get(field.name) for field in fields(PlayQuery)}), get("server"))


async def _find_plays(
    companion: Companion, asked: HistoryQuestion, cursor: str | None
) -> tuple[dict[str, Any], str | None, str | None]:
    """Return a page of plays, or an empty one, the sentence that says why, and the name of the filter it is about."""
    try:
        return await list_resumed_plays(companion.choose_server(asked.server), asked.query, SHOWN, cursor), None, None
    except Invalid as error:
        return _NOTHING, describe_problem(error, asked.given, companion.now_ms), str(error.facts.get("argument"))
    except (NotFound, Ambiguous) as error:
        return _NOTHING, error.message, None


async def _export(companion: Companion, asked: HistoryQuestion) -> tuple[list[dict[str, Any]], bool]:
    return await export_plays(companion.choose_server(asked.server), asked.query)


_NOTHING: dict[str, Any] = {
    "plays": [],
    "groups": [],
    "total": 0,
    "more_than": False,
    "next_cursor": None,
    "history": None,
}


async def _list_choices(companion: Companion) -> dict[str, list[tuple[str, str]]]:
    users, libraries = await _list_names(companion)
    players = await list_play_players(companion.cache)
    return {
        "user": _sort_choices(users),
        "library": _sort_choices(libraries),
        "player": _sort_choices(players),
        "server": list_server_choices(companion.states),
        "type": [(kind, _TYPE_NAMES[kind]) for kind in TYPES],
        "decision": [(decision, decision.capitalize()) for decision in get_args(Decision)],
    }


async def _list_names(companion: Companion) -> tuple[Mapping[str, str | None], Mapping[str, str | None]]:
    """Return the users and the libraries by what selects them.

    An id means something else on every server, so with several a person has an id of all, and a library is selected by name.
    """
    if len(await list_server_names(companion.cache)) < 2:  # noqa: PLR2004 - several
        return await list_users(companion), await list_libraries(companion)
    people, libraries = await read_people(companion), await read_libraries(companion)
    return {one.id: one.name for one in people.persons}, {name: name for name in libraries.values() if name}


def _sort_choices(names: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Return ids and names for a choice; nothing if there are too many to choose from."""
    known = [(id_, called) for id_, called in names.items() if called]
    return sorted(known, key=lambda one: one[1].casefold()) if len(known) <= MOST_CHOICES else []


def _build_download(body: str, ending: str, mime: str) -> Response:
    headers = {**HEADERS, "content-disposition": f'attachment; filename="plays.{ending}"'}
    return Response(body, headers=headers, media_type=mime)
