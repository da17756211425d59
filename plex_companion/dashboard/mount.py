"""The routes for people and their own programs: the pages, pictures, the event feed, and the resources as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.dashboard.api import build_api_routes
from plex_companion.dashboard.art import build_art_routes
from plex_companion.dashboard.feed import build_feed_route
from plex_companion.dashboard.layout import PageLayout
from plex_companion.dashboard.pages.alerts_page import build_alert_routes
from plex_companion.dashboard.pages.digest_page import build_digest_routes
from plex_companion.dashboard.pages.item_details import build_item_routes
from plex_companion.dashboard.pages.libraries_page import build_library_routes
from plex_companion.dashboard.pages.neglected_page import build_neglected_routes
from plex_companion.dashboard.pages.now import build_now_routes
from plex_companion.dashboard.pages.people import build_people_routes
from plex_companion.dashboard.pages.play_details import build_play_routes
from plex_companion.dashboard.pages.play_history import build_history_routes
from plex_companion.dashboard.pages.rule_templates_page import build_template_routes
from plex_companion.dashboard.pages.rules_page import build_rule_routes
from plex_companion.dashboard.pages.settings_page import build_settings_routes
from plex_companion.dashboard.pages.statistics_page import build_statistics_routes
from plex_companion.dashboard.recent_log import RecentLog
from plex_companion.dashboard.renderer import PageRenderer
from plex_companion.dashboard.static_files import build_static_route
from plex_companion.dashboard.templating import Templates
from plex_companion.dashboard.web_manifest import build_manifest_route

if TYPE_CHECKING:
    from starlette.routing import Route

    from plex_companion.companion import Companion

PAGES = (
    build_now_routes,
    build_history_routes,
    build_play_routes,
    build_item_routes,
    build_people_routes,
    build_library_routes,
    build_neglected_routes,
    build_statistics_routes,
    build_digest_routes,
    build_alert_routes,
    build_template_routes,
    build_rule_routes,
)
"""Each builds the routes of some pages, given the companion and the layout."""


def build_routes(companion: Companion, recent_log: RecentLog | None = None) -> list[Route]:
    """Return all routes of the dashboard. They belong behind the request guard. The settings show the lines of the log."""
    templates = Templates(companion)
    renderer = PageRenderer(companion, templates)
    layout = PageLayout(companion, renderer, templates)
    pages = [route for build in PAGES for route in build(companion, layout)]
    pages += build_settings_routes(companion, layout, recent_log or RecentLog(()))
    layout.set_navigation(pages)
    return [
        *pages,
        build_static_route(),
        build_manifest_route(),
        build_feed_route(companion, renderer),
        *build_api_routes(companion),
        *build_art_routes(companion),
    ]
