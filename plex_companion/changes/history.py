"""What a page of Plex's own history means: plays with names, and how far it is read."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from plex_companion.changes.kinds import Change, HistoryProgressed, HistoryTaken, PlaysImported, PlaysRepeated
from plex_companion.models import Device, History, PastPlay, Player, User

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import HistoryPage
    from plex_companion.models import HistoryRow, Item


def on_page(event: HistoryPage, before: State) -> list[Change]:
    """Its plays, the new ones by user. Nothing is taken from a server that has not said who it is."""
    taken = HistoryTaken(event.number)
    if before.server is None:
        return [taken]
    names, ids = _Names(before), count(before.next_play)
    repeated: list[PastPlay] = []
    news: dict[str | None, list[PastPlay]] = {}
    for row in event.rows:
        play = names.play(row, next(ids))
        known = row.history_key in before.counted
        (repeated if known else news.setdefault(play.user.handle if play.user else None, [])).append(play)
    progress = _progress(event, before.history)
    return [
        *(PlaysImported(tuple(plays), user) for user, plays in news.items()),
        *([PlaysRepeated(tuple(repeated))] if repeated else []),
        *([HistoryProgressed(progress)] if progress != before.history else []),
        taken,
    ]


def _progress(event: HistoryPage, known: History) -> History:
    said = {name: getattr(event, name) for name in ("mark_s", "imported", "total", "complete")}
    return replace(known, **{name: value for name, value in said.items() if value is not None}, detail=event.detail)


class _Names:
    """What the numbers in rows of history stand for."""

    def __init__(self, state: State) -> None:
        self._accounts = {account.id: account.name for account in state.accounts}
        self._devices = {device.id: device for device in state.devices}
        self._sections = {section.section_id: section.title for section in state.sections}

    def play(self, row: HistoryRow, play_id: int) -> PastPlay:
        user = None if row.account_id is None else User(row.account_id, self._accounts.get(row.account_id))
        player = _player(self._devices.get(row.device_id or ""))
        return PastPlay(play_id, row.history_key, row.viewed_at_s * 1000, self._item(row.item), user, player)

    def _item(self, item: Item) -> Item:
        return replace(item, library=self._sections.get(item.library_id or "", item.library))


def _player(device: Device | None) -> Player | None:
    if device is None:
        return None
    return Player(device.client_identifier, title=device.name, platform=device.platform)
