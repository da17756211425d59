"""Why a play buffered or failed: the first cause that the facts support, with the evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plex_companion.streams.names import format_bandwidth
from plex_companion.streams.reasons import REMOTE
from plex_companion.text import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.models import Transcode

DiagnosedCause = Literal["transcoder_slow", "network", "player", "disk", "server_busy", "unknown"]
BUSY_PERCENT = 90.0
MANY_TRANSCODES = 2
"""So many other transcodes explain that one is slow."""
HIGH_KBPS = 20_000
"""A stream of more is too much for many home networks without wires."""
_DISK = re.compile(
    r"no space left|input/output error|\bi/o error|read-only file system|disk (?:is )?full", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact and when it was so."""

    kind: str
    text: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class PlayFacts:
    """What is known of a play and of the time around its first trouble. Loads are in percent."""

    decision: str | None
    transcode: Transcode | None
    location: str | None
    bitrate_kbps: int | None
    buffered_at: tuple[int, ...] = ()
    failed_at: tuple[int, ...] = ()
    slow_speed: float | None = None
    """The speed of the transcoder when it was slow for long, if it ever was."""
    slow_at: int | None = None
    other_streams: int = 0
    other_transcodes: int = 0
    others_buffered: int = 0
    cpu: float | None = None
    plex_cpu: float | None = None
    log_lines: tuple[str, ...] = ()

    @property
    def in_trouble(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.buffered_at or self.failed_at or self.slow_at is not None or self.is_slow)

    @property
    def is_slow(self) -> bool:
        """Whether the transcoder is slow as last reported. A throttled one is far enough ahead."""
        return self.transcode is not None and self.transcode.is_slow

    @property
    def is_busy(self) -> bool:
        """Whether other work takes the server's processor."""
        others = self.cpu is not None and self.plex_cpu is not None and self.plex_cpu < self.cpu / 2
        return self.other_transcodes >= MANY_TRANSCODES or (others and (self.cpu or 0) >= BUSY_PERCENT)


def find_cause(facts: PlayFacts) -> DiagnosedCause:
    """Return the first cause that the facts support, in the order in which a stream is made and sent."""
    if not facts.in_trouble:
        return "unknown"
    if any(_DISK.search(line) for line in facts.log_lines):
        return "disk"
    if facts.slow_at is not None or facts.is_slow:
        return "server_busy" if facts.is_busy else "transcoder_slow"
    return "player" if facts.failed_at and not facts.buffered_at else _find_cause_of_delivery(facts)


def _find_cause_of_delivery(facts: PlayFacts) -> DiagnosedCause:
    """Return the cause of buffering that the transcoder did not make."""
    if facts.location in REMOTE:
        return "network"
    if facts.others_buffered:
        return "server_busy" if facts.is_busy or (facts.cpu or 0) >= BUSY_PERCENT else "disk"
    return "network" if (facts.bitrate_kbps or 0) >= HIGH_KBPS else "unknown"


def list_evidence(facts: PlayFacts) -> list[Evidence]:
    """Return the facts that count, in the order in which they are weighed."""
    return [*_describe_trouble(facts), *_describe_transcoder(facts), *_describe_surroundings(facts)]


def _describe_trouble(facts: PlayFacts) -> Iterator[Evidence]:
    if facts.buffered_at:
        yield Evidence(
            "buffering", f"It buffered {format_count(len(facts.buffered_at), 'time')}.", facts.buffered_at[0]
        )
    if facts.failed_at:
        yield Evidence("error", "The player reported an error. Plex gives no reason.", facts.failed_at[0])
    if not facts.in_trouble:
        yield Evidence("nothing", "No buffering, no error and no slow transcoder was recorded.")


def _describe_transcoder(facts: PlayFacts) -> Iterator[Evidence]:
    transcode = facts.transcode
    if facts.slow_at is not None:
        yield Evidence(
            "transcoder", f"The transcoder ran at {facts.slow_speed or 0:.1f}x, slower than playback.", facts.slow_at
        )
    elif transcode is None or facts.decision == "direct play":
        yield Evidence(
            "transcoder", "Nothing was transcoded." if facts.decision else "How it was delivered is not known."
        )
    elif transcode.throttled:
        yield Evidence("transcoder", "The transcoder was throttled: it was far enough ahead, so it was not the cause.")
    elif transcode.speed is not None:
        slow = ", slower than playback" if transcode.is_slow else ""
        yield Evidence("transcoder", f"The transcoder last ran at {transcode.speed:.1f}x{slow}.")
    if transcode is not None and transcode.error:
        yield Evidence("transcoder", "The transcoder reported an error.")


def _describe_surroundings(facts: PlayFacts) -> Iterator[Evidence]:
    rate = format_bandwidth(facts.bitrate_kbps)
    needs = f" The stream needs about {rate}." if rate else ""
    if facts.location in REMOTE:
        yield Evidence("network", f"It was played over the internet.{needs}")
    elif facts.location:
        yield Evidence("network", f"It was played at home.{needs}")
    yield Evidence("streams", f"Beside it ran {format_count(facts.other_streams, 'other stream')}, "
                              f"{facts.other_transcodes} of them transcoded and {facts.others_buffered} buffering.")  # fmt: skip
    if facts.cpu is not None:
        yield Evidence(
            "load", f"The server's processor was at {facts.cpu:.0f} %, Plex took {facts.plex_cpu or 0:.0f} %."
        )
    for line in facts.log_lines:
        yield Evidence("log", line)


SENTENCES: dict[DiagnosedCause, str] = {
    "transcoder_slow": "The transcoder could not keep up: play the original quality, a smaller file, or allow hardware transcoding.",
    "network": "The way to the player was probably too slow: lower the quality there, or use a wired connection.",
    "player": "The player could not play it.",
    "disk": "The server could not read or write fast enough.",
    "server_busy": "The server was busy with other work at that time.",
    "unknown": "The recorded facts name no cause.",
}
