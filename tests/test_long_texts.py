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
from plex_companion.changes import State
from plex_companion.changes.journal import journal
from plex_companion.dashboard import cards
from plex_companion.errors import CompanionError
from plex_companion.events import parse_frame
from plex_companion.memory.find import words_of
from plex_companion.models import Alert, Connection, Item, Moment, Player, Session, User
from plex_companion.plex import views
from plex_companion.plex.errands import Errand
from plex_companion.plex.translate import translated
from plex_companion.prompts import PROMPTS, filled
from plex_companion.resources import RESOURCES
from plex_companion.server.addresses import Addresses
from plex_companion.server.cookie import Cookies
from plex_companion.server.login import local, page
from plex_companion.server.wanted import known
from plex_companion.text import clean, cut, discreet, mask, redact, without_keys
from plex_companion.tools import TOOLSETS, facts
from plex_companion.tools.pictures import cleaned_name

if TYPE_CHECKING:
    from collections.abc import Callable

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
            journal(event, State(Connection("live", 0)), NOW)


def _xml(text: str) -> None:
    row = _element(text)
    views.session_row(row, private=True)
    views.client(row, private=True, at=0)
    views.activity(row, at=0)
    facts.match_of(row)
    facts.link(row, "thumb")


def _tools(text: str) -> None:
    for tool in itertools.chain.from_iterable(toolset.tools for toolset in TOOLSETS):
        for name in tool.arguments.model_fields:
            with suppress(CompanionError):
                tool.validated({name: text})


def _prompts(text: str) -> None:
    for prompt in PROMPTS:
        for argument in prompt.arguments:
            with suppress(CompanionError):
                filled(PROMPTS, prompt.name, {argument.name: text})
    with suppress(CompanionError):
        filled(PROMPTS, text, {text: text})


def _uris(text: str) -> None:
    for uri in (text, f"plex://sessions/{text}", f"PLEX://{text}", f"plex://history{text}"):
        with suppress(MCPError):
            known(Addresses(RESOURCES), [uri])


def _page(text: str) -> None:
    title = clean(text)
    item = Item(rating_key="1", type="episode", title=title, grandparent_title=title)
    state = State(Connection("live", 0, 1, title))
    one = Session(1, 1, "1", item, title, 0, 0, 0, user=User("1", title), player=Player("p", title))
    state.sessions = {"1": one}
    cards.cards(state, NOW.at)
    cards.link(state, NOW.at, "ok")
    cards.notices([Alert(1, 0, "buffering", "warning", title, {}, "1")], NOW.at)


def _login(text: str) -> None:
    local(text)
    page(text, text)
    header = text.encode("utf-8", "replace").decode("latin-1")  # as it comes over HTTP
    COOKIES.visit(cookie_parser(f"{COOKIES.name}={header}; {header}"))


def _plexs_objection(text: str) -> None:
    translated(BadRequest(text), Errand(10.0), "a-token-of-plex")


def _times(text: str) -> None:
    for ask in (times.period, lambda said, now: times.window(said, said, now)):
        with suppress(CompanionError):
            ask(text, NOW.at)


def _history(text: str) -> None:
    with suppress(CompanionError):
        words_of(text)


COOKIES = Cookies("a-token-of-ours")
ENTRIES: dict[str, Callable[[str], object]] = {
    "clean": clean,
    "cut": cut,
    "redact": redact,
    "mask": mask,
    "discreet": discreet,
    "without_keys": without_keys,
    "name of a file": cleaned_name,
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
@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(head=st.sampled_from(HEADS), piece=HOSTILE)
@example(head="@", piece="a")
@example(head="@", piece="a.")
@example(head="://", piece="a")
@example(head="", piece="\u0316\u0301")
def test_the_time_grows_no_faster_than_the_text(name: str, head: str, piece: str) -> None:
    for size in SIZES:
        assert _grown(ENTRIES[name], head, piece, size) <= MOST, f"{head!r} + {piece!r} * {size}"
