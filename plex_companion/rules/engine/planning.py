"""Plans what a rule that fires does: messages, alerts, calls of webhooks, a stream to stop. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, assert_never

from msgspec.json import encode

from plex_companion.models import (
    NOTIFY_PREFIX,
    PENDING,
    AlertAction,
    FiredAction,
    Message,
    NotifyAction,
    PlannedDelivery,
    PlannedFiring,
    Poster,
    RuleFiring,
    StopStreamAction,
    WebhookAction,
)
from plex_companion.rules.durations import format_span
from plex_companion.rules.engine.quiet_hours import find_end_of_quiet
from plex_companion.rules.placeholders import fill_placeholders
from plex_companion.serialize import format_iso
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import tzinfo

    from plex_companion.models import RuleAction, Severity
    from plex_companion.rules.engine.judging import FoundFiring
    from plex_companion.serialize import Json


@dataclass(frozen=True, slots=True)
class ActionSettings:
    """What the settings say about actions."""

    zone: tzinfo
    read_only: bool
    """Whether Plex must not be changed."""
    targets: Collection[str] = ()
    """Names of those who can be told."""
    webhooks: tuple[str, ...] = ()
    """Digests of addresses."""
    several_servers: bool = False
    """Whether a message says which Plex server it is about."""


class _Planned(NamedTuple):
    """One action, and what it needs."""

    done: FiredAction
    deliveries: tuple[PlannedDelivery, ...] = ()
    alerts: tuple[tuple[str, Severity], ...] = ()


def plan_firing(found: FoundFiring, settings: ActionSettings, now: int) -> PlannedFiring:
    """Return what a rule does that fires at an occurrence. The texts are filled with the values of the occurrence."""
    stored, rule, row = found.active.stored, found.active.rule, found.row
    reason = describe_reason(found)
    planned = [_plan_action(action, found, reason, settings, now) for action in rule.then]
    data = row["data"]
    stops = any(one.done.action == "stop_stream" for one in planned)
    firing = RuleFiring(
        id=0,
        rule_id=stored.id,
        at=found.at,
        recorded_at=now,
        occurrence=row["id"],
        occurrence_type=row["type"],
        reason=reason,
        actions=tuple(one.done for one in planned),
        server=data.get("server"),
        play_id=int(data["play_id"]) if stops and "play_id" in data else None,
        depth=found.depth,
    )
    deliveries = tuple(delivery for one in planned for delivery in one.deliveries)
    alerts = tuple(alert for one in planned for alert in one.alerts)
    return PlannedFiring(firing, stored.name, stored.revision, deliveries, alerts)


def describe_reason(found: FoundFiring) -> str:
    """Return in words what a rule fires on: the type, what and who it is about, and for how long."""
    data, rule = found.row["data"], found.active.rule
    item = data.get("item") or {}
    titles = (
        item.get("full_title") or item.get("title"),
        data.get("title"),
        (data.get("alert") or {}).get("title"),
        (data.get("rule") or {}).get("name"),
        (data.get("user") or {}).get("name"),
        (data.get("player") or {}).get("title"),
    )
    about = ", ".join(title for title in titles if title)
    lasted = f" for {format_span(rule.for_ms)}" if rule.for_ms is not None else ""
    return f"{found.row['type']}{lasted}: {about}" if about else f"{found.row['type']}{lasted}"


def _plan_action(action: RuleAction, found: FoundFiring, reason: str, settings: ActionSettings, now: int) -> _Planned:
    row = found.row
    match action:
        case NotifyAction():
            return _plan_messages(action, found, reason, settings, now)
        case AlertAction(title=title, severity=severity):
            return _Planned(
                FiredAction("alert", "opened"), alerts=((fill_placeholders(title, row, settings.zone), severity),)
            )
        case StopStreamAction(message=message):
            outcome = "read_only" if settings.read_only else PENDING
            return _Planned(
                FiredAction("stop_stream", outcome, message=fill_placeholders(message, row, settings.zone) or None)
            )
        case WebhookAction():
            body = _build_webhook_body(found, reason, now)
            deliveries = tuple(PlannedDelivery(name, body, now) for name in settings.webhooks)
            return _Planned(FiredAction("webhook", "queued" if deliveries else "no_webhook"), deliveries)
        case _:
            assert_never(action)


def _plan_messages(
    action: NotifyAction, found: FoundFiring, reason: str, settings: ActionSettings, now: int
) -> _Planned:
    """Plan one message for each target that there still is, held back by quiet hours."""
    row, due_at = found.row, find_end_of_quiet(found.active.rule.quiet, now, settings.zone)
    title = fill_placeholders(action.title, row, settings.zone)
    text = fill_placeholders(action.text, row, settings.zone) or reason
    server_name = row["data"].get("server_name") if settings.several_servers else None
    if server_name and server_name not in f"{title}\n{text}":
        text = f"{text} ({server_name})"
    message = Message(title, text, poster=_find_poster(row["data"]))
    body = encode(message).decode()
    targets = tuple(name for name in action.targets if name in settings.targets)
    deliveries = tuple(PlannedDelivery(f"{NOTIFY_PREFIX}{name}", body, due_at) for name in targets)
    return _Planned(FiredAction("notify", "queued" if targets else "no_target", targets), deliveries)


def _find_poster(data: Json) -> Poster | None:
    """Return the item whose picture shows what an occurrence is about."""
    items = [data.get("item"), *data.get("items", ())]
    key = next((item["rating_key"] for item in items if item and item.get("rating_key")), None)
    return Poster(data["server"], key) if key and data.get("server") else None


def _build_webhook_body(found: FoundFiring, reason: str, now: int) -> str:
    stored, row = found.active.stored, found.row
    data = {
        "rule": {"id": str(stored.id), "name": stored.name},
        "reason": reason,
        "at": format_iso(found.at),
        "occurrence": {name: value for name, value in row.items() if name != "cursor"},
    }
    return encode_json({"type": "rule.fired", "timestamp": format_iso(now), "data": data})
