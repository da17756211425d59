"""`/` and what it is made of: the page as the server knows it now, and the files that keep it moving."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from plex_companion import __version__
from plex_companion.dashboard import cards

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.dashboard.board import Board

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    # Not `no-referrer`: under that, browsers send the forms of a page with `Origin: null`.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """A static file, read once."""

    body: bytes
    mime: str


@cache
def files() -> dict[str, File]:
    """The static files by name: there are few, and nothing beyond them can be asked for."""
    found = sorted((FOLDER / "static").iterdir())
    return {file.name: File(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain") for file in found}


@cache
def build() -> str:
    """A name for these files and templates together: a page made from others loads itself anew."""
    digest = hashlib.sha256(__version__.encode())
    for file in sorted((*(FOLDER / "static").iterdir(), *(FOLDER / "templates").iterdir())):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def pages(companion: Companion, board: Board) -> list[Route]:
    """The routes."""

    async def home(_: Request) -> HTMLResponse:
        seen = await board.seen()
        html = board.page(
            "page.html",
            seen=seen,
            title=cards.summary(seen.state).page,
            build=build(),
            now=companion.now_ms,
            version=__version__,
        )
        return HTMLResponse(html, headers=HEADERS)

    async def static(request: Request) -> Response:
        found = files().get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        asked = request.url.query == build()
        headers = {"cache-control": FOREVER if asked else "no-cache", "x-content-type-options": "nosniff"}
        return Response(found.body, headers=headers, media_type=found.mime)

    return [Route("/", home, methods=["GET"]), Route("/static/{name}", static, methods=["GET"])]
