"""What Plex's XML means: one tolerant function per kind of element. A missing attribute is `None`, never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.events import transcode_of
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
    Transcode,
    User,
)
from plex_companion.text import HIDDEN, clean, mask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

LAST_S = 253_402_300_799
"""The end of the year 9999."""
_LARGE = 2**62
"""SQLite's integers end at 2**63."""


def session_row(element: Element, *, private: bool) -> SessionRow:
    """A `<Video>`, `<Track>` or `<Photo>` of `/status/sessions`."""
    media = _selected(element.findall("Media"))
    part = None if media is None else _selected(media.findall("Part"))
    session = element.find("Session")
    job = next(element.iter("TranscodeSession"), None)  # live TV has it below <Media>, others beside it
    row_player = element.find("Player")
    running = None if job is None else transcode(job)
    return SessionRow(
        session_key=_text(element, "sessionKey"),
        session_id=_text(session, "id"),
        item=item(element),
        user=_user(element.find("User"), private=private),
        player=_player(row_player, private=private),
        state=_text(row_player, "state"),
        view_offset_ms=_int(element, "viewOffset"),
        transcode=running,
        decision=_decision(running, part),
        bandwidth_kbps=_int(session, "bandwidth"),
        location=_text(session, "location"),
        video_resolution=_resolution(media, part),
        bitrate_kbps=_int(media, "bitrate"),
    )


def transcode(element: Element) -> Transcode:
    """A `<TranscodeSession>`, of a session or of `/transcode/sessions`."""
    return transcode_of(element.attrib)


def item(element: Element) -> Item:
    """What a row of sessions, of history or of a library is about."""
    return Item(
        rating_key=_text(element, "ratingKey"),
        key=_text(element, "key"),
        guid=_text(element, "guid"),
        type=_text(element, "type"),
        title=_text(element, "title"),
        grandparent_title=_text(element, "grandparentTitle"),
        parent_title=_text(element, "parentTitle"),
        index=_int(element, "index"),
        parent_index=_int(element, "parentIndex"),
        year=_year(element),
        library=_text(element, "librarySectionTitle"),
        library_id=_text(element, "librarySectionID"),
        duration_ms=_int(element, "duration"),
        live=_bool(element, "live") or False,
        grandparent_rating_key=_text(element, "grandparentRatingKey") or _last_part(element, "grandparentKey"),
        grandparent_guid=_text(element, "grandparentGuid"),
        performer=_text(element, "originalTitle") if element.get("type") == "track" else None,
        edition=_text(element, "editionTitle"),
    )


def activity(element: Element, *, at: int) -> Activity | None:
    """An `<Activity>` of `/activities`, first and last seen `at`; `None` without its uuid."""
    uuid = _text(element, "uuid")
    if uuid is None:
        return None
    context = element.find("Context")
    return Activity(
        uuid=uuid,
        type=_text(element, "type"),
        title=_text(element, "title"),
        subtitle=_text(element, "subtitle"),
        progress=_int(element, "progress"),
        cancellable=_bool(element, "cancellable"),
        user_id=_text(element, "userID"),
        context={} if context is None else {clean(name): clean(value) for name, value in context.attrib.items()},
        started_at=at,
        updated_at=at,
    )


def section(element: Element, *, count: int | None = None) -> Section | None:
    """A `<Directory>` of `/library/sections`; `None` without its key."""
    section_id = _text(element, "key")
    if section_id is None:
        return None
    paths = (_text(location, "path") for location in element.findall("Location"))
    return Section(
        section_id=section_id,
        title=_text(element, "title") or "",
        type=_text(element, "type") or "",
        uuid=_text(element, "uuid"),
        agent=_text(element, "agent"),
        scanner=_text(element, "scanner"),
        language=_text(element, "language"),
        count=count,
        refreshing=_bool(element, "refreshing") or False,
        updated_at=_milliseconds(element, "updatedAt"),
        scanned_at=_milliseconds(element, "scannedAt"),
        content_changed_at=_int(element, "contentChangedAt"),
        locations=tuple(path for path in paths if path),
    )


def total(element: Element | None) -> int | None:
    """How many rows a container would have in full: `totalSize`, else `size`."""
    told = whole(element)
    return _int(element, "size") if told is None else told


def whole(element: Element | None) -> int | None:
    """The same where it is paged: some versions of Plex leave it out, and then `size` is only that of the page."""
    return _int(element, "totalSize")


def account(element: Element, *, private: bool) -> Account | None:
    """An `<Account>` of `/accounts`; `None` without its id. Account 0 stands for everybody and has no name."""
    account_id = _text(element, "id")
    return None if account_id is None else Account(account_id, _masked(element, "name", private=private))


def device(element: Element, *, private: bool) -> Device | None:
    """A `<Device>` of `/devices`; `None` without its id."""
    device_id = _text(element, "id")
    if device_id is None:
        return None
    name = _masked(element, "name", private=private)
    return Device(device_id, name, _text(element, "platform"), _text(element, "clientIdentifier"))


def history_row(element: Element) -> HistoryRow | None:
    """A row of `/status/sessions/history/all`; `None` without the time it was seen at.

    Where it has no key, its facts are one: they tell it from any other but its double.
    """
    viewed_at = _int(element, "viewedAt")
    if viewed_at is None or not 0 <= viewed_at <= LAST_S:
        return None
    what, account_id, device_id = item(element), _text(element, "accountID"), _text(element, "deviceID")
    facts = (str(viewed_at), account_id, device_id, what.rating_key or what.title)
    key = _text(element, "historyKey") or KEYLESS + "/".join(fact or "" for fact in facts)
    return HistoryRow(key, viewed_at, what, account_id, device_id)


def client(element: Element, *, private: bool, at: int) -> Client | None:
    """A `<Server>` of `/clients`, which is what Plex calls a player there; `None` without its identifier."""
    identifier = _text(element, "machineIdentifier")
    if identifier is None:
        return None
    address = _text(element, "address") or _text(element, "host")
    return Client(
        client_identifier=identifier,
        title=_masked(element, "name", private=private),
        product=_text(element, "product"),
        platform=_text(element, "platform"),
        device=_text(element, "deviceClass"),
        version=_text(element, "version"),
        address=HIDDEN if address and private else address,
        provides=_text(element, "protocolCapabilities"),
        first_seen_at=at,
        last_seen_at=at,
    )


def server_identity(element: Element | None) -> ServerIdentity | None:
    """The `<MediaContainer>` of `/` or of `/identity`; `None` if it does not say who it is."""
    identifier = _text(element, "machineIdentifier")
    if identifier is None:
        return None
    return ServerIdentity(
        machine_identifier=identifier,
        name=_text(element, "friendlyName"),
        version=_text(element, "version"),
        platform=_text(element, "platform"),
        platform_version=_text(element, "platformVersion"),
    )


def _user(element: Element | None, *, private: bool) -> User | None:
    return None if element is None else User(_text(element, "id"), _masked(element, "title", private=private))


def _player(element: Element | None, *, private: bool) -> Player | None:
    if element is None:
        return None
    address = _text(element, "address")
    return Player(
        client_identifier=_text(element, "machineIdentifier"),
        title=_masked(element, "title", private=private),
        product=_text(element, "product"),
        platform=_text(element, "platform"),
        device=_text(element, "device"),
        version=_text(element, "version"),
        address=HIDDEN if address and private else address,
        local=_bool(element, "local"),
    )


def _decision(job: Transcode | None, part: Element | None) -> Decision | None:
    """How it reaches the player. Rows without a job are decided by their part, then by its streams."""
    if job is not None:
        return job.decision
    if part is None:
        return None
    if _text(part, "decision") in {None, "directplay"}:
        return "direct play"
    converts = {_text(stream, "decision") for stream in part.findall("Stream")} & {"transcode", "burn"}
    return "transcode" if converts else "direct stream"


def _resolution(media: Element | None, part: Element | None) -> str | None:
    """Of the file. While it is transcoded `<Media>` tells of the result, the name of the video stream of the source."""
    plain = _text(media, "videoResolution")
    streams = [] if part is None else part.findall("Stream")
    video = next((stream for stream in streams if _text(stream, "streamType") == "1"), None)
    named = (_text(video, "displayTitle") or "").split(" ")[0].lower()
    if named in {"sd", "4k", "8k"} or named.rstrip("pi").isdecimal():
        plain = named
    return plain.lower().rstrip("pi") if plain else None


def _selected(elements: Iterable[Element]) -> Element | None:
    """The one that plays, of several versions; the first if none is marked."""
    candidates = list(elements)
    return next((one for one in candidates if one.get("selected") == "1"), candidates[0] if candidates else None)


def _text(element: Element | None, name: str) -> str | None:
    """A cleaned attribute; the empty text is nothing."""
    value = None if element is None else element.get(name)
    return clean(value) or None if value else None


def _masked(element: Element, name: str, *, private: bool) -> str | None:
    value = _text(element, name)
    return mask(value) if value and private else value


def _int(element: Element | None, name: str) -> int | None:
    """A whole number; some versions of Plex write some of them as floats."""
    value = None if element is None else element.get(name)
    if not value:
        return None
    try:
        whole = int(float(value)) if "." in value else int(value)
    except (ValueError, OverflowError):
        return None
    return whole if abs(whole) < _LARGE else None


def _bool(element: Element, name: str) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(element.get(name, "").lower())


def _year(element: Element) -> int | None:
    """Return the year; rows of history name none, but the day of release."""
    released = (_text(element, "originallyAvailableAt") or "")[:4]
    year = int(released) if released.isascii() and released.isdecimal() else None
    return _int(element, "year") or year


def _last_part(element: Element, name: str) -> str | None:
    """Return the id at the end of a path, as of `/library/metadata/12`."""
    return (_text(element, name) or "").rpartition("/")[2] or None


def _milliseconds(element: Element, name: str) -> int | None:
    """Plex's epoch seconds as ours."""
    seconds = _int(element, name)
    return None if seconds is None or abs(seconds) > _LARGE // 1000 else seconds * 1000
