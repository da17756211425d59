"""`/plays/{id}`: one play with its timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from plex_companion.cache.queries.servers import list_server_names
from plex_companion.cache.rows import parse_delivered_stream
from plex_companion.dashboard.play_words import build_timeline
from plex_companion.history.play_pages import apply_current_names, find_play
from plex_companion.serialize import CONVERTED, serialize_play_event
from plex_companion.streams.reasons import derive_reasons

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout


def build_play_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the route of the pages of plays."""

    async def show(request: Request) -> Response:
        row, marks = await find_play(companion, request.path_params["id"])
        (play,) = apply_current_names(companion, [row], await list_server_names(companion.cache))
        reasons = derive_reasons(parse_delivered_stream(row)) if row["decision"] in CONVERTED else ()
        return await layout.respond(
            request,
            "play.html",
            title=play["full_title"] or "A play",
            section="/history",
            server=row["server"] if len(companion.links) > 1 else None,
            play=play,
            show_key=row["grandparent_rating_key"],
            reasons=[reason.past for reason in reasons],
            timeline=build_timeline(map(serialize_play_event, marks)),
        )

    return [Route("/plays/{id}", layout.guard_page(show), methods=["GET"])]
