"""Simulated viewers, who watch, pause, seek and buffer, and the server's occasional background activity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.demo import frames, playback
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.sessions import DemoSession

MINUTE, HOUR = 60.0, 3600.0


async def simulate(demo: Demo) -> None:
    """Simulate viewers and background activity until cancelled."""
    async with anyio.create_task_group() as tasks:
        for position in range(len(demo.state.users)):
            tasks.start_soon(_simulate_viewer, demo, position)
        for interval, event in BACKGROUND_EVENTS:
            tasks.start_soon(_repeat_at_random, demo, interval, event)


async def _simulate_viewer(demo: Demo, position: int) -> None:
    """Simulate one viewer.

    The first two start at once, so that a newcomer sees something; the others start within ten minutes.
    """
    rng = demo.state.rng
    await demo.wait(1 + position * 2 if position < 2 else rng.uniform(MINUTE, 10 * MINUTE))  # noqa: PLR2004  # see above
    while position < len(demo.state.users):  # a user may have been removed
        player = (position + rng.choice((0, 0, 2))) % len(demo.state.players)
        item = _choose_item(demo)
        if item is None or any(s.player is demo.get_player(player) for s in demo.state.sessions.values()):
            await demo.wait(MINUTE)
            continue
        session = demo.start(item, user=position, player=player, transcode=bool(item.media) and rng.random() < 0.35,  # noqa: PLR2004  # one in three
                             offset=demo.state.get_view(demo.get_user(position), item.key).offset)  # fmt: skip
        await _watch(demo, session)
        await demo.wait(rng.uniform(MINUTE, 20 * MINUTE))


def _choose_item(demo: Demo) -> DemoItem | None:
    rng = demo.state.rng
    for kind in rng.sample(("movie", "episode", "episode", "track"), 4):
        if items := demo.state.list_kind(kind):
            return rng.choice(items)
    return None


async def _watch(demo: Demo, session: DemoSession) -> None:
    """Report every ten seconds until the end of the item, until the viewer leaves early, or until the session was stopped."""
    rng, server = demo.state.rng, demo.state
    end = session.item.duration or 0
    while server.sessions.get(session.key) is session:
        await demo.wait(playback.TICK)
        if server.sessions.get(session.key) is not session:
            return
        if session.state == "paused":
            _maybe_resume(demo, session)
        elif session.offset >= end or rng.random() < 0.002:  # noqa: PLR2004  # about one in five films is left early
            demo.stop(session)
        else:
            _act_at_random(demo, session)


def _maybe_resume(demo: Demo, session: DemoSession) -> None:
    if demo.state.rng.random() < 0.1:  # noqa: PLR2004  # pauses last some two minutes
        demo.resume(session)
    else:
        demo.pause(session)


def _act_at_random(demo: Demo, session: DemoSession) -> None:
    """Play on, or now and then pause, seek or buffer."""
    chance = demo.state.rng.random()
    if chance < 0.012:  # noqa: PLR2004  # a pause every quarter of an hour
        demo.pause(session)
    elif chance < 0.018:  # noqa: PLR2004  # a seek every half hour
        demo.seek(session, min(session.offset + 5 * 60_000, session.item.duration or session.offset))
        playback.restart_transcode(demo.state, session)
    elif chance < 0.026:  # noqa: PLR2004  # buffering a little more often
        demo.buffer(session)
        demo.resume(session)
    else:
        demo.move(session)


async def _repeat_at_random(demo: Demo, interval: float, event: Callable[[Demo], Awaitable[None]]) -> None:
    while True:
        await demo.wait(demo.state.rng.uniform(0.5, 1.5) * interval)
        await event(demo)


async def _scan(demo: Demo) -> None:
    if demo.state.sections:
        demo.start_scan(demo.state.rng.choice(list(demo.state.sections)))


async def _add_movie(demo: Demo) -> None:
    section = next((key for key, section in demo.state.sections.items() if section.type == "movie"), None)
    if section is not None:
        await background.announce_added(demo.state, *background.create_movie(demo.state, section))


async def _announce_queue(demo: Demo) -> None:
    demo.announce(frames.build_background_queue())


async def _announce_reachable(demo: Demo) -> None:
    demo.announce(frames.build_reachability(reachable=True))


async def _check_for_update(demo: Demo) -> None:
    demo.announce(frames.build_update_state())


async def _refresh_subscriptions(demo: Demo) -> None:
    demo.state.end_activity(
        demo.state.start_activity("provider.subscriptions.process", "Processing subscriptions", cancellable=True)
    )


async def _detect_credits(demo: Demo) -> None:
    demo.run_activity("media.generate.credits", "Detecting credits")


BACKGROUND_EVENTS = (
    (8 * MINUTE, _scan), (25 * MINUTE, _add_movie), (4 * MINUTE, _announce_queue), (28 * MINUTE, _announce_reachable), (2 * HOUR, _check_for_update),
    (15 * MINUTE, _refresh_subscriptions), (12 * MINUTE, _detect_credits),
)  # fmt: skip
