"""The pages, as the tests of all of them need it: a list, and households that are hard on a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcp import Client

from plex_companion.demo import playback

if TYPE_CHECKING:
    from plex_companion.app import Application
    from plex_companion.demo import Demo

ARABIC = "\u0645\u0646\u0627\u0631\u0629 \u0627\u0644\u0628\u062d\u0631 (1987) \u2013 \u0627\u0644\u062c\u0632\u0621 2"
JAPANESE = "\u6d77\u8fba\u306e\u706f\u53f0\u3068\u9759\u304b\u306a\u591c\u306e\u7269\u8a9e"
LONG = "A Very Long Story " + "Withoutanyspaces" * 17
MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> & "quoted" \u202eeno'
TITLES = (ARABIC, JAPANESE, LONG, MARKUP)


@dataclass(frozen=True)
class PageCase:
    """A page to look at, and the heading that says it is that page."""

    path: str
    heading: str
    is_error: bool = False
    """Whether its status is that of an error, of which a browser's console complains."""

    def __str__(self) -> str:
        return self.path


PAGES = [
    PageCase("/", "Now playing"),
    PageCase("/libraries", "Libraries"),
    PageCase("/libraries/1", "Films"),
    PageCase("/neglected?days=1", "Not watched for long"),
    PageCase("/stats?period=all", "Statistics"),
    PageCase("/digest?period=30d", "Digest"),
    PageCase("/alerts", "Alerts"),
    PageCase("/settings?setting=PLEX_COMPANION_WEBHOOK_URLS", "Settings"),
    PageCase("/rules", "Rules"),
    PageCase("/rules/templates", "Ready-made rules"),
    PageCase("/rules/1?since=7d", ""),
    PageCase("/history", "History"),
    PageCase("/history?title=nothing+like+it", "History"),
    PageCase("/history?since=31.2.&decision=transcode", "History"),
    PageCase("/plays/1", ""),
    PageCase("/items/107", ""),
    PageCase("/users", "People"),
    PageCase("/users/1", ""),
    PageCase("/users/unknown", "There is no such page", is_error=True),
]
"""Every page there is. Ids in paths are those of the demo household."""


async def save_rules(application: Application) -> None:
    """Save a rule that fires when anybody plays, one that nearly does, and one with a hostile name that rests."""
    alert = {"action": "alert", "title": "{data.user.name} plays", "severity": "info"}
    begun = {"when": ["play.started"], "then": [alert]}
    async with Client(application.server) as client:
        for name, more in (
            ("Anybody plays", {}),
            ("Nobody plays", {"only_if": 'data.item.title == "None"'}),
            (MARKUP, {}),
        ):
            saved = await client.call_tool("rule_create", {"rule": {"name": name, **begun, **more}})
            assert not saved.is_error, saved.content
        for rule_id in ("1", "2"):
            await client.call_tool("rule_enable", {"id": rule_id, "confirm": True})


def start_streams(demo: Demo, count: int) -> None:
    """Start so many streams in every state, each on a player of its own, the first ones with hostile titles."""
    films = demo.state.list_kind("movie")
    for film, title in zip(films, TITLES, strict=False):
        film.title = title
    for number in range(count):
        like = demo.get_player(number % len(demo.state.players))
        player = replace(like, id=100 + number, client_identifier=f"wall-{number}", title=f"{like.title} {number}")
        demo.state.players[player.client_identifier] = player
        user = demo.get_user(number % len(demo.state.users))
        session = playback.start(
            demo.state, films[number], user, player, offset=60_000 * (number + 1), transcode=number % 3 == 0
        )
        if number % 5 == 4:
            demo.pause(session)
        elif number % 7 == 6:
            demo.buffer(session)
