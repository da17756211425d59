"""Changes of rules at the shell: by the process that listens, or in the database where none does."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.connections import run_read
from plex_companion.cache.forwarded_events import write_forwarded
from plex_companion.cache.load import load_rules, load_state
from plex_companion.cache.lock import open_lock
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.replication.position import EMPTY, read_position
from plex_companion.changes.rule_reports import index_rules
from plex_companion.companion import read_clock
from plex_companion.errors import StartError
from plex_companion.events import ReceivedEvent
from plex_companion.ingest.live import Live
from plex_companion.occurrences.reading import read_newest_number
from plex_companion.rules.engine.requests import find_stored_rule, request_import, request_switch
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.models import Rule, RulesState, StoredRule
    from plex_companion.rules.engine.requests import RuleRequest
    from plex_companion.settings import Settings

SECONDS = 10.0
"""How long the process that listens may take."""
POLL_SECONDS = 0.05


async def read_rules(cache: Cache) -> RulesState:
    """Return the rules in the database."""
    return await run_read(cache.reader, load_rules)


async def switch_stored_rule(cache: Cache, settings: Settings, text: str, *, enabled: bool) -> StoredRule:
    """Enable or disable the rule with an id or a name.

    Raises:
        NotFound: there is none.
        StartError: the process that listens does not answer.
    """
    stored = find_stored_rule(await read_rules(cache), text)
    if stored.enabled != enabled:
        newest = await read_newest_number(cache)
        await send_request(
            cache, settings, request_switch(stored, secrets.token_hex(8), enabled=enabled, newest=newest)
        )
    return find_stored_rule(await read_rules(cache), str(stored.id))


async def save_rules(
    cache: Cache, settings: Settings, rules: Sequence[Rule], *, enable: bool
) -> list[tuple[StoredRule | None, StoredRule]]:
    """Save rules, all or none, and return each as it was before and as it is now. A rule replaces the one of its name.

    Raises:
        Conflict: somebody else has changed one of them meanwhile.
        StartError: the process that listens does not answer.
    """
    before = await read_rules(cache)
    revisions = [secrets.token_hex(8) for _ in rules]
    newest = await read_newest_number(cache)
    request = request_import(before, rules, revisions, enable=enable, newest=newest)
    if request is not None:
        await send_request(cache, settings, request)
    old, new = index_rules(before), index_rules(await read_rules(cache))
    names = [fold_case(rule.name) for rule in rules]
    return [(old.get(name), new[name]) for name in names if name in new]


async def send_request(cache: Cache, settings: Settings, request: RuleRequest) -> None:
    """Let the process that listens change rules, and wait until it has. Where there is none, change them here.

    Raises:
        Conflict: it cannot be done, because of what somebody else has done meanwhile.
        StartError: that process does not answer.
    """
    event = ReceivedEvent(request.event, read_clock())
    with open_lock(cache.path) as lock:
        if lock.try_acquire():
            await _apply(cache, settings, event)
            request.is_done(await read_rules(cache))
            return
    await write_forwarded(cache, {settings.link_id: [event]})
    with anyio.move_on_after(SECONDS):
        while not request.is_done(await read_rules(cache)):  # noqa: ASYNC110 - another process writes it
            await anyio.sleep(POLL_SECONDS)
        return
    message = "The process that listens has not done it yet. It will, as soon as it can write to the database."
    raise StartError(message)


async def _apply(cache: Cache, settings: Settings, event: ReceivedEvent) -> None:
    """Apply an event as the process that listens would. Call it with its lock, so that there is none.

    Raises:
        StartError: the database is one of several machines, of which another may listen.
    """
    if settings.chronicle or (await run_read(cache.reader, read_position)).number != EMPTY:
        message = "Several machines share the rules. Start plex-companion on this one, and repeat the command."
        raise StartError(message)
    live = Live(await load_state(cache, event.moment))
    server = live.state.server.machine_identifier if live.state.server else UNKNOWN
    await cache.write(live.apply([event]).changes, server, event.moment.at, committed=live.state.sessions)
