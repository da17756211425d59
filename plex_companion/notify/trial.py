"""Sends a test message to one target, at once and past the outbox."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from plex_companion.changes.deliveries import DeliveryAttempt
from plex_companion.errors import NotFound
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import Message
from plex_companion.notify.daemon_call import DaemonCall
from plex_companion.notify.services import open_services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.notify.services import NotifyService

TEST_SECONDS = 30.0
"""How long the service may take."""
NO_TARGETS = "No target is set. Set PLEX_COMPANION_NOTIFY, as family=discord://…;me=ntfy://…"


async def send_test(
    targets: Mapping[str, str], name: str, seconds: float = TEST_SECONDS
) -> tuple[NotifyService, DeliveryAttempt]:
    """Send a test message to the target of this name. Return its service, and what that answered.

    Args:
        targets: the URLs by name.
        name: which of them.
        seconds: how long the service may take.

    Raises:
        NotFound: there is no such target.
        SettingsError: Apprise is not installed, or cannot use the URL.
    """
    if name not in targets:
        known = f"Targets: {', '.join(targets)}." if targets else NO_TARGETS
        raise NotFound(f"There is no target '{name}'. {known}", what="target", available=list(targets))
    (service,) = await compute_off_loop(partial(open_services, {name: targets[name]}))
    call = DaemonCall(f"test {name}", partial(service.send, build_test_message(name)))
    answer = await call.wait(seconds)
    return service, answer or DeliveryAttempt(None, f"no answer within {seconds:.0f} s")


def build_test_message(name: str) -> Message:
    """Return the message that a test sends."""
    return Message("Test of plex-companion", f"Messages to {name} arrive here.")


def explain_answer(name: str, answer: DeliveryAttempt) -> str:
    """Say that a test message was not taken, and what the service answered; without the URL."""
    said = f" The service says: {answer.detail}" if answer.detail else ""
    return f"The target {name} did not take the message: {answer.words}.{said}"
