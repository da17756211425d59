"""`/static/…`: the scripts, styles and icons of the pages, and the build id that names them."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from plex_companion import __version__

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(__file__).parent
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file, read once."""

    body: bytes
    mime: str


@cache
def load_files() -> dict[str, StaticFile]:
    """Return the static files by name. They are read once, and a request can reach no other file."""
    return {
        file.name: StaticFile(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain")
        for file in _list_files("static")
    }


@cache
def compute_build_id() -> str:
    """Return a digest of the version, the static files and the templates.

    A page that was rendered with another build reloads itself.
    """
    digest = hashlib.sha256(__version__.encode())
    for file in (*_list_files("static"), *_list_files("templates")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _list_files(folder: str) -> list[Path]:
    return sorted(file for file in (FOLDER / folder).rglob("*") if file.is_file())


def choose_cache_headers(request: Request) -> dict[str, str]:
    """Return headers that keep an answer for ever if it was asked for under the name of its build."""
    asked = request.url.query == compute_build_id()
    return {"cache-control": FOREVER if asked else "no-cache", "x-content-type-options": "nosniff"}


def build_static_route() -> Route:
    """Return the route of the static files. Under the name of their build they never change."""

    async def static(request: Request) -> Response:
        found = load_files().get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return Response(found.body, headers=choose_cache_headers(request), media_type=found.mime)

    return Route("/static/{name}", static, methods=["GET"])
