"""Pictures from a file or an address, as bytes for Plex, Plex's artwork saved as a file, and posters of items.

Files are read and written only below the configured folder, after resolving links. Plex never gets an address to fetch:
it would do so from its own place in the network, and follow redirects.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plex_companion.errors import Conflict, Invalid, NotFound, PathNotAllowed, TooLarge
from plex_companion.plex.query import build_path, download, get
from plex_companion.private_files import make_folder
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.image_fetch import FetchPolicy
    from plex_companion.settings import Settings

LARGEST = 16 * 1024 * 1024
"""Bytes of a picture, from a file or an address."""
POSTER_WIDTH, POSTER_HEIGHT = 360, 540
LARGEST_POSTER = 1024 * 1024
"""The most bytes of a poster."""
LONGEST_NAME = 120
SAME_NAMES = 99
_WORDS = "PNG, JPEG, WebP or GIF"
EXTENSIONS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}
_OF_LIBRARY = re.compile(r"/library/(metadata|collections)/\d+/[\w/.-]+", re.ASCII)
_POSTER_ATTRIBUTES = {
    "episode": ("grandparentThumb", "parentThumb", "thumb"),
    "season": ("thumb", "parentThumb"),
    "track": ("parentThumb", "grandparentThumb", "thumb"),
}
"""The attributes that may hold an item's poster, best first: an episode's own `thumb` is a scene, not a poster."""
_UNFIT = re.compile(r'[<>:"/\\|?*\s]+')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose type was detected from its content."""

    body: bytes
    mime: str
    source: Literal["file", "url"]


def check_one_source(filepath: str | None, url: str | None, names: tuple[str, str] = ("filepath", "url")) -> None:
    """Check that exactly one of the two is given.

    Raises:
        Invalid: neither or both.
    """
    given = [name for name, value in zip(names, (filepath, url), strict=True) if value is not None]
    if len(given) != 1:
        found = "both were given" if given else "neither was"
        raise Invalid(f"Give either {names[0]} or {names[1]}; {found}.", argument=given[0] if given else names[0])


def load_picture(
    settings: Settings,
    *,
    filepath: str | None = None,
    url: str | None = None,
    names: tuple[str, str] = ("filepath", "url"),
    policy: FetchPolicy | None = None,
) -> Picture:
    """Return the picture of a file below the media folder, or of an address. Call it from a plain tool: it may take seconds.

    Args:
        settings: the media folder, and whether private addresses are allowed.
        filepath: absolute, or relative to the media folder.
        url: http or https.
        names: what the tool calls the two, for its errors.
        policy: the addresses that are allowed, and how names are resolved; by default that of the settings.

    Raises:
        Invalid: neither or both are given, it is no picture, or the address cannot be fetched.
        PathNotAllowed: outside the folder, no folder is configured, or the address is not allowed.
        NotFound: no such file.
        TooLarge: over `LARGEST` bytes.
        TimedOut: the address took too long.
    """
    check_one_source(filepath, url, names)
    if filepath is not None:
        body = _read(resolve_inside(settings, filepath, names[0]), names[0], find_media_folder(settings))
        return Picture(body, detect_mime(body, names[0]), "file")
    from plex_companion.plex.image_fetch import FetchPolicy, fetch_image  # noqa: PLC0415 - urllib3 takes long to import

    allowed = policy or FetchPolicy.create(own_network=settings.allow_private_image_urls)
    body = fetch_image(str(url), allowed, most=LARGEST, argument=names[1])
    return Picture(body, detect_mime(body, names[1]), "url")


def detect_mime(body: bytes, argument: str = "filepath") -> str:
    """Return the type of a picture by its first bytes. Names and headers are not trusted.

    Raises:
        Invalid: none of the four kinds that Plex takes.
    """
    found = find_mime(body)
    if found is None:
        raise Invalid(f"{argument} holds no picture: its content is not {_WORDS}.", argument=argument)
    return found


def find_mime(body: bytes) -> str | None:
    """Return the type of a picture by its first bytes, or `None`."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if body.startswith((b"GIF87a", b"GIF89a")) else None


def find_media_folder(settings: Settings) -> Path:
    """Return the media folder, with its links resolved.

    Raises:
        PathNotAllowed: none is configured, or it does not exist.
    """
    if settings.media_folder is None:
        message = "No folder is open to file paths. Set PLEX_COMPANION_MEDIA_FOLDER to one, or use another way."
        raise PathNotAllowed(message)
    folder = Path(os.path.realpath(settings.media_folder.expanduser()))
    if not folder.is_dir():
        raise PathNotAllowed("The folder of PLEX_COMPANION_MEDIA_FOLDER does not exist, so no file path can be used.")
    return folder


def resolve_inside(settings: Settings, path: str, argument: str) -> Path:
    """Return the path with its links resolved, if it is below the folder.

    Every path outside gets the same error, so it does not reveal what exists elsewhere.

    Raises:
        Invalid: it is not a path.
        PathNotAllowed: outside the folder, or no folder is configured.
    """
    folder = find_media_folder(settings)
    if not path.strip() or not path.isprintable():
        raise Invalid(f"{argument} is not a path.", argument=argument)
    resolved = Path(os.path.realpath(folder / path))
    if not resolved.is_relative_to(folder):
        message = (
            f"{argument} '{path}' leads outside the folder that is open to file paths. "
            "Put the file below PLEX_COMPANION_MEDIA_FOLDER and name it relative to that folder."
        )
        raise PathNotAllowed(message)
    return resolved


def _read(path: Path, argument: str, folder: Path) -> bytes:
    try:
        with open(path, "rb", opener=_open_carefully) as file:
            facts = os.fstat(file.fileno())
            regular = stat.S_ISREG(facts.st_mode)
            foreign = facts.st_nlink > 1 and _belongs_to_other_user(path, folder)
            body = file.read(LARGEST + 1) if regular and not foreign and facts.st_size <= LARGEST else b""
    except OSError as error:
        message = f"{argument} '{path.name}' cannot be read: {error.strerror}. Check the name and its permissions."
        raise NotFound(message, what="file") from None
    if not regular:
        raise Invalid(f"{argument} '{path.name}' is not a file.", argument=argument)
    if foreign:
        message = (
            f"{argument} '{path.name}' is a hard link in a folder that belongs to another user, and may be a file from "
            "elsewhere. Put a copy there."
        )
        raise PathNotAllowed(message)
    if facts.st_size > LARGEST or len(body) > LARGEST:
        raise TooLarge(f"'{path.name}' is larger than {LARGEST >> 20} MiB.", limit_bytes=LARGEST)
    return body


def _belongs_to_other_user(path: Path, folder: Path) -> bool:
    """Return whether another user owns a folder on the path: that user can put hard links to our files there."""
    folders = [one for one in path.parents if one.is_relative_to(folder)]
    return hasattr(os, "geteuid") and any(one.stat().st_uid != os.geteuid() for one in folders)


def _open_carefully(path: str, flags: int) -> int:
    """Open without following a link that was put there meanwhile, and without waiting for the writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def save_picture(settings: Settings, body: bytes, *, folder: str, name: str) -> Path:
    """Save a picture below the media folder, under a cleaned name. An existing file is never overwritten.

    Args:
        settings: the media folder.
        body: the picture.
        folder: absolute or relative to the media folder; created if it is missing.
        name: the name of the file, without extension; parts that could lead elsewhere are removed.

    Raises:
        PathNotAllowed: outside the folder, or it cannot be written.
        Conflict: `SAME_NAMES` files of that name exist.
    """
    place = resolve_inside(settings, folder, "output_dir")
    try:
        make_folder(place, 0o755)
        return _write(place, clean_name(name), EXTENSIONS[detect_mime(body, "artwork")], body)
    except OSError as error:
        raise PathNotAllowed(f"Nothing can be written in output_dir: {error.strerror}.") from None


def _write(folder: Path, stem: str, extension: str, body: bytes) -> Path:
    for candidate in _list_names(stem, extension):
        try:
            with (folder / candidate).open("xb") as file:  # also refuses an existing link
                file.write(body)
        except FileExistsError:
            continue
        return folder / candidate
    raise Conflict(f"output_dir holds {SAME_NAMES} files called '{stem}'. Tidy up, or name another folder.")


def _list_names(stem: str, extension: str) -> Iterator[str]:
    yield f"{stem}{extension}"
    yield from (f"{stem}-{number}{extension}" for number in range(2, SAME_NAMES + 1))


def clean_name(name: str) -> str:
    """Return a file name that is valid on every system: no separators, no leading dot, no device of Windows, at most 120 bytes."""
    harmless = _UNFIT.sub("_", clean(name)).strip("._ ")
    short = harmless.encode()[:LONGEST_NAME].decode(errors="ignore").rstrip("._ ")
    return f"_{short}" if _DEVICES.match(short) else short or "picture"


def fetch_poster(plex: PlexServer, key: str) -> bytes | None:
    """Fetch the poster of an item, resized by Plex; `None` if it has none. Takes two requests.

    Raises:
        TooLarge: the picture has more than `LARGEST_POSTER` bytes.
        ToolError: Plex has no such item, or its answer is unusable.
    """
    row = next(iter(get(plex, f"/library/metadata/{key}")), None)
    path = None if row is None else find_poster_path(row)
    if path is None:
        return None
    parameters = {
        "url": path,
        "width": POSTER_WIDTH,
        "height": POSTER_HEIGHT,
        "minSize": 1,
        "upscale": 0,
        "format": "jpeg",
    }
    return download(plex, build_path("/photo/:/transcode", parameters), LARGEST_POSTER)


def find_poster_path(row: Element) -> str | None:
    """Return the path of an item's poster in Plex's own library; `None` for any other address."""
    names = _POSTER_ATTRIBUTES.get(row.get("type", ""), ("thumb",))
    paths = (row.get(name, "") for name in names)
    return next((path for path in paths if _OF_LIBRARY.fullmatch(path) and ".." not in path), None)
