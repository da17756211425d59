"""Pages that stand alone: errors and the login. They need no other file, because a refused request gets none."""

from __future__ import annotations

import base64
import hashlib
import html
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_STYLE = """
:root{color-scheme:light dark;--ground:#f6f4f0;--panel:#fff;--edge:#e4dfd5;--ink:#1d1c1a;--soft:#625d54;--accent:#955600;
--on-accent:#fff;font:100%/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif}
@media (prefers-color-scheme:dark){:root{--ground:#13151a;--panel:#1c1f26;--edge:#2b2f39;--ink:#eceae5;--soft:#a5a39c;
--accent:#efb65a;--on-accent:#13151a}}
*{box-sizing:border-box}
body{display:grid;place-content:center;min-height:100vh;margin:0;padding:1rem;background:var(--ground);color:var(--ink);
overflow-wrap:anywhere}
main{width:min(26rem,100vw - 2rem);padding:1.5rem;background:var(--panel);border:1px solid var(--edge);border-radius:16px}
h1{font-size:1.3rem;margin:0 0 .75rem;line-height:1.2}
p{margin:.5rem 0}
a{color:var(--accent)}
.small{color:var(--soft);font-size:.875rem}
label{font-weight:600}
input,button{width:100%;min-height:2.75rem;padding:.5rem .75rem;margin:.3rem 0 .8rem;font:inherit;border-radius:10px;
border:1px solid var(--soft);background:var(--ground);color:var(--ink)}
button{background:var(--accent);border-color:var(--accent);color:var(--on-accent);font-weight:650;cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
[role=alert]{border-inline-start:.25rem solid var(--accent);padding-inline-start:.75rem}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="dark light"><title>{title} – plex-companion</title><style>{style}</style></head>
<body><main><h1>{heading}</h1>{body}</main></body></html>"""  # noqa: RUF001 - a dash for a person
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADINGS = {
    HTTPStatus.BAD_REQUEST: "That can't be understood",
    HTTPStatus.UNAUTHORIZED: "Log in",
    HTTPStatus.FORBIDDEN: "That isn't allowed",
    HTTPStatus.NOT_FOUND: "There is no such page",
    HTTPStatus.METHOD_NOT_ALLOWED: "That can't be opened like this",
    HTTPStatus.CONFLICT: "It was changed meanwhile",
    HTTPStatus.MISDIRECTED_REQUEST: "This address isn't known here",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many tries",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not possible right now",
}


def accepts_html(headers: Headers) -> bool:
    """Return whether an error should be a page: only if `Accept` names HTML. Browsers do, programs do not."""
    return "text/html" in headers.get("accept", "")


def get_heading(status: int) -> str:
    """Return what a status means, in the words of a household."""
    return _HEADINGS.get(HTTPStatus(status), HTTPStatus(status).phrase)


def render_standalone(title: str, heading: str, body: str) -> str:
    """Render a page that needs no other file. `body` is HTML; title and heading are text. It needs the header `POLICY`."""
    return _PAGE.format(title=html.escape(title), heading=html.escape(heading), body=body, style=_STYLE)


def render_error(status: int, message: str) -> str:
    """Render an error as a page."""
    heading = get_heading(status)
    back = '<p><a href="/">To the first page</a></p>'
    return render_standalone(
        heading, heading, f'<p>{html.escape(message)}</p>{back}<p class="small">Error {int(status)}</p>'
    )
