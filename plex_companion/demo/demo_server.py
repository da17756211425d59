"""A running demo server and everything that a test or a person can make it do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.demo import frames, library_changes, playback
from plex_companion.demo.page_faults import PageFault
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from plex_companion.demo.household.model import DemoItem, DemoPlayer, DemoUser
    from plex_companion.demo.relay import PortRelay
    from plex_companion.demo.server_state import RequestLog, ServerState
    from plex_companion.demo.sessions import DemoSession
    from plex_companion.demo.subscribers import SubscriberHub

    Scenario = Callable[..., Awaitable[dict[str, Any]]]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Demo:
    """One Plex server with one household. Made by `open_demo`.

    `url` also answers the plex.tv calls. `token` is the owner's. Times given to methods are household seconds,
    which pass `speed` times as fast as ours, unless a name says `real`.
    """

    relay: PortRelay
    """The public port. Exists while the server runs: it needs the inner servers, which need the demo."""

    def __init__(self, state: ServerState, hub: SubscriberHub, scenarios: Mapping[str, Scenario]) -> None:
        self.state, self.subscribers, self._scenarios = state, hub, scenarios
        self.token = state.owner_token
        self.chosen_pictures, self.watchlists, self.unowned = state.chosen_pictures, state.watchlists, state.unowned

    # -- facts

    @property
    def port(self) -> int:
        """The public port."""
        return self.relay.port

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        host = "127.0.0.1" if self.relay.host in {"0.0.0.0", "::"} else self.relay.host  # noqa: S104  # compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server; control calls exist only then."""
        return self.relay.host in LOOPBACK

    @property
    def requests(self) -> RequestLog:
        """The requests so far: `.log`, `.unknown`, `.count(path)`, `.clear()`."""
        return self.state.requests

    @property
    def sessions(self) -> dict[str, DemoSession]:
        """Live sessions by session key."""
        return self.state.sessions

    # -- plex.tv

    def confirm(self) -> None:
        """Confirm every waiting pin, as the owner would on plex.tv's page."""
        for pin in self.state.pins.values():
            pin.token = pin.token or self.token

    # -- time

    async def wait(self, seconds: float) -> None:
        """Wait until so many household seconds have passed."""
        await self.state.wait(seconds)

    def run_later(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Run `work` in the background until it ends or the server closes."""
        self.state.run_later(work, *arguments)

    # -- playing

    def get_movie(self, number: int = 0) -> DemoItem:
        """Return a film of the first film section, by position."""
        section = next(key for key, section in self.state.sections.items() if section.type == "movie")
        return self.state.list_section(section, "movie")[number]

    def get_episode(self, number: int = 0) -> DemoItem:
        """Return an episode of the first show, by position."""
        return self.state.list_leaves(self.state.list_kind("show")[0].key)[number]

    def get_user(self, number: int = 0) -> DemoUser:
        """Return a user by position; 0 is the owner."""
        return list(self.state.users.values())[number]

    def get_player(self, number: int = 0) -> DemoPlayer:
        """Return a player by position."""
        return list(self.state.players.values())[number]

    def start(
        self, item: DemoItem | str | None = None, *, user: int = 0, player: int = 0, offset: int = 0, state: str = "playing",
        transcode: bool = False, delivery: Mapping[str, Any] | None = None, version: int = 0,
    ) -> DemoSession:  # fmt: skip
        """Start a session and announce it; users and players by position, items by rating key.

        `delivery` sets fields of the transcode, such as `{"video_decision": "copy", "subtitle_decision": "burn"}`.
        """
        chosen = self.state.items[item] if isinstance(item, str) else item or self.get_movie()
        return playback.start(
            self.state,
            chosen,
            self.get_user(user),
            self.get_player(player),
            offset=offset,
            state=state,
            transcode=transcode or delivery is not None,
            delivery=delivery,
            version=version,
        )

    def move(self, session: DemoSession, seconds: float = playback.TICK) -> None:
        """Play on for `seconds` and report once."""
        playback.move(self.state, session, seconds)

    def pause(self, session: DemoSession) -> None:
        """Report a pause. Call it again for the repeats that clients send."""
        playback.report(self.state, session, "paused")

    def resume(self, session: DemoSession) -> None:
        """Report that the session plays again."""
        playback.report(self.state, session, "playing")

    def buffer(self, session: DemoSession) -> None:
        """Report that the session buffers."""
        playback.report(self.state, session, "buffering")

    def seek(self, session: DemoSession, offset: int) -> None:
        """Jump to `offset` ms."""
        playback.seek(self.state, session, offset)

    def stop(self, session: DemoSession) -> None:
        """End a session and announce it. Near the end of the item it counts as watched and adds a history row."""
        playback.stop(self.state, session)

    def forget(self, session: DemoSession) -> None:
        """Drop a session from `/status/sessions` without announcing it."""
        playback.forget(self.state, session)

    # -- announcing

    def announce(self, frame: frames.Frame) -> None:
        """Announce any frame of `demo.frames`."""
        self.state.announce(frame)

    def send_raw(self, payload: str | bytes, *, binary: bool = False) -> None:
        """Send text, or bytes as an unchecked text frame, to every listener as it is."""
        self.state.announce(frames.build_raw(payload, binary=binary))

    async def burst(self, count: int, session: DemoSession | None = None) -> None:
        """Announce `count` playing frames of one session as fast as the slowest listener takes them.

        Positions rise by 10 ms.
        """
        playing = session or self.start()
        for number in range(count):
            playing.offset += 10
            self.state.announce(frames.build_playing(playing.build_entry()))
            if number % 500 == 499:  # noqa: PLR2004  # far below the listeners' queues
                await self.subscribers.wait_for_room()

    # -- library

    async def add_movie(self, title: str | None = None, *, section: str = "1", extras: bool = True) -> DemoItem:
        """Add a film with all its timeline entries and return it when it is ready."""
        movie, extra = background.create_movie(self.state, section, title)
        await background.announce_added(self.state, movie, extra if extras else None)
        return movie

    def add_show(
        self, title: str, *, section: str = "2", seasons: int = 2, episodes: int = 10, announced: bool = True
    ) -> DemoItem:
        """Add a show as a whole, and return it."""
        items = library_changes.create_show(self.state, section, title, seasons, episodes)
        library_changes.add_all(self.state, items, announced=announced)
        return items[0]

    def delete_item(self, key: str, *, announced: bool = True) -> None:
        """Delete an item and everything below it; each is announced with state 9."""
        if announced:
            self.state.delete_item(key)
        else:
            self.state.remove(key)

    def copy_item(self, key: str, section: str | None = None) -> DemoItem:
        """Add a film once more, under the guid it has: in the same library or in another."""
        return library_changes.copy_item(self.state, key, section or self.state.items[key].section)

    def strip_item(self, key: str, *names: str) -> None:
        """Leave attributes of an item out of every answer: `title`, `size`, `parent` or any other of Plex's names."""
        library_changes.strip_item(self.state, key, set(names))

    def touch_items(self, section: str, count: int | None = None) -> list[DemoItem]:
        """Refresh the metadata of a library, or of its first `count` items of any type: `updatedAt` moves, and each is announced."""
        items = [item for item in self.state.items.values() if item.section == section][:count]
        library_changes.touch_items(self.state, items)
        return items

    def delete_section(self, key: str) -> None:
        """Delete a library with everything in it."""
        library_changes.delete_section(self.state, key)

    def rename_section(self, key: str, title: str) -> None:
        """Give a library another title."""
        library_changes.rename_section(self.state, key, title)

    def move_section(self, key: str) -> str:
        """Delete a library and add it again under another id, with new rating keys and the same guids; return the id."""
        return library_changes.move_section(self.state, key)

    def trash_item(self, key: str) -> None:
        """Mark an item with `deletedAt`, as if its file were gone: it stays in the trash until that is emptied."""
        self.state.items[key].fields["deletedAt"] = str(self.state.now)
        self.state.mark_changed(self.state.items[key].section)

    def start_scan(self, section: str, *, files: int = 0) -> None:
        """Start a scan in the background. Do nothing if the section is being scanned already."""
        background.start_scan(self.state, section, files=files)

    async def scan(self, section: str = "1", *, files: int = 0) -> None:
        """Scan a section to the end, with `files` activity updates."""
        self.state.refreshing.add(section)
        await background.run_scan(self.state, section, files=files)

    def run_activity(self, kind: str, title: str) -> None:
        """Start any activity in the background; it ends by itself."""
        background.start_activity(self.state, kind, title)

    # -- misbehaving

    def revoke_token(self) -> None:
        """Answer 401 to every token, on HTTP and at the handshake. Open sockets stay, as they do with Plex."""
        self.state.faults.revoked = True

    def restore_token(self) -> None:
        """Accept tokens again."""
        self.state.faults.revoked = False

    def replace_token(self, token: str) -> None:
        """Give the owner another token, and refuse the one before. Open sockets stay, as they do with Plex."""
        self.state.by_token = {known: user for known, user in self.state.by_token.items() if known != self.token}
        self.state.by_token[token] = self.state.owner
        self.token = self.state.token = token

    def answer_with(self, status: int | None, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        """Answer every call with this status (503 is Plex's maintenance page) and, if given, this body; `None` ends it."""
        faults = self.state.faults
        faults.status, faults.body, faults.headers = status, body, headers or {}

    def answer_plex_tv_with(self, status: int | None, body: bytes | None = None) -> None:
        """Answer the plex.tv calls alone with this status and, if given, this body; `None` ends it."""
        self.state.faults.cloud_status, self.state.faults.cloud_body = status, body

    def slow_down(self, real_seconds: float) -> None:
        """Delay every HTTP answer; 0 ends it."""
        self.state.faults.delay = real_seconds

    def refuse_long_paths(self, longest: int | None) -> None:
        """Answer 414 to longer paths (query included), as servers and proxies do at 8 KB; `None` ends it."""
        self.state.faults.longest_path = longest

    def break_pages(self, kind: str | None, *, skip: int = 0, times: int = 1) -> None:
        """Let pages of listings `fail`, be `short`, `shrink` or `repeat`: `times` pages, after `skip` good ones; `None` ends it."""
        self.state.faults.page = PageFault(kind, skip, times) if kind else None

    def go_silent(self, *, everything: bool = False) -> None:
        """Keep sockets open but move nothing on them, not even pongs: open websockets, or with `everything` all of them."""
        self.relay.freeze(everything=everything)

    def speak_again(self) -> None:
        """End the silence and deliver what waited."""
        self.relay.thaw()

    def reset_connections(self, *, websockets_only: bool = False) -> int:
        """Reset (RST) all connections, or the websockets only, and return how many."""
        return self.relay.reset(websockets_only=websockets_only)

    def cut_after(self, count: int) -> None:
        """Reset every websocket after `count` more bytes to the client: in the middle of a frame."""
        self.relay.cut_after(count)

    async def shut_down(self) -> None:
        """Close the port and reset every connection."""
        await self.relay.close()
        self.relay.reset()

    async def reopen(self, *, keep_sessions: bool = False) -> None:
        """Listen on the same port again. Unless told otherwise, sessions are forgotten and keys start at 1 again."""
        if not keep_sessions:
            self.state.sessions.clear()
            self.state.activities.clear()
            self.state.refreshing.clear()
            self.state.next_session = 1
        await self.relay.open()

    async def restart(self, *, down: float = 1.0, starting: float = 2.0) -> None:
        """Be gone for `down` seconds, answer 503 for `starting` more, then start session keys at 1."""
        await self.shut_down()
        await self.wait(down)
        self.answer_with(503)
        await self.reopen()
        await self.wait(starting)
        self.answer_with(None)

    # -- scenarios

    async def play(self, name: str, **options: float) -> dict[str, Any]:
        """Play a scenario by its name and return what was done.

        Raises:
            KeyError: There is no such scenario.
        """
        done = await self._scenarios[name](self, **options)
        return {"scenario": name, **done}
