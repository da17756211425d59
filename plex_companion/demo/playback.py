"""Playing: what a client reports, and what the server then remembers and announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.household.model import DemoItem

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoPlayer, DemoUser
    from plex_companion.demo.server_state import ServerState

TICK = 10.0  # seconds between a client's reports
SEEN = 0.9  # from here on a play counts as seen
TELLS_GUID = "Android"  # recorded: these clients fill `guid`, others leave it empty
STORED_FROM = 60_000  # ms; earlier positions are not kept


@dataclass(slots=True)
class DemoTranscode:
    """A running transcode; `id` is the last part of its key."""

    id: str
    video_decision: str = "transcode"
    audio_decision: str = "transcode"
    progress: float = 0.0
    speed: float = 0.0
    throttled: bool = False
    started_at: float = 0.0
    video_codec: str = "h264"
    audio_codec: str = "aac"
    width: int = 1280
    height: int = 720
    hardware: bool = False


@dataclass(slots=True)
class DemoSession:
    """One row of `/status/sessions`. `key` is the counter that restarts with the server, `id` is what terminate wants."""

    key: str
    id: str
    item: DemoItem
    user: DemoUser
    player: DemoPlayer
    state: str = "playing"
    offset: int = 0
    started_at: float = 0.0
    queue_id: int | None = None
    queue_item_id: int | None = None
    transcode: DemoTranscode | None = None
    live: str = ""
    shown: bool = True
    audio_stream: str = ""
    subtitle_stream: str = ""

    @property
    def item_path(self) -> str:
        """The key frames carry: live TV has a path of its own."""
        return f"/livetv/sessions/{self.live}" if self.live else f"/library/metadata/{self.item.key}"

    @property
    def frame_rating_key(self) -> str:
        """The rating key frames carry: live TV reports a guid there."""
        return self.item.guid if self.live else self.item.key

    def build_entry(self, state: str | None = None, *, transcode: bool = True) -> frames.Entry:
        """The PlaySessionStateNotification of this moment; optional fields are absent as in recordings."""
        entry: frames.Entry = {
            "sessionKey": self.key, "clientIdentifier": self.player.client_identifier,
            "guid": self.item.guid if self.live or self.player.platform == TELLS_GUID else "", "ratingKey": self.frame_rating_key, "url": "", "key": self.item_path,
            "viewOffset": self.offset,
        }  # fmt: skip
        if self.queue_id is not None:
            entry |= {"playQueueItemID": self.queue_item_id, "playQueueID": self.queue_id}
        entry["state"] = state or self.state
        if transcode and self.transcode:
            entry["transcodeSession"] = self.transcode.id
        return entry


def build_transcode_entry(house: ServerState, session: DemoSession) -> frames.Entry:
    """The TranscodeSession of a frame: real booleans, a full key, a float time."""
    work, media = session.transcode, session.item.media
    if work is None:
        return {}
    source = media[0] if media else None
    return {
        "key": f"/transcode/sessions/{work.id}", "throttled": work.throttled, "complete": False,
        "progress": -1.0 if session.live else round(work.progress, 2), "size": -22, "speed": work.speed, "error": False,
        "duration": session.item.duration or 7_200_000, "remaining": 600, "context": "streaming",
        "sourceVideoCodec": source.video_codec if source else "", "sourceAudioCodec": source.audio_codec if source else "",
        "videoDecision": work.video_decision, "audioDecision": work.audio_decision, "protocol": "dash", "container": "mp4",
        "videoCodec": work.video_codec, "audioCodec": work.audio_codec, "audioChannels": 2, "width": work.width,
        "height": work.height, "transcodeHwRequested": work.hardware, "transcodeHwFullPipeline": False,
        "timeStamp": work.started_at or house.clock(), "maxOffsetAvailable": session.offset / 1000 + 40.0,
        "minOffsetAvailable": session.offset / 1000,
    }  # fmt: skip


def start(
    house: ServerState,
    item: DemoItem,
    user: DemoUser,
    player: DemoPlayer,
    *,
    offset: int = 0,
    state: str = "playing",
    transcode: bool = False,
    live: str = "",
    announce: bool = True,
) -> DemoSession:
    """Begin to play. The first report carries no transcodeSession yet, the second does; a player's old session is replaced."""
    for old in [s for s in house.sessions.values() if s.player is player]:
        stop(house, old)
    session = DemoSession(
        str(house.next_session), house.new_uuid(), item, user, player, state, offset, house.clock(), live=live
    )
    house.next_session += 1
    house.next_queue_item += 1
    house.next_queue += 1
    if not live:
        session.queue_id, session.queue_item_id = house.next_queue, house.next_queue_item
    house.sessions[session.key] = session
    if announce:
        house.announce(frames.build_playing(session.build_entry()))
    if transcode:
        begin_transcode(house, session, announce=announce)
    return session


def begin_transcode(house: ServerState, session: DemoSession, *, announce: bool = True) -> DemoTranscode:
    """Start to convert for this session."""
    session.transcode = DemoTranscode(
        f"{house.rng.getrandbits(96):024x}", started_at=house.clock(), speed=4.2, progress=0.5
    )
    if announce:
        house.announce(frames.build_transcode("start", build_transcode_entry(house, session)))
        house.announce(frames.build_playing(session.build_entry()))
    return session.transcode


def report(house: ServerState, session: DemoSession, state: str | None = None, offset: int | None = None) -> None:
    """What a client's `/:/timeline` does: remember state and position, announce them."""
    if state is not None:
        session.state = state
    if offset is not None:
        session.offset = offset
    house.announce(frames.build_playing(session.build_entry()))


def move(house: ServerState, session: DemoSession, seconds: float = TICK) -> None:
    """Play on for `seconds` and report once; a transcode reports too."""
    end = session.item.duration or 36_000_000
    offset = min(session.offset + int(seconds * 1000), end)
    report(house, session, offset=offset)
    if session.transcode:
        work = session.transcode
        work.progress = min(100.0, work.progress + seconds / 20)
        work.throttled = work.progress > 50  # noqa: PLR2004  # far enough ahead to rest
        work.speed = 0.0 if work.throttled else 3.4
        house.announce(frames.build_transcode("update", build_transcode_entry(house, session)))


def seek(house: ServerState, session: DemoSession, offset: int) -> None:
    """A seek shows as paused and playing."""
    report(house, session, "paused")
    report(house, session, "playing", offset)


def restart_transcode(house: ServerState, session: DemoSession) -> None:
    """`end` and `start` with the same key in the same second, as after a seek."""
    if session.transcode is None:
        return
    house.announce(frames.build_transcode("end", build_transcode_entry(house, session)))
    session.transcode.progress, session.transcode.speed = 0.0, 0.0
    house.announce(frames.build_transcode("start", build_transcode_entry(house, session)))


def stop(house: ServerState, session: DemoSession, *, announce: bool = True) -> None:
    """End a session: remember the position, count the play if it is near its end."""
    session.state = "stopped"
    house.sessions.pop(session.key, None)
    remember(house, session)
    if announce:
        house.announce(frames.build_playing(session.build_entry()))
        if session.transcode:
            house.announce(frames.build_transcode("end", build_transcode_entry(house, session)))


def remember(house: ServerState, session: DemoSession) -> None:
    """Keep the position, or count the item as seen and write history."""
    if session.item.key not in house.items or session.item.section not in house.sections:
        return
    view, duration = house.get_own_view(session.user, session.item.key), session.item.duration or 0
    if duration and session.offset >= duration * SEEN:
        view.count, view.offset, view.viewed_at = view.count + 1, 0, house.now
        house.add_play(session)
    elif session.offset > STORED_FROM:
        view.offset, view.viewed_at = session.offset, house.now
    house.mark_changed()


def forget(house: ServerState, session: DemoSession) -> None:
    """Drop a session without a word: how a ghost finally leaves `/status/sessions`."""
    house.sessions.pop(session.key, None)


def build_preroll_item(house: ServerState, key: str) -> DemoItem:
    """A clip of section -2, which no library lists."""
    return DemoItem(key, "clip", "-2", "Welcome to the Lighthouse", house.now, house.now, duration=6_000, index=1,
                guid=f"analyzed.prerolls://{house.rng.getrandbits(64):016x}", media=())  # fmt: skip


def build_live_item(house: ServerState, key: str) -> DemoItem:
    """What is on television: an invented programme with an invented guid."""
    return DemoItem(key, "episode", "", "Harbour Weather Live", house.now, house.now, duration=7_200_000, index=105, year=2026,
                guid="tv.demo.guide://episode/EP-DEMO-000105", summary="")  # fmt: skip
