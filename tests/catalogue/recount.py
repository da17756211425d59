"""The demo's own data, counted one by one, to compare answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.catalogue import KEPT

from plex_companion.names.folding import fold

if TYPE_CHECKING:
    from support.catalogue import CatalogueHome

    from plex_companion.demo.household.model import DemoItem

LEAVES = ("movie", "episode", "track")


class Recount:
    """The demo's items, and who finished which, counted one by one."""

    def __init__(self, home: CatalogueHome) -> None:
        state = home.demo.state
        self.state = state
        self.items = [item for item in state.items.values() if item.type in KEPT]
        self.finished = {(str(play.account_id), play.rating_key) for play in state.history}
        for item in self.items:
            if item.type in LEAVES and state.get_own_view(state.owner, item.key).count > 0:
                self.finished.add(("1", item.key))

    def has_finished(self, user: str | None, item: DemoItem) -> bool:
        """Whether a user, or anybody, finished an item: of what contains others, all that is regular in it."""
        if item.type in LEAVES:
            return any(key == item.key and user in {None, one} for one, key in self.finished)
        leaves = [one for one in self.state.list_leaves(item.key) if one.type in LEAVES]
        if item.type == "show":
            leaves = [one for one in leaves if self.state.items[one.parent or ""].index != 0]
        return bool(leaves) and all(self.has_finished(user, leaf) for leaf in leaves)

    def size(self, item: DemoItem) -> int:
        """The bytes of an item's files, or of what it contains."""
        below = (
            [item] if item.type in LEAVES else [one for one in self.state.list_leaves(item.key) if one.type in LEAVES]
        )
        return sum(media.total_size for one in below for media in one.media)

    def count(self, asked: dict[str, Any]) -> tuple[set[str], int]:
        """The keys of the items that fit a question, and the bytes of their files, each counted once."""
        fitting = [item for item in self.items if all(self.fits(item, name, value) for name, value in asked.items())]
        leaves: dict[str, DemoItem] = {}
        for item in fitting:
            below = [item] if item.type in LEAVES else self.state.list_leaves(item.key)
            leaves.update({one.key: one for one in below if one.type in LEAVES})
        return {item.key for item in fitting}, sum(self.size(leaf) for leaf in leaves.values())

    def fits(self, item: DemoItem, name: str, value: Any) -> bool:  # noqa: C901, PLR0911, PLR0912 - one line per argument
        """Whether an item fits one argument."""
        match name:
            case "type":
                return bool(item.type == value)
            case "library":
                return bool(self.state.sections[item.section].title == value)
            case "genre":
                return fold(value) in map(fold, item.tags.get("Genre", ()))
            case "person":
                people = (*item.tags.get("Director", ()), *list(item.roles)[:10])
                return fold(value) in map(fold, people)
            case "year" | "year_from" | "year_to":
                return item.year is not None and fits_year(item.year, name, value)
            case "duration_max_minutes":
                return bool(item.duration is not None and item.duration <= value * 60_000)
            case "content_rating":
                return bool(item.content_rating == value)
            case "resolution":
                return any(bool(media.resolution == value) for media in item.media)
            case "codec":
                return any(value in {media.video_codec, media.audio_codec} for media in item.media)
            case "size_min_gb":
                return bool(self.size(item) >= value * 10**9)
            case "watched_by":
                return self.has_finished(self.find_user(value), item)
            case "unwatched_by":
                return not self.has_finished(self.find_user(value), item)
            case "text":
                return fits_text(item, value)
        raise AssertionError(name)

    def find_user(self, name: str) -> str | None:
        """The id of a user; `None` for anybody."""
        return (
            None if name == "anyone" else next(str(user.id) for user in self.state.users.values() if user.name == name)
        )


def fits_year(year: int, name: str, value: int) -> bool:
    return {"year": year == value, "year_from": year >= value, "year_to": year <= value}[name]


def fits_text(item: DemoItem, text: str) -> bool:
    """Whether every word of a text begins a word of an item, or is a run of characters inside one."""
    tags = [name for kind in ("Genre", "Director") for name in item.tags.get(kind, ())]
    texts = [item.title, item.original_title, item.summary, *tags, *list(item.roles)[:10]]
    words = [word for one in texts for word in fold(one or "").split()]
    return all(
        any(wanted in word if not wanted.isascii() else word.startswith(wanted) for word in words)
        for wanted in fold(text).split()
    )
