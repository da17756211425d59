"""What is going on and what was seen: sessions, transcodes, history, reports of clients."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from plex_companion.demo import playback
from plex_companion.demo.ask import DONE, Answer, Refused, found, page
from plex_companion.demo.describe import play_node, session_node, transcode_node
from plex_companion.demo.household import Play, Player
from plex_companion.demo.tree import Node, container

if TYPE_CHECKING:
    from plex_companion.demo.ask import Ask
    from plex_companion.demo.household import Item


def sessions(ask: Ask) -> Node:
    """`GET /status/sessions`; only the owner may look."""
    ask.owner_only()
    shown = [session for session in ask.house.sessions.values() if session.shown]
    return page(ask, shown, lambda session: session_node(ask.house, session))


def background(_: Ask) -> Node:
    """`GET /status/sessions/background`: nothing is converted in the background."""
    return container()


def terminate(ask: Ask) -> Answer:
    """`/status/sessions/terminate?sessionId=`, by Session.id and not by session key: 403 if empty, 404 if unknown."""
    ask.owner_only()
    wanted = ask.get("sessionId")
    if not wanted:
        raise Refused(403)
    for session in list(ask.house.sessions.values()):
        if session.id == wanted:
            playback.stop(ask.house, session)
            return DONE
    raise Refused(404)


def transcodes(ask: Ask) -> Node:
    """`GET /transcode/sessions`, keys bare."""
    running = [session for session in ask.house.sessions.values() if session.transcode]
    return container([transcode_node(ask.house, session, full_key=False) for session in running])


def _bounds(ask: Ask) -> tuple[int | None, int | None]:
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


def history(ask: Ask) -> Node:
    """`GET /status/sessions/history/all`: by account, section, item and time, newest first unless sorted otherwise."""
    ask.owner_only()
    house, (low, high) = ask.house, _bounds(ask)
    account, section, key = ask.get("accountID"), ask.get("librarySectionID"), ask.get("metadataItemID")
    descending = not ask.get("sort", "viewedAt:desc").endswith(":asc")

    def make() -> list[Play]:
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
            wanted = {key, *(leaf.key for leaf in house.leaves_of(key))} if key in house.items else {key}
            rows = [play for play in rows if play.rating_key in wanted]
        return rows[::-1] if descending else rows

    rows = house.listing(("history", low, high, account, section, key, descending, len(house.history)), make)
    return page(ask, rows, lambda play: play_node(house, play))


def delete_play(ask: Ask) -> Answer:
    """`DELETE /status/sessions/history/ID`."""
    ask.owner_only()
    kept = [play for play in ask.house.history if str(play.id) != ask.args["id"]]
    if len(kept) == len(ask.house.history):
        raise Refused(404)
    ask.house.history = kept
    ask.house.changed()
    return DONE


def scrobble(ask: Ask) -> Answer:
    """`/:/scrobble`: counted as seen, without a row of history; the server refreshes the item's looks."""
    found(ask.house.items, ask.get("key"))
    ask.house.scrobble(ask.user, ask.get("key"))
    ask.demo.refresh_item(ask.get("key"))
    return DONE


def unscrobble(ask: Ask) -> Answer:
    """`/:/unscrobble`."""
    found(ask.house.items, ask.get("key"))
    ask.house.unscrobble(ask.user, ask.get("key"))
    ask.demo.refresh_item(ask.get("key"))
    return DONE


def rate(ask: Ask) -> Answer:
    """`PUT /:/rate`: 0 to 10, -1 takes the rating back."""
    key = ask.get("key")
    found({**ask.house.items, **ask.house.collections}, key)
    try:
        rating = float(ask.get("rating"))
    except ValueError:
        raise Refused(400) from None
    ask.house.rate(ask.user, key, None if rating < 0 else rating)
    if key in ask.house.items:
        ask.demo.refresh_item(key)
    return DONE


def progress(ask: Ask) -> Answer:
    """`/:/progress`: a position without a session; the first minute is not kept."""
    item: Item = found(ask.house.items, ask.get("key"))
    if ask.number("time") > playback.STORED_FROM:
        ask.house.own_view(ask.user, item.key).offset = ask.number("time")
        ask.house.changed()
    return DONE


def _reporting_player(ask: Ask) -> Player:
    name = ask.headers.get("x-plex-client-identifier") or ask.get("X-Plex-Client-Identifier") or "unknown-client"
    players = ask.house.players
    if name not in players:
        header = ask.headers.get
        players[name] = Player(len(players) + 1, name, header("x-plex-device-name", name), header("x-plex-product", "Plex Web"),
                               header("x-plex-platform", ""), header("x-plex-platform-version", ""), header("x-plex-device", ""),
                               "pc", header("x-plex-version", ""), "192.168.7.99")  # fmt: skip
    return players[name]


def timeline(ask: Ask) -> Node:
    """`/:/timeline`: what a playing client sends every ten seconds; sessions begin, move and end by it."""
    house, item = ask.house, found(ask.house.items, ask.get("ratingKey"))
    player, state, offset = _reporting_player(ask), ask.get("state", "playing"), ask.number("time")
    session = next((s for s in house.sessions.values() if s.player is player and s.item is item), None)
    if session is None:
        session = playback.start(house, item, ask.user, player, offset=offset, announce=False)
    session.offset = offset
    if state == "stopped":
        playback.stop(house, session)
    else:
        playback.report(house, session, state, offset)
    view = house.view(ask.user, item.key)
    return container(size=0, playbackState="progress", skipCount=0, viewCount=view.count, viewOffset=offset)


def off_deck(ask: Ask) -> Answer:
    """`PUT /actions/removeFromContinueWatching`: the position is forgotten."""
    found(ask.house.items, ask.get("ratingKey"))
    ask.house.own_view(ask.user, ask.get("ratingKey")).offset = 0
    ask.house.changed()
    return DONE


ROUTES = (
    ("GET", "/status/sessions", sessions),
    ("GET", "/status/sessions/background", background),
    ("GET", "/status/sessions/terminate", terminate),
    ("POST", "/status/sessions/terminate", terminate),
    ("GET", "/status/sessions/history/all", history),
    ("DELETE", "/status/sessions/history/{id}", delete_play),
    ("GET", "/transcode/sessions", transcodes),
    ("GET", "/:/scrobble", scrobble),
    ("PUT", "/:/scrobble", scrobble),
    ("GET", "/:/unscrobble", unscrobble),
    ("PUT", "/:/unscrobble", unscrobble),
    ("PUT", "/:/rate", rate),
    ("GET", "/:/rate", rate),
    ("GET", "/:/progress", progress),
    ("PUT", "/:/progress", progress),
    ("GET", "/:/timeline", timeline),
    ("POST", "/:/timeline", timeline),
    ("PUT", "/actions/removeFromContinueWatching", off_deck),
)
