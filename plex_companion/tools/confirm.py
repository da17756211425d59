"""How something is destroyed: looked at, a person asked, looked at again, and only then gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from plex_companion.errors import ConfirmationRequired, Conflict, Declined

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.declare import Caller

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DestructionTarget:
    """What would be destroyed. `facts` go into the question and the answer; `identity` must not change meanwhile."""

    title: str
    identity: tuple[object, ...]
    facts: dict[str, Any]
    sentence: str
    """For the person who is asked: what it is, how much of it, and that it cannot be undone."""


async def destroy_after_confirmation(
    companion: Companion,
    caller: Caller,
    *,
    confirm: bool,
    look: Callable[[PlexServer], DestructionTarget],
    act: Callable[[PlexServer, DestructionTarget], R],
    again: Callable[[PlexServer, DestructionTarget], DestructionTarget] | None = None,
) -> R:
    """Destroy the victim that `look` finds, when a person (or `confirm`, where nobody can be asked) says yes.

    Args:
        companion: the way to Plex.
        caller: the client, which may be able to ask.
        confirm: what the caller passed; counts only when the client cannot ask.
        look: finds and describes the victim, and refuses what cannot be destroyed.
        act: destroys it, sees that it is gone, and gives the result.
        again: the second look, at the victim of the first: by its id, where `look` goes by a title. By default `look`.

    Raises:
        Declined: the person said no.
        ConfirmationRequired: the client cannot ask and `confirm` is not set.
        Conflict: the victim changed while the person was asked; nothing was destroyed.
    """
    victim = await companion.gateway.call(look)
    # With its id: where the whole tool runs again with the answer, the answer is for this very thing.
    answer = await caller.confirm(f"{victim.sentence} (id {victim.facts.get('rating_key')})")
    if answer is False:
        raise Declined(f"'{victim.title}' was not destroyed: the person who was asked said no.", victim=victim.facts)
    if answer is None and not confirm:
        message = f"{victim.sentence} To do it, repeat the call with confirm=true."
        raise ConfirmationRequired(message, victim=victim.facts)

    def destroy_unchanged(plex: PlexServer) -> R:
        now = look(plex) if again is None else again(plex, victim)
        if now.identity != victim.identity:
            message = f"'{victim.title}' changed meanwhile. Nothing was destroyed; look again and repeat the call."
            raise Conflict(message, rating_key=victim.facts.get("rating_key"))
        return act(plex, now)

    return await companion.gateway.call(destroy_unchanged)
