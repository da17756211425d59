"""`/rules` and `/rules/{id}`: what should happen when something happens, and what rules have done."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from starlette.routing import Route

from plex_companion.cache.queries.rule_firings import read_rule_record
from plex_companion.dashboard.addresses import build_query_url
from plex_companion.dashboard.layout import parse_form, redirect
from plex_companion.errors import Conflict, Invalid, ToolError
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import StopStreamAction
from plex_companion.rules.engine.shown_rules import serialize_rule_details, serialize_status
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.text import clean
from plex_companion.tools.rules.changing import delete_rule, find_rule, get_rules, switch_rule
from plex_companion.tools.rules.past import try_on_past

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.models import Delivery, FiredAction, OccurrenceName, RuleFiring, StoredRule

    Entry = dict[str, Any]

SHOWN = 20
"""Firings, near misses and messages on the page of a rule."""
MOST_TRIED = 20
"""Firings and near misses of a trial."""
SPANS = (("7d", "Last 7 days"), ("30d", "Last 30 days"), ("90d", "Last 90 days"))
ACTIONS = {"notify": "message", "alert": "alert", "stop_stream": "stopping the stream", "webhook": "webhook"}
OUTCOMES = {
    "queued": "sent on",
    "opened": "opened",
    "pending": "under way",
    "done": "done",
    "read_only": "not done: plex-companion is read-only",
    "no_target": "not sent: there is no such target",
    "no_webhook": "not sent: there is no webhook",
    "unfinished": "not known to be done: plex-companion ended meanwhile",
    "not_found": "not done: the stream had ended",
}
"""What became of actions, in words."""
OCCURRENCES: dict[OccurrenceName, str] = {
    "play.started": "A play began",
    "play.paused": "A pause",
    "play.resumed": "A play went on",
    "play.buffering": "A play kept buffering",
    "play.quality_changed": "Another quality",
    "play.stopped": "A play ended",
    "play.watched": "Somebody finished",
    "media.added": "New",
    "media.upgraded": "Another file",
    "media.removed": "Removed",
    "alert.opened": "An alert",
    "alert.resolved": "An alert was resolved",
    "connection.lost": "Plex was out of reach",
    "connection.restored": "Plex was back",
    "client.new": "A new player",
    "scan.finished": "A scan",
    "library.checked": "The daily look at a library",
    "server.updated": "Another version of Plex",
    "rule.fired": "Another rule fired",
}
"""What happened, in words that say nothing of the present."""
LONGEST_ID = 18


def build_rule_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the rules, of each, and of the forms that switch one and delete it."""

    async def show_all(request: Request) -> Response:
        stored = [*get_rules(companion).stored.values()]
        rules = await compute_off_loop(lambda: [_describe_row(companion, one) for one in stored])
        return await layout.respond(request, "rules.html", title="Rules", rules=rules)

    async def show(request: Request) -> Response:
        stored = find_rule(companion, request.path_params["rule_id"])
        before = request.query_params.get("cursor")
        context = await _read_rule(companion, stored, _parse_id(before) if before else None)
        tried, problem = await _try(companion, stored, request.query_params.get("since", "").strip())
        return await layout.respond(
            request,
            "rule.html",
            title=stored.name,
            section="/rules",
            spans=SPANS,
            tried=tried,
            problem=problem,
            **context,
        )

    async def switch(request: Request) -> Response:
        """Switch a rule on or off, and lead back. It is switched on only as it was when the page showed it."""
        form = parse_form(await request.body())
        await _switch(companion, find_rule(companion, request.path_params["rule_id"]), form)
        return redirect("/rules" if form.get("back") != "rule" else f"/rules/{request.path_params['rule_id']}")

    async def delete(request: Request) -> Response:
        """Delete a rule as it was when the page showed it."""
        stored = find_rule(companion, request.path_params["rule_id"])
        _check_revision(stored, parse_form(await request.body()))
        await delete_rule(companion, stored)
        return redirect("/rules")

    return [
        Route("/rules", layout.guard_page(show_all), methods=["GET"]),
        Route("/rules/{rule_id}", layout.guard_page(show), methods=["GET"]),
        Route("/rules/{rule_id}/switch", layout.guard_form(switch, writes=False), methods=["POST"]),
        Route("/rules/{rule_id}/delete", layout.guard_form(delete, writes=False), methods=["POST"]),
    ]


async def _switch(companion: Companion, stored: StoredRule, form: dict[str, str]) -> None:
    wanted = form.get("enabled")
    if wanted not in {"true", "false"}:
        raise Invalid("enabled must be true or false.", argument="enabled")
    if wanted == "true":
        _check_revision(stored, form)
    if stored.enabled != (wanted == "true"):
        await switch_rule(companion, stored, enabled=wanted == "true")


def _check_revision(stored: StoredRule, form: dict[str, str]) -> None:
    """Check that a rule is as it was when the page with the form showed it.

    Raises:
        Conflict: it was changed meanwhile.
    """
    if form.get("revision") != stored.revision:
        message = f"The rule '{stored.name}' was changed meanwhile. It stays as it is: look at it again first."
        raise Conflict(message, rule_id=str(stored.id))


def _describe_row(companion: Companion, stored: StoredRule) -> Entry:
    """Describe a rule for a list. Its condition is compiled for the sentence, so not on the event loop."""
    stops = any(isinstance(action, StopStreamAction) for action in decode_rule(stored).then)
    return {
        **serialize_status(stored),
        "name": clean(stored.name),
        "revision": stored.revision,
        "harmless": stops and companion.settings.read_only,
    }


async def _read_rule(companion: Companion, stored: StoredRule, before: int | None) -> Entry:
    details = await compute_off_loop(partial(serialize_rule_details, stored, get_rules(companion)))
    row = await compute_off_loop(partial(_describe_row, companion, stored))
    record = await read_rule_record(companion.cache, stored.id, SHOWN + 1, before)
    firings = record.firings[:SHOWN]
    path = f"/rules/{stored.id}"
    return {
        "it": row,
        "written": write_rule(details["rule"]),
        "waiting": [{**one, "what": _name_occurrence(one["occurrence"]["type"])} for one in details["waiting"]],
        "firings": [
            {"firing": one, "reason": _describe_reason(one), "actions": [*map(_describe_action, one.actions)]}
            for one in firings
        ],
        "near_misses": [*reversed(stored.last_near_misses)][:SHOWN],
        "deliveries": [_describe_delivery(one) for one in record.deliveries[:SHOWN]],
        "next": build_query_url(path, {"cursor": firings[-1].id}) if len(record.firings) > SHOWN else None,
        "first": path if before is not None else None,
    }


def _name_occurrence(kind: str) -> str:
    return cast("dict[str, str]", OCCURRENCES).get(kind, kind)


def _describe_reason(firing: RuleFiring) -> str:
    """Return what a rule fired on: what happened in words, and what it was about."""
    kind = firing.occurrence_type
    return f"{_name_occurrence(kind)}{clean(firing.reason).removeprefix(kind)}"


def _describe_action(action: FiredAction) -> str:
    what = ACTIONS.get(action.action, action.action)
    to = f" to {', '.join(map(clean, action.targets))}" if action.targets else ""
    return f"{what.capitalize()}{to}: {OUTCOMES.get(action.outcome, f'not done ({clean(action.outcome)})')}"


def _describe_delivery(delivery: Delivery) -> Entry:
    """Describe a message of a rule. The address of a webhook is not shown: it may hold a secret."""
    kind, _, name = delivery.target.partition(":")
    return {
        "to": clean(name) if kind == "notify" else "a webhook",
        "at": delivery.created_at,
        "due_at": delivery.due_at,
        "done_at": delivery.done_at,
        "outcome": clean(delivery.outcome or "waiting"),
    }


async def _try(companion: Companion, stored: StoredRule, since: str) -> tuple[Entry | None, str]:
    """Try a rule on the past if that was asked for. Return what was found, or the sentence that says why nothing was."""
    if not since:
        return None, ""
    try:
        found = await try_on_past(companion, decode_rule(stored), since)
    except ToolError as error:
        return None, error.message
    firings = [
        {**one, "what": one["occurrence"]["title"] or _name_occurrence(one["occurrence"]["type"])}
        for one in found["firings"][:MOST_TRIED]
    ]
    return {**found, "firings": firings, "near_misses": found["near_misses"][:MOST_TRIED], "asked": since}, ""


def write_rule(rule: Entry) -> str:
    """Write a rule as JSON over several lines, as people do."""
    return "\n".join(map(clean, json.dumps(rule, indent=2, ensure_ascii=False).split("\n")))


def _parse_id(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID:
        return int(text)
    raise Invalid("This part of the list does not exist.", argument="cursor")
