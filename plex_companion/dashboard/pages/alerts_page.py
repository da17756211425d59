"""`/alerts`: all alerts with filters, and the form that acknowledges all that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from starlette.datastructures import QueryParams
from starlette.routing import Route

from plex_companion import wording
from plex_companion.cache.queries.alert_lists import AlertFilter, AlertStatus, list_unseen_ids
from plex_companion.dashboard.addresses import build_query_url
from plex_companion.dashboard.layout import parse_form, redirect
from plex_companion.dashboard.periods import describe_problem
from plex_companion.errors import Invalid
from plex_companion.history.alert_lists import AlertList, list_matching_alerts
from plex_companion.history.alert_pages import find_alert_servers, list_muted_kinds
from plex_companion.models import AlertKind, Severity
from plex_companion.text import clean
from plex_companion.times import parse_window
from plex_companion.tools.acknowledge import acknowledge_alert, acknowledge_alerts
from plex_companion.tools.mute_alerts import mute_alerts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.models import Alert

SHOWN = 50
FIELDS = ("kind", "severity", "status", "since", "until")
STATUSES = (("unseen", "Not marked as seen"), ("open", "Open"), ("resolved", "Resolved"))
LONGEST_ID = 18


@dataclass(frozen=True, slots=True)
class AlertQuestion:
    """The filters as the address has them. `wanted` is `None` if they fit no alert; `problem` says why."""

    given: dict[str, str]
    wanted: AlertFilter | None
    before: int | None = None
    problem: str = ""


def build_alert_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the list of alerts, and of the form that acknowledges all that fit its filters."""

    async def show(request: Request) -> Response:
        question = _read_question(companion, request.query_params)
        context, settings = await _read_alerts(companion, question), companion.settings
        return await layout.respond(
            request,
            "alerts.html",
            title="Alerts",
            question=question,
            webhooks=len(settings.webhook_urls),
            targets=[*settings.list_notify_targets()],
            muted=list_muted_kinds(companion),
            **_CHOICES,
            **context,
        )

    async def acknowledge(request: Request) -> Response:
        """Acknowledge the alert `id`, or else what fits the filters up to the `newest` on the page: nothing unseen."""
        fields = parse_form(await request.body())
        question = _read_question(companion, QueryParams(fields))
        if "id" in fields:
            await acknowledge_alert(companion, fields["id"])
        else:
            await _acknowledge_all(companion, question, fields.get("newest", ""))
        return redirect(build_query_url("/alerts", {**question.given, "cursor": fields.get("cursor")}))

    async def mute(request: Request) -> Response:
        """Mute the `kind`, or with `muted=false` no longer mute it."""
        fields = parse_form(await request.body())
        await mute_alerts(companion, fields.get("mute", ""), muted=fields.get("muted") != "false")
        question = _read_question(companion, QueryParams(fields))
        return redirect(build_query_url("/alerts", {**question.given, "cursor": fields.get("cursor")}))

    return [
        Route("/alerts", layout.guard_page(show), methods=["GET"]),
        Route("/alerts/mute", layout.guard_form(mute, writes=False), methods=["POST"]),
        Route("/alerts/acknowledge", layout.guard_form(acknowledge, writes=False), methods=["POST"]),
    ]


async def _read_alerts(companion: Companion, question: AlertQuestion) -> dict[str, Any]:
    found = AlertList([], 0, None)
    if question.wanted is not None:
        found = await list_matching_alerts(companion, question.wanted, SHOWN, question.before)
    servers = await _name_servers(companion, found.alerts)
    alerts = [_build_row(alert, servers.get(alert.id, "")) for alert in found.alerts]
    following = build_query_url("/alerts", {**question.given, "cursor": found.before})
    return {
        "alerts": alerts,
        "total": found.total,
        "newest": alerts[0].id if alerts else 0,
        "unseen": any(not alert.known for alert in alerts),
        "cursor": question.before,
        "following": following if found.before else None,
        "first": build_query_url("/alerts", dict(question.given)) if question.before is not None else None,
    }


async def _acknowledge_all(companion: Companion, question: AlertQuestion, newest: str) -> None:
    last = _parse_id(newest)
    if question.wanted is None or last is None:
        raise Invalid(question.problem or "newest must be the id of an alert.", argument="newest")
    await acknowledge_alerts(companion, await list_unseen_ids(companion.cache, question.wanted, last))


def _read_question(companion: Companion, asked: QueryParams) -> AlertQuestion:
    given = {name: asked.get(name, "").strip()[:60] for name in FIELDS}
    problem = _find_problem(given)
    before = _parse_id(asked["cursor"]) if asked.get("cursor") else None
    if asked.get("cursor") and before is None:
        problem = "This part of the list does not exist."
    window = None
    try:
        if given["since"] or given["until"]:
            window = parse_window(given["since"] or None, given["until"] or None, companion.now_ms, companion.zone)
    except Invalid as error:
        problem = describe_problem(error, given, companion.now_ms)
    if problem:
        return AlertQuestion(given, None, problem=problem)
    status: Any = given["status"] or None
    return AlertQuestion(given, AlertFilter(given["kind"] or None, given["severity"] or None, status, window), before)


def _find_problem(given: dict[str, str]) -> str:
    for name, known in (("kind", AlertKind), ("severity", Severity), ("status", AlertStatus)):
        if given[name] and given[name] not in get_args(known):
            return f"There is no {name} '{clean(given[name])}'."
    return ""


def _parse_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID else None


KINDS: dict[AlertKind, str] = {
    "connection_lost": "Connection to Plex lost",
    "unauthorized": "Token rejected",
    "remote_access_lost": "Remote access lost",
    "update_available": "Update available",
    "transcode_slow": "Slow transcoding",
    "transcode_4k": "4K transcoding",
    "buffering": "Frequent buffering",
    "playback_error": "Playback error",
    "concurrent_streams": "Many streams of one person",
    "paused_long": "Long pause",
    "new_device": "New device",
    "scan_finished": "Scan finished",
    "listener_gap": "Time without connection",
    "sessions_unreadable": "Streams can't be read",
    "plex_status": "Message from Plex",
    "storage": "Storage",
    "rule": "A rule of yours",
    "rule_failed": "Rule that failed",
}
"""The kinds of alerts in words that say nothing of the present."""


_CHOICES: dict[str, Any] = {
    "kinds": [(kind, KINDS.get(kind, kind)) for kind in get_args(AlertKind)],
    "severities": [(name, name.capitalize()) for name in get_args(Severity)],
    "statuses": STATUSES,
}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert in the list."""

    id: int
    title: str
    kind: str
    kind_words: str
    severity: str
    at: int
    resolved_at: int | None
    known: bool
    of_plex: bool
    """Whether it is about Plex itself, and only the last known while Plex is disconnected."""
    server: str
    """The name of its server, where there are several."""


async def _name_servers(companion: Companion, alerts: Sequence[Alert]) -> dict[int, str]:
    """Return the name of the server that each alert is about, where there are several."""
    names = {link.machine_identifier: link.name for link in companion.links}
    if len(names) < 2:  # noqa: PLR2004 - several
        return {}
    servers = await find_alert_servers(companion, alerts)
    return {id_: clean(names.get(server) or "") for id_, server in servers.items()}


def _build_row(alert: Alert, server: str) -> AlertRow:
    return AlertRow(
        alert.id,
        clean(alert.title),
        alert.kind,
        KINDS.get(alert.kind, alert.kind),
        alert.severity,
        alert.at,
        alert.resolved_at,
        alert.acknowledged_at is not None,
        alert.kind not in wording.OWN_ALERTS,
        server,
    )
