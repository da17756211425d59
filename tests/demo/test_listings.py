"""Listings of whole libraries: what a page tells of an item and what only its own answer does, and pages that go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from support.deadlines import HANG_SECONDS
from support.demo_clients import listening, receive_until

from plex_companion.demo import load_household, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.demo import Demo

RECORDED = Path(__file__).parents[3] / "shared" / "plexdata" / "plex-api.rs"
FILMS = "/library/sections/1/all?type=1"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False) as opened:
        yield opened


async def get(demo: Demo, path: str, status: int = 200) -> Any:
    """The container of an answer as JSON."""

    def ask() -> requests.Response:
        return requests.get(demo.url + path, headers={"Accept": "application/json"}, timeout=HANG_SECONDS)

    answer = await anyio.to_thread.run_sync(ask)
    assert answer.status_code == status
    return answer.json()["MediaContainer"] if status == 200 else None


async def call(demo: Demo, method: str, path: str) -> Any:
    """The answer of a control call."""
    answer = await anyio.to_thread.run_sync(lambda: requests.request(method, demo.url + path, timeout=HANG_SECONDS))
    assert answer.status_code == 200, answer.text
    return answer.json()


def page(start: int, size: int = 20) -> str:
    return f"{FILMS}&sort=id&X-Plex-Container-Start={start}&X-Plex-Container-Size={size}"


def keys(container: Any) -> list[str]:
    return [row["ratingKey"] for row in container.get("Metadata", [])]


async def test_a_listing_tells_two_genres_and_three_actors_and_the_item_itself_all(demo: Demo) -> None:
    film = max(demo.state.list_section("1", "movie"), key=lambda one: len(one.roles) * len(one.tags["Genre"]))
    listed = next(row for row in (await get(demo, FILMS))["Metadata"] if row["ratingKey"] == film.key)
    own = (await get(demo, f"/library/metadata/{film.key}"))["Metadata"][0]
    assert (len(listed["Genre"]), len(listed["Role"]), "Guid" in listed) == (2, 3, False)
    assert [tag["tag"] for tag in own["Genre"]] == list(film.tags["Genre"])
    assert [tag["tag"] for tag in own["Role"]] == list(film.roles)
    assert {one["id"] for one in own["Guid"]} == set(film.external_ids)
    guids = next(
        row for row in (await get(demo, f"{FILMS}&includeGuids=1"))["Metadata"] if row["ratingKey"] == film.key
    )
    assert guids["Guid"] == own["Guid"]


async def test_every_version_has_its_parts_and_their_sizes(demo: Demo) -> None:
    rows = {row["ratingKey"]: row for row in (await get(demo, FILMS))["Metadata"]}
    films = demo.state.list_section("1", "movie")
    assert any(len(film.media) > 1 for film in films)
    assert any(media.more_parts for film in films for media in film.media)
    for film in films:
        sizes = [[part["size"] for part in media["Part"]] for media in rows[film.key]["Media"]]
        assert sizes == [[part.size for part in media.parts] for media in film.media]


async def test_only_the_streams_of_an_item_tell_its_hdr(demo: Demo) -> None:
    film = next(film for film in demo.state.list_section("1", "movie") if film.media[0].hdr)
    own = (await get(demo, f"/library/metadata/{film.key}"))["Metadata"][0]["Media"][0]["Part"][0]["Stream"][0]
    assert film.media[0].hdr in own["displayTitle"]
    assert own["colorTrc"] != "bt709"
    found = keys(await get(demo, f"{FILMS}&hdr=1"))
    assert set(found) == {one.key for one in demo.state.list_section("1", "movie") if any(m.hdr for m in one.media)}


async def test_several_items_are_answered_together_and_unknown_ones_left_out(demo: Demo) -> None:
    first, second = (demo.get_movie(number).key for number in (0, 1))
    assert keys(await get(demo, f"/library/metadata/{first},999999,{second}")) == [first, second]


async def test_a_bound_with_one_sign_is_included_and_with_two_is_not(demo: Demo) -> None:
    films = sorted(demo.state.list_section("1", "movie"), key=lambda film: film.updated_at)
    moment = films[-3].updated_at
    assert len(keys(await get(demo, f"{FILMS}&updatedAt>={moment}"))) == 3
    assert len(keys(await get(demo, f"{FILMS}&updatedAt>>={moment}"))) == 2


async def test_a_page_fails_is_short_shrinks_or_repeats_the_one_before(demo: Demo) -> None:
    good = [await get(demo, page(start)) for start in (0, 20)]
    demo.break_pages("fail", skip=1)
    assert keys(await get(demo, page(0))) == keys(good[0])
    await get(demo, page(20), status=500)
    assert keys(await get(demo, page(20))) == keys(good[1])
    demo.break_pages("short")
    short = await get(demo, page(20))
    assert (keys(short), short["totalSize"]) == (keys(good[1])[:10], 56)
    demo.break_pages("shrink")
    shrunk = await get(demo, page(20))
    assert (keys(shrunk), shrunk["totalSize"]) == (keys(good[1])[:10], 30)
    demo.break_pages("repeat")
    repeated = await get(demo, page(20))
    assert (keys(repeated), repeated["totalSize"], repeated["offset"]) == (keys(good[0]), 56, 20)
    assert keys(await get(demo, page(20))) == keys(good[1])


async def test_a_count_is_no_page_that_can_go_wrong(demo: Demo) -> None:
    demo.break_pages("fail")
    assert (await get(demo, page(0, 0)))["totalSize"] == 56


async def test_attributes_can_be_left_out_of_an_item(demo: Demo) -> None:
    episode = demo.get_episode()
    demo.strip_item(episode.key, "title", "size", "parent")
    own = (await get(demo, f"/library/metadata/{episode.key}"))["Metadata"][0]
    assert "title" not in own
    assert [name for name in own if "arent" in name] == []
    assert "size" not in own["Media"][0]["Part"][0]


async def test_a_library_added_again_has_another_id_and_keeps_its_guids(demo: Demo) -> None:
    before = {item.guid: item.key for item in demo.state.items.values() if item.section == "2"}
    async with listening(demo) as socket:
        moved = (await call(demo, "POST", "/demo/sections/2/move"))["section"]
        demo.send_raw(json.dumps({"NotificationContainer": {"type": "the-end", "size": 0}}))
        entries = [entry for one in await receive_until(socket, "the-end") for entry in one.get("TimelineEntry", [])]
    after = {item.guid: item for item in demo.state.items.values() if item.section == moved}
    assert moved not in {"1", "2", "3", "4", "5"}
    assert set(after) == set(before)
    assert {item.key for item in after.values()} & set(before.values()) == set()
    assert {entry["itemID"] for entry in entries if entry["state"] == 9} == set(before.values())
    assert {entry["itemID"] for entry in entries if entry["state"] == 5} == {item.key for item in after.values()}
    episode = next(item for item in after.values() if item.type == "episode")
    show = demo.state.items[demo.state.items[episode.parent or ""].parent or ""]
    assert (show.type, show.section) == ("show", moved)


async def test_control_calls_change_the_library(demo: Demo) -> None:
    film, count = demo.get_movie(), len(demo.state.items)
    twin = (await call(demo, "POST", f"/demo/items/{film.key}/copy?section=5"))["rating_key"]
    assert (demo.state.items[twin].guid, demo.state.items[twin].section) == (film.guid, "5")
    show = (await call(demo, "POST", "/demo/shows?title=All&seasons=2&episodes=3&quiet=1"))["rating_key"]
    assert len(demo.state.list_leaves(show)) == 6
    assert len(demo.state.items) == count + 1 + 9
    assert (await call(demo, "POST", "/demo/sections/1/rename?title=Kino"))["title"] == "Kino"
    assert (await call(demo, "POST", "/demo/touch?section=3&count=7"))["touched"] == 7
    await call(demo, "DELETE", "/demo/sections/4")
    assert not demo.state.list_kind("photo")


async def test_listings_that_are_open_at_once_are_counted(demo: Demo) -> None:
    demo.slow_down(0.2)
    async with anyio.create_task_group() as tasks:
        for start in (0, 20, 40):
            tasks.start_soon(get, demo, page(start))
    assert demo.requests.most_open_listings == 3
    found = await call(demo, "GET", "/demo/requests?start=/library/sections")
    assert (found["count"], found["most_open_listings"]) == (3, 3)


def test_a_file_describes_versions_labels_collections_and_what_is_missing(tmp_path: Path) -> None:
    film = {
        "title": "Kelp", "rating_key": "7", "edition": "Extended", "original_title": "海藻", "labels": ["Keep"],
        "collections": ["Sea"], "duration_seconds": 1000, "missing": ["title"],
        "versions": [{"resolution": "4k", "hdr": "DoVi", "bitrate_kbps": 800}, {"parts": [{"size_bytes": 3}, {"size_bytes": 4}]}],
    }  # fmt: skip
    album = {"title": "Dock", "tracks": ["One", {"title": "Two", "original_title": "Guest"}], "rating_key": "70"}
    sections = [{"title": "Films", "type": "movie", "items": [film]},
                {"title": "Music", "type": "artist", "items": [{"title": "Marlow", "albums": [album]}]}]  # fmt: skip
    file = tmp_path / "home.json"
    file.write_text(json.dumps({"sections": sections}), "utf-8")
    built = load_household(file)
    found = {item.key: item for item in built.items}["7"]
    large, split = found.media
    assert (large.resolution, large.width, large.hdr, large.size) == ("4k", 3840, "DoVi", 100_000_000)
    assert ([part.size for part in split.parts], split.total_size) == ([3, 4], 7)
    assert (found.edition_title, found.original_title, found.tags["Label"]) == ("Extended", "海藻", ("Keep",))
    assert [(one.title, one.items) for one in built.collections] == [("Sea", ["7"])]
    assert found.missing == {"title"}
    tracks = [item for item in built.items if item.parent == "70"]
    assert [(track.title, track.original_title) for track in tracks] == [("One", ""), ("Two", "Guest")]


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded payloads are not here")
@pytest.mark.parametrize(
    ("recording", "path"),
    [
        ("movie_library", "/library/sections/1/all?type=1"), ("tv_library", "/library/sections/2/all?type=2"),
        ("tv_episodes", "/library/sections/2/all?type=4"), ("music_tracks", "/library/sections/3/all?type=10"),
        ("music_library", "/library/sections/3/all?type=8"),
    ],
)  # fmt: skip
async def test_a_listing_has_no_elements_that_recorded_listings_lack(demo: Demo, recording: str, path: str) -> None:
    recorded = json.loads((RECORDED / "server" / "media" / f"{recording}.json").read_text("utf-8"))["MediaContainer"]
    rows = (await get(demo, path))["Metadata"]
    # Images and colours came to Plex after these recordings; tags that an item lacks are absent.
    allowed = {name for row in recorded["Metadata"] for name, value in row.items() if isinstance(value, list)}
    allowed |= {"Image", "UltraBlurColors", "Genre", "Director", "Writer", "Country", "Role", "Collection"}
    assert {name for row in rows for name, value in row.items() if isinstance(value, list)} <= allowed
    tags = [tag for row in rows for kind in ("Genre", "Role", "Director", "Collection") for tag in row.get(kind, [])]
    assert {name for tag in tags for name in tag} <= {"tag"}
    most = {
        name: max((len(row.get(name, [])) for row in recorded["Metadata"]), default=0) for name in ("Genre", "Role")
    }
    assert all(
        len(row.get(name, [])) <= max(count, {"Genre": 2, "Role": 3}[name])
        for row in rows
        for name, count in most.items()
    )


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded payloads are not here")
async def test_an_item_has_the_media_facts_that_a_recorded_one_has(demo: Demo) -> None:
    recorded = json.loads((RECORDED / "transcode" / "metadata_159637.json").read_text("utf-8"))["MediaContainer"][
        "Metadata"
    ][0]
    film = next(film for film in demo.state.list_kind("movie") if film.media[0].hdr == "HDR10")
    own = (await get(demo, f"/library/metadata/{film.key}"))["Metadata"][0]
    assert {name for name, value in recorded.items() if isinstance(value, list)} <= set(own)
    assert set(recorded["Media"][0]) <= set(own["Media"][0])
    theirs, ours = recorded["Media"][0]["Part"][0], own["Media"][0]["Part"][0]
    assert set(theirs) - set(ours) <= {"hasThumbnail", "indexes", "videoProfile"}
    wanted = {
        "colorTrc": "smpte2084",
        "colorPrimaries": "bt2020",
        "bitDepth": 10,
        "displayTitle": "4K HDR10 (HEVC Main 10)",
    }
    assert [{name: stream[name] for name in wanted} for stream in (theirs["Stream"][0], ours["Stream"][0])] == [
        wanted
    ] * 2
