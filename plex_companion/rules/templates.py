"""Ready-made rules to begin with. Names, numbers and times in them are to be changed; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.models import AlertAction, NotifyAction, Rule
from plex_companion.text import clean
from plex_companion.times import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Collection

    from plex_companion.models import OccurrenceName, RuleAction

USER, SHOW, LAST_EPISODE = "Pip", "Harbour Street", "Home at Last"
"""Stand for whoever and whatever a household means."""
LONGEST_NAME = 50
_WHO_AND_WHAT = "{data.user.name}: {data.item.full_title} on {data.player.title}"


def list_templates(
    targets: Collection[str] = (), user: str | None = None, show: str | None = None, last_episode: str | None = None
) -> list[Rule]:
    """Return the ready-made rules, each disabled.

    Args:
        targets: who is told, by name. Without any, an alert is opened instead.
        user: whom the rules about one person are about.
        show: which show the rule about one show is about.
        last_episode: the title of its last episode.
    """
    user, show, last_episode = _choose(user, USER), _choose(show, SHOW), _choose(last_episode, LAST_EPISODE)
    plays = _list_about_streams(targets) + _list_about_people(targets, user, show, last_episode)
    return plays + _list_about_media(targets, user) + _list_about_servers(targets)


def _choose(name: str | None, otherwise: str) -> str:
    return name if name and len(name) <= LONGEST_NAME else otherwise


def _list_about_streams(targets: Collection[str]) -> list[Rule]:
    return [
        _build(
            "4K is transcoded",
            "alert.opened",
            'data.alert.kind == "transcode_4k"',
            _tell(targets, "{data.alert.title}", "{data.alert.detail.user}"),
        ),
        _build(
            "Paused for 30 minutes",
            "play.paused",
            "",
            _tell(targets, "Still paused", _WHO_AND_WHAT),
            for_ms=30 * MINUTE_MS,
        ),
        _build(
            "More than 3 streams",
            "play.started",
            "streams() > 3",
            _tell(targets, "More than 3 streams", f"The last one is {_WHO_AND_WHAT}"),
            cooldown_ms=30 * MINUTE_MS,
        ),
        _build(
            "A large stream away from home",
            "play.started",
            "data.player.local == false && data.bandwidth_kbps > 20000",
            _tell(targets, "A stream away from home takes more than 20 Mbit/s", _WHO_AND_WHAT),
            cooldown_ms=HOUR_MS,
        ),
        _build(
            "A player reports an error",
            "alert.opened",
            'data.alert.kind == "playback_error"',
            _tell(targets, "{data.alert.title}", "{data.alert.detail.user}"),
            cooldown_ms=10 * MINUTE_MS,
        ),
    ]


def _list_about_people(targets: Collection[str], user: str, show: str, last_episode: str) -> list[Rule]:
    return [
        _build(
            f"{user} after 21:00",
            "play.started",
            f"data.user.name == {_quote(user)} && (hour(at) >= 21 || hour(at) < 6)",
            _tell(targets, "{data.user.name} is still watching", _WHO_AND_WHAT),
            cooldown_ms=HOUR_MS,
        ),
        _build(
            "Somebody on a player that is new to them",
            "play.started",
            "data.first_on_player",
            _tell(targets, "{data.user.name} has a new player", _WHO_AND_WHAT),
        ),
        _build(
            f"Somebody has finished {show}",
            "play.watched",
            f"data.item.grandparent_title == {_quote(show)} && data.item.title == {_quote(last_episode)}",
            _tell(targets, "{data.user.name} has finished {data.item.grandparent_title}", ""),
        ),
    ]


def _list_about_media(targets: Collection[str], user: str) -> list[Rule]:
    caught_up = f"data.caught_up.exists(user, user.name == {_quote(user)})"
    return [
        _build(
            f"New episode, and {user} has watched everything before",
            "media.added",
            f'data.type in ["episode", "season"] && {caught_up}',
            _tell(targets, "New: {data.title}", "In {data.library}"),
        ),
        _build(
            "More than 50 GB at once",
            "media.added",
            "data.size_bytes > 50000000000",
            _tell(targets, "Large: {data.title}", "In {data.library}"),
        ),
        _build(
            "A library of more than 2 TB",
            "library.checked",
            "data.size_bytes > 2000000000000",
            _tell(targets, "{data.library} has more than 2 TB", "{data.count} titles"),
            cooldown_ms=30 * DAY_MS,
        ),
        _build(
            "Nothing scanned for a week",
            "library.checked",
            "data.days_since_scan >= 7",
            _tell(targets, "{data.library} was not scanned for {data.days_since_scan} days", ""),
            cooldown_ms=7 * DAY_MS,
        ),
        _build(
            "A scan found something new",
            "scan.finished",
            "",
            _tell(targets, "New in {data.library}", "{data.titles}"),
            cooldown_ms=DAY_MS,
        ),
    ]


def _list_about_servers(targets: Collection[str]) -> list[Rule]:
    return [
        _build(
            "Plex out of reach for 5 minutes",
            "connection.lost",
            "",
            _tell(targets, "Plex is out of reach", "{data.detail}"),
            for_ms=5 * MINUTE_MS,
        ),
        _build(
            "A new player",
            "client.new",
            "",
            _tell(targets, "New player: {data.player.title}", "{data.player.product} on {data.player.platform}"),
        ),
    ]


def _build(
    name: str,
    when: OccurrenceName,
    only_if: str,
    action: RuleAction,
    for_ms: int | None = None,
    cooldown_ms: int | None = None,
) -> Rule:
    return Rule(None, clean(name), (when,), (action,), only_if, for_ms, cooldown_ms)


def _tell(targets: Collection[str], title: str, text: str) -> RuleAction:
    return NotifyAction(tuple(targets), title, text) if targets else AlertAction(title, "info")


def _quote(name: str) -> str:
    """Quote a name as CEL does."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
