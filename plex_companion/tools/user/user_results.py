"""The results of the toolset `user`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from plex_companion.tools.results import Envelope, Page


class UserEntry(TypedDict, total=False):
    """A user that was found."""

    role: str | None
    username: str | None
    email: str | None
    title: str | None
    id: int | str | None
    libraries: list[str] | None


class UserSearch(TypedDict, total=False):
    """The users that were found."""

    totalUsers: int | None
    owner: dict[str, Any] | None
    sharedUsers: list[dict[str, Any]] | None
    searchTerm: str | None
    usersFound: int | None
    users: list[UserEntry] | None


class UserInfo(TypedDict, total=False):
    """A user with their access."""

    role: str | None
    username: str | None
    email: str | None
    title: str | None
    uuid: str | None
    subscription: dict[str, Any] | None
    joinedAt: str | None
    joined_at_utc: str | None
    id: int | str | None
    serverAccess: list[dict[str, Any]] | None


class OnDeckPage(Page, total=False):
    """A page of what a user can watch next."""

    username: str | None
    count: int | None
    items: list[dict[str, Any]] | None


class UserStatistics(Envelope, total=False):
    """The plays of users in a period."""

    time_period: str | None
    user_filter: str | None
    total_users: int | None
    stats_generated_at: str | None
    users: list[dict[str, Any]] | None
    total_plays: int | None
    timed_plays: int | None
    total_duration: int | None
    estimated_duration: int | None
    timezone: str | None
    history: dict[str, Any] | None
    message: str | None
