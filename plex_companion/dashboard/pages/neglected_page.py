"""`/neglected`: the largest films and shows of all libraries that nobody watched for long, with when they were added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.catalogue.disk_space.neglected import MOST_DAYS, find_neglected
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.dashboard.addresses import build_query_url
from plex_companion.dashboard.cards import list_server_choices
from plex_companion.errors import Invalid
from plex_companion.history.source import find_server
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout

    Entry = dict[str, Any]

SHOWN = 50
DAYS = (("90", "3 months"), ("180", "6 months"), ("365", "A year"), ("730", "2 years"), ("1825", "5 years"))
DEFAULT_DAYS = 365
KINDS = (("movie", "Films"), ("show", "Shows"))
LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class NeglectedQuestion:
    """The filters as the address has them; `problem` says why they cannot be used."""

    given: dict[str, str | None]
    days: int = DEFAULT_DAYS
    kind: str | None = None
    problem: str = ""


def build_neglected_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the route of the list."""

    async def show(request: Request) -> Response:
        question = read_question(request.query_params)
        one = _choose_companion(companion, question.given["server"])
        found, problem = await _find(one, question, request.query_params.get("cursor") or None)
        following = {**question.given, "cursor": found["next_cursor"]}
        return await layout.respond(
            request,
            "neglected.html",
            title="Not watched",
            section="/libraries",
            question=question,
            problem=problem,
            found=found,
            server=find_server(one),
            servers=list_server_choices(companion.states),
            complete=(await describe_catalogue(one))["complete"],
            enabled=companion.settings.catalogue,
            spans=DAYS,
            kinds=KINDS,
            next=build_query_url("/neglected", following) if found["next_cursor"] else None,
            first=build_query_url("/neglected", question.given) if "cursor" in request.query_params else None,
        )

    return [Route("/neglected", layout.guard_page(show), methods=["GET"])]


def _choose_companion(companion: Companion, server: str | None) -> Companion:
    """Return the companion of one server: of several, the first unless one is named."""
    if server is None and len(companion.each) > 1:
        return companion.choose_link(companion.link_id)
    return companion.choose_server(server)


def read_question(asked: Mapping[str, str]) -> NeglectedQuestion:
    """Read the filters of an address. What cannot be understood becomes a sentence."""
    given = {name: asked.get(name, "").strip() or None for name in ("days", "type", "server")}
    days, kind = given["days"] or str(DEFAULT_DAYS), given["type"]
    if not (days.isascii() and days.isdecimal() and len(days) < LONGEST_SHOWN and 0 < int(days) <= MOST_DAYS):
        problem = f"“{clean(days[:LONGEST_SHOWN])}” is no number of days from 1 to {MOST_DAYS:,}."
        return NeglectedQuestion(given, problem=problem)
    if kind is not None and kind not in dict(KINDS):
        problem = f"“{clean(kind[:LONGEST_SHOWN])}” is neither films nor shows: type is movie or show."
        return NeglectedQuestion(given, int(days), problem=problem)
    return NeglectedQuestion(given, int(days), kind)


async def _find(companion: Companion, question: NeglectedQuestion, cursor: str | None) -> tuple[Entry, str]:
    """Return a page of the list; nothing, and a sentence, if the question cannot be used."""
    if question.problem:
        return _NOTHING, question.problem
    try:
        found = await find_neglected(companion, question.days, None, SHOWN, cursor, kind=question.kind, hourly=True)
    except Invalid:
        found = await find_neglected(companion, question.days, None, SHOWN, None, kind=question.kind, hourly=True)
        return found, "The list has changed meanwhile: this is its first page." if cursor else ""
    return found, ""


_NOTHING: Entry = {"items": [], "total": 0, "total_size_bytes": 0, "next_cursor": None}
