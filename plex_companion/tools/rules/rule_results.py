"""The results of the toolset `rules`."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class RuleEntry(TypedDict, total=False):
    """A stored rule, and what it has done so far."""

    id: str | None
    name: str | None
    enabled: bool | None
    sentence: str | None
    fired: int | None
    last_fired_at: str | None
    near_misses: int | None
    enabled_at: str | None
    updated_at: str | None
    last_error: str | None
    disabled_because: str | None


class RuleList(TypedDict, total=False):
    """Every stored rule."""

    rules: list[RuleEntry]
    count: int


class RuleDetails(TypedDict, total=False):
    """One rule."""

    rule: dict[str, Any] | None
    sentence: str | None
    status: RuleEntry | None
    waiting: list[dict[str, Any]] | None


class SavedRule(TypedDict, total=False):
    """A rule as it was saved."""

    rule: dict[str, Any] | None
    sentence: str | None
    back_test: dict[str, Any] | None
    message: str | None


class DeletedRule(TypedDict, total=False):
    """A rule that is no more."""

    deleted: bool
    rule: dict[str, Any] | None


class RuleHistory(TypedDict, total=False):
    """What a rule has done."""

    rule: dict[str, Any] | None
    firings: list[dict[str, Any]]
    near_misses: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    count: int
    limit: int
    next_cursor: int | None


class RuleTemplate(TypedDict, total=False):
    """A ready-made rule."""

    rule: dict[str, Any]
    sentence: str


class RuleTemplates(TypedDict, total=False):
    """Ready-made rules."""

    templates: list[RuleTemplate]
    count: int


class PastOccurrence(TypedDict, total=False):
    """What a rule would have fired on."""

    id: str
    type: str
    at: str | None
    title: str | None


class PastFiring(TypedDict, total=False):
    """A time that a rule would have fired."""

    at: str | None
    user: str | None
    occurrence: PastOccurrence


class PastNearMiss(TypedDict, total=False):
    """A time that a rule would have fired, but for one part of its condition."""

    at: str | None
    failed: str


class UserFirings(TypedDict, total=False):
    """How often a rule would have fired for a user."""

    name: str
    fired: int


class BackTest(TypedDict, total=False):
    """What a rule would have done; of firings and near misses the newest."""

    sentence: str
    since: str | None
    until: str | None
    known_since: str | None
    judged: int
    fired: int
    users: list[UserFirings]
    firings: list[PastFiring]
    near_missed: int
    near_misses: list[PastNearMiss]
    error: str | None
