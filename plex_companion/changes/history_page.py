"""Derives changes from a page of Plex's own history: plays with names, and how far it was read."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import Change, HistoryPageWritten, HistoryProgressed, PlaysImported, PlaysRepeated
from plex_companion.models import Device, History, ImportedPlay, Player, User

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import HistoryPage
    from plex_companion.models import HistoryRow, Item


def handle_history_page(event: HistoryPage, before: State) -> list[Change]:
    """Return the plays of a page, new ones by user. Nothing is imported before the server has identified itself."""
    written = HistoryPageWritten(event.number)
    if before.server is None:
        return [written]
    names, ids = _HistoryNames(before), count(before.ids.play)
    repeated: list[ImportedPlay] = []
    new_plays: dict[str | None, list[ImportedPlay]] = {}
    for row in event.rows:
        play = names.build_play(row, next(ids))
        known = row.history_key in before.known_history_keys
        (repeated if known else new_plays.setdefault(play.user.handle if play.user else None, [])).append(play)
    progress = _build_progress(event, before.history)
    return [
        *(PlaysImported(tuple(plays), user) for user, plays in new_plays.items()),
        *([PlaysRepeated(tuple(repeated))] if repeated else []),
        *([HistoryProgressed(progress)] if progress != before.history else []),
        written,
    ]


def _build_progress(event: HistoryPage, known: History) -> History:
    reported = {name: getattr(event, name) for name in ("mark_s", "imported", "total", "complete")}
    return replace(known, **{name: value for name, value in reported.items() if value is not None}, detail=event.detail)


class _HistoryNames:
    """Resolves the numbers in history rows to names."""

    def __init__(self, state: State) -> None:
        self._accounts = {account.id: account.name for account in state.accounts}
        self._devices = {device.id: device for device in state.devices}
        self._sections = {section.section_id: section.title for section in state.sections}

    def build_play(self, row: HistoryRow, play_id: int) -> ImportedPlay:
        user = None if row.account_id is None else User(row.account_id, self._accounts.get(row.account_id))
        player = _build_player(self._devices.get(row.device_id or ""))
        item = self._complete_item(row.item)
        return ImportedPlay(play_id, row.history_key, row.viewed_at_s * 1000, item, user, player)

    def _complete_item(self, item: Item) -> Item:
        return replace(item, library=self._sections.get(item.library_id or "", item.library))


def _build_player(device: Device | None) -> Player | None:
    if device is None:
        return None
    return Player(device.client_identifier, title=device.name, platform=device.platform)
