"""The results of the toolset `collection`, as output schemas describe them."""

from __future__ import annotations

from typing_extensions import TypedDict


class CollectionChange(TypedDict, total=False):
    """The changes of an edit."""

    updated: bool | None
    title: str | None
    changes: list[str] | None
    id: int | str | None
    message: str | None


class CollectionDeleted(TypedDict, total=False):
    """The collection that was deleted."""

    deleted: bool | None
    title: str | None
    id: int | str | None
    rating_key: int | str | None
    type: str | None
    library: str | None
    item_count: int | None
    smart: bool | None
