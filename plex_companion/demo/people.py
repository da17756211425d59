"""The people of the household, who watch, pause, seek, buffer and come back, and the server's own small noises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.demo import frames, lives, playback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.demo.demo import Demo
    from plex_companion.demo.household import Item
    from plex_companion.demo.playback import Session

MINUTE, HOUR = 60.0, 3600.0


async def live(demo: Demo) -> None:
    """Everything that happens by itself, until cancelled."""
    async with anyio.create_task_group() as tasks:
        for position in range(len(demo.house.users)):
            tasks.start_soon(_person, demo, position)
        for every, happen in HAPPENINGS:
            tasks.start_soon(_now_and_then, demo, every, happen)


async def _person(demo: Demo, position: int) -> None:
    """The first two watch right away, so that a newcomer sees something; then everybody as they please."""
    rng = demo.house.rng
    await demo.wait(1 + position * 2 if position < 2 else rng.uniform(MINUTE, 10 * MINUTE))  # noqa: PLR2004  # see above
    while position < len(demo.house.users):  # somebody may be taken out of the household
        player = (position + rng.choice((0, 0, 2))) % len(demo.house.players)
        item = _choice(demo)
        if item is None or any(s.player is demo.player(player) for s in demo.house.sessions.values()):
            await demo.wait(MINUTE)
            continue
        session = demo.start(item, user=position, player=player, transcode=bool(item.media) and rng.random() < 0.35,  # noqa: PLR2004  # one in three
                             offset=demo.house.view(demo.user(position), item.key).offset)  # fmt: skip
        await _watch(demo, session)
        await demo.wait(rng.uniform(MINUTE, 20 * MINUTE))


def _choice(demo: Demo) -> Item | None:
    rng = demo.house.rng
    for kind in rng.sample(("movie", "episode", "episode", "track"), 4):
        items = demo.house.of_kind(kind)
        if items:
            return rng.choice(items)
    return None


async def _watch(demo: Demo, session: Session) -> None:
    """Report every ten seconds until the end, until tired, or until somebody else stopped the session."""
    rng, house = demo.house.rng, demo.house
    end = session.item.duration or 0
    while house.sessions.get(session.key) is session:
        await demo.wait(playback.TICK)
        if house.sessions.get(session.key) is not session:
            return
        if session.state == "paused":
            _maybe_resume(demo, session)
        elif session.offset >= end or rng.random() < 0.002:  # noqa: PLR2004  # about one in five films is left early
            demo.stop(session)
        else:
            _something(demo, session)


def _maybe_resume(demo: Demo, session: Session) -> None:
    if demo.house.rng.random() < 0.1:  # noqa: PLR2004  # pauses last some two minutes
        demo.resume(session)
    else:
        demo.pause(session)


def _something(demo: Demo, session: Session) -> None:
    """Mostly playing on; now and then a pause, a seek, some buffering."""
    chance = demo.house.rng.random()
    if chance < 0.012:  # noqa: PLR2004  # a pause every quarter of an hour
        demo.pause(session)
    elif chance < 0.018:  # noqa: PLR2004  # a seek every half hour
        demo.seek(session, min(session.offset + 5 * 60_000, session.item.duration or session.offset))
        playback.restart_transcode(demo.house, session)
    elif chance < 0.026:  # noqa: PLR2004  # buffering a little more often
        demo.buffer(session)
        demo.resume(session)
    else:
        demo.move(session)


async def _now_and_then(demo: Demo, every: float, happen: Callable[[Demo], Awaitable[None]]) -> None:
    while True:
        await demo.wait(demo.house.rng.uniform(0.5, 1.5) * every)
        await happen(demo)


async def _scan(demo: Demo) -> None:
    if demo.house.sections:
        demo.start_scan(demo.house.rng.choice(list(demo.house.sections)))


async def _something_new(demo: Demo) -> None:
    section = next((key for key, section in demo.house.sections.items() if section.type == "movie"), None)
    if section is not None:
        await lives.added(demo, *lives.new_movie(demo, section))


async def _queue(demo: Demo) -> None:
    demo.announce(frames.background_queue())


async def _reachable(demo: Demo) -> None:
    demo.announce(frames.reachability(reachable=True))


async def _update_check(demo: Demo) -> None:
    demo.announce(frames.update_state())


async def _subscriptions(demo: Demo) -> None:
    demo.house.end_activity(
        demo.house.start_activity("provider.subscriptions.process", "Processing subscriptions", cancellable=True)
    )


async def _credits(demo: Demo) -> None:
    demo.run_activity("media.generate.credits", "Detecting credits")


HAPPENINGS = (
    (8 * MINUTE, _scan), (25 * MINUTE, _something_new), (4 * MINUTE, _queue), (28 * MINUTE, _reachable), (2 * HOUR, _update_check),
    (15 * MINUTE, _subscriptions), (12 * MINUTE, _credits),
)  # fmt: skip
