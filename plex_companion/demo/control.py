"""Calls that only the demo has: `/demo/…` on loopback, so that tests in another process can drive the household."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from plex_companion.demo.page_faults import KINDS
from plex_companion.demo.simulation.scenarios import SCENARIOS, list_scenarios

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.sessions import DemoSession

    Call = Callable[[Demo, "ControlArguments"], Awaitable[Any]]

STREAMS = ("video", "audio", "subtitle")
# These cut the caller's own connection, so they are begun and not waited for.
SELF_CUTTING = {"n", "connection_lost", "connection_lost_near", "listener_gap"}


class ControlError(Exception):
    """A control call that fails. The message is the answer, with status 400 or 404."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ControlArguments:
    """The arguments of a control call: path, query and JSON body, all by name."""

    def __init__(self, rest: str, arguments: dict[str, Any], body: bytes) -> None:
        self.rest, self._arguments, self.body = rest, arguments, body

    def get_text(self, name: str, default: str | None = None) -> str:
        """Return an argument as text. Without a default it is required."""
        value = self._arguments.get(name, default)
        if value is None:
            raise ControlError(f"'{name}' is missing")
        return str(value)

    def get_number(self, name: str, default: float | None = None) -> float:
        """Return an argument as a number."""
        text = self.get_text(name, None if default is None else str(default))
        try:
            return float(text)
        except ValueError:
            raise ControlError(f"'{name}' must be a number, not {text!r}") from None

    def get_flag(self, name: str) -> bool:
        """Return whether an argument is on; absent means off."""
        return self.get_text(name, "0").lower() in {"1", "true", "yes"}

    def list_numbers(self) -> dict[str, float]:
        """Return every numeric argument."""
        return {name: self.get_number(name) for name in self._arguments if name != "wait"}


async def respond(demo: Demo, request: Request) -> Response:
    """Answer one control call. Beyond loopback, and for web pages of other origins, there are none: the answer is 404."""
    if not demo.loopback or "origin" in request.headers:
        return Response(status_code=404)
    found = _find(request.method, request.url.path)
    if found is None:
        return JSONResponse({"error": "no such control call", "calls": sorted(CALLS)}, 404)
    call, rest = found
    body = await request.body()
    try:
        return JSONResponse(
            await call(demo, ControlArguments(rest, dict(request.query_params) | _parse_json(request, body), body))
        )
    except ControlError as wrong:
        return JSONResponse({"error": str(wrong)}, wrong.status)


def _find(method: str, path: str) -> tuple[Call, str] | None:
    name, _, rest = path.removeprefix("/demo/").partition("/")
    call = CALLS.get(f"{method} {name}")
    return (call, rest) if call else None


def _parse_json(request: Request, body: bytes) -> dict[str, Any]:
    if "json" not in request.headers.get("content-type", "") or not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        raise ControlError("the body is not JSON") from None
    return found if isinstance(found, dict) else {}


async def _list_scenarios(_: Demo, __: ControlArguments) -> Any:
    return {"scenarios": list_scenarios()}


async def _play_scenario(demo: Demo, given: ControlArguments) -> Any:
    if given.rest not in SCENARIOS:
        raise ControlError(f"no scenario {given.rest!r}; there are {', '.join(SCENARIOS)}", 404)
    options = given.list_numbers()
    if given.rest in SELF_CUTTING or given.get_text("wait", "1") == "0":
        demo.run_later(_play_alone, demo, given.rest, options)
        return {"scenario": given.rest, "started": True}
    return await _play_alone(demo, given.rest, options)


async def _play_alone(demo: Demo, name: str, options: dict[str, float]) -> Any:
    return await demo.play(name, **options)


def _describe_session(session: DemoSession) -> dict[str, Any]:
    return {"session_key": session.key, "session_id": session.id, "rating_key": session.item.key, "title": session.item.title,
            "user": session.user.name, "client_identifier": session.player.client_identifier, "state": session.state,
            "view_offset": session.offset}  # fmt: skip


async def _list_sessions(demo: Demo, _: ControlArguments) -> Any:
    return {"sessions": [_describe_session(session) for session in demo.sessions.values()]}


def _find_index(pool: int, given: ControlArguments, name: str) -> int:
    number = int(given.get_number(name, 0))
    if not 0 <= number < pool:
        raise ControlError(f"'{name}' must be below {pool}")
    return number


async def _change_session(demo: Demo, given: ControlArguments) -> Any:
    """Start a session (`POST /demo/sessions`) or act on one (`POST /demo/sessions/KEY/ACTION`)."""
    if not given.rest:
        key = given.get_text("rating_key", demo.get_movie().key)
        if key not in demo.state.items:
            raise ControlError(f"no item {key!r}", 404)
        user, player = (
            _find_index(len(demo.state.users), given, "user"),
            _find_index(len(demo.state.players), given, "player"),
        )
        started = demo.start(
            key,
            user=user,
            player=player,
            offset=int(given.get_number("offset", 0)),
            transcode=given.get_flag("transcode"),
            delivery={f"{name}_decision": given.get_text(name) for name in STREAMS if given.get_text(name, "")} or None,
            version=_find_index(len(demo.state.items[key].media) or 1, given, "version"),
        )
        return _describe_session(started)
    key, _, action = given.rest.partition("/")
    session = demo.sessions.get(key)
    if session is None or action not in ACTIONS:
        raise ControlError(f"no session {key!r} or no action {action!r}; actions are {', '.join(ACTIONS)}", 404)
    ACTIONS[action](demo, session, given)
    return _describe_session(session)


ACTIONS: dict[str, Callable[[Demo, DemoSession, ControlArguments], None]] = {
    "pause": lambda demo, session, _: demo.pause(session),
    "resume": lambda demo, session, _: demo.resume(session),
    "buffer": lambda demo, session, _: demo.buffer(session),
    "stop": lambda demo, session, _: demo.stop(session),
    "forget": lambda demo, session, _: demo.forget(session),
    "move": lambda demo, session, given: demo.move(session, given.get_number("seconds", 10)),
    "seek": lambda demo, session, given: demo.seek(session, int(given.get_number("offset"))),
}


async def _send_frames(demo: Demo, given: ControlArguments) -> Any:
    demo.send_raw(given.body, binary=given.get_flag("binary"))
    return {"bytes": len(given.body), "listeners": demo.subscribers.listeners}


async def _send_burst(demo: Demo, given: ControlArguments) -> Any:
    count = int(given.get_number("count", 1000))
    await demo.burst(count)
    return {"frames": count}


async def _change_items(demo: Demo, given: ControlArguments) -> Any:
    """Add a film (`POST /demo/items`), or act on an item (`POST /demo/items/KEY/ACTION`)."""
    if not given.rest:
        section = given.get_text("section", demo.get_movie().section)
        movie = await demo.add_movie(given.get_text("title", "") or None, section=section)
        return {"rating_key": movie.key, "title": movie.title}
    key, _, action = given.rest.partition("/")
    item = demo.state.items.get(key)
    if item is None or action not in {"copy", "strip"}:
        raise ControlError(f"no item {key!r} or no action {action!r}; actions are copy, strip", 404)
    if action == "copy":
        return {"rating_key": demo.copy_item(key, _find_section(demo, given, item.section)).key}
    demo.strip_item(key, *given.get_text("names").split(","))
    return {"rating_key": key, "missing": sorted(item.missing)}


async def _add_show(demo: Demo, given: ControlArguments) -> Any:
    section = _find_section(
        demo, given, next((key for key, one in demo.state.sections.items() if one.type == "show"), "")
    )
    seasons, episodes = int(given.get_number("seasons", 2)), int(given.get_number("episodes", 10))
    show = demo.add_show(
        given.get_text("title", "A Whole Show"), section=section, seasons=seasons, episodes=episodes,
        announced=not given.get_flag("quiet"),
    )  # fmt: skip
    return {"rating_key": show.key, "title": show.title}


async def _delete_item(demo: Demo, given: ControlArguments) -> Any:
    if given.rest not in demo.state.items:
        raise ControlError(f"no item {given.rest!r}", 404)
    demo.delete_item(given.rest, announced=not given.get_flag("quiet"))
    return {"deleted": given.rest}


def _find_section(demo: Demo, given: ControlArguments, default: str) -> str:
    section = given.get_text("section", default)
    if section not in demo.state.sections:
        raise ControlError(f"no section {section!r}", 404)
    return section


async def _touch(demo: Demo, given: ControlArguments) -> Any:
    section = _find_section(demo, given, demo.get_movie().section)
    return {"section": section, "touched": len(demo.touch_items(section, int(given.get_number("count", 1_000))))}


async def _change_section(demo: Demo, given: ControlArguments) -> Any:
    """Rename a library, or delete it and add it again under another id: `POST /demo/sections/KEY/ACTION`."""
    key, _, action = given.rest.partition("/")
    if key not in demo.state.sections or action not in {"rename", "move"}:
        raise ControlError(f"no section {key!r} or no action {action!r}; actions are rename, move", 404)
    if action == "move":
        return {"section": demo.move_section(key)}
    demo.rename_section(key, given.get_text("title"))
    return {"section": key, "title": given.get_text("title")}


async def _delete_section(demo: Demo, given: ControlArguments) -> Any:
    if given.rest not in demo.state.sections:
        raise ControlError(f"no section {given.rest!r}", 404)
    demo.delete_section(given.rest)
    return {"deleted": given.rest}


async def _break_pages(demo: Demo, given: ControlArguments) -> Any:
    """Let pages of listings misbehave; `fault=none` ends it."""
    kind, skip, times = given.get_text("fault"), int(given.get_number("skip", 0)), int(given.get_number("times", 1))
    if kind not in {*KINDS, "none"}:
        raise ControlError(f"'fault' must be one of {', '.join((*KINDS, 'none'))}")
    demo.break_pages(None if kind == "none" else kind, skip=skip, times=times)
    return {"fault": kind, "skip": skip, "times": times}


async def _scan(demo: Demo, given: ControlArguments) -> Any:
    section = given.get_text("section", demo.get_movie().section)
    if section not in demo.state.sections:
        raise ControlError(f"no section {section!r}", 404)
    demo.start_scan(section, files=int(given.get_number("files", 0)))
    return {"section": section, "started": True}


async def _restart(demo: Demo, given: ControlArguments) -> Any:
    async def restart_server() -> None:
        await demo.wait(0.1)
        await demo.restart(down=given.get_number("down", 1), starting=given.get_number("starting", 2))

    demo.run_later(restart_server)
    return {"started": True}


async def _fall_silent(demo: Demo, given: ControlArguments) -> Any:
    """Go silent for `seconds`, or until `POST /demo/speak`; with `everything=1` only the time ends it."""
    seconds, everything = given.get_number("seconds", 60), given.get_flag("everything")

    async def be_silent() -> None:
        await demo.wait(0.1)
        demo.go_silent(everything=everything)
        await demo.wait(seconds)
        demo.speak_again()

    demo.run_later(be_silent)
    return {"seconds": seconds, "everything": everything}


async def _speak(demo: Demo, _: ControlArguments) -> Any:
    demo.speak_again()
    return {}


async def _reset_connections(demo: Demo, _: ControlArguments) -> Any:
    return {"reset": demo.reset_connections(websockets_only=True)}


async def _cut_connections(demo: Demo, given: ControlArguments) -> Any:
    demo.cut_after(int(given.get_number("bytes", 7)))
    return {}


async def _answer_with_status(demo: Demo, given: ControlArguments) -> Any:
    """Answer `status` to every call for `seconds`."""
    seconds, status = given.get_number("seconds", 5), int(given.get_number("status", 503))

    async def answer_unwell() -> None:
        demo.answer_with(status)
        await demo.wait(seconds)
        demo.answer_with(None)

    demo.run_later(answer_unwell)
    return {"seconds": seconds, "status": status}


async def _slow_down(demo: Demo, given: ControlArguments) -> Any:
    demo.slow_down(given.get_number("seconds", 0))
    return {"seconds": given.get_number("seconds", 0)}


async def _change_token(demo: Demo, given: ControlArguments) -> Any:
    if given.rest not in {"revoke", "restore"}:
        raise ControlError("say /demo/token/revoke or /demo/token/restore", 404)
    if given.rest == "revoke":
        demo.revoke_token()
    else:
        demo.restore_token()
    return {"revoked": demo.state.faults.revoked}


async def _confirm(demo: Demo, _: ControlArguments) -> Any:
    waiting = [pin.id for pin in demo.state.pins.values() if pin.token is None]
    demo.confirm()
    return {"confirmed": waiting}


async def _list_requests(demo: Demo, given: ControlArguments) -> Any:
    log = demo.requests
    return {
        "count": log.count(given.get_text("start", "")),
        "most_open_listings": log.most_open_listings,
        "requests": [list(row) for row in log.log],
        "unknown": [list(row) for row in log.unknown],
    }


async def _forget_requests(demo: Demo, _: ControlArguments) -> Any:
    demo.requests.clear()
    return {}


async def _describe_state(demo: Demo, _: ControlArguments) -> Any:
    return {"name": demo.state.name, "items": len(demo.state.items), "history": len(demo.state.history), "listeners": demo.subscribers.listeners,
            "sockets": demo.subscribers.sockets, "frames": demo.subscribers.sent, "sessions": len(demo.sessions), "speed": demo.state.speed}  # fmt: skip


CALLS: dict[str, Call] = {
    "GET scenarios": _list_scenarios, "POST scenarios": _play_scenario, "GET sessions": _list_sessions, "POST sessions": _change_session, "POST frames": _send_frames,
    "POST burst": _send_burst, "POST items": _change_items, "DELETE items": _delete_item, "POST scan": _scan, "POST restart": _restart,
    "POST silence": _fall_silent, "POST speak": _speak, "POST reset": _reset_connections, "POST cut": _cut_connections, "POST status": _answer_with_status,
    "POST slow": _slow_down, "POST token": _change_token, "GET requests": _list_requests, "DELETE requests": _forget_requests, "GET state": _describe_state,
    "POST confirm": _confirm, "POST shows": _add_show, "POST touch": _touch, "POST sections": _change_section,
    "DELETE sections": _delete_section, "POST pages": _break_pages,
}  # fmt: skip
