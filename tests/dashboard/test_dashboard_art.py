"""`/art/…`: posters through the companion, without its token, bounded, and never nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import anyio
import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.dashboard.art import CachedPicture, PictureCache
from plex_companion.dashboard.static_files import load_files
from plex_companion.plex.pictures import find_poster_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLACEHOLDER = load_files()["no-picture.png"].body


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("art")) as running:
        await running.until(lambda: running.application.companion.state.history.complete)  # it asks for items too
        yield running


async def get(it: Home, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.get(
            f"{it.url}{path}", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


async def test_a_poster_comes_once_from_plex_and_then_from_memory(it: Home) -> None:
    key = it.demo.get_movie(0).key
    it.demo.requests.clear()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(get, it, f"/art/{key}")
    answer = await get(it, f"/art/{key}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert it.demo.requests.count("/photo/:/transcode") == 1
    again = await get(it, f"/art/{key}", if_none_match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_the_token_is_in_nothing_that_is_given_out(it: Home) -> None:
    answer = await get(it, f"/art/{it.demo.get_movie(1).key}")
    assert it.demo.token not in str(answer.headers)
    assert it.demo.token.encode() not in answer.content


async def test_an_item_that_plex_does_not_have_gets_a_placeholder(it: Home) -> None:
    answer = await get(it, "/art/99999999")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", PLACEHOLDER)
    assert "sandbox" in answer.headers["content-security-policy"]
    it.demo.requests.clear()
    await get(it, "/art/99999999")
    assert it.demo.requests.count("/library/metadata/99999999") == 0, "it is not asked for again and again"


@pytest.mark.parametrize(
    "key", ["../../:/prefs", "1%2f..%2f..", "abc", "1e3", "-1", "٣", "1" * 11, "1?x=http://evil.test"]
)
async def test_what_is_no_rating_key_is_not_asked_for(it: Home, key: str) -> None:
    it.demo.requests.clear()
    await get(it, f"/art/{key}")
    asked = [path for _, path in it.demo.requests.log if path.startswith(("/library/metadata", "/photo", "/:/"))]
    assert set(asked) <= {"/library/metadata/1"}


async def test_while_plex_is_away_what_is_kept_is_given_and_for_the_rest_a_placeholder_that_nobody_keeps(
    it: Home,
) -> None:
    kept = it.demo.get_movie(0).key
    picture = (await get(it, f"/art/{kept}")).content
    assert picture != PLACEHOLDER
    await it.demo.shut_down()
    await it.until(lambda: not it.application.companion.is_live)
    assert (await get(it, f"/art/{kept}")).content == picture
    other = await get(it, f"/art/{it.demo.get_movie(2).key}")
    assert (other.content, other.headers["cache-control"]) == (PLACEHOLDER, "no-store")
    await it.demo.reopen()
    await it.live()
    back = await get(it, f"/art/{it.demo.get_movie(2).key}")
    assert back.content != PLACEHOLDER


async def test_what_plex_calls_a_picture_and_is_none_is_not_passed_on(it: Home) -> None:
    it.demo.answer_with(
        200, b'<MediaContainer size="1"><Video type="movie" thumb="/library/metadata/1/thumb/2"/></MediaContainer>'
    )
    answer = await get(it, f"/art/{it.demo.get_movie(5).key}")
    it.demo.answer_with(None)
    assert answer.content == PLACEHOLDER


def item(kind: str, **attributes: str) -> Element:
    return Element("Video", {"type": kind, **attributes})


def test_an_episode_is_shown_by_its_show_and_a_track_by_its_album() -> None:
    show, album = "/library/metadata/1/thumb/5", "/library/metadata/2/thumb/5"
    assert find_poster_path(item("episode", thumb="/library/metadata/9/thumb/5", grandparentThumb=show)) == show
    assert find_poster_path(item("track", parentThumb=album, grandparentThumb=show)) == album


@pytest.mark.parametrize(
    "thumb", ["https://evil.test/a.png", "//evil.test/a", "/library/metadata/1/../../../:/prefs", "/:/prefs?a=1", ""]
)
def test_only_paths_of_the_library_are_followed(thumb: str) -> None:
    assert find_poster_path(item("movie", thumb=thumb)) is None


def picture(size: int, until: int = 100) -> CachedPicture:
    return CachedPicture.create(b"x" * size, "image/png", until)


def test_the_pictures_used_longest_ago_go_when_room_is_short() -> None:
    pictures = PictureCache(lambda: 0, most_bytes=100, most=3)
    for key in "abc":
        pictures.put(key, picture(30))
    assert pictures.get("a")
    pictures.put("d", picture(30))
    assert (pictures.get("b"), len(pictures), pictures.bytes) == (None, 3, 90)
    pictures.put("e", picture(60))
    assert (len(pictures), pictures.bytes) == (2, 90)
    pictures.put("e", picture(10))
    assert pictures.bytes == 40


def test_an_old_picture_is_given_only_where_that_is_better_than_none() -> None:
    pictures = PictureCache(lambda: 200)
    pictures.put("a", picture(1, until=100))
    assert pictures.get("a") is None
    assert pictures.get("a", stale=True) is not None
