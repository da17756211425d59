"""What is for people and their own programs: the page, its pictures, the feed, the resources as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.dashboard.api import api
from plex_companion.dashboard.art import art
from plex_companion.dashboard.board import Board
from plex_companion.dashboard.feed import feed
from plex_companion.dashboard.pages import pages

if TYPE_CHECKING:
    from starlette.routing import Route

    from plex_companion.companion import Companion


def routes(companion: Companion) -> list[Route]:
    """Everything here, to stand behind the guard."""
    board = Board(companion)
    return [*pages(companion, board), feed(companion, board), *api(companion), art(companion)]
