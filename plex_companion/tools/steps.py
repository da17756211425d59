"""Writes of several requests: seen afterwards, and when one fails half way, told how far they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotConfirmed, Partial, ToolError
from plex_companion.plex.errands import CURRENT, Errand

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

    todo, applied = list(steps), list[str]()
    for name, step in todo:
        try:
            step()
        except FAILURES as error:
            if not applied and not facts:
                raise
            failure = _told(plex, error)
        else:
            applied.append(name)
            continue
        raise _partial(applied, [name for name, _ in todo], failure, facts)
    return applied


def _told(plex: PlexServer, error: Exception) -> Exception:
    """The error in our words. A deadline that has passed stays what it is: nobody waits for the rest any more."""
    from plex_companion.plex.translate import translated  # noqa: PLC0415 - imports plexapi

    return translated(error, CURRENT.get() or Errand(0), plex._token)  # noqa: SLF001 - only to hide it


def _partial(applied: list[str], names: list[str], failure: Exception, facts: dict[str, Any]) -> Exception:
    if not isinstance(failure, ToolError):
        return failure
    left = names[len(applied) :]
    done = ", ".join(applied) or "nothing of it"
    message = f"Stopped half way. Done: {done}. Not done: {', '.join(left)}, because: {failure.message}"
    return Partial(message, applied=applied, failed=left, **facts)


def confirmed(*, requested: object, found: object, message: str, **facts: object) -> None:
    """See that what was asked for is there.

    Raises:
        NotConfirmed: it is not.
    """
    if requested != found:
        raise NotConfirmed(message, requested=requested, found=found, **facts)
