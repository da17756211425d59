"""`/rules/templates`: the ready-made rules, each with a button that saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.cache.queries.rules.usual_names import read_usual_names
from plex_companion.changes.rule_reports import find_rule_by_name
from plex_companion.dashboard.layout import parse_form, redirect
from plex_companion.dashboard.pages.rules_page import write_rule
from plex_companion.errors import Invalid
from plex_companion.history.filters import list_users
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import format_rule
from plex_companion.rules.templates import list_templates
from plex_companion.tools.rules.changing import get_rules, save_new_rule
from plex_companion.tools.rules.past import PERIOD

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.models import Rule, RulesState


def build_template_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the routes of the ready-made rules, and of the form that saves one."""

    async def show(request: Request) -> Response:
        """Show the ready-made rules, about the chosen person and about what was played last."""
        people = sorted({name for name in (await list_users(companion)).values() if name}, key=str.casefold)
        user, show, last_episode = await read_usual_names(companion.cache)
        if (asked := request.query_params.get("user")) in people:
            user = asked
        about = {"user": user, "show": show, "last_episode": last_episode}
        targets, stored = companion.settings.list_notify_targets(), get_rules(companion)
        rules = list_templates(targets, **about)
        templates = await compute_off_loop(lambda: [_describe_template(rule, stored) for rule in rules])
        return await layout.respond(
            request,
            "rule_templates.html",
            title="Ready-made rules",
            section="/rules",
            templates=templates,
            about=about,
            people=[(name, name) for name in people],
            targets=targets,
        )

    async def save(request: Request) -> Response:
        """Save a ready-made rule, turned off, and lead to what it would have done. Twice is no error."""
        form = parse_form(await request.body())
        about = (form.get(field) for field in ("user", "show", "last_episode"))
        templates = list_templates(companion.settings.list_notify_targets(), *about)
        rule = next((one for one in templates if one.name == form.get("name")), None)
        if rule is None:
            raise Invalid("There is no such ready-made rule.", argument="name")
        saved = find_rule_by_name(get_rules(companion), rule.name) or await save_new_rule(companion, rule)
        return redirect(f"/rules/{saved.id}?since={PERIOD}#past")

    return [
        Route("/rules/templates", layout.guard_page(show), methods=["GET"]),
        Route("/rules/templates", layout.guard_form(save, writes=False), methods=["POST"]),
    ]


def _describe_template(rule: Rule, rules: RulesState) -> dict[str, Any]:
    return {
        "name": rule.name,
        "sentence": explain(rule),
        "written": write_rule(format_rule(rule)),
        "saved": find_rule_by_name(rules, rule.name),
    }
