"""Writes of several requests: verified afterwards, with an error that says how far they came."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from plex_companion.errors import NotConfirmed, ToolError
from plex_companion.plex.call import CURRENT_CALL, PlexCall, StepProgress, list_few
from plex_companion.plex.query import split_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plex_companion.plex.client import PlexServer

    Step = tuple[str, Callable[[], object]]


def run_steps(
    plex: PlexServer, steps: Iterable[Step], *, counts: Sequence[int] = (), begun: int = 0, **facts: object
) -> list[str]:
    """Run named steps in order and return their names.

    Args:
        plex: the server, whose token no error may show.
        steps: a name for the caller, and the function to call.
        counts: how many items each step adds, where a `Partial` should say how many were added.
        begun: how many were added before the first step.
        facts: further facts of a `Partial`, as the id of what was created.

    Raises:
        Partial: a step failed after others (or something in `facts`) had taken effect.
    """
    from plex_companion.plex.translate import FAILURES  # noqa: PLC0415 - imports plexapi

    todo, call = list(steps), CURRENT_CALL.get() or PlexCall(0)
    call.progress = progress = StepProgress([name for name, _ in todo], facts, counts=tuple(counts), begun=begun)
    for name, step in todo:
        try:
            step()
        except (ToolError, *FAILURES) as error:
            failure = _translate(plex, error, call)
        else:
            progress.applied.append(name)
            continue
        raise progress.build_partial_error(failure) if isinstance(failure, ToolError) else failure
    return progress.applied


def _translate(plex: PlexServer, error: Exception, call: PlexCall) -> Exception:
    """Return the error of ours for what a step raised."""
    from plex_companion.plex.translate import translate  # noqa: PLC0415 - imports plexapi

    return translate(error, call, plex.token)


def check_confirmed(*, requested: object, found: object, message: str, **facts: object) -> None:
    """Check that Plex now shows what was requested.

    Raises:
        NotConfirmed: Plex shows something else.
    """
    if requested != found:
        seen = {**_describe_fact("requested", requested), **_describe_fact("found", found)}
        raise NotConfirmed(message, **seen, **facts)


def _describe_fact(name: str, value: object) -> dict[str, object]:
    return list_few(name, value) if isinstance(value, list) else {name: value}


def add_in_portions(
    plex: PlexServer, keys: Sequence[str], add: Callable[[list[str]], object], *, begun: int = 0, **facts: object
) -> None:
    """Add items in order, in requests short enough for any server; `begun` items were added before.

    Raises:
        Partial: Plex added some of them only; the error says how many.
    """
    parts = split_values(keys)
    starts = [begun + sum(map(len, parts[:place])) for place in range(len(parts))]
    steps = [
        (f"items {start + 1} to {start + len(part)}", partial(add, part))
        for start, part in zip(starts, parts, strict=True)
    ]
    run_steps(plex, steps, counts=[len(part) for part in parts], begun=begun, **facts)
