"""Changes of stored rules by tools: put into the queue, and waited for until they are committed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import anyio

from plex_companion.errors import NotFound, TimedOut
from plex_companion.events import ReceivedEvent
from plex_companion.occurrences.reading import read_newest_number
from plex_companion.rules.engine.requests import (
    check_name,
    find_revision,
    find_stored_rule,
    request_creation,
    request_deletion,
    request_switch,
    request_update,
)

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.models import Rule, RulesState, StoredRule
    from plex_companion.rules.engine.requests import RuleRequest

SECONDS = 10.0
"""How long a write may take. It takes longer when the storage refuses."""


def get_rules(companion: Companion) -> RulesState:
    """Return the rules, as committed."""
    return companion.live.state.rules


def find_rule(companion: Companion, text: str) -> StoredRule:
    """Return the rule with an id or a name.

    Raises:
        NotFound: there is none.
    """
    return find_stored_rule(get_rules(companion), text)


async def save_new_rule(companion: Companion, rule: Rule) -> StoredRule:
    """Save a rule, disabled.

    Raises:
        Conflict: another rule has its name.
        TimedOut: the write did not finish in time.
    """
    revision = secrets.token_hex(8)
    request = request_creation(get_rules(companion), rule, revision)
    return await _send_definition(companion, request, rule, revision, None)


async def save_changed_rule(companion: Companion, stored: StoredRule, rule: Rule) -> StoredRule:
    """Change a rule, which is disabled then.

    Raises:
        Conflict: another rule has its new name.
        NotFound: it was deleted meanwhile.
        TimedOut: the write did not finish in time.
    """
    revision = secrets.token_hex(8)
    request = request_update(get_rules(companion), stored, rule, revision)
    return await _send_definition(companion, request, rule, revision, stored.id)


async def switch_rule(companion: Companion, stored: StoredRule, *, enabled: bool) -> StoredRule:
    """Enable or disable a rule.

    Raises:
        NotFound: it was deleted meanwhile.
        TimedOut: the write did not finish in time.
    """
    newest = await read_newest_number(companion.cache)
    await _send(companion, request_switch(stored, secrets.token_hex(8), enabled=enabled, newest=newest))
    return find_rule(companion, str(stored.id))


async def delete_rule(companion: Companion, stored: StoredRule) -> None:
    """Delete a rule.

    Raises:
        TimedOut: the write did not finish in time.
    """
    await _send(companion, request_deletion(stored))


async def _send_definition(
    companion: Companion, request: RuleRequest, rule: Rule, revision: str, own_id: int | None
) -> StoredRule:
    """Send a request that saves a rule, and return the rule. Somebody else may have taken its name just before."""

    def check(rules: RulesState) -> None:
        check_name(rules, rule.name, own_id)
        if own_id is not None and own_id not in rules.stored:
            message = f"The rule {own_id} was deleted meanwhile."
            raise NotFound(message, what="rule")

    def is_settled(rules: RulesState) -> bool:
        if not request.is_done(rules):
            check(rules)
            return False
        return True

    await _send(companion, request._replace(is_done=is_settled))
    saved = find_revision(get_rules(companion), revision)
    if saved is None:
        message = f"The rule '{rule.name}' was changed again or deleted meanwhile."
        raise NotFound(message, what="rule")
    return saved


async def _send(companion: Companion, request: RuleRequest) -> None:
    """Put an event into the queue of the first link, whose state has the rules, and wait until it is committed."""
    first = companion.choose_link(next(iter(companion.live.states)))
    committed = companion.live.prepare_wait()  # before sending, or the commit could be missed
    await first.event_queue.put([ReceivedEvent(request.event, companion.clock())])
    with anyio.move_on_after(SECONDS):
        while True:
            await committed.wait()
            committed = companion.live.prepare_wait()
            if request.is_done(get_rules(companion)):
                return
    message = (
        "The rule is not saved yet: the cache cannot be written right now (see companion_status). "
        "The companion keeps trying."
    )
    raise TimedOut(message)
