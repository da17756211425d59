"""The command `notify`: lists the targets of notifications, and sends a test message to one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.errors import NotFound, SettingsError
from plex_companion.notify.services import open_services
from plex_companion.notify.trial import NO_TARGETS, explain_answer, send_test

if TYPE_CHECKING:
    from plex_companion.settings import Settings


def list_targets(settings: Settings) -> str:
    """Return a line for each target: its name and the kind of its service, without the URL.

    Raises:
        SettingsError: Apprise is not installed, or cannot use a URL.
    """
    services = open_services(settings.list_notify_targets())
    width = max((len(service.name) for service in services), default=0)
    return "\n".join(f"{service.name:{width}}  {service.kind}" for service in services) or NO_TARGETS


def send_test_message(settings: Settings, name: str) -> tuple[bool, str]:
    """Send a test message. Return whether it was taken, and a sentence about that.

    Raises:
        SettingsError: there is no such target, or as `list_targets`.
    """
    try:
        service, answer = anyio.run(partial(send_test, settings.list_notify_targets(), name))
    except NotFound as error:
        raise SettingsError(error.message) from None
    if answer.is_good:
        return True, f"{service.kind} took the message for {name}."
    return False, explain_answer(name, answer)
