"""The pages and the feed. So far one page, which says where things are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse
from starlette.routing import Route

from plex_companion import __version__
from plex_companion.dashboard.feed import feed

if TYPE_CHECKING:
    from starlette.requests import Request

    from plex_companion.companion import Companion

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>plex-companion</title></head>
<body><main><h1>plex-companion {version}</h1>
<p>Connection to Plex: <strong>{state}</strong>. Sessions: {count}.</p>
<ul><li><code>/mcp</code> MCP over Streamable HTTP</li><li><code>/sse</code> MCP over SSE</li>
<li><code>/events</code> the journal as an event stream</li>
<li><a href="/healthz"><code>/healthz</code></a></li></ul>
<p>The dashboard will stand here.</p></main></body></html>"""


def routes(companion: Companion) -> list[Route]:
    """The routes of the pages and the feed."""

    async def home(_: Request) -> HTMLResponse:
        state = companion.state
        page = _PAGE.format(version=__version__, state=state.connection.state, count=len(state.sessions))
        return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'"})

    return [Route("/", home), feed(companion)]
