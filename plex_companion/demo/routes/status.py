"""Current and past plays: sessions, transcodes, history, reports of clients."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from plex_companion.demo import playback
from plex_companion.demo.household.model import DemoPlay, DemoPlayer
from plex_companion.demo.nodes.describe import build_play_node, build_session_node, build_transcode_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page, find_or_404
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.request import DemoRequest


def get_sessions(request: DemoRequest) -> Node:
    """Answer `GET /status/sessions`; for the owner only."""
    request.require_owner()
    shown = [session for session in request.state.sessions.values() if session.shown]
    return build_page(request, shown, lambda session: build_session_node(request.state, session))


def get_background(_: DemoRequest) -> Node:
    """Answer `GET /status/sessions/background`: there are no background transcodes."""
    return build_container()


def terminate_session(request: DemoRequest) -> DemoAnswer:
    """Answer `/status/sessions/terminate?sessionId=`, with Session.id and not the session key: 403 if empty, 404 if unknown."""
    request.require_owner()
    requested = request.get("sessionId")
    if not requested:
        raise HttpRefusal(403)
    for session in list(request.state.sessions.values()):
        if session.id == requested:
            playback.stop(request.state, session)
            return DONE
    raise HttpRefusal(404)


def get_transcodes(request: DemoRequest) -> Node:
    """Answer `GET /transcode/sessions`, with bare keys."""
    running = [session for session in request.state.sessions.values() if session.transcode]
    return build_container([build_transcode_node(request.state, session, full_key=False) for session in running])


def _parse_bounds(request: DemoRequest) -> tuple[int | None, int | None]:
    low: int | None = None
    high: int | None = None
    for name, value in request.params:
        # `viewedAt>=5` arrives as the name `viewedAt>` with the value 5; `viewedAt>5` as a name without a value.
        base, sign, rest = name.partition(">" if ">" in name else "<")
        text = value or rest
        if base == "viewedAt" and sign and text.lstrip("=").isdigit():
            number = int(text.lstrip("="))
            low, high = (number, high) if sign == ">" else (low, number)
    return low, high


def get_history(request: DemoRequest) -> Node:
    """Answer `GET /status/sessions/history/all`: by account, section, item and time, newest first unless sorted otherwise."""
    request.require_owner()
    server, (low, high) = request.state, _parse_bounds(request)
    account, section, key = request.get("accountID"), request.get("librarySectionID"), request.get("metadataItemID")
    descending = not request.get("sort", "viewedAt:desc").endswith(":asc")

    def make() -> list[DemoPlay]:
        start = 0 if low is None else bisect_left(server.history, low, key=lambda play: play.viewed_at)
        stop = (
            len(server.history) if high is None else bisect_right(server.history, high, key=lambda play: play.viewed_at)
        )
        rows = server.history[start:stop]
        if account:
            rows = [play for play in rows if str(play.account_id) == account]
        if section:
            rows = [
                play
                for play in rows
                if play.rating_key in server.items and server.items[play.rating_key].section == section
            ]
        if key:
            requested = {key, *(leaf.key for leaf in server.list_leaves(key))} if key in server.items else {key}
            rows = [play for play in rows if play.rating_key in requested]
        return rows[::-1] if descending else rows

    rows = server.get_listing(("history", low, high, account, section, key, descending, len(server.history)), make)
    return build_page(request, rows, lambda play: build_play_node(server, play))


def delete_play(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /status/sessions/history/ID`."""
    request.require_owner()
    matching = [play for play in request.state.history if str(play.id) != request.args["id"]]
    if len(matching) == len(request.state.history):
        raise HttpRefusal(404)
    request.state.history = matching
    request.state.mark_changed()
    return DONE


def scrobble(request: DemoRequest) -> DemoAnswer:
    """Answer `/:/scrobble`: count as watched, without a row of history, and refresh the item."""
    find_or_404(request.state.items, request.get("key"))
    request.state.scrobble(request.user, request.get("key"))
    background.start_refresh(request.state, request.get("key"))
    return DONE


def unscrobble(request: DemoRequest) -> DemoAnswer:
    """Answer `/:/unscrobble`."""
    find_or_404(request.state.items, request.get("key"))
    request.state.unscrobble(request.user, request.get("key"))
    background.start_refresh(request.state, request.get("key"))
    return DONE


def rate_item(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /:/rate`: 0 to 10; -1 removes the rating."""
    key = request.get("key")
    find_or_404({**request.state.items, **request.state.collections}, key)
    try:
        rating = float(request.get("rating"))
    except ValueError:
        raise HttpRefusal(400) from None
    request.state.rate(request.user, key, None if rating < 0 else rating)
    if key in request.state.items:
        background.start_refresh(request.state, key)
    return DONE


def report_progress(request: DemoRequest) -> DemoAnswer:
    """Answer `/:/progress`: a position without a session. Positions in the first minute are not stored."""
    item: DemoItem = find_or_404(request.state.items, request.get("key"))
    if request.get_number("time") > playback.STORED_FROM:
        request.state.get_own_view(request.user, item.key).offset = request.get_number("time")
        request.state.mark_changed()
    return DONE


def _find_reporting_player(request: DemoRequest) -> DemoPlayer:
    name = (
        request.headers.get("x-plex-client-identifier") or request.get("X-Plex-Client-Identifier") or "unknown-client"
    )
    players = request.state.players
    if name not in players:
        header = request.headers.get
        players[name] = DemoPlayer(len(players) + 1, name, header("x-plex-device-name", name), header("x-plex-product", "Plex Web"),
                               header("x-plex-platform", ""), header("x-plex-platform-version", ""), header("x-plex-device", ""),
                               "pc", header("x-plex-version", ""), "192.168.7.99")  # fmt: skip
    return players[name]


def report_timeline(request: DemoRequest) -> Node:
    """Answer `/:/timeline`: the report of a playing client every ten seconds, which starts, moves and ends sessions."""
    server, item = request.state, find_or_404(request.state.items, request.get("ratingKey"))
    player, state, offset = _find_reporting_player(request), request.get("state", "playing"), request.get_number("time")
    session = next((s for s in server.sessions.values() if s.player is player and s.item is item), None)
    if session is None:
        session = playback.start(server, item, request.user, player, offset=offset, announce=False)
    session.offset = offset
    if state == "stopped":
        playback.stop(server, session)
    else:
        playback.report(server, session, state, offset)
    view = server.get_view(request.user, item.key)
    return build_container(size=0, playbackState="progress", skipCount=0, viewCount=view.count, viewOffset=offset)


def remove_from_continue_watching(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /actions/removeFromContinueWatching`: forget the position."""
    find_or_404(request.state.items, request.get("ratingKey"))
    request.state.get_own_view(request.user, request.get("ratingKey")).offset = 0
    request.state.mark_changed()
    return DONE


ROUTES = (
    ("GET", "/status/sessions", get_sessions),
    ("GET", "/status/sessions/background", get_background),
    ("GET", "/status/sessions/terminate", terminate_session),
    ("POST", "/status/sessions/terminate", terminate_session),
    ("GET", "/status/sessions/history/all", get_history),
    ("DELETE", "/status/sessions/history/{id}", delete_play),
    ("GET", "/transcode/sessions", get_transcodes),
    ("GET", "/:/scrobble", scrobble),
    ("PUT", "/:/scrobble", scrobble),
    ("GET", "/:/unscrobble", unscrobble),
    ("PUT", "/:/unscrobble", unscrobble),
    ("PUT", "/:/rate", rate_item),
    ("GET", "/:/rate", rate_item),
    ("GET", "/:/progress", report_progress),
    ("PUT", "/:/progress", report_progress),
    ("GET", "/:/timeline", report_timeline),
    ("POST", "/:/timeline", report_timeline),
    ("PUT", "/actions/removeFromContinueWatching", remove_from_continue_watching),
)
