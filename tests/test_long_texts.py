"""Whatever text comes in, and wherever it does, the time it takes grows no faster than the text."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError
from plexapi.exceptions import BadRequest
from starlette.requests import cookie_parser

from plex_companion import times
from plex_companion.changes.journal import journal_event
from plex_companion.changes.state import State
from plex_companion.dashboard import cards
from plex_companion.errors import CompanionError
from plex_companion.history.filters import build_title_match
from plex_companion.models import Alert, Connection, Item, Moment, Player, Session, User
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.plex.call import PlexCall
from plex_companion.plex.pictures import clean_name
from plex_companion.plex.translate import translate
from plex_companion.plex.xml import attributes, views
from plex_companion.prompts.prompt_list import PROMPTS, fill_prompt
from plex_companion.resources.registry import RESOURCES
from plex_companion.server.auth.cookie import Cookies
from plex_companion.server.auth.login import make_local, render_page
from plex_companion.server.mcp.limits import resolve_uris
from plex_companion.server.mcp.uri_index import UriIndex
from plex_companion.text import clean, cut, hide_keys, mask, redact, redact_personal
from plex_companion.tools.toolsets import TOOLSETS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


SIZES = (1_900, 10_000)
"""Characters of a text that is not cut, four times as long either, and of one that is."""
LONGER = 4
MOST = 6
"""How many times as long the longer one may take."""
TRIES = 12
NOW = Moment(1_795_370_400_000, 1_000)
PIECES = (
    *("a", "@", "@a", "a@", "a.", "a@a.", ".", "-", "+", "%", "%41", "%2", " ", "\n", "\t", "\r\n", "\0", "\x1b["),
    *(
        "://",
        "x://",
        "http://a",
        "://a@",
        "1.",
        "1.1.1.1",
        "255.",
        "9",
        "0x",
        "token",
        "token=",
        "x-plex-token",
        "jwt ",
        "&",
    ),
    *(
        "?",
        "?a-",
        "&key=",
        "&pin=",
        "=",
        "==",
        ":",
        ";",
        ",",
        "/",
        "//",
        "\\",
        "'",
        '"',
        "`",
        "{",
        "}",
        "{a}",
        "[",
        "]",
        "(",
        "<",
    ),
    *(
        ">",
        "<a ",
        "&amp;",
        "S1 ",
        " E1",
        " S01 E",
        "1,",
        "7d",
        "2026-",
        "T",
        "Z",
        "\u2028",
        "\u202e",
        "\u200d",
        "\ufe0f",
    ),
    *(
        "\ud83d",
        "\U0001f3f4",
        "\U000e0067",
        "\U000e007f",
        "\U000e0101",
        "\u0301",
        "\u0316\u0301",
        "ﬃ",
        "ß",
        "İ",
        "物",
        "ก",
    ),
)
HEADS = ("", "@", "a@", "://", "?", "token=", "\U0001f3f4")
"""Once, before what is repeated."""
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


def _element(text: str) -> Element:
    row = Element("Video", dict.fromkeys(("title", "summary", "thumb", "type", "guid", "key", "addedAt"), text))
    for tag in ("User", "Player", "Session", "Media", "TranscodeSession"):
        row.append(Element(tag, dict.fromkeys(("title", "id", "machineIdentifier", "address", "videoDecision"), text)))
    return row


def _frame(text: str) -> None:
    entry = {
        "sessionKey": text,
        "state": text,
        "title": text,
        text: text,
        "Activity": {"title": text, "Context": {text: text}},
    }
    for kind in ("playing", "timeline", "activity", "status", text):
        container = {"type": kind, "_children": [entry]}
        for event in parse_frame(json.dumps({"NotificationContainer": container})):
            journal_event(event, State(Connection("live", 0)), NOW)


def _xml(text: str) -> None:
    row = _element(text)
    views.parse_session_row(row, private=True)
    views.parse_client(row, private=True, at=0)
    views.parse_activity(row, at=0)
    attributes.describe_match(row)
    attributes.read_link(row, "thumb")


def _tools(text: str) -> None:
    for tool in itertools.chain.from_iterable(toolset.tools for toolset in TOOLSETS):
        for name in tool.arguments.model_fields:
            with suppress(CompanionError):
                tool.validate({name: text})


def _prompts(text: str) -> None:
    for prompt in PROMPTS:
        for argument in prompt.arguments:
            with suppress(CompanionError):
                fill_prompt(PROMPTS, prompt.name, {argument.name: text})
    with suppress(CompanionError):
        fill_prompt(PROMPTS, text, {text: text})


def _uris(text: str) -> None:
    for uri in (text, f"plex://sessions/{text}", f"PLEX://{text}", f"plex://history{text}"):
        with suppress(MCPError):
            resolve_uris(UriIndex(RESOURCES), [uri])


def _page(text: str) -> None:
    title = clean(text)
    item = Item(rating_key="1", type="episode", title=title, grandparent_title=title)
    state = State(Connection("live", 0, 1, title))
    one = Session(1, 1, "1", item, title, 0, 0, 0, user=User("1", title), player=Player("p", title))
    state.sessions = {"1": one}
    cards.build_cards(state, NOW.at)
    cards.build_banner(state, NOW.at, "ok")
    cards.build_alert_cards([Alert(1, 0, "buffering", "warning", title, {}, "1")], NOW.at)


def _login(text: str) -> None:
    make_local(text)
    render_page(text, text)
    header = text.encode("utf-8", "replace").decode("latin-1")  # as it comes over HTTP
    COOKIES.find_session(cookie_parser(f"{COOKIES.name}={header}; {header}"))


def _plexs_objection(text: str) -> None:
    translate(BadRequest(text), PlexCall(10.0), "a-token-of-plex")


def _times(text: str) -> None:
    for ask in (times.parse_period, lambda said, now: times.parse_window(said, said, now)):
        with suppress(CompanionError):
            ask(text, NOW.at)


def _history(text: str) -> None:
    with suppress(CompanionError):
        build_title_match(text)


COOKIES = Cookies("a-token-of-ours")
ENTRIES: dict[str, Callable[[str], object]] = {
    "clean": clean,
    "cut": cut,
    "redact": redact,
    "mask": mask,
    "discreet": redact_personal,
    "without_keys": hide_keys,
    "name of a file": clean_name,
    "frames": _frame,
    "XML": _xml,
    "tool arguments": _tools,
    "prompts": _prompts,
    "URIs": _uris,
    "page": _page,
    "login": _login,
    "objection of plexapi": _plexs_objection,
    "times": _times,
    "history": _history,
}


def _seconds(entry: Callable[[str], object], text: str, times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        entry(text)
    return time.thread_time() - started


def _grown(entry: Callable[[str], object], head: str, piece: str, size: int) -> float:
    """How many times as long the longer text takes; the best of a few, since a machine is busy now and then."""
    repeated = -(-size // len(piece))
    text, longer = head + piece * repeated, head + piece * repeated * LONGER
    often = 1 + int(0.002 / max(_seconds(entry, text, 1), 1e-6))  # what is too short cannot be measured
    best = inf
    for _ in range(TRIES):
        short = _seconds(entry, text, often)
        best = min(best, _seconds(entry, longer, often) / short)
        if best <= MOST:
            break
    return best


@pytest.mark.parametrize("name", ENTRIES)
@settings(max_examples=12, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(head=st.sampled_from(HEADS), piece=HOSTILE)
@example(head="@", piece="a")
@example(head="@", piece="a.")
@example(head="://", piece="a")
@example(head="", piece="\u0316\u0301")
def test_the_time_grows_no_faster_than_the_text(name: str, head: str, piece: str) -> None:
    for size in SIZES:
        assert _grown(ENTRIES[name], head, piece, size) <= MOST, f"{head!r} + {piece!r} * {size}"
