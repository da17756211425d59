"""Converts Plex's XML to models: one tolerant function per kind of element. A missing attribute is `None`, never an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plex_companion.models import (
    KEYLESS,
    Account,
    Activity,
    Client,
    Decision,
    Device,
    HistoryRow,
    Item,
    Player,
    Section,
    ServerIdentity,
    SessionRow,
    SourceFile,
    Transcode,
    User,
)
from plex_companion.parsing.notifications import TranscodeFields, build_transcode, read_leniently
from plex_companion.parsing.values import LARGEST
from plex_companion.plex.xml.attributes import read_flag, read_number, read_performer, read_text, read_year
from plex_companion.text import HIDDEN, clean, mask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

LAST_S = 253_402_300_799
"""The end of the year 9999."""


def parse_session_row(element: Element, *, private: bool) -> SessionRow:
    """Return the session in a `<Video>`, `<Track>` or `<Photo>` of `/status/sessions`."""
    media = _pick_selected(element.findall("Media"))
    part = None if media is None else _pick_selected(media.findall("Part"))
    session = element.find("Session")
    transcode = next(element.iter("TranscodeSession"), None)  # live TV has it inside <Media>, others next to it
    player = element.find("Player")
    running = None if transcode is None else parse_transcode(transcode)
    decision = _choose_decision(running, part)
    return SessionRow(
        session_key=read_text(element, "sessionKey"),
        session_id=read_text(session, "id"),
        item=parse_item(element),
        user=_parse_user(element.find("User"), private=private),
        player=_parse_player(player, private=private),
        state=read_text(player, "state"),
        view_offset_ms=read_number(element, "viewOffset"),
        transcode=running,
        decision=decision,
        bandwidth_kbps=read_number(session, "bandwidth"),
        location=read_text(session, "location"),
        video_resolution=_parse_resolution(media, part),
        bitrate_kbps=read_number(media, "bitrate"),
        media_id=read_text(media, "id"),
        source=None if decision in {None, "direct play"} else _parse_source(media, part, running),
    )


def parse_transcode(element: Element) -> Transcode:
    """Return the transcode session in a `<TranscodeSession>`, of a session or of `/transcode/sessions`."""
    return build_transcode(read_leniently(TranscodeFields, element.attrib))


def parse_item(element: Element) -> Item:
    """Return the item in a row of sessions, of history or of a library."""
    return Item(
        rating_key=read_text(element, "ratingKey"),
        key=read_text(element, "key"),
        guid=read_text(element, "guid"),
        type=read_text(element, "type"),
        title=read_text(element, "title"),
        grandparent_title=read_text(element, "grandparentTitle"),
        parent_title=read_text(element, "parentTitle"),
        index=read_number(element, "index"),
        parent_index=read_number(element, "parentIndex"),
        year=read_year(element),
        library=read_text(element, "librarySectionTitle"),
        library_id=read_text(element, "librarySectionID"),
        duration_ms=read_number(element, "duration"),
        live=read_flag(element, "live") or False,
        grandparent_rating_key=read_text(element, "grandparentRatingKey") or _take_last_part(element, "grandparentKey"),
        grandparent_guid=read_text(element, "grandparentGuid"),
        performer=read_performer(element),
        edition=read_text(element, "editionTitle"),
    )


def parse_activity(element: Element, *, at: int) -> Activity | None:
    """Return the activity in an `<Activity>` of `/activities`, first and last seen `at`; `None` without its uuid."""
    uuid = read_text(element, "uuid")
    if uuid is None:
        return None
    context = element.find("Context")
    return Activity(
        uuid=uuid,
        type=read_text(element, "type"),
        title=read_text(element, "title"),
        subtitle=read_text(element, "subtitle"),
        progress=read_number(element, "progress"),
        cancellable=read_flag(element, "cancellable"),
        user_id=read_text(element, "userID"),
        context={} if context is None else {clean(name): clean(value) for name, value in context.attrib.items()},
        started_at=at,
        updated_at=at,
    )


def parse_section(element: Element, *, count: int | None = None) -> Section | None:
    """Return the library in a `<Directory>` of `/library/sections`; `None` without its key."""
    section_id = read_text(element, "key")
    if section_id is None:
        return None
    paths = (read_text(location, "path") for location in element.findall("Location"))
    return Section(
        section_id=section_id,
        title=read_text(element, "title") or "",
        type=read_text(element, "type") or "",
        uuid=read_text(element, "uuid"),
        agent=read_text(element, "agent"),
        scanner=read_text(element, "scanner"),
        language=read_text(element, "language"),
        count=count,
        refreshing=read_flag(element, "refreshing") or False,
        updated_at=_parse_milliseconds(element, "updatedAt"),
        scanned_at=_parse_milliseconds(element, "scannedAt"),
        content_changed_at=read_number(element, "contentChangedAt"),
        locations=tuple(path for path in paths if path),
    )


def parse_total(element: Element | None) -> int | None:
    """Return the number of rows of the full list: `totalSize`, else `size`."""
    total = parse_full_total(element)
    return read_number(element, "size") if total is None else total


def parse_size(element: Element) -> int | None:
    """Return how many rows a container says it holds; all recorded ones hold as many (PLEX.md 2.3)."""
    return read_number(element, "size")


def parse_full_total(element: Element | None) -> int | None:
    """Return `totalSize`. Some versions of Plex leave it out, and then `size` is only that of the page."""
    return read_number(element, "totalSize")


def parse_account(element: Element, *, private: bool) -> Account | None:
    """Return the account in an `<Account>` of `/accounts`; `None` without its id. Account 0 stands for everybody and has no name."""
    account_id = read_text(element, "id")
    return None if account_id is None else Account(account_id, _parse_masked(element, "name", private=private))


def parse_device(element: Element, *, private: bool) -> Device | None:
    """Return the device in a `<Device>` of `/devices`; `None` without its id."""
    if (device_id := read_text(element, "id")) is None:
        return None
    name = _parse_masked(element, "name", private=private)
    return Device(device_id, name, read_text(element, "platform"), read_text(element, "clientIdentifier"))


def parse_history_row(element: Element) -> HistoryRow | None:
    """Return a row of `/status/sessions/history/all`; `None` without the time when it was seen.

    A row without a key gets one of its facts, which only an exact duplicate shares.
    """
    viewed_at = read_number(element, "viewedAt")
    if viewed_at is None or not 0 <= viewed_at <= LAST_S:
        return None
    what, account_id, device_id = (
        parse_item(element),
        read_text(element, "accountID"),
        read_text(element, "deviceID"),
    )
    facts = (str(viewed_at), account_id, device_id, what.rating_key or what.title)
    key = read_text(element, "historyKey") or KEYLESS + "/".join(fact or "" for fact in facts)
    return HistoryRow(key, viewed_at, what, account_id, device_id)


def parse_client(element: Element, *, private: bool, at: int) -> Client | None:
    """Return the player in a `<Server>` of `/clients`, as Plex calls players there; `None` without its identifier."""
    identifier = read_text(element, "machineIdentifier")
    if identifier is None:
        return None
    address = read_text(element, "address") or read_text(element, "host")
    return Client(
        client_identifier=identifier,
        title=_parse_masked(element, "name", private=private),
        product=read_text(element, "product"),
        platform=read_text(element, "platform"),
        device=read_text(element, "deviceClass"),
        version=read_text(element, "version"),
        address=HIDDEN if address and private else address,
        provides=read_text(element, "protocolCapabilities"),
        first_seen_at=at,
        last_seen_at=at,
    )


def parse_server_identity(element: Element | None) -> ServerIdentity | None:
    """Return the server in the `<MediaContainer>` of `/` or `/identity`; `None` without its identifier."""
    identifier = read_text(element, "machineIdentifier")
    if identifier is None:
        return None
    return ServerIdentity(
        machine_identifier=identifier,
        name=read_text(element, "friendlyName"),
        version=read_text(element, "version"),
        platform=read_text(element, "platform"),
        platform_version=read_text(element, "platformVersion"),
    )


def _parse_user(element: Element | None, *, private: bool) -> User | None:
    return None if element is None else User(read_text(element, "id"), _parse_masked(element, "title", private=private))


def _parse_player(element: Element | None, *, private: bool) -> Player | None:
    if element is None:
        return None
    address = read_text(element, "address")
    return Player(
        client_identifier=read_text(element, "machineIdentifier"),
        title=_parse_masked(element, "title", private=private),
        product=read_text(element, "product"),
        platform=read_text(element, "platform"),
        device=read_text(element, "device"),
        version=read_text(element, "version"),
        address=HIDDEN if address and private else address,
        local=read_flag(element, "local"),
    )


def _choose_decision(transcode: Transcode | None, part: Element | None) -> Decision | None:
    """Return how the item reaches the player. Without a transcode session, its part decides, then the streams of the part."""
    if transcode is not None:
        return transcode.decision
    if part is None:
        return None
    if read_text(part, "decision") in {None, "directplay"}:
        return "direct play"
    converts = {read_text(stream, "decision") for stream in part.findall("Stream")} & {"transcode", "burn"}
    return "transcode" if converts else "direct stream"


def _parse_resolution(media: Element | None, part: Element | None) -> str | None:
    """Return the resolution of the file. During a transcode `<Media>` describes the result, and the title of the video stream
    the source.
    """
    plain = read_text(media, "videoResolution")
    streams = [] if part is None else part.findall("Stream")
    video = next((stream for stream in streams if read_text(stream, "streamType") == "1"), None)
    named = (read_text(video, "displayTitle") or "").split(" ")[0].lower()
    if named in {"sd", "4k", "8k"} or named.rstrip("pi").isdecimal():
        plain = named
    return plain.lower().rstrip("pi") if plain else None


_LAYOUTS = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}
_HDR = re.compile(r"\b(HDR|HDR10\+?|DoVi|HLG)\b")


def _parse_source(media: Element | None, part: Element | None, transcode: Transcode | None) -> SourceFile:
    """Return the file of a session, as its streams describe it, while something else is delivered.

    The transcode session names the codecs of the source, and the titles of the streams remain those of the file:
    `4K HDR10 (HEVC Main 10)`, `English (DTS 5.1)`.
    """
    video, audio = (_read_stream_title(part, kind) for kind in ("1", "2"))
    layout = audio.rstrip(")").rpartition(" ")[2].lower()
    return SourceFile(
        resolution=_parse_resolution(media, part),
        hdr=True if _HDR.search(video) else None,
        video_codec=transcode.source_video_codec if transcode else None,
        audio_codec=transcode.source_audio_codec if transcode else None,
        channels=_LAYOUTS.get(layout),
    )


def _read_stream_title(part: Element | None, kind: str) -> str:
    streams = (
        [] if part is None else [stream for stream in part.findall("Stream") if read_text(stream, "streamType") == kind]
    )
    return read_text(_pick_selected(streams), "displayTitle") or ""


def _pick_selected(elements: Iterable[Element]) -> Element | None:
    """Return the element that plays, of several versions; the first if none is marked."""
    candidates = list(elements)
    return next((one for one in candidates if read_flag(one, "selected")), candidates[0] if candidates else None)


def _parse_masked(element: Element, name: str, *, private: bool) -> str | None:
    value = read_text(element, name)
    return mask(value) if value and private else value


def _take_last_part(element: Element, name: str) -> str | None:
    """Return the id at the end of a path, as of `/library/metadata/12`."""
    return (read_text(element, name) or "").rpartition("/")[2] or None


def _parse_milliseconds(element: Element, name: str) -> int | None:
    """Return a time in milliseconds; Plex writes seconds."""
    seconds = read_number(element, name)
    return None if seconds is None or abs(seconds) > LARGEST // 1000 else seconds * 1000
