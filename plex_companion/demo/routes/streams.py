"""Streams of a file: choosing them, and uploading and deleting subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, find_or_404
from plex_companion.demo.server_state import UploadedSubtitle

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest


def choose_stream(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/parts/ID?audioStreamID=&subtitleStreamID=`: stored for the user; subtitle 0 is none."""
    if not request.args["id"].isdigit():
        return DemoAnswer(status=400)
    chosen = request.state.chosen_streams.setdefault((request.user.id, int(request.args["id"])), {})
    chosen |= {name: request.get(name) for name in ("audioStreamID", "subtitleStreamID") if request.get(name)}
    request.state.mark_changed()
    return DONE


def upload_subtitle(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /library/metadata/ID/subtitles?title=&format=&language=` with the file as body."""
    request.require_owner()
    item = request.find_item()
    request.state.last_subtitle += 1
    number = request.state.last_subtitle
    title, _, suffix = request.get("title").rpartition(".")
    made = UploadedSubtitle(number, item.key, title or suffix, request.get("format") or suffix, request.get("language"))
    request.state.uploaded_subtitles[number] = made
    request.state.mark_changed(item.section)
    return DONE


def delete_subtitle(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /library/streams/ID`: only uploaded subtitles can be deleted."""
    request.require_owner()
    if not request.args["id"].isdigit():
        raise HttpRefusal(404)
    find_or_404({str(number): row for number, row in request.state.uploaded_subtitles.items()}, request.args["id"])
    del request.state.uploaded_subtitles[int(request.args["id"])]
    request.state.mark_changed()
    return DONE


ROUTES = (
    ("PUT", "/library/parts/{id}", choose_stream),
    ("POST", "/library/metadata/{id}/subtitles", upload_subtitle),
    ("DELETE", "/library/streams/{id}", delete_subtitle),
)
