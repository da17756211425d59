"""What is going on and what was seen: sessions, transcodes, history, reports of clients."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from plex_companion.demo import playback
from plex_companion.demo.household.model import DemoPlay, DemoPlayer
from plex_companion.demo.nodes.describe import build_play_node, build_session_node, build_transcode_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page, find_or_404

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.request import DemoRequest


def get_sessions(ask: DemoRequest) -> Node:
    """`GET /status/sessions`; only the owner may look."""
    ask.require_owner()
    shown = [session for session in ask.state.sessions.values() if session.shown]
    return build_page(ask, shown, lambda session: build_session_node(ask.state, session))


def get_background(_: DemoRequest) -> Node:
    """`GET /status/sessions/background`: nothing is converted in the background."""
    return build_container()


def terminate(ask: DemoRequest) -> DemoAnswer:
    """`/status/sessions/terminate?sessionId=`, by Session.id and not by session key: 403 if empty, 404 if unknown."""
    ask.require_owner()
    wanted = ask.get("sessionId")
    if not wanted:
        raise HttpRefusal(403)
    for session in list(ask.state.sessions.values()):
        if session.id == wanted:
            playback.stop(ask.state, session)
            return DONE
    raise HttpRefusal(404)


def get_transcodes(ask: DemoRequest) -> Node:
    """`GET /transcode/sessions`, keys bare."""
    running = [session for session in ask.state.sessions.values() if session.transcode]
    return build_container([build_transcode_node(ask.state, session, full_key=False) for session in running])


def _parse_bounds(ask: DemoRequest) -> tuple[int | None, int | None]:
    low: int | None = None
    high: int | None = None
    for name, value in ask.params:
        # `viewedAt>=5` arrives as the name `viewedAt>` with the value 5; `viewedAt>5` as a name without a value.
        base, sign, rest = name.partition(">" if ">" in name else "<")
        text = value or rest
        if base == "viewedAt" and sign and text.lstrip("=").isdigit():
            number = int(text.lstrip("="))
            low, high = (number, high) if sign == ">" else (low, number)
    return low, high


def get_history(ask: DemoRequest) -> Node:
    """`GET /status/sessions/history/all`: by account, section, item and time, newest first unless sorted otherwise."""
    ask.require_owner()
    house, (low, high) = ask.state, _parse_bounds(ask)
    account, section, key = ask.get("accountID"), ask.get("librarySectionID"), ask.get("metadataItemID")
    descending = not ask.get("sort", "viewedAt:desc").endswith(":asc")

    def make() -> list[DemoPlay]:
        start = 0 if low is None else bisect_left(house.history, low, key=lambda play: play.viewed_at)
        stop = (
            len(house.history) if high is None else bisect_right(house.history, high, key=lambda play: play.viewed_at)
        )
        rows = house.history[start:stop]
        if account:
            rows = [play for play in rows if str(play.account_id) == account]
        if section:
            rows = [
                play
                for play in rows
                if play.rating_key in house.items and house.items[play.rating_key].section == section
            ]
        if key:
            wanted = {key, *(leaf.key for leaf in house.list_leaves(key))} if key in house.items else {key}
            rows = [play for play in rows if play.rating_key in wanted]
        return rows[::-1] if descending else rows

    rows = house.get_listing(("history", low, high, account, section, key, descending, len(house.history)), make)
    return build_page(ask, rows, lambda play: build_play_node(house, play))


def delete_play(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /status/sessions/history/ID`."""
    ask.require_owner()
    kept = [play for play in ask.state.history if str(play.id) != ask.args["id"]]
    if len(kept) == len(ask.state.history):
        raise HttpRefusal(404)
    ask.state.history = kept
    ask.state.mark_changed()
    return DONE


def scrobble(ask: DemoRequest) -> DemoAnswer:
    """`/:/scrobble`: counted as seen, without a row of history; the server refreshes the item's looks."""
    find_or_404(ask.state.items, ask.get("key"))
    ask.state.scrobble(ask.user, ask.get("key"))
    ask.demo.refresh_item(ask.get("key"))
    return DONE


def unscrobble(ask: DemoRequest) -> DemoAnswer:
    """`/:/unscrobble`."""
    find_or_404(ask.state.items, ask.get("key"))
    ask.state.unscrobble(ask.user, ask.get("key"))
    ask.demo.refresh_item(ask.get("key"))
    return DONE


def rate(ask: DemoRequest) -> DemoAnswer:
    """`PUT /:/rate`: 0 to 10, -1 takes the rating back."""
    key = ask.get("key")
    find_or_404({**ask.state.items, **ask.state.collections}, key)
    try:
        rating = float(ask.get("rating"))
    except ValueError:
        raise HttpRefusal(400) from None
    ask.state.rate(ask.user, key, None if rating < 0 else rating)
    if key in ask.state.items:
        ask.demo.refresh_item(key)
    return DONE


def report_progress(ask: DemoRequest) -> DemoAnswer:
    """`/:/progress`: a position without a session; the first minute is not kept."""
    item: DemoItem = find_or_404(ask.state.items, ask.get("key"))
    if ask.get_number("time") > playback.STORED_FROM:
        ask.state.get_own_view(ask.user, item.key).offset = ask.get_number("time")
        ask.state.mark_changed()
    return DONE


def _find_reporting_player(ask: DemoRequest) -> DemoPlayer:
    name = ask.headers.get("x-plex-client-identifier") or ask.get("X-Plex-Client-Identifier") or "unknown-client"
    players = ask.state.players
    if name not in players:
        header = ask.headers.get
        players[name] = DemoPlayer(len(players) + 1, name, header("x-plex-device-name", name), header("x-plex-product", "Plex Web"),
                               header("x-plex-platform", ""), header("x-plex-platform-version", ""), header("x-plex-device", ""),
                               "pc", header("x-plex-version", ""), "192.168.7.99")  # fmt: skip
    return players[name]


def report_timeline(ask: DemoRequest) -> Node:
    """`/:/timeline`: what a playing client sends every ten seconds; sessions begin, move and end by it."""
    house, item = ask.state, find_or_404(ask.state.items, ask.get("ratingKey"))
    player, state, offset = _find_reporting_player(ask), ask.get("state", "playing"), ask.get_number("time")
    session = next((s for s in house.sessions.values() if s.player is player and s.item is item), None)
    if session is None:
        session = playback.start(house, item, ask.user, player, offset=offset, announce=False)
    session.offset = offset
    if state == "stopped":
        playback.stop(house, session)
    else:
        playback.report(house, session, state, offset)
    view = house.get_view(ask.user, item.key)
    return build_container(size=0, playbackState="progress", skipCount=0, viewCount=view.count, viewOffset=offset)


def remove_from_deck(ask: DemoRequest) -> DemoAnswer:
    """`PUT /actions/removeFromContinueWatching`: the position is forgotten."""
    find_or_404(ask.state.items, ask.get("ratingKey"))
    ask.state.get_own_view(ask.user, ask.get("ratingKey")).offset = 0
    ask.state.mark_changed()
    return DONE


ROUTES = (
    ("GET", "/status/sessions", get_sessions),
    ("GET", "/status/sessions/background", get_background),
    ("GET", "/status/sessions/terminate", terminate),
    ("POST", "/status/sessions/terminate", terminate),
    ("GET", "/status/sessions/history/all", get_history),
    ("DELETE", "/status/sessions/history/{id}", delete_play),
    ("GET", "/transcode/sessions", get_transcodes),
    ("GET", "/:/scrobble", scrobble),
    ("PUT", "/:/scrobble", scrobble),
    ("GET", "/:/unscrobble", unscrobble),
    ("PUT", "/:/unscrobble", unscrobble),
    ("PUT", "/:/rate", rate),
    ("GET", "/:/rate", rate),
    ("GET", "/:/progress", report_progress),
    ("PUT", "/:/progress", report_progress),
    ("GET", "/:/timeline", report_timeline),
    ("POST", "/:/timeline", report_timeline),
    ("PUT", "/actions/removeFromContinueWatching", remove_from_deck),
)
