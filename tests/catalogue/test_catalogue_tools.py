"""Answers of the tools of the catalogue equal a recount over the demo's own data, whatever is asked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from recount import LEAVES, Recount
from support.catalogue import TOKEN, CatalogueHome, catalogue_home

from plex_companion.demo import open_demo
from plex_companion.demo.household.model import DemoPlay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from plex_companion.demo import Demo
    from plex_companion.demo.household.model import DemoItem

DAY = 86_400
SEED = 20_260_101
STORAGE = ("library", "show", "resolution", "codec", "year_added", "user_watched")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def add_past(demo: Demo, random: Random) -> None:
    """Add plays of three years, some of them on this day of the year, and films that are there twice."""
    state = demo.state
    today = datetime.fromtimestamp(state.now, UTC).replace(hour=12)
    leaves = [item for item in state.items.values() if item.type in LEAVES and item.section != "5"]
    years = [today - timedelta(days=random.randrange(1, 1_000)) for _ in range(150)]
    anniversaries = [today.replace(year=today.year - back) for back in (1, 1, 1, 2, 3) if today.day != 29]
    users = [user.id for user in state.users.values()]
    for at in sorted([*years, *anniversaries]):
        play = DemoPlay(
            state.next_play,
            random.choice(leaves).key,
            int(at.timestamp()),
            random.choice(users[:4]),
            demo.get_player().id,
        )
        state.next_play += 1
        state.history.append(play)
    state.history.sort(key=lambda play: play.viewed_at)
    films = [item for item in state.items.values() if item.type == "movie"]
    for film in films[:3]:
        demo.copy_item(film.key)
    demo.copy_item(films[3].key).edition_title = "Extended"
    for film in random.sample(films, 20):
        film.added_at -= random.randrange(400) * DAY


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueHome]:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        add_past(demo, Random(SEED))  # noqa: S311 - to repeat it
        async with catalogue_home(tmp_path_factory.mktemp("home"), demo=demo, timezone="Europe/Vienna") as home:
            await home.until_as_plex()
            await home.until_detailed()
            companion = home.application.companion
            await home.tools.until(lambda: companion.state.history.complete)
            yield home


class Household(Recount):
    """What the demo itself would answer."""

    def __init__(self, home: CatalogueHome) -> None:
        super().__init__(home)
        self.leaves = [item for item in self.items if item.type in LEAVES]
        self.at: dict[tuple[str, str], int] = {}
        for play in self.state.history:
            key = (str(play.account_id), play.rating_key)
            self.at[key] = max(play.viewed_at, self.at.get(key, 0))
        for item in self.leaves:
            view = self.state.get_own_view(self.state.owner, item.key)
            if view.count > 0:
                self.at[("1", item.key)] = max(view.viewed_at, self.at.get(("1", item.key), 0))
        self.now = home.application.companion.now_ms // 1000
        self.zone = home.application.companion.zone

    def watched_ms(self, items: Iterable[DemoItem], user: str | None = None) -> int:
        """The length of an item for each of its plays: Plex's history has no watch time."""
        plays = Counter(play.rating_key for play in self.state.history if user is None or str(play.account_id) == user)
        return sum(plays[item.key] * (item.duration or 0) for item in items)

    def month(self, at: int) -> str:
        return f"{datetime.fromtimestamp(at, self.zone):%Y-%m}"

    def storage(self, by: str) -> dict[str | None, tuple[int, int, int]]:
        """Items, bytes and watch time by the name of a group."""
        match by:
            case "user_watched":
                found = {}
                for user in {user for user, _ in self.at}:
                    items = [item for item in self.leaves if (user, item.key) in self.at]
                    found[user] = (len(items), sum(map(self.size, items)), self.watched_ms(items, user))
                return {
                    next(one.name for one in self.state.users.values() if str(one.id) == user): sums
                    for user, sums in found.items()
                }
            case "resolution" | "codec":
                return self._by_files(by)
            case _:
                groups: dict[str | None, list[DemoItem]] = {}
                for item in self.leaves:
                    if by != "show" or item.type == "episode":
                        groups.setdefault(self._group(by, item), []).append(item)
                return {
                    name: (len(some), sum(map(self.size, some)), self.watched_ms(some)) for name, some in groups.items()
                }

    def _by_files(self, by: str) -> dict[str | None, tuple[int, int, int]]:
        sizes: Counter[str | None] = Counter()
        groups: dict[str | None, dict[str, DemoItem]] = {}
        for item in self.leaves:
            for media in item.media:
                name = (
                    media.resolution or None if by == "resolution" else media.video_codec or media.audio_codec or None
                )
                sizes[name] += media.total_size
                groups.setdefault(name, {})[item.key] = item
        return {name: (len(some), sizes[name], self.watched_ms(some.values())) for name, some in groups.items()}

    def _group(self, by: str, item: DemoItem) -> str | None:
        if by == "library":
            return self.state.sections[item.section].title
        if by == "show":
            season = self.state.items[item.parent or ""]
            return self.state.items[season.parent or ""].title
        return self.month(item.added_at)[:4]

    def wholes(self) -> list[DemoItem]:
        return [item for item in self.items if item.type in {"movie", "show"}]

    def last_finished(self, item: DemoItem) -> int:
        """When anybody finished an item or anything in it; 0 if nobody did."""
        keys = {item.key} if item.type == "movie" else {leaf.key for leaf in self.state.list_leaves(item.key)}
        return max((at for (_, key), at in self.at.items() if key in keys), default=0)

    def neglected(self, days: int, library: str | None) -> set[str]:
        since = self.now - days * DAY
        return {
            item.key
            for item in self.wholes()
            if item.added_at < since and self.last_finished(item) < since
            if library in {None, self.state.sections[item.section].title}
        }

    def episodes(self, show: DemoItem) -> list[DemoItem]:
        """The regular episodes of a show, in order."""
        seasons = {one.key: one.index for one in self.state.list_children(show.key)}
        some = [one for one in self.state.list_leaves(show.key) if seasons[one.parent or ""] != 0]
        return sorted(some, key=lambda one: (seasons[one.parent or ""] or 0, one.index or 0))


async def list_pages(
    it: CatalogueHome, tool: str, name: str, limit: int, **asked: Any
) -> tuple[list[Any], dict[str, Any]]:
    """The entries of all pages, and the first page."""
    first = page = await it.tools.well(tool, **asked, limit=limit)
    found = list(first[name])
    while page["next_cursor"]:
        page = await it.tools.well(tool, **asked, limit=limit, cursor=page["next_cursor"])
        found += page[name]
    assert first["total"] == len(found)
    assert {"as_of", "connection", "server", "catalogue"} <= first.keys()
    return found, first


@pytest.mark.parametrize("by", STORAGE)
@pytest.mark.parametrize("limit", [2, 500])
async def test_storage_equals_a_recount(it: CatalogueHome, by: str, limit: int) -> None:
    home = Household(it)
    groups, first = await list_pages(it, "catalogue_storage", "groups", limit, by=by)
    found = {group.get("name"): (group["items"], group["size_bytes"], group["watched_ms"]) for group in groups}
    assert found == home.storage(by)
    assert [group["size_bytes"] for group in groups] == sorted((g["size_bytes"] for g in groups), reverse=True)
    assert first["total_size_bytes"] == sum(map(home.size, home.leaves))
    months = Counter(home.month(item.added_at) for item in home.leaves)
    assert {month.get("month"): month["items"] for month in first["growth"]} == months


async def test_neglected_items_equal_a_recount(it: CatalogueHome) -> None:
    home, random = Household(it), Random(SEED)  # noqa: S311 - to repeat it
    libraries = [None, *(section.title for section in home.state.sections.values())]
    sizes = []
    for _ in range(30):
        days, library = random.randrange(1, 1_200), random.choice(libraries)
        asked = {"days": days} if library is None else {"days": days, "library": library}
        items, first = await list_pages(it, "catalogue_neglected", "items", random.choice([3, 500]), **asked)
        wanted = home.neglected(days, library)
        assert {item["rating_key"] for item in items} == wanted, asked
        assert len(items) == len(wanted)
        assert first["total_size_bytes"] == sum(home.size(home.state.items[key]) for key in wanted)
        sizes.append(len(items))
    assert max(sizes) > 3


async def test_duplicates_equal_a_recount(it: CatalogueHome) -> None:
    home = Household(it)
    same: dict[tuple[str, str, str], set[str]] = {}
    guids: dict[tuple[str, str], set[str]] = {}
    for item in home.leaves:
        same.setdefault((item.guid, item.type, item.edition_title), set()).add(item.key)
        guids.setdefault((item.guid, item.type), set()).add(item.edition_title)
    twice = {("same_guid", frozenset(keys)) for keys in same.values() if len(keys) > 1}
    twice |= {("several_files", frozenset({item.key})) for item in home.leaves if len(item.media) > 1}
    keys = {key for _, some in twice for key in some}
    for limit in (2, 500):
        groups, first = await list_pages(it, "catalogue_duplicates", "groups", limit)
        assert first["total_size_bytes"] == sum(home.size(home.state.items[key]) for key in keys)
        found = {(group["kind"], frozenset(item["rating_key"] for item in group["items"])) for group in groups}
        assert found == twice
        assert len(groups) == len(twice)
        assert (
            first["total_editions"] == len(first["editions"]) == sum(len(editions) > 1 for editions in guids.values())
        )
        for group in groups:
            files = [file["size_bytes"] for file in group["files"]]
            assert (group["size_bytes"], group["spare_bytes"]) == (sum(files), sum(files) - max(files))


async def test_the_progress_of_every_user_in_every_show_equals_a_recount(it: CatalogueHome) -> None:
    home = Household(it)
    for show in (item for item in home.items if item.type == "show"):
        answer = await it.tools.well("show_progress", show=show.key)
        episodes = home.episodes(show)
        finished: dict[str, dict[int, int]] = {}
        for place, episode in enumerate(episodes):
            for (user, key), at in home.at.items():
                if key == episode.key:
                    finished.setdefault(user, {})[place] = at
        assert {one["user"]["id"] for one in answer["users"]} == finished.keys()
        assert answer["episodes"] == len(episodes)
        for one in answer["users"]:
            done = finished[one["user"]["id"]]
            assert one["left"] == len(episodes) - len(done)
            assert one["caught_up"] == (len(done) == len(episodes))
            following = max(done) + 1
            assert (one["next"] or {}).get("rating_key") == (
                episodes[following].key if following < len(episodes) else None
            )
            assert done[[episode.key for episode in episodes].index(one["last"]["rating_key"])] == max(done.values())


async def test_one_user_who_finished_nothing_of_a_show_begins_at_its_beginning(it: CatalogueHome) -> None:
    show = it.demo.add_show("Nobody Saw This", seasons=2, episodes=3)
    await it.until_as_plex()
    assert (await it.tools.well("show_progress", show="nobody saw this"))["users"] == []
    name = next(user.name for user in it.demo.state.users.values() if user.id in {1, it.demo.state.owner.id})
    (one,) = (await it.tools.well("show_progress", show=show.key, user=name))["users"]
    assert (one["last"], one["left"], one["caught_up"]) == (None, 6, False)
    assert (one["next"]["season"], one["next"]["episode"]) == (1, 1)
    it.demo.delete_item(show.key)
    await it.until_as_plex()


async def test_a_recommendation_is_unwatched_and_its_reason_links_it_to_what_was_finished(it: CatalogueHome) -> None:
    home = Household(it)
    users = {user for user, _ in home.at}
    for user in (*sorted(users), None):
        asked: dict[str, Any] = {} if user is None else {"user": user}
        answer = await it.tools.well("recommend", **asked, duration_max_minutes=120, limit=50)
        again = await it.tools.well("recommend", **asked, duration_max_minutes=120, limit=50)
        assert answer["items"] == again["items"], "it is deterministic"
        for item in answer["items"]:
            own = home.state.items[item["rating_key"]]
            assert own.type in {"movie", "show"}
            assert own.duration is None or own.duration <= 120 * 60_000
            assert not home.has_finished(user, own)
            for key in item["because"]:
                other = home.state.items[key]
                assert home.last_finished(other) > 0
                shared = features(own) & features(other)
                assert any(name in item["reason"] for name in shared), (item["reason"], shared)
            assert home.state.items[item["because"][0]].title in item["reason"]


def features(item: DemoItem) -> set[str]:
    decade = {f"{item.year // 10 * 10}s"} if item.year else set()
    tags = [name for kind in ("Genre", "Director") for name in item.tags.get(kind, ())]
    return {*tags, *list(item.roles)[:10], item.studio, *decade} - {""}


async def test_this_day_in_earlier_years_equals_a_recount(it: CatalogueHome) -> None:
    home = Household(it)
    today = datetime.fromtimestamp(home.now, home.zone)
    for user in (None, *sorted({user for user, _ in home.at})):
        wanted = Counter(
            play.rating_key
            for play in home.state.history
            if (at := datetime.fromtimestamp(play.viewed_at, home.zone)).year < today.year
            if (at.month, at.day) == (today.month, today.day) and user in {None, str(play.account_id)}
        )
        asked: dict[str, Any] = {} if user is None else {"user": user}
        plays, _ = await list_pages(it, "on_this_day", "plays", 2, **asked)
        assert Counter(play["rating_key"] for play in plays) == wanted
        assert [play["started_at"] for play in plays] == sorted((p["started_at"] for p in plays), reverse=True)
        assert all(play["years_ago"] >= 1 for play in plays)


async def test_a_recap_equals_a_recount_and_the_statistics_of_the_same_time(it: CatalogueHome) -> None:
    home = Household(it)
    year = datetime.fromtimestamp(home.now, home.zone).year
    for period in (str(year), str(year - 1), f"{year - 1}-03", f"{year - 2}-12"):
        for user in (None, *sorted({user for user, _ in home.at})):
            asked: dict[str, Any] = {"period": period} if user is None else {"period": period, "user": user}
            answer = await it.tools.well("recap", **asked, limit=500)
            plays = [
                play
                for play in home.state.history
                if f"{datetime.fromtimestamp(play.viewed_at, home.zone):%Y-%m}".startswith(period)
                if user in {None, str(play.account_id)}
            ]
            watched = sum(home.state.items[play.rating_key].duration or 0 for play in plays)
            assert (answer["plays"], answer["watched_ms"], answer["estimated_ms"]) == (len(plays), watched, watched)
            days = {datetime.fromtimestamp(play.viewed_at, home.zone).date() for play in plays}
            assert answer["active_days"] == len(days)
            assert (answer["longest_streak"] or {"days": 0})["days"] == count_longest(days)
            assert sum(item["plays"] for item in answer["items"]) == len(plays)
            assert sum(part["plays"] for part in answer["parts"]) == len(plays)
    stats = await it.tools.well("history_query", since=f"{year - 1}-01-01", until=f"{year - 1}-12-31", limit=500)
    recap = await it.tools.well("recap", period=str(year - 1))
    assert recap["watched_ms"] == sum(play["watched_ms"] or 0 for play in stats["plays"])


def count_longest(days: set[Any]) -> int:
    best = 0
    for day in days:
        length = 1
        while day + timedelta(days=length) in days:
            length += 1
        best = max(best, length)
    return best


async def test_bad_questions_get_clear_errors(it: CatalogueHome) -> None:
    page = await it.tools.well("catalogue_storage", by="show", limit=2)
    wrong: list[tuple[str, dict[str, Any], str, str]] = [
        ("catalogue_neglected", {"library": "Nowhere"}, "not_found", "Nowhere"),
        ("catalogue_neglected", {"days": 0}, "invalid", "days"),
        ("catalogue_neglected", {"days": 10**9}, "invalid", "days"),
        ("catalogue_storage", {"by": "colour"}, "invalid", "library"),
        ("catalogue_storage", {"by": "library", "cursor": page["next_cursor"]}, "invalid", "another question"),
        ("catalogue_duplicates", {"cursor": "nonsense"}, "invalid", "cursor"),
        ("show_progress", {"show": "No Such Show"}, "not_found", "No Such Show"),
        ("show_progress", {"show": "e"}, "not_found", "'e'"),
        ("recommend", {"user": "Nobody"}, "not_found", "Nobody"),
        ("recommend", {"type": "album"}, "invalid", "movie"),
        ("recap", {"period": "last year"}, "invalid", "2026-11"),
        ("recap", {"period": "2026-13"}, "invalid", "2026-11"),
        ("on_this_day", {"user": "Nobody"}, "not_found", "Nobody"),
    ]
    for tool, asked, code, words in wrong:
        error = await it.tools.refused(tool, **asked)
        assert (error["code"], words in error["message"]) == (code, True), error


async def test_no_path_of_a_file_is_in_any_answer(it: CatalogueHome) -> None:
    for tool in ("catalogue_storage", "catalogue_duplicates", "catalogue_neglected", "recommend", "recap"):
        said = str(await it.tools.well(tool))
        for item in it.demo.state.items.values():
            for media in item.media:
                assert media.file not in said
