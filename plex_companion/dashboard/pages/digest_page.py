"""`/digest`: the weekly digest as it would be sent now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from plex_companion.dashboard.periods import choose_period
from plex_companion.digests.content import read_digest
from plex_companion.digests.message import build_digest_message, describe_new_title

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout

WEEK = "7d"
PERIODS = (("1d", "Last day"), (WEEK, "Last 7 days"), ("30d", "Last 30 days"))


def build_digest_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the route of the digest."""

    async def show(request: Request) -> Response:
        chosen = choose_period(companion, request.query_params, WEEK)
        content = await read_digest(companion, chosen.window) if chosen.window else None
        settings = companion.settings
        return await layout.respond(
            request,
            "digest.html",
            title="Digest",
            section="/stats",
            chosen=chosen,
            periods=PERIODS,
            content=content,
            message=build_digest_message(content, chosen.zone) if content else None,
            describe=describe_new_title,
            targets=settings.digest,
            next_at=settings.read_digest_schedule().find_next(companion.now_ms, companion.zone),
        )

    return [Route("/digest", layout.guard_page(show), methods=["GET"])]
