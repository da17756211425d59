"""Streams of a file: which are chosen, and subtitles that somebody sends in or takes away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.demo.ask import DONE, Answer, Refused, found

if TYPE_CHECKING:
    from plex_companion.demo.ask import Ask


@dataclass(frozen=True, slots=True)
class SentSubtitle:
    """A subtitle that was sent in, of the item with that rating key."""

    id: int
    rating_key: str
    title: str
    codec: str
    language: str


def choose_stream(ask: Ask) -> Answer:
    """`PUT /library/parts/ID?audioStreamID=&subtitleStreamID=`: kept for the asker; subtitle 0 is none."""
    if not ask.args["id"].isdigit():
        return Answer(status=400)
    chosen = ask.house.chosen_streams.setdefault((ask.user.id, int(ask.args["id"])), {})
    chosen |= {name: ask.get(name) for name in ("audioStreamID", "subtitleStreamID") if ask.get(name)}
    ask.house.changed()
    return DONE


def send_subtitle(ask: Ask) -> Answer:
    """`POST /library/metadata/ID/subtitles?title=&format=&language=` with the file as body."""
    ask.owner_only()
    item = ask.item()
    ask.house.last_subtitle += 1
    number = ask.house.last_subtitle
    title, _, suffix = ask.get("title").rpartition(".")
    made = SentSubtitle(number, item.key, title or suffix, ask.get("format") or suffix, ask.get("language"))
    ask.house.sent_subtitles[number] = made
    ask.house.changed(item.section)
    return DONE


def take_subtitle(ask: Ask) -> Answer:
    """`DELETE /library/streams/ID`: only what was sent in can be taken away."""
    ask.owner_only()
    if not ask.args["id"].isdigit():
        raise Refused(404)
    found({str(number): row for number, row in ask.house.sent_subtitles.items()}, ask.args["id"])
    del ask.house.sent_subtitles[int(ask.args["id"])]
    ask.house.changed()
    return DONE


ROUTES = (
    ("PUT", "/library/parts/{id}", choose_stream),
    ("POST", "/library/metadata/{id}/subtitles", send_subtitle),
    ("DELETE", "/library/streams/{id}", take_subtitle),
)
