"""Writes of several requests: seen afterwards, and when one fails half way, told how far they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.errors import NotConfirmed, ToolError
from plex_companion.plex.errands import CURRENT, Errand, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plexapi.server import PlexServer

    Step = tuple[str, Callable[[], object]]


def take(plex: PlexServer, steps: Iterable[Step], **facts: object) -> list[str]:
    """Take named steps in their order; gives the names.

    Args:
        plex: whose token no error may tell.
        steps: a name for the caller, and what to do.
        facts: what a `Partial` says besides, as the id of what was made.

    Raises:
        Partial: a step failed after others (or something in `facts`) had taken effect.
    """
    from plex_companion.plex.translate import FAILURES  # noqa: PLC0415 - imports plexapi

    todo, errand = list(steps), CURRENT.get() or Errand(0)
    errand.way = way = Way([name for name, _ in todo], facts)
    for name, step in todo:
        try:
            step()
        except (ToolError, *FAILURES) as error:
            failure = _told(plex, error, errand)
        else:
            way.applied.append(name)
            continue
        raise way.stopped(failure) if isinstance(failure, ToolError) else failure
    return way.applied


def _told(plex: PlexServer, error: Exception, errand: Errand) -> Exception:
    """The error in our words."""
    from plex_companion.plex.translate import translated  # noqa: PLC0415 - imports plexapi

    return translated(error, errand, plex._token)  # noqa: SLF001 - only to hide it


def confirmed(*, requested: object, found: object, message: str, **facts: object) -> None:
    """See that what was asked for is there.

    Raises:
        NotConfirmed: it is not.
    """
    if requested != found:
        raise NotConfirmed(message, requested=requested, found=found, **facts)
