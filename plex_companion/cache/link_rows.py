"""The rows of the configured links: which row is whose, and what happens to those of addresses that were removed."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from plex_companion.cache.leadership import LinkStatus, parse_link
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.replication.named_write import NamedWrite
from plex_companion.models import ONLY_LINK

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.cache.replication.named_write import WriteCall
    from plex_companion.cache.rows import Row

_NO_IDENTITIES: Mapping[str, str] = MappingProxyType({})
_END_PLAYS = """
    UPDATE plays SET ended_at = updated_at, ended_by = 'inferred' WHERE ended_at IS NULL AND server = :server
"""
_END_ACTIVITIES = "UPDATE activities SET ended_at = updated_at WHERE ended_at IS NULL AND server = :server"
_RESOLVE_ALERTS = "UPDATE alerts SET resolved_at = :at WHERE resolved_at IS NULL AND server = :server"


def read_links(connection: sqlite3.Connection, known: Iterable[LinkStatus] = ()) -> list[LinkStatus]:
    """Read the rows of all links of the process that listens. A row that is still as it was `known` is not parsed again."""
    rows = connection.execute("SELECT * FROM links ORDER BY link").fetchall()
    before = {status.row: status for status in known}
    return [before.get(tuple(row)) or parse_link(row) for row in rows]


def match_links(
    links: Sequence[str], rows: Iterable[LinkStatus], identities: Mapping[str, str] = _NO_IDENTITIES
) -> dict[str, LinkStatus]:
    """Match configured links with rows: by address, then by the machine identifier of their server if it was asked.

    A row from before addresses were recorded is the first link's. If there is one of each, they belong together.
    """
    found = {row.link: row for row in rows}
    matched = {link: found.pop(link) for link in links if link in found}
    servers = {row.server: row for row in found.values() if row.server}
    for link in links:
        if link not in matched and identities.get(link) in servers:
            matched[link] = found.pop(servers.pop(identities[link]).link)
    if links[0] not in matched and (ONLY_LINK in found or len(links) == len(found) == 1):
        matched[links[0]] = found[ONLY_LINK] if ONLY_LINK in found else next(iter(found.values()))
    return {link: matched[link] for link in links if link in matched}


@dataclass(frozen=True, slots=True)
class LinkUpdate:
    """What a process must change in the rows of links before it listens."""

    renamed: Mapping[str, str]
    """New names by old ones, of links whose address is written in another way now."""
    removed: Sequence[LinkStatus]
    """Rows of addresses that are no longer configured."""
    ended: Sequence[str]
    """The servers at those addresses."""

    def __bool__(self) -> bool:
        """Return whether anything must change."""
        return bool(self.renamed or self.removed)

    def build_call(self, at: int) -> WriteCall:
        """Return the write that makes these changes."""
        removed = [row.link for row in self.removed]
        return LINK_UPDATE.call(
            {"renamed": dict(self.renamed), "removed": removed, "ended": list(self.ended), "at": at}
        )


def _update_links(connection: sqlite3.Connection, update: Row) -> None:
    """Rename and delete rows. What still goes on at servers that were removed ends, since nobody will report its end."""
    connection.executemany("DELETE FROM links WHERE link = ?", [(link,) for link in update["removed"]])
    for before, link in update["renamed"].items():
        connection.execute("UPDATE links SET link = ? WHERE link = ?", (link, before))
    for sql in (_END_PLAYS, _END_ACTIVITIES, _RESOLVE_ALERTS):
        connection.executemany(sql, [{"server": server, "at": update["at"]} for server in update["ended"]])


LINK_UPDATE = NamedWrite("link_update", _update_links)


def plan_link_update(
    links: Sequence[str], rows: Sequence[LinkStatus], identities: Mapping[str, str] = _NO_IDENTITIES
) -> LinkUpdate:
    """Return what must change in the rows for these links to be the configured ones."""
    matched = match_links(links, rows, identities)
    kept = {row.link for row in matched.values()}
    removed = [row for row in rows if row.link not in kept]
    stays = {row.server for row in matched.values()}
    ended = [name for row in removed for name in (row.server, f"{UNKNOWN}:{row.link}") if name and name not in stays]
    renamed = {row.link: link for link, row in matched.items() if row.link != link}
    return LinkUpdate(renamed, removed, ended)
