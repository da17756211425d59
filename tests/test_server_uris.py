"""Which URIs several servers touch: what one does is told to who follows it, and to nobody who follows another."""

from __future__ import annotations

import random

import pytest
from support.evening import Evening
from support.frames import Story

from plex_companion import serialize
from plex_companion.companion import LinkedServer
from plex_companion.ingest.live import Live
from plex_companion.models import Connection, ServerIdentity
from plex_companion.resources.registry import find_touched_of_links, find_touched_uris
from plex_companion.resources.server_uris import SharedKeys, canonicalize_server, is_of_server, lengthen

ADDED = ("server", "server_name")
CONNECTION = Connection("live", 0)
DEN = LinkedServer("1", "Den", "aaa", "1.43", CONNECTION)
CABIN = LinkedServer("2", "Cabin", "b/b", "1.43", CONNECTION)
TWIN = LinkedServer("3", "den", "ccc", "1.43", CONNECTION)


@pytest.mark.parametrize(
    ("uri", "links", "canonical"),
    [
        ("plex://sessions", (DEN, CABIN), "plex://sessions"),
        ("plex://servers", (DEN, CABIN), "plex://servers"),
        ("plex://servers/aaa/sessions", (DEN, CABIN), "plex://servers/aaa/sessions"),
        ("plex://servers/den/sessions/7", (DEN, CABIN), "plex://servers/aaa/sessions/7"),
        ("plex://servers/CABIN/sessions", (DEN, CABIN), "plex://servers/b%2Fb/sessions"),
        ("plex://servers/b%2Fb/sessions", (DEN, CABIN), "plex://servers/b%2Fb/sessions"),
        ("plex://servers/den/sessions", (DEN,), "plex://sessions"),
        ("plex://servers/barn/sessions", (DEN, CABIN), None),
        ("plex://servers/den/sessions", (DEN, TWIN), None),
    ],
)
def test_a_uri_with_the_name_of_a_server_has_one_spelling(
    uri: str, links: tuple[LinkedServer, ...], canonical: str | None
) -> None:
    assert canonicalize_server(uri, links) == canonical


@pytest.mark.parametrize("seed", range(10))
def test_long_uris_are_those_of_the_server_alone_and_short_ones_that_fit_two_are_left_out(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    told = {"a": Evening(seed).tell(150), "b": Evening(seed + 1_000).tell(150)}
    live = Live(Story(connected=False).state, links=("a", "b"))
    servers = {"a": "den", "b": "cabin"}
    while any(told.values()):
        link = dice.choice([one for one, some in told.items() if some])
        batch, told[link] = told[link][:3], told[link][3:]
        state, changes, _ = live.apply(batch, link)
        state.server = ServerIdentity(servers[link], servers[link])
        live.publish({link: state})
        alone, both = find_touched_uris(changes), find_touched_of_links({link: changes}, live.states)
        shared = SharedKeys(live.states.values())
        for mine, found in ((alone.immediate, both.immediate), (alone.progress_only, both.progress_only)):
            long = {lengthen(uri, servers[link]) for uri in mine if is_of_server(uri)}
            assert found == {uri for uri in mine if uri not in shared} | long
        assert both.listing == alone.listing
        for key in live.states["a"].sessions.keys() & live.states["b"].sessions.keys():
            assert f"plex://sessions/{key}" in shared
        for key in live.states["a"].sessions.keys() ^ live.states["b"].sessions.keys():
            assert f"plex://sessions/{key}" not in shared


def test_rows_of_one_server_are_as_they_were_with_the_server_behind() -> None:
    live = Live(Story(connected=False).state)
    for received in Evening(7).tell(200):
        live.publish({"": live.apply([received]).state})
        state = live.state
        found = serialize.serialize_sessions([state])
        assert list(found) == ["sessions", "count", "transcoding", "bandwidth_kbps"]
        for row in found["sessions"]:
            session = state.sessions[row["session_key"]]
            assert [*row][-2:] == [*ADDED]
            assert list(row.items())[:-2] == list(serialize.serialize_session(session).items())
