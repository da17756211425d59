"""Streams of a file: which are chosen, and subtitles that somebody sends in or takes away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, find_or_404

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest


@dataclass(frozen=True, slots=True)
class SentSubtitle:
    """A subtitle that was sent in, of the item with that rating key."""

    id: int
    rating_key: str
    title: str
    codec: str
    language: str


def choose_stream(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/parts/ID?audioStreamID=&subtitleStreamID=`: kept for the asker; subtitle 0 is none."""
    if not ask.args["id"].isdigit():
        return DemoAnswer(status=400)
    chosen = ask.state.chosen_streams.setdefault((ask.user.id, int(ask.args["id"])), {})
    chosen |= {name: ask.get(name) for name in ("audioStreamID", "subtitleStreamID") if ask.get(name)}
    ask.state.mark_changed()
    return DONE


def send_subtitle(ask: DemoRequest) -> DemoAnswer:
    """`POST /library/metadata/ID/subtitles?title=&format=&language=` with the file as body."""
    ask.require_owner()
    item = ask.find_item()
    ask.state.last_subtitle += 1
    number = ask.state.last_subtitle
    title, _, suffix = ask.get("title").rpartition(".")
    made = SentSubtitle(number, item.key, title or suffix, ask.get("format") or suffix, ask.get("language"))
    ask.state.sent_subtitles[number] = made
    ask.state.mark_changed(item.section)
    return DONE


def take_subtitle(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /library/streams/ID`: only what was sent in can be taken away."""
    ask.require_owner()
    if not ask.args["id"].isdigit():
        raise HttpRefusal(404)
    find_or_404({str(number): row for number, row in ask.state.sent_subtitles.items()}, ask.args["id"])
    del ask.state.sent_subtitles[int(ask.args["id"])]
    ask.state.mark_changed()
    return DONE


ROUTES = (
    ("PUT", "/library/parts/{id}", choose_stream),
    ("POST", "/library/metadata/{id}/subtitles", send_subtitle),
    ("DELETE", "/library/streams/{id}", take_subtitle),
)
