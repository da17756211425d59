"""Posters, backgrounds and logos of an item: listing, fetching and replacing them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.errors import Invalid, NotConfirmed, NotFound, NotSupported, Partial, TooLarge
from plex_companion.models import TYPE_NUMBERS
from plex_companion.plex import pictures
from plex_companion.plex.lookup import find_by_id
from plex_companion.plex.pictures import EXTENSIONS, clean_name, find_mime, save_picture
from plex_companion.plex.query import build_path, download, get_or_none, send
from plex_companion.plex.steps import run_steps
from plex_companion.plex.xml.attributes import parse_identifier, read_flag, read_kind, read_link, read_text
from plex_companion.text import hide_keys
from plex_companion.tools.arguments import choose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.pictures import Picture
    from plex_companion.settings import Settings

Output = Literal["base64", "url", "file_path", "image"]
OUTPUTS: tuple[Output, ...] = ("base64", "url", "file_path", "image")
LARGEST = 256 * 1024
"""The maximum size in bytes of a picture inside an answer."""
WIDEST = 2000


@dataclass(frozen=True, slots=True)
class PictureKind:
    """A kind of picture: the path of its versions, the item's attribute, the lock, and the format to request."""

    listed: str
    field: str
    format: str


POSTER, ART, LOGO = (
    PictureKind("posters", "thumb", "jpeg"),
    PictureKind("arts", "art", "jpeg"),
    PictureKind("clearLogos", "clearLogo", "png"),
)
KINDS = {
    "poster": POSTER,
    "thumbnail": POSTER,
    "thumb": POSTER,
    "background": ART,
    "art": ART,
    "logo": LOGO,
}
SETTABLE = ("poster", "background", "art", "logo")
SHOWABLE = (*KINDS, "banner")
ILLUSTRATED = ("movie", "show", "season", "episode", "artist", "album")


class ArtworkResult(dict[str, Any]):
    """The answer by kind of picture, and the pictures themselves for clients that show them."""

    def __init__(self, entries: dict[str, Any], images: tuple[tuple[str, bytes], ...] = ()) -> None:
        super().__init__(entries)
        self._images = images

    def as_images(self) -> tuple[tuple[str, bytes], ...]:
        """Return the MIME type and bytes of each picture."""
        return self._images


def find_kind(art_type: str, argument: str = "art_type") -> PictureKind:
    """Return the kind of picture with that name.

    Raises:
        Invalid: there is no such kind.
    """
    name = art_type.strip().lower()
    if name not in SETTABLE:
        message = f"{argument} '{art_type}' is not known. Use one of {', '.join(SETTABLE)}."
        raise Invalid(message, argument=argument, allowed=list(SETTABLE))
    return KINDS[name]


def check_types(image_types: Sequence[str]) -> list[str]:
    """Return the requested types, each once.

    Raises:
        Invalid: the list is empty, or a type is unknown.
    """
    names = list(dict.fromkeys(name.strip().lower() for name in image_types))
    if not names or not set(names) <= set(SHOWABLE):
        message = f"image_types must be among {', '.join(SHOWABLE)}; got {', '.join(names) or 'none'}."
        raise Invalid(message, argument="image_types", allowed=list(SHOWABLE))
    return names


def check_output(output_format: str) -> Output:
    """Return the output format with that name.

    Raises:
        Invalid: there is no such format.
    """
    for known in OUTPUTS:
        if known == choose(output_format, OUTPUTS):
            return known
    message = f"output_format must be one of {', '.join(OUTPUTS)}; got '{output_format}'."
    raise Invalid(message, argument="output_format", allowed=list(OUTPUTS))


# -- available versions


def list_versions(plex: PlexServer, row: Element, of: PictureKind) -> list[Element]:
    """Return all versions that Plex offers. One request."""
    found = get_or_none(plex, f"/library/metadata/{row.get('ratingKey')}/{of.listed}")
    return [] if found is None else [child for child in found if child.get("ratingKey") or child.get("key")]


def describe_version(index: int, row: Element) -> dict[str, Any]:
    """Describe one version, without keys of other services that its URL may contain."""
    return {
        "index": index,
        "provider": read_text(row, "provider"),
        "url": read_link(row, "key"),
        "selected": read_flag(row, "selected") or False,
        "rating_key": read_link(row, "ratingKey"),
    }


# -- fetching pictures


@dataclass(frozen=True, slots=True)
class ArtworkOptions:
    """The form in which pictures are wanted."""

    output: Output
    folder: str
    width: int
    settings: Settings

    @property
    def most(self) -> int:
        """The maximum size in bytes of one picture; an answer allows less than a file."""
        return pictures.LARGEST if self.output == "file_path" else LARGEST


def fetch_artwork(plex: PlexServer, row: Element, types: Sequence[str], options: ArtworkOptions) -> ArtworkResult:
    """Return the pictures of these types. Each costs at most two requests, and a failure affects only that picture."""
    entries, images = dict[str, Any](), list[tuple[str, bytes]]()
    for name in types:
        address = _find_address(row, name)
        entries[name] = (
            {"error": f"'{read_text(row, 'title')}' has no {name}."}
            if address is None
            else _add_picture(plex, row, name, address, options, images)
        )
    return ArtworkResult(entries, tuple(images))


def _find_address(row: Element, name: str) -> str | None:
    """Return the picture's path on Plex, without a token."""
    if name == "banner":
        return read_text(row, "banner")  # newer servers omit it
    if KINDS[name] is LOGO:
        logos = [image for image in row.iter("Image") if image.get("type") == "clearLogo"]
        return read_text(logos[0], "url") if logos else None
    return read_text(row, KINDS[name].field)


def _add_picture(
    plex: PlexServer, row: Element, name: str, address: str, options: ArtworkOptions, images: list[tuple[str, bytes]]
) -> dict[str, Any]:
    of = KINDS.get(name)
    entries = {
        "type": name,
        "versions_available": len(list_versions(plex, row, of)) if of else 1,
        "rating_key": parse_identifier(row.get("ratingKey")),
    }
    stem = clean_name(f"{read_text(row, 'title')}_{name}")
    if options.output == "url":
        return {"filename": f"{stem}.jpg", **entries, "url": hide_keys(address)}
    body = _fetch_picture(plex, address, of.format if of else "jpeg", options)
    if isinstance(body, str):
        return {"error": body}
    mime = find_mime(body)
    if mime is None:
        return {"error": f"Plex's {name} is not an image."}
    entries |= {"filename": f"{stem}{EXTENSIONS[mime]}", "mime": mime}
    return entries | _build_entry(body, mime, stem, options, images)


def _fetch_picture(plex: PlexServer, address: str, form: str, options: ArtworkOptions) -> bytes | str:
    """Return the picture, scaled down to the maximum width, or why there is none. One request."""
    path = build_path(
        "/photo/:/transcode",
        {
            "url": address,
            "width": options.width,
            "height": 2 * options.width,
            "minSize": 0,
            "upscale": 0,
            "format": form,
        },
    )
    try:
        return download(plex, path, options.most)
    except NotFound:
        return "Plex lists an image but does not have it. Refreshing the item may help."
    except TooLarge:
        return f"The image is larger than {options.most >> 10} KiB: use a smaller max_width than {options.width}."


def _build_entry(
    body: bytes, mime: str, stem: str, options: ArtworkOptions, images: list[tuple[str, bytes]]
) -> dict[str, Any]:
    match options.output:
        case "image":
            images.append((mime, body))
            return {}
        case "file_path":
            kept: Path = save_picture(options.settings, body, folder=options.folder, name=stem)
            return {"filename": kept.name, "path": str(kept)}
        case _:
            return {"base64": base64.b64encode(body).decode()}


# -- setting a picture


def check_settable(row: Element, art_type: str) -> None:
    """Check that this kind of item has pictures of its own.

    Raises:
        NotSupported: a track shows its album's picture, and photos and clips are their own.
    """
    if read_kind(row) not in ILLUSTRATED:
        message = f"A {read_kind(row)} has no {art_type} of its own ('{read_text(row, 'title')}'): for a track, use its album."
        raise NotSupported(message, reason="item type")


def upload_and_check(plex: PlexServer, row: Element, of: PictureKind, picture: Picture, *, lock: bool) -> None:
    """Upload a picture, lock it if requested, and verify both. At most four requests.

    Raises:
        NotConfirmed: Plex accepted the picture but shows another.
        Partial: the picture is set but not locked.
    """
    key = row.get("ratingKey")
    place = f"/library/sections/{row.get('librarySectionID')}/all"
    number = TYPE_NUMBERS[read_kind(row) or ""]
    steps: list[Any] = [
        (of.listed, lambda: send(plex, "POST", f"/library/metadata/{key}/{of.listed}", body=picture.body))
    ]
    if lock:
        fields: dict[str, Any] = {f"{of.field}.locked": 1}
        steps.append(("lock", lambda: send(plex, "PUT", place, type=number, id=key, **fields)))
    run_steps(plex, steps)
    _check_shown(plex, row, of)
    if lock:
        _check_locked(find_by_id(plex, key or ""), of)


def _check_shown(plex: PlexServer, row: Element, of: PictureKind) -> None:
    chosen = [one.get("ratingKey", "") for one in list_versions(plex, row, of) if read_flag(one, "selected")]
    if not any(name.startswith("upload://") for name in chosen):
        message = f"Plex accepted the image, but '{read_text(row, 'title')}' shows another. Try again in a moment."
        raise NotConfirmed(message, requested="upload", found=[hide_keys(name) for name in chosen])


def _check_locked(row: Element, of: PictureKind) -> None:
    if not any(field.get("name") == of.field and read_flag(field, "locked") for field in row.iter("Field")):
        message = f"The picture of '{read_text(row, 'title')}' is set, but Plex did not lock it."
        raise Partial(message, applied=[of.listed], failed=["lock"])
