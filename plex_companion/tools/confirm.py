"""Confirmed deletion: describe the target, ask a person, look again, and only then delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from plex_companion.errors import ConfirmationRequired, Conflict, Declined
from plex_companion.plex.query import get_or_none, send
from plex_companion.plex.steps import check_confirmed

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.declare import Caller

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DestructionTarget:
    """The target of a destructive call. `facts` go into the question and the answer. `identity` must not change in between."""

    title: str
    identity: tuple[object, ...]
    facts: dict[str, Any]
    sentence: str
    """The question for the person: what it is, how much it is, and that it cannot be undone."""


async def destroy_after_confirmation(
    companion: Companion,
    caller: Caller,
    *,
    confirm: bool,
    look: Callable[[PlexServer], DestructionTarget],
    act: Callable[[PlexServer, DestructionTarget], R],
    again: Callable[[PlexServer, DestructionTarget], DestructionTarget] | None = None,
) -> R:
    """Destroy the target that `look` finds if a person, or `confirm` where the client cannot ask, says yes.

    Args:
        companion: gives access to Plex.
        caller: the client, which may be able to ask.
        confirm: the caller's argument; it counts only if the client cannot ask.
        look: finds and describes the target, and refuses what cannot be destroyed.
        act: destroys the target, verifies that it is gone, and returns the result.
        again: finds the first target again, by id where `look` goes by title. By default `look`.

    Raises:
        Declined: the person said no.
        ConfirmationRequired: the client cannot ask and `confirm` is not set.
        Conflict: the target changed while the person was asked; nothing was destroyed.
    """
    target = await companion.gateway.call(look)
    # The question names the id: if the whole tool runs again with the answer, the answer applies to this target only.
    answer = await caller.confirm(f"{target.sentence} (id {target.facts.get('rating_key')})")
    if answer is False:
        raise Declined(f"'{target.title}' was not destroyed: the user declined.", victim=target.facts)
    if answer is None and not confirm:
        message = f"{target.sentence} To do it, repeat the call with confirm=true."
        raise ConfirmationRequired(message, victim=target.facts)

    def destroy_if_unchanged(plex: PlexServer) -> R:
        now = look(plex) if again is None else again(plex, target)
        if now.identity != target.identity:
            message = f"'{target.title}' changed in the meantime. Nothing was destroyed; check it and repeat the call."
            raise Conflict(message, rating_key=target.facts.get("rating_key"))
        return act(plex, now)

    return await companion.gateway.call(destroy_if_unchanged)


def delete_target(plex: PlexServer, path: str, target: DestructionTarget, list_tool: str) -> dict[str, Any]:
    """Delete what the path names, verify that it is gone, and return the facts of the target."""
    send(plex, "DELETE", path)
    message = f"Plex accepted the deletion of '{target.title}', but it still exists. Check it with {list_tool}."
    check_confirmed(requested=False, found=get_or_none(plex, path) is not None, message=message)
    return {"deleted": True, **target.facts}
