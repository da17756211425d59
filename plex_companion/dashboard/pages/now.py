"""`/`: what is playing and what needs attention, and the forms that stop a stream and acknowledge an alert."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from plex_companion.dashboard import cards
from plex_companion.dashboard.layout import HEADERS, parse_form, redirect
from plex_companion.history.alert_pages import serialize_alerts
from plex_companion.tools.acknowledge import acknowledge_alert
from plex_companion.tools.client.stop_stream import stop_stream

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout


def build_now_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the first page and of its forms."""

    async def home(request: Request) -> Response:
        live = "kiosk" if "kiosk" in request.query_params else "all"
        title = cards.build_summary(*companion.states).page
        return await layout.respond(
            request,
            "now.html",
            title=title,
            live=live,
            read_only=companion.settings.read_only,
            several=len(companion.states) > 1,
        )

    async def acknowledge(request: Request) -> Response:
        """Acknowledge an alert, and lead back to the page unless the client wants JSON: the form works without a script."""
        alert = await acknowledge_alert(companion, request.path_params["alert_id"])
        if "application/json" in request.headers.get("accept", ""):
            (row,) = await serialize_alerts(companion, [alert])
            notice = json.dumps({"alert": row}, ensure_ascii=False)
            return Response(notice, 200, HEADERS, media_type="application/json")
        return redirect("/")

    async def stop(request: Request) -> Response:
        form = parse_form(await request.body())
        await stop_stream(companion, request.path_params["play_id"], form.get("message", ""))
        return redirect("/")

    return [
        Route("/", layout.guard_page(home), methods=["GET"]),
        Route("/alerts/{alert_id}/acknowledge", layout.guard_form(acknowledge, writes=False), methods=["POST"]),
        Route("/streams/{play_id}/stop", layout.guard_form(stop, writes=True), methods=["POST"]),
    ]
