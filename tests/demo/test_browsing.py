"""An unmodified python-plexapi browses the household."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from plexapi.exceptions import BadRequest, NotFound
from plexapi.myplex import MyPlexAccount
from requests.adapters import HTTPAdapter
from support.deadlines import HANG_SECONDS
from support.demo_clients import asked

from plex_companion.demo import load_household, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.demo import Demo


async def get(demo: Demo, path: str, **headers: str) -> requests.Response:
    return await anyio.to_thread.run_sync(lambda: requests.get(demo.url + path, headers=headers, timeout=HANG_SECONDS))


async def test_the_server_introduces_itself(demo: Demo) -> None:
    plex = await asked(demo, lambda plex: plex)
    assert (plex.friendlyName, plex.machineIdentifier) == ("Lighthouse", demo.state.machine_identifier)
    assert plex.allowMediaDeletion is True


async def test_every_section_counts_and_lists_its_content(demo: Demo) -> None:
    def ask(plex: Any) -> dict[str, tuple[int, int]]:
        return {s.title: (s.totalSize, len(s.all())) for s in plex.library.sections()}

    assert await asked(demo, ask) == {
        "Films": (56, 56),
        "Series": (6, 6),
        "Music": (4, 4),
        "Photos": (3, 3),
        "Pip's Films": (7, 7),
    }


async def test_a_show_has_seasons_episodes_and_a_way_back(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        show = plex.library.section("Series").get("Kettle & Crow")
        episode = show.episode(season=2, episode=3)
        return (
            len(show.seasons()),
            len(show.episodes()),
            episode.seasonEpisode,
            episode.show().title,
            episode.season().index,
        )

    assert await asked(demo, ask) == (4, 24, "s02e03", "Kettle & Crow", 2)


async def test_what_comes_next_in_a_show_is_told(demo: Demo) -> None:
    first = demo.get_episode(0)
    demo.state.views = {}
    demo.state.scrobble(demo.state.owner, first.key)
    following = await asked(demo, lambda plex: plex.library.section("Series").get("Harbour Street").onDeck())
    assert str(following.ratingKey) == demo.get_episode(1).key


async def test_everything_playable_can_be_a_session(demo: Demo) -> None:
    for player, kind in enumerate(("movie", "episode", "track", "photo")):
        demo.start(demo.state.list_kind(kind)[0], player=player)
    await demo.play("j")
    rows = await asked(demo, lambda plex: [(row.type, row.title) for row in plex.sessions()])
    assert [kind for kind, _ in rows] == ["episode", "track", "photo", "movie"]


async def test_music_and_photos_open_to_their_leaves(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        artist = plex.library.section("Music").get("The Velvet Kettles")
        album = plex.library.section("Photos").get("Grandma's 80th")
        return [a.title for a in artist.albums()], len(artist.tracks()), len(album.photos())

    assert await asked(demo, ask) == (["Boil & Bubble", "Steam Songs"], 14, 7)


async def test_awkward_titles_survive_the_journey(demo: Demo) -> None:
    def ask(plex: Any) -> list[str]:
        films = plex.library.section("Films")
        titles = (
            "雨の中の時計屋",
            "Salt & Ember",
            "The Moth's Almanac",
            'A "Perfectly" Good Boat',
            "Tinned Peaches 🍑",
            "Midnight at Platform <Four>",
        )
        return [title for title in titles if films.get(title).title != title]

    assert await asked(demo, ask) == []


async def test_searches_sort_and_filter(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        films = plex.library.section("Films")
        drama = films.search(genre="Drama")
        newest = films.search(sort="addedAt:desc", limit=5)
        old = films.search(**{"year<<": 1980})
        unseen = films.search(unwatched=True)
        named = films.search(title="harbour")
        return drama, newest, old, unseen, named

    drama, newest, old, unseen, named = await asked(demo, ask)
    assert drama
    assert {film.ratingKey for film in drama} == {
        int(film.key) for film in demo.state.list_section("1", "movie") if "Drama" in film.tags["Genre"]
    }
    added = [film.addedAt for film in newest]
    assert (len(added), added) == (5, sorted(added, reverse=True))
    assert old
    assert all(film.year < 1980 for film in old)
    assert 0 < len(unseen) < 56
    assert [film.title for film in named] == ["Little Harbour, Big Trouble"]


async def test_hub_search_finds_across_sections(demo: Demo) -> None:
    found = await asked(demo, lambda plex: [(item.type, item.title) for item in plex.search("kettle")])
    assert ("show", "Kettle & Crow") in found
    assert ("artist", "The Velvet Kettles") in found


async def test_recent_deck_and_continue_watching_answer(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[int, int, int]:
        return len(plex.library.recentlyAdded()), len(plex.library.onDeck()), len(plex.continueWatching())

    recent, deck, watching = await asked(demo, ask)
    assert recent > 50
    assert deck == watching > 2


async def test_an_item_in_full_has_media_streams_guids_and_extras(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        film = plex.library.section("Films").get("雨の中の時計屋").reload()
        return (
            film.media[0].parts[0].file,
            len(film.audioStreams()),
            len(film.subtitleStreams()),
            film.guids[0].id,
            film.extras()[0].type,
        )

    file, audio, subtitles, guid, extra = await asked(demo, ask)
    assert file.endswith(".mkv")
    assert (audio, subtitles, extra) == (2, 1, "clip")
    assert guid.startswith("imdb://")


async def test_several_items_come_in_one_request_and_unknown_ones_are_404(demo: Demo) -> None:
    assert [item.ratingKey for item in await asked(demo, lambda plex: plex.fetchItems([101, 103]))] == [101, 103]
    with pytest.raises(NotFound):
        await asked(demo, lambda plex: plex.fetchItem(999_999))


async def test_collections_and_playlists_hold_their_items(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        lists = {row.title: (row.playlistType, row.smart, len(row.items())) for row in plex.playlists()}
        return lists, [(row.title, len(row.items())) for row in plex.library.section("Films").collections()]

    lists, collections = await asked(demo, ask)
    assert lists == {
        "Friday Films": ("video", False, 5),
        "Newest Ten": ("video", True, 10),
        "Washing Up": ("audio", False, 11),
    }
    assert collections == [("Boats & Harbours ⚓", 4), ("Rainy Sundays", 6)]


async def test_history_is_newest_first_and_can_be_narrowed(demo: Demo) -> None:
    newest = demo.state.history[-1]

    def ask(plex: Any) -> tuple[Any, ...]:
        rows = plex.history()
        return rows, plex.history(accountID=1), plex.history(ratingKey=newest.rating_key), plex.history(maxresults=7)

    rows, own, one, seven = await asked(demo, ask)
    moments = [row.viewedAt for row in rows]
    assert (len(rows), moments) == (320, sorted(moments, reverse=True))
    assert {row.accountID for row in own} == {1}
    assert {str(row.ratingKey) for row in one} == {newest.rating_key}
    assert len(seven) == 7


async def test_history_has_windows(demo: Demo) -> None:
    middle = demo.state.history[160].viewed_at
    answer = await get(demo, f"/status/sessions/history/all?viewedAt%3E={middle}&X-Plex-Container-Size=0")
    expected = sum(play.viewed_at >= middle for play in demo.state.history)
    assert f'totalSize="{expected}"' in answer.text


async def test_a_session_names_user_player_and_transcode(demo: Demo) -> None:
    demo.start(demo.get_episode(2), user=1, player=2, transcode=True, offset=90_000)

    def ask(plex: Any) -> tuple[Any, ...]:
        session = plex.sessions()[0]
        work = plex.transcodeSessions()[0]
        return session, work

    session, work = await asked(demo, ask)
    assert (session.sessionKey, session.viewOffset, session.usernames) == (1, 90_000, ["Jasper O'Dell"])
    assert (session.player.title, session.player.state, session.session.location) == (
        "Jasper's Phone",
        "playing",
        "lan",
    )
    assert session.transcodeSession.key == f"/transcode/sessions/{work.key}"
    assert session.transcodeSession.videoDecision == "transcode"


async def test_a_session_is_terminated_by_its_session_id(demo: Demo) -> None:
    demo.start()
    await asked(demo, lambda plex: plex.sessions()[0].stop("dinner"))
    assert not demo.sessions
    with pytest.raises(NotFound):
        await asked(demo, lambda plex: plex.query("/status/sessions/terminate?sessionId=1"))


async def test_people_devices_butler_and_statistics_answer(demo: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        names = [account.name for account in plex.systemAccounts()]
        return (
            names,
            len(plex.systemDevices()),
            len(plex.butlerTasks()),
            len(plex.bandwidth("days")),
            len(plex.resources()),
            plex.settings.get("FriendlyName").value,
        )

    names, devices, *counts = await asked(demo, ask)
    assert (names[:2], devices, counts) == (["", "Ottilie Brandt"], 6, [22, 24, 30, "Lighthouse"])


async def test_a_player_obeys_through_the_server(demo: Demo) -> None:
    def ask(plex: Any) -> list[Any]:
        client = plex.client("Study & Den")
        client.proxyThroughServer(value=True, server=plex)
        client.playMedia(plex.library.section("Films").get("Salt & Ember"), offset=60_000)
        client.pause()
        return [(line.state, line.time) for line in client.timelines() if line.type == "video"]

    assert await asked(demo, ask) == [("paused", 60_000)]
    assert next(iter(demo.sessions.values())).item.title == "Salt & Ember"


async def test_an_android_player_says_plain_ok(demo: Demo) -> None:
    demo.start(player=0)
    answer = await get(demo, "/player/playback/pause", **{"X-Plex-Target-Client-Identifier": "demo-livingroom-stb"})
    assert answer.text == "OK"
    assert next(iter(demo.sessions.values())).state == "paused"


async def test_marking_as_played_counts_but_makes_no_history(demo: Demo) -> None:
    before = len(demo.state.history)

    def ask(plex: Any) -> tuple[bool, bool]:
        film = plex.library.section("Films").search(unwatched=True)[0]
        film.markPlayed()
        return film.reload().isPlayed, film.markUnplayed().reload().isPlayed

    assert await asked(demo, ask) == (True, False)
    assert len(demo.state.history) == before


async def test_a_film_played_to_its_end_becomes_history(demo: Demo) -> None:
    film = demo.get_movie(3)
    session = demo.start(film, offset=(film.duration or 0) - 5_000)
    demo.stop(session)
    newest = (await asked(demo, lambda plex: plex.history(maxresults=1)))[0]
    assert str(newest.ratingKey) == film.key


async def test_json_is_the_same_tree(demo: Demo) -> None:
    answer = json.loads(
        (await get(demo, "/library/sections/1/all?X-Plex-Container-Size=2", Accept="application/json")).text
    )
    assert (answer["MediaContainer"]["totalSize"], len(answer["MediaContainer"]["Metadata"])) == (56, 2)
    assert answer["MediaContainer"]["Metadata"][0]["Media"][0]["Part"][0]["file"].endswith(".mkv")


async def test_unknown_paths_are_404_in_plex_form_and_counted(demo: Demo) -> None:
    answer = await get(demo, "/no/such/thing")
    assert (answer.status_code, answer.text) == (
        404,
        "<html><head><title>Not Found</title></head><body><h1>404 Not Found</h1></body></html>",
    )
    assert list(demo.requests.unknown) == [("GET", "/no/such/thing")]


async def test_pictures_are_pictures(demo: Demo) -> None:
    film = demo.get_movie()
    for path in (f"/library/metadata/{film.key}/thumb/1", "/photo/:/transcode?url=x&width=10&height=10"):
        answer = await get(demo, path)
        assert (answer.headers["content-type"], answer.content[:4]) == ("image/png", b"\x89PNG")


async def test_maintenance_is_503_and_a_slow_server_is_slow(demo: Demo) -> None:
    demo.answer_with(503)
    with pytest.raises(BadRequest, match="503"):
        await asked(demo, lambda plex: plex)
    demo.answer_with(None)
    demo.answer_with(200, b"")
    assert (await get(demo, "/")).content == b""
    assert (await get(demo, "/api/v2/ping")).status_code == 200
    demo.answer_with(None)
    demo.answer_plex_tv_with(502)
    assert [(await get(demo, path)).status_code for path in ("/api/v2/ping", "/library")] == [502, 200]
    demo.slow_down(0.2)
    assert (await get(demo, "/identity")).elapsed.total_seconds() >= 0.2


class ToDemo(HTTPAdapter):
    """Sends what is meant for plex.tv to the demo."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        request.url = re.sub(r"https://[a-z.]*plex\.tv", self._url, request.url)
        return super().send(request, *arguments, **options)


async def test_the_same_address_answers_for_plex_tv(demo: Demo) -> None:
    def ask() -> tuple[Any, ...]:
        with requests.Session() as session:
            session.mount("https://plex.tv", ToDemo(demo.url))
            account: Any = MyPlexAccount(token=demo.token, session=session)
            pip = account.user("Pip")
            switched = account.switchHomeUser("Jasper O'Dell")
            resource = account.resource("Lighthouse")
            return (
                account.title,
                pip.restricted,
                switched.title,
                resource.connections[0].uri,
                len(account.devices()),
                account.user("Mei 林").get_token(demo.state.machine_identifier),
            )

    title, restricted, switched, uri, devices, token = await anyio.to_thread.run_sync(ask)
    assert (title, restricted, switched, uri, devices, token) == (
        "Ottilie Brandt",
        "1",
        "Jasper O'Dell",
        demo.url,
        7,
        "demo-token-mei",
    )


async def test_the_watchlist_and_the_users_lists_work_through_the_account(demo: Demo) -> None:
    def ask() -> tuple[Any, ...]:
        with requests.Session() as session:
            session.mount("https://", ToDemo(demo.url))
            account: Any = MyPlexAccount(token=demo.token, session=session)
            hits = account.searchDiscover("harbour")
            account.addToWatchlist(hits[0])
            wished = [item.title for item in account.watchlist()]
            plex = account.resource("Lighthouse").connect()
            plex.playlist("Friday Films").copyToUser("Pip")
            return (
                len(hits),
                wished,
                account.onWatchlist(hits[0]),
                [row.title for row in plex.switchUser("Pip").playlists()],
            )

    assert await anyio.to_thread.run_sync(ask) == (2, ["Little Harbour, Big Trouble"], True, ["Friday Films"])


async def test_another_users_token_sees_their_own_lists_and_no_sessions(demo: Demo) -> None:
    answer = await get(demo, "/playlists", **{"X-Plex-Token": "demo-token-jasper"})
    assert "Jasper&apos;s Mix" in answer.text or "Jasper's Mix" in answer.text
    assert "Friday Films" not in answer.text
    assert (await get(demo, "/status/sessions", **{"X-Plex-Token": "demo-token-jasper"})).status_code == 403


async def test_filters_know_unseen_episodes_the_trash_and_the_local_network(demo: Demo) -> None:
    async def total(path: str) -> str:
        return (await get(demo, path + "&X-Plex-Container-Size=0")).headers["X-Plex-Container-Total-Size"]

    shows = [await total(f"/library/sections/2/all?type=2&show.unwatchedLeaves={flag}") for flag in (0, 1)]
    assert sum(map(int, shows)) == 6
    assert shows[1] != "0"
    assert await total("/library/sections/1/all?trash=1") == "0"
    demo.trash_item(demo.get_movie(3).key)
    assert await total("/library/sections/1/all?trash=1") == "1"
    sent = [(await get(demo, f"/statistics/bandwidth?timespan=6&lan={flag}")).text for flag in (0, 1)]
    assert [text.count("<StatisticsBandwidth") for text in sent] == [8, 16]


async def test_tags_and_networks_are_listed_with_what_they_are_filtered_by(demo: Demo) -> None:
    tags = (await get(demo, "/library/tags?type=1")).text
    assert 'tag="Mystery"' in tags
    assert 'tag="Blue Gate"' in (await get(demo, "/library/tags?type=319")).text
    assert "<Directory" in (await get(demo, "/library/sections/2/network?type=2")).text


@pytest.fixture
async def huge(tmp_path: Path) -> AsyncIterator[Demo]:
    path = tmp_path / "huge.json"
    path.write_text(
        json.dumps({"sections": [{"title": "Films", "type": "movie", "generate": 20_000}], "generate_history": 100_000})
    )
    async with open_demo(alive=False, household=load_household(path)) as running:
        yield running


@pytest.mark.slow
async def test_a_section_of_twenty_thousand_pages_by_header_and_by_query(huge: Demo) -> None:
    def ask(plex: Any) -> tuple[Any, ...]:
        films = plex.library.sections()[0]
        page = films.all(container_start=19_990, container_size=100)
        return (
            films.totalSize,
            len(page),
            len(films.all(maxresults=500, container_size=250)),
            len(plex.history(maxresults=1_000)),
        )

    assert await asked(huge, ask) == (20_000, 10, 500, 1_000)
    answer = await get(huge, "/status/sessions/history/all?X-Plex-Container-Start=99990&X-Plex-Container-Size=50")
    assert (answer.headers["X-Plex-Container-Total-Size"], answer.text.count("<Video")) == ("100000", 10)


async def test_the_transcode_of_a_track_has_no_picture(demo: Demo) -> None:
    demo.start(demo.state.list_kind("track")[0], transcode=True)

    def ask(plex: Any) -> tuple[dict[str, str], str, str]:
        (session,) = plex.query("/status/sessions")
        work, media = session.find("TranscodeSession"), session.find("Media")
        return dict(work.attrib), media.get("container"), media.find("Part").get("decision")

    work, container, decision = await asked(demo, ask)
    assert not [name for name in work if "video" in name.lower() or name in {"width", "height"}]
    assert (work["audioDecision"], work["audioCodec"], work["container"]) == ("transcode", "mp3", "mp3")
    assert (container, decision) == ("mp3", "transcode")
