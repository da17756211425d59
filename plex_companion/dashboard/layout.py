"""The frame of every page: navigation, banner, footer, headers; and its errors, as pages for people, as JSON for programs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from plex_companion import __version__
from plex_companion.companion import list_choices
from plex_companion.dashboard.addresses import page_url
from plex_companion.errors import Ambiguous, Conflict, Invalid, NotFound, ReadOnly, ToolError
from plex_companion.server.auth.login import is_foreign_write
from plex_companion.server.http.error_pages import accepts_html, get_heading
from plex_companion.text import clean
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.requests import Request

    from plex_companion.companion import Companion
    from plex_companion.dashboard.addresses import Kind
    from plex_companion.dashboard.renderer import PageRenderer, RenderedPage
    from plex_companion.dashboard.templating import Templates

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    # Not `no-referrer`: with it, browsers send `Origin: null` with forms (Fetch standard, "append a request Origin header").
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
SECTIONS = (
    ("/", "Now"),
    ("/history", "History"),
    ("/users", "People"),
    ("/libraries", "Libraries"),
    ("/stats", "Statistics"),
    ("/alerts", "Alerts"),
    ("/rules", "Rules"),
    ("/settings", "Settings"),
)
"""The pages that the navigation leads to, in its order, as far as they exist."""


@dataclass(frozen=True, slots=True)
class PageFrame:
    """The parts of a page that surround its content."""

    title: str
    section: str
    """The address that the navigation marks as the current one."""
    navigation: tuple[tuple[str, str], ...]
    seen: RenderedPage
    live: str
    """The parts of the page that are kept current: `link` for the banner alone."""
    now: int
    version: str
    zone: str
    epoch: int
    """The epoch of the connection: addresses of posters change with it."""
    kiosk: bool
    known_by_cookie: bool

    @property
    def blind(self) -> bool:
        """Whether Plex is away, so that nothing may be said in the present tense."""
        return self.seen.link != "live"


class PageLayout:
    """Answers requests with pages in the common frame."""

    def __init__(self, companion: Companion, renderer: PageRenderer, templates: Templates) -> None:
        self._companion = companion
        self._renderer = renderer
        self._templates = templates
        self._navigation: tuple[tuple[str, str], ...] = ()

    def set_navigation(self, routes: Iterable[Route]) -> None:
        """Let the navigation lead to those sections that have a route."""
        paths = {route.path for route in routes}
        self._navigation = tuple(section for section in SECTIONS if section[0] in paths)

    async def respond(
        self,
        request: Request,
        template: str,
        *,
        title: str,
        section: str = "",
        status: HTTPStatus = HTTPStatus.OK,
        live: str = "link",
        **context: Any,
    ) -> Response:
        """Answer with a page: `template` from `templates/pages/`, filled, in the frame.

        `title` is text, perhaps from elsewhere. With `live="all"`, all parts of the page `/` are in the context.
        """
        if live != "link":
            await self._renderer.recent.refresh()
        seen = await self._renderer.render(live)
        frame = PageFrame(
            clean(title),
            section or request.url.path,
            self._navigation,
            seen,
            live,
            self._companion.now_ms,
            __version__,
            name_zone(self._companion.zone),
            seen.epoch,
            kiosk=live == "kiosk",
            known_by_cookie=bool(request.cookies),
        )
        html = self._templates.fill(f"pages/{template}", frame=frame, **context)
        return HTMLResponse(html, status, HEADERS)

    async def respond_error(self, request: Request, status: HTTPStatus, body: Mapping[str, object]) -> Response:
        """Answer with an error: a page with its `message` where the request accepts HTML, JSON anywhere else."""
        if not accepts_html(request.headers):
            return Response(json.dumps(body), status, HEADERS, media_type="application/json")
        heading, message = get_heading(status), drop_tool_hints(str(body["message"]))
        return await self.respond(
            request, "error.html", title=heading, section="none", status=status, message=message, code=status.value
        )

    def guard_page(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a page, so that errors of questions become pages too."""

        async def respond(request: Request) -> Response:
            try:
                return await answer(request)
            except ToolError as error:
                return await self.respond_error(request, find_status(error), error.body())

        return respond

    def build_thing_routes(
        self, kind: Kind, answer: Callable[[Request, Companion, str], Awaitable[Response]], *, shared: bool = False
    ) -> list[Route]:
        """Return the routes of the pages of one thing each: `/{kind}/{id}`, and `/{kind}/{server}/{id}`.

        `answer` gets the companion of the server, and without one that of all servers where things are `shared` by them.
        A server that is given by its name leads to its identifier.
        """

        async def show(request: Request) -> Response:
            given, id_ = request.path_params.get("server"), request.path_params["id"]
            chosen = self._companion if shared and given is None else self.choose_companion(request)
            server = chosen.state.server
            if given is not None and server is not None and given != server.machine_identifier:
                return redirect(page_url(kind, server.machine_identifier, id_))
            return await answer(request, chosen, id_)

        shown = self.guard_page(show)
        return [
            Route(f"/{kind}/{{id}}", shown, methods=["GET"]),
            Route(f"/{kind}/{{server}}/{{id}}", shown, methods=["GET"]),
        ]

    def choose_companion(self, request: Request) -> Companion:
        """Return the companion of the server in the address of a thing whose id means something on one server only.

        Raises:
            NotFound, Ambiguous: as `Companion.choose_server`; also ambiguous without a server, where there are several.
        """
        given = request.path_params.get("server")
        if given is None and len(self._companion.each) > 1:
            names = list_choices(self._companion.links)
            message = f"There are several servers: put one of them before the id, {', '.join(names)}."
            raise Ambiguous(message, what="server", matches=names)
        return self._companion.choose_server(given)

    def guard_form(
        self, answer: Callable[[Request], Awaitable[Response]], *, writes: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a form: it must come from our own page, and with `writes` not in the read-only mode."""

        async def respond(request: Request) -> Response:
            if is_foreign_write(request.scope, request.headers):
                refusal = {"error": _FOREIGN, "message": _FOREIGN}
                return await self.respond_error(request, HTTPStatus.FORBIDDEN, refusal)
            if writes and self._companion.settings.read_only:
                raise ReadOnly(_READ_ONLY, operation=request.url.path)
            return await answer(request)

        return self.guard_page(respond)


_FOREIGN = "Pages of other servers may not change anything here."
_READ_ONLY = (
    "plex-companion is in read-only mode: nothing can be changed from here. READ_ONLY_MODE=false allows changes."
)


def find_status(error: ToolError) -> HTTPStatus:
    """Return the HTTP status that says what an error says."""
    match error:
        case NotFound() | Ambiguous():
            return HTTPStatus.NOT_FOUND
        case Invalid():
            return HTTPStatus.BAD_REQUEST
        case ReadOnly():
            return HTTPStatus.FORBIDDEN
        case Conflict():
            return HTTPStatus.CONFLICT
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE


def drop_tool_hints(message: str) -> str:
    """Return a message without the sentences that advise a tool, which people can't call."""
    kept = [sentence for sentence in _SENTENCE.split(message) if not _TOOL.search(sentence)]
    return " ".join(kept) or message


_SENTENCE = re.compile(r"(?<=\.) ")
_TOOL = re.compile(r"\b(?:history|rule|catalogue)_[a-z]+\b")


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form by name; nothing if the body is no form."""
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=50))
    except ValueError:
        return {}


def redirect(path: str) -> Response:
    """Lead a browser that sent a form to a page."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)
