"""`/items/{rating_key}`: a film, show, season, episode, artist, album or track."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.catalogue.item_pages import describe_item_page
from plex_companion.dashboard.pages.play_rows import build_play_rows

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout


def build_item_routes(_: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the pages of items."""

    async def show(request: Request, companion: Companion, rating_key: str) -> Response:
        found = await describe_item_page(companion, rating_key)
        item, plays = found["item"], found["plays"]
        title = item["title"] if item else plays[0]["full_title"]
        return await layout.respond(
            request,
            "item.html",
            title=title or f"Item {rating_key}",
            section="/libraries",
            server=request.path_params.get("server"),
            found=found,
            item=item,
            rating_key=rating_key,
            heading=title or f"Item {rating_key}",
            rows=build_play_rows(plays, found["groups"]),
        )

    return layout.build_thing_routes("items", show)
