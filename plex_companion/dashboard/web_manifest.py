"""`/manifest.webmanifest`: lets a browser install the page as an application (W3C, Web Application Manifest)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from plex_companion.dashboard.static_files import choose_cache_headers, compute_build_id

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = "/manifest.webmanifest"
_ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)


def build_manifest() -> dict[str, Any]:
    """Return the manifest. Its colours are those of the dark theme, which it is shown in while it starts."""
    icons = [
        {"src": f"/static/{name}?{compute_build_id()}", "sizes": sizes, "type": "image/png", "purpose": purpose}
        for name, sizes, purpose in _ICONS
    ]
    return {
        "name": "plex-companion",
        "short_name": "Plex",
        "description": "What plays on your Plex server, what was played, and what needs attention.",
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#13151a",
        "theme_color": "#13151a",
        "icons": icons,
    }


def build_manifest_route() -> Route:
    """Return the route of the manifest."""

    async def manifest(request: Request) -> Response:
        headers = choose_cache_headers(request)
        return Response(json.dumps(build_manifest()), headers=headers, media_type="application/manifest+json")

    return Route(PATH, manifest, methods=["GET"])
