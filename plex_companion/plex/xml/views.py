"""What Plex's XML means: one tolerant function per kind of element. A missing attribute is `None`, never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.events import build_transcode
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


def parse_session_row(element: Element, *, private: bool) -> SessionRow:
    """A `<Video>`, `<Track>` or `<Photo>` of `/status/sessions`."""
    media = _pick_selected(element.findall("Media"))
    part = None if media is None else _pick_selected(media.findall("Part"))
    session = element.find("Session")
    job = next(element.iter("TranscodeSession"), None)  # live TV has it below <Media>, others beside it
    row_player = element.find("Player")
    running = None if job is None else parse_transcode(job)
    return SessionRow(
        session_key=_parse_text(element, "sessionKey"),
        session_id=_parse_text(session, "id"),
        item=parse_item(element),
        user=_parse_user(element.find("User"), private=private),
        player=_parse_player(row_player, private=private),
        state=_parse_text(row_player, "state"),
        view_offset_ms=_parse_int(element, "viewOffset"),
        transcode=running,
        decision=_choose_decision(running, part),
        bandwidth_kbps=_parse_int(session, "bandwidth"),
        location=_parse_text(session, "location"),
        video_resolution=_parse_resolution(media, part),
        bitrate_kbps=_parse_int(media, "bitrate"),
    )


def parse_transcode(element: Element) -> Transcode:
    """A `<TranscodeSession>`, of a session or of `/transcode/sessions`."""
    return build_transcode(element.attrib)


def parse_item(element: Element) -> Item:
    """What a row of sessions, of history or of a library is about."""
    return Item(
        rating_key=_parse_text(element, "ratingKey"),
        key=_parse_text(element, "key"),
        guid=_parse_text(element, "guid"),
        type=_parse_text(element, "type"),
        title=_parse_text(element, "title"),
        grandparent_title=_parse_text(element, "grandparentTitle"),
        parent_title=_parse_text(element, "parentTitle"),
        index=_parse_int(element, "index"),
        parent_index=_parse_int(element, "parentIndex"),
        year=_parse_year(element),
        library=_parse_text(element, "librarySectionTitle"),
        library_id=_parse_text(element, "librarySectionID"),
        duration_ms=_parse_int(element, "duration"),
        live=_parse_bool(element, "live") or False,
        grandparent_rating_key=_parse_text(element, "grandparentRatingKey")
        or _take_last_part(element, "grandparentKey"),
        grandparent_guid=_parse_text(element, "grandparentGuid"),
        performer=_parse_text(element, "originalTitle") if element.get("type") == "track" else None,
        edition=_parse_text(element, "editionTitle"),
    )


def parse_activity(element: Element, *, at: int) -> Activity | None:
    """An `<Activity>` of `/activities`, first and last seen `at`; `None` without its uuid."""
    uuid = _parse_text(element, "uuid")
    if uuid is None:
        return None
    context = element.find("Context")
    return Activity(
        uuid=uuid,
        type=_parse_text(element, "type"),
        title=_parse_text(element, "title"),
        subtitle=_parse_text(element, "subtitle"),
        progress=_parse_int(element, "progress"),
        cancellable=_parse_bool(element, "cancellable"),
        user_id=_parse_text(element, "userID"),
        context={} if context is None else {clean(name): clean(value) for name, value in context.attrib.items()},
        started_at=at,
        updated_at=at,
    )


def parse_section(element: Element, *, count: int | None = None) -> Section | None:
    """A `<Directory>` of `/library/sections`; `None` without its key."""
    section_id = _parse_text(element, "key")
    if section_id is None:
        return None
    paths = (_parse_text(location, "path") for location in element.findall("Location"))
    return Section(
        section_id=section_id,
        title=_parse_text(element, "title") or "",
        type=_parse_text(element, "type") or "",
        uuid=_parse_text(element, "uuid"),
        agent=_parse_text(element, "agent"),
        scanner=_parse_text(element, "scanner"),
        language=_parse_text(element, "language"),
        count=count,
        refreshing=_parse_bool(element, "refreshing") or False,
        updated_at=_parse_milliseconds(element, "updatedAt"),
        scanned_at=_parse_milliseconds(element, "scannedAt"),
        content_changed_at=_parse_int(element, "contentChangedAt"),
        locations=tuple(path for path in paths if path),
    )


def parse_total(element: Element | None) -> int | None:
    """How many rows a container would have in full: `totalSize`, else `size`."""
    told = parse_full_total(element)
    return _parse_int(element, "size") if told is None else told


def parse_size(element: Element) -> int | None:
    """Return how many rows a container says it holds; all recorded ones hold as many (PLEX.md 2.3)."""
    return _parse_int(element, "size")


def parse_full_total(element: Element | None) -> int | None:
    """The same where it is paged: some versions of Plex leave it out, and then `size` is only that of the page."""
    return _parse_int(element, "totalSize")


def parse_account(element: Element, *, private: bool) -> Account | None:
    """An `<Account>` of `/accounts`; `None` without its id. Account 0 stands for everybody and has no name."""
    account_id = _parse_text(element, "id")
    return None if account_id is None else Account(account_id, _parse_masked(element, "name", private=private))


def parse_device(element: Element, *, private: bool) -> Device | None:
    """A `<Device>` of `/devices`; `None` without its id."""
    device_id = _parse_text(element, "id")
    if device_id is None:
        return None
    name = _parse_masked(element, "name", private=private)
    return Device(device_id, name, _parse_text(element, "platform"), _parse_text(element, "clientIdentifier"))


def parse_history_row(element: Element) -> HistoryRow | None:
    """A row of `/status/sessions/history/all`; `None` without the time it was seen at.

    Where it has no key, its facts are one: they tell it from any other but its double.
    """
    viewed_at = _parse_int(element, "viewedAt")
    if viewed_at is None or not 0 <= viewed_at <= LAST_S:
        return None
    what, account_id, device_id = (
        parse_item(element),
        _parse_text(element, "accountID"),
        _parse_text(element, "deviceID"),
    )
    facts = (str(viewed_at), account_id, device_id, what.rating_key or what.title)
    key = _parse_text(element, "historyKey") or KEYLESS + "/".join(fact or "" for fact in facts)
    return HistoryRow(key, viewed_at, what, account_id, device_id)


def parse_client(element: Element, *, private: bool, at: int) -> Client | None:
    """A `<Server>` of `/clients`, which is what Plex calls a player there; `None` without its identifier."""
    identifier = _parse_text(element, "machineIdentifier")
    if identifier is None:
        return None
    address = _parse_text(element, "address") or _parse_text(element, "host")
    return Client(
        client_identifier=identifier,
        title=_parse_masked(element, "name", private=private),
        product=_parse_text(element, "product"),
        platform=_parse_text(element, "platform"),
        device=_parse_text(element, "deviceClass"),
        version=_parse_text(element, "version"),
        address=HIDDEN if address and private else address,
        provides=_parse_text(element, "protocolCapabilities"),
        first_seen_at=at,
        last_seen_at=at,
    )


def parse_server_identity(element: Element | None) -> ServerIdentity | None:
    """The `<MediaContainer>` of `/` or of `/identity`; `None` if it does not say who it is."""
    identifier = _parse_text(element, "machineIdentifier")
    if identifier is None:
        return None
    return ServerIdentity(
        machine_identifier=identifier,
        name=_parse_text(element, "friendlyName"),
        version=_parse_text(element, "version"),
        platform=_parse_text(element, "platform"),
        platform_version=_parse_text(element, "platformVersion"),
    )


def _parse_user(element: Element | None, *, private: bool) -> User | None:
    return (
        None if element is None else User(_parse_text(element, "id"), _parse_masked(element, "title", private=private))
    )


def _parse_player(element: Element | None, *, private: bool) -> Player | None:
    if element is None:
        return None
    address = _parse_text(element, "address")
    return Player(
        client_identifier=_parse_text(element, "machineIdentifier"),
        title=_parse_masked(element, "title", private=private),
        product=_parse_text(element, "product"),
        platform=_parse_text(element, "platform"),
        device=_parse_text(element, "device"),
        version=_parse_text(element, "version"),
        address=HIDDEN if address and private else address,
        local=_parse_bool(element, "local"),
    )


def _choose_decision(job: Transcode | None, part: Element | None) -> Decision | None:
    """How it reaches the player. Rows without a job are decided by their part, then by its streams."""
    if job is not None:
        return job.decision
    if part is None:
        return None
    if _parse_text(part, "decision") in {None, "directplay"}:
        return "direct play"
    converts = {_parse_text(stream, "decision") for stream in part.findall("Stream")} & {"transcode", "burn"}
    return "transcode" if converts else "direct stream"


def _parse_resolution(media: Element | None, part: Element | None) -> str | None:
    """Of the file. While it is transcoded `<Media>` tells of the result, the name of the video stream of the source."""
    plain = _parse_text(media, "videoResolution")
    streams = [] if part is None else part.findall("Stream")
    video = next((stream for stream in streams if _parse_text(stream, "streamType") == "1"), None)
    named = (_parse_text(video, "displayTitle") or "").split(" ")[0].lower()
    if named in {"sd", "4k", "8k"} or named.rstrip("pi").isdecimal():
        plain = named
    return plain.lower().rstrip("pi") if plain else None


def _pick_selected(elements: Iterable[Element]) -> Element | None:
    """The one that plays, of several versions; the first if none is marked."""
    candidates = list(elements)
    return next((one for one in candidates if one.get("selected") == "1"), candidates[0] if candidates else None)


def _parse_text(element: Element | None, name: str) -> str | None:
    """A cleaned attribute; the empty text is nothing."""
    value = None if element is None else element.get(name)
    return clean(value) or None if value else None


def _parse_masked(element: Element, name: str, *, private: bool) -> str | None:
    value = _parse_text(element, name)
    return mask(value) if value and private else value


def _parse_int(element: Element | None, name: str) -> int | None:
    """A whole number; some versions of Plex write some of them as floats."""
    value = None if element is None else element.get(name)
    if not value:
        return None
    try:
        whole = int(float(value)) if "." in value else int(value)
    except (ValueError, OverflowError):
        return None
    return whole if abs(whole) < _LARGE else None


def _parse_bool(element: Element, name: str) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(element.get(name, "").lower())


def _parse_year(element: Element) -> int | None:
    """Return the year; rows of history name none, but the day of release."""
    released = (_parse_text(element, "originallyAvailableAt") or "")[:4]
    year = int(released) if released.isascii() and released.isdecimal() else None
    return _parse_int(element, "year") or year


def _take_last_part(element: Element, name: str) -> str | None:
    """Return the id at the end of a path, as of `/library/metadata/12`."""
    return (_parse_text(element, name) or "").rpartition("/")[2] or None


def _parse_milliseconds(element: Element, name: str) -> int | None:
    """Plex's epoch seconds as ours."""
    seconds = _parse_int(element, name)
    return None if seconds is None or abs(seconds) > _LARGE // 1000 else seconds * 1000
