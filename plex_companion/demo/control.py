"""Calls that only the demo has: `/demo/…` on loopback, so that tests in another process can drive the household."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from plex_companion.demo.scenarios import SCENARIOS, sentences

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from plex_companion.demo.demo import Demo
    from plex_companion.demo.playback import Session

    Call = Callable[[Demo, "Given"], Awaitable[Any]]

# These cut the caller's own connection, so they are begun and not waited for.
SELF_CUTTING = {"n", "connection_lost", "connection_lost_near", "listener_gap"}


class Wrong(Exception):
    """A control call that cannot be done; the message is the answer, with status 404 or 400."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Given:
    """The arguments of a control call: path, query and JSON body, all by name."""

    def __init__(self, rest: str, arguments: dict[str, Any], body: bytes) -> None:
        self.rest, self._arguments, self.body = rest, arguments, body

    def text(self, name: str, default: str | None = None) -> str:
        """An argument as text; without a default it is needed."""
        value = self._arguments.get(name, default)
        if value is None:
            raise Wrong(f"'{name}' is missing")
        return str(value)

    def number(self, name: str, default: float | None = None) -> float:
        """An argument as a number."""
        text = self.text(name, None if default is None else str(default))
        try:
            return float(text)
        except ValueError:
            raise Wrong(f"'{name}' is no number: {text!r}") from None

    def flag(self, name: str) -> bool:
        """An argument that is on or off; off if absent."""
        return self.text(name, "0").lower() in {"1", "true", "yes"}

    def numbers(self) -> dict[str, float]:
        """Every numeric argument."""
        return {name: self.number(name) for name in self._arguments if name != "wait"}


async def respond(demo: Demo, request: Request) -> Response:
    """Answer one control call; they do not exist beyond loopback, nor for web pages of other origins."""
    if not demo.loopback or "origin" in request.headers:
        return Response(status_code=404)
    found = _find(request.method, request.url.path)
    if found is None:
        return JSONResponse({"error": "no such control call", "calls": sorted(CALLS)}, 404)
    call, rest = found
    body = await request.body()
    try:
        return JSONResponse(await call(demo, Given(rest, dict(request.query_params) | _json(request, body), body)))
    except Wrong as wrong:
        return JSONResponse({"error": str(wrong)}, wrong.status)


def _find(method: str, path: str) -> tuple[Call, str] | None:
    name, _, rest = path.removeprefix("/demo/").partition("/")
    call = CALLS.get(f"{method} {name}")
    return (call, rest) if call else None


def _json(request: Request, body: bytes) -> dict[str, Any]:
    if "json" not in request.headers.get("content-type", "") or not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        raise Wrong("the body is not JSON") from None
    return found if isinstance(found, dict) else {}


async def _list(_: Demo, __: Given) -> Any:
    return {"scenarios": sentences()}


async def _play(demo: Demo, given: Given) -> Any:
    if given.rest not in SCENARIOS:
        raise Wrong(f"no scenario {given.rest!r}; there are {', '.join(SCENARIOS)}", 404)
    options = given.numbers()
    if given.rest in SELF_CUTTING or given.text("wait", "1") == "0":
        demo.soon(_play_alone, demo, given.rest, options)
        return {"scenario": given.rest, "started": True}
    return await _play_alone(demo, given.rest, options)


async def _play_alone(demo: Demo, name: str, options: dict[str, float]) -> Any:
    return await demo.play(name, **options)


def _shown(session: Session) -> dict[str, Any]:
    return {"session_key": session.key, "session_id": session.id, "rating_key": session.item.key, "title": session.item.title,
            "user": session.user.name, "client_identifier": session.player.client_identifier, "state": session.state,
            "view_offset": session.offset}  # fmt: skip


async def _sessions(demo: Demo, _: Given) -> Any:
    return {"sessions": [_shown(session) for session in demo.sessions.values()]}


def _index(pool: int, given: Given, name: str) -> int:
    number = int(given.number(name, 0))
    if not 0 <= number < pool:
        raise Wrong(f"'{name}' must be below {pool}")
    return number


async def _session(demo: Demo, given: Given) -> Any:
    """`POST /demo/sessions` starts one; `POST /demo/sessions/KEY/ACTION` acts on one."""
    if not given.rest:
        key = given.text("rating_key", demo.movie().key)
        if key not in demo.house.items:
            raise Wrong(f"no item {key!r}", 404)
        user, player = _index(len(demo.house.users), given, "user"), _index(len(demo.house.players), given, "player")
        started = demo.start(
            key, user=user, player=player, offset=int(given.number("offset", 0)), transcode=given.flag("transcode")
        )
        return _shown(started)
    key, _, action = given.rest.partition("/")
    session = demo.sessions.get(key)
    if session is None or action not in ACTIONS:
        raise Wrong(f"no session {key!r} or no action {action!r}; actions are {', '.join(ACTIONS)}", 404)
    ACTIONS[action](demo, session, given)
    return _shown(session)


ACTIONS: dict[str, Callable[[Demo, Session, Given], None]] = {
    "pause": lambda demo, session, _: demo.pause(session),
    "resume": lambda demo, session, _: demo.resume(session),
    "buffer": lambda demo, session, _: demo.buffer(session),
    "stop": lambda demo, session, _: demo.stop(session),
    "forget": lambda demo, session, _: demo.forget(session),
    "move": lambda demo, session, given: demo.move(session, given.number("seconds", 10)),
    "seek": lambda demo, session, given: demo.seek(session, int(given.number("offset"))),
}


async def _frames(demo: Demo, given: Given) -> Any:
    demo.send_raw(given.body, binary=given.flag("binary"))
    return {"bytes": len(given.body), "listeners": demo.hub.listeners}


async def _burst(demo: Demo, given: Given) -> Any:
    count = int(given.number("count", 1000))
    await demo.burst(count)
    return {"frames": count}


async def _add(demo: Demo, given: Given) -> Any:
    movie = await demo.add_movie(given.text("title", "") or None, section=given.text("section", demo.movie().section))
    return {"rating_key": movie.key, "title": movie.title}


async def _delete(demo: Demo, given: Given) -> Any:
    if given.rest not in demo.house.items:
        raise Wrong(f"no item {given.rest!r}", 404)
    demo.delete_item(given.rest)
    return {"deleted": given.rest}


async def _scan(demo: Demo, given: Given) -> Any:
    section = given.text("section", demo.movie().section)
    if section not in demo.house.sections:
        raise Wrong(f"no section {section!r}", 404)
    demo.start_scan(section, files=int(given.number("files", 0)))
    return {"section": section, "started": True}


async def _restart(demo: Demo, given: Given) -> Any:
    async def restarted() -> None:
        await demo.wait(0.1)
        await demo.restart(down=given.number("down", 1), starting=given.number("starting", 2))

    demo.soon(restarted)
    return {"started": True}


async def _silence(demo: Demo, given: Given) -> Any:
    """For `seconds`, or until `POST /demo/speak`; with `everything=1` only the time helps."""
    seconds, everything = given.number("seconds", 60), given.flag("everything")

    async def silent() -> None:
        await demo.wait(0.1)
        demo.go_silent(everything=everything)
        await demo.wait(seconds)
        demo.speak_again()

    demo.soon(silent)
    return {"seconds": seconds, "everything": everything}


async def _speak(demo: Demo, _: Given) -> Any:
    demo.speak_again()
    return {}


async def _reset(demo: Demo, _: Given) -> Any:
    return {"reset": demo.reset_connections(websockets_only=True)}


async def _cut(demo: Demo, given: Given) -> Any:
    demo.cut_after(int(given.number("bytes", 7)))
    return {}


async def _status(demo: Demo, given: Given) -> Any:
    """Answer `status` to every call for `seconds`."""
    seconds, status = given.number("seconds", 5), int(given.number("status", 503))

    async def unwell() -> None:
        demo.answer_with(status)
        await demo.wait(seconds)
        demo.answer_with(None)

    demo.soon(unwell)
    return {"seconds": seconds, "status": status}


async def _slow(demo: Demo, given: Given) -> Any:
    demo.slow_down(given.number("seconds", 0))
    return {"seconds": given.number("seconds", 0)}


async def _token(demo: Demo, given: Given) -> Any:
    if given.rest not in {"revoke", "restore"}:
        raise Wrong("say /demo/token/revoke or /demo/token/restore", 404)
    if given.rest == "revoke":
        demo.revoke_token()
    else:
        demo.restore_token()
    return {"revoked": demo.house.faults.revoked}


async def _confirm(demo: Demo, _: Given) -> Any:
    waiting = [pin.id for pin in demo.house.pins.values() if pin.token is None]
    demo.confirm()
    return {"confirmed": waiting}


async def _requests(demo: Demo, _: Given) -> Any:
    log = demo.requests
    return {
        "count": len(log),
        "requests": [list(row) for row in log.log],
        "unknown": [list(row) for row in log.unknown],
    }


async def _forget_requests(demo: Demo, _: Given) -> Any:
    demo.requests.clear()
    return {}


async def _state(demo: Demo, _: Given) -> Any:
    return {"name": demo.house.name, "items": len(demo.house.items), "history": len(demo.house.history), "listeners": demo.hub.listeners,
            "sockets": demo.hub.sockets, "frames": demo.hub.sent, "sessions": len(demo.sessions), "speed": demo.speed}  # fmt: skip


CALLS: dict[str, Call] = {
    "GET scenarios": _list, "POST scenarios": _play, "GET sessions": _sessions, "POST sessions": _session, "POST frames": _frames,
    "POST burst": _burst, "POST items": _add, "DELETE items": _delete, "POST scan": _scan, "POST restart": _restart,
    "POST silence": _silence, "POST speak": _speak, "POST reset": _reset, "POST cut": _cut, "POST status": _status,
    "POST slow": _slow, "POST token": _token, "GET requests": _requests, "DELETE requests": _forget_requests, "GET state": _state,
    "POST confirm": _confirm,
}  # fmt: skip
