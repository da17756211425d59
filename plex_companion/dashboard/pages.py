"""`/` and its parts: the rendered page, its static files, and the form that acknowledges an alert."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from plex_companion import __version__, serialize
from plex_companion.dashboard import cards
from plex_companion.errors import NotFound, ToolError
from plex_companion.tools.acknowledge import acknowledge_alert

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.dashboard.renderer import PageRenderer

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    # Not `no-referrer`: with it, browsers send `Origin: null` with forms (Fetch standard, "append a request Origin header").
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file, read once."""

    body: bytes
    mime: str


@cache
def load_files() -> dict[str, StaticFile]:
    """Return the static files by name. They are read once, and a request can reach no other file."""
    found = sorted((FOLDER / "static").iterdir())
    return {
        file.name: StaticFile(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain") for file in found
    }


@cache
def compute_build_id() -> str:
    """Return a digest of the version, the static files and the templates.

    A page that was rendered with another build reloads itself.
    """
    digest = hashlib.sha256(__version__.encode())
    for file in sorted((*(FOLDER / "static").iterdir(), *(FOLDER / "templates").iterdir())):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def build_page_routes(companion: Companion, renderer: PageRenderer) -> list[Route]:
    """Return the routes of the page, its static files and its form."""

    async def home(request: Request) -> HTMLResponse:
        seen = await renderer.render()
        html = renderer.fill_template(
            "page.html",
            seen=seen,
            title=cards.build_summary(seen.state).page,
            build=compute_build_id(),
            now=companion.now_ms,
            version=__version__,
            known_by_cookie=bool(request.cookies),
        )
        return HTMLResponse(html, headers=HEADERS)

    async def static(request: Request) -> Response:
        found = load_files().get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        asked = request.url.query == compute_build_id()
        headers = {"cache-control": FOREVER if asked else "no-cache", "x-content-type-options": "nosniff"}
        return Response(found.body, headers=headers, media_type=found.mime)

    async def acknowledge(request: Request) -> Response:
        """Acknowledge an alert, and redirect to the page unless the client wants JSON: the form works without a script."""
        wants_json = "application/json" in request.headers.get("accept", "")
        try:
            alert = await acknowledge_alert(companion, request.path_params["alert_id"])
        except ToolError as error:
            status = HTTPStatus.NOT_FOUND if isinstance(error, NotFound) else HTTPStatus.SERVICE_UNAVAILABLE
            return Response(json.dumps(error.body()), status, HEADERS, media_type="application/json")
        if wants_json:
            told = json.dumps({"alert": serialize.serialize_alert(alert)}, ensure_ascii=False)
            return Response(told, 200, HEADERS, media_type="application/json")
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, HEADERS)

    return [
        Route("/", home, methods=["GET"]),
        Route("/static/{name}", static, methods=["GET"]),
        Route("/alerts/{alert_id}/acknowledge", acknowledge, methods=["POST"]),
    ]
