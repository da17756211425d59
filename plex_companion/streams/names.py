"""Names that people use for codecs, resolutions and bandwidths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.text import clean

if TYPE_CHECKING:
    from plex_companion.models import Transcode

_CODECS = {"h264": "H.264", "hevc": "HEVC", "mpeg2video": "MPEG-2", "mpeg4": "MPEG-4", "eac3": "E-AC-3", "ac3": "AC-3"}
_CODECS |= {"dca": "DTS", "vc1": "VC-1", "truehd": "TrueHD", "opus": "Opus", "vorbis": "Vorbis"}
_CLASSES = {"sd": "SD", "4k": "4K", "8k": "8K"}
_LINES = ((2160, "4k"), (1440, "1440"), (1080, "1080"), (720, "720"), (480, "480"))


def format_codec(name: str | None) -> str:
    """Return the usual name of a codec: `H.264`, `DTS`."""
    return clean(_CODECS.get(name.lower(), name.upper())) if name else "another codec"


def format_resolution(named: str | None) -> str:
    """Format Plex's `4k` and `1080` as `4K` and `1080p`."""
    if not named:
        return ""
    return _CLASSES.get(named, f"{named}p" if named.isdecimal() else clean(named))


def find_resolution(transcode: Transcode) -> str | None:
    """Return the resolution of a transcoder's output as Plex names it. A wide film has few lines: its width counts too."""
    lines = max(transcode.height or 0, round((transcode.width or 0) * 9 / 16))
    return next((name for least, name in _LINES if lines >= least - 8), str(lines) if lines else None)


def format_bandwidth(kbps: int | None) -> str:
    """Format a bandwidth as `8.1 Mbit/s` or `320 kbit/s`."""
    if not kbps:
        return ""
    return f"{kbps / 1000:.1f} Mbit/s" if kbps >= 1000 else f"{kbps} kbit/s"  # noqa: PLR2004 - kilo
