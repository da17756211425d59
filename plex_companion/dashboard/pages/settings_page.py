"""`/settings`: what is set and where it comes from, what works, versions, how to connect an AI host, and the last log lines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.dashboard.health_checks import check_broker, check_chronicle, check_database, check_plex
from plex_companion.dashboard.setting_rows import list_setting_rows
from plex_companion.settings import LOOPBACK
from plex_companion.text import clean

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.dashboard.health_checks import HealthCheck
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.dashboard.recent_log import RecentLog

HOSTS = (
    ("claude-desktop", "Claude Desktop"),
    ("claude-code", "Claude Code"),
    ("cursor", "Cursor"),
    ("vscode", "VS Code"),
)
"""The AI hosts that the command `install` knows, with their titles."""
LEVELS = ("INFO", "WARNING", "ERROR")


def build_settings_routes(companion: Companion, layout: PageLayout, recent_log: RecentLog) -> list[Route]:
    """Return the route of the settings."""

    async def show(request: Request) -> Response:
        rows = list_setting_rows(companion.settings)
        return await layout.respond(
            request,
            "settings.html",
            title="Settings",
            setting=request.query_params.get("setting", ""),
            chosen=[row for row in rows if row.origin],
            defaults=[row for row in rows if not row.origin],
            checks=await _check(companion),
            versions=_list_versions(companion),
            hosts=HOSTS,
            snippet=_render_snippet(companion, request),
            needs_token=companion.settings.token is not None,
            only_here=companion.settings.host in LOOPBACK and not companion.settings.public_url,
            read_only=companion.settings.read_only,
            log=_select_lines(recent_log, request.query_params.get("level", "")),
            level=request.query_params.get("level", ""),
            levels=LEVELS,
        )

    return [Route("/settings", layout.guard_page(show), methods=["GET"])]


async def _check(companion: Companion) -> list[HealthCheck]:
    """Check every server, then the database and what else is set."""
    cache, states = companion.cache, companion.states
    checks = [
        replace(check, name=f"{_name_server(state)}: {check.name.lower()}") if len(states) > 1 else check
        for state in states
        for check in check_plex(state)
    ]
    size, role = await cache.read_size_bytes(), companion.describe_process()["role"]
    checks.append(check_database(companion.live.storage, size_bytes=size, schema=cache.schema, role=role))
    if (member := companion.chronicle) is not None:
        checks.append(check_chronicle(member.role, member.behind, member.problem))
    if companion.settings.mqtt_url is not None:
        checks.append(check_broker(companion.broker, listens=companion.live.listens))
    return checks


def _name_server(state: State) -> str:
    return clean((state.server.name if state.server else None) or "Plex")


def _list_versions(companion: Companion) -> list[tuple[str, str]]:
    servers = [(_name_server(state), state.server) for state in companion.states]
    alone = len(servers) == 1
    plex = [
        ("Plex Media Server" if alone else name, (server.version or "unknown") if server else "not connected yet")
        for name, server in servers
    ]
    return [*plex, *companion.versions.items()]


def _render_snippet(companion: Companion, request: Request) -> str:
    """Render what a host needs to reach this companion over HTTP. The token itself is never on a page."""
    base = companion.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    secret = {"headers": {"Authorization": "Bearer YOUR-TOKEN"}} if companion.settings.token else {}
    entry = {"type": "http", "url": f"{base}/mcp", **secret}
    return json.dumps({"mcpServers": {"plex": entry}}, indent=2)


def _select_lines(recent_log: RecentLog, level: str) -> list[Any]:
    """Return the lines of a level and of more serious ones; all for any other word."""
    lines = recent_log.list_lines()
    least = LEVELS.index(level) if level in LEVELS else 0
    return [line for line in lines if line.level not in LEVELS[:least]]
