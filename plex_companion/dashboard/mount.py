"""The routes for people and their own programs: the page, its pictures, the event feed, and the resources as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.dashboard.api import build_api_routes
from plex_companion.dashboard.art import build_art_route
from plex_companion.dashboard.feed import build_feed_route
from plex_companion.dashboard.pages import build_page_routes
from plex_companion.dashboard.renderer import PageRenderer

if TYPE_CHECKING:
    from starlette.routing import Route

    from plex_companion.companion import Companion


def build_routes(companion: Companion) -> list[Route]:
    """Return all routes of the dashboard. They belong behind the request guard."""
    renderer = PageRenderer(companion)
    return [
        *build_page_routes(companion, renderer),
        build_feed_route(companion, renderer),
        *build_api_routes(companion),
        build_art_route(companion),
    ]
