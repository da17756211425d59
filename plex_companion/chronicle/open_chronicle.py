"""Opens the chronicle that the settings name. Without one, nothing of it is imported."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS, ChronicleTimeouts
from plex_companion.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.chronicle.connection import ChronicleConnection
    from plex_companion.settings import Settings

INSTALL = "pip install 'plex-companion[chronicle]'"


@asynccontextmanager
async def open_chronicle(
    settings: Settings, timeouts: ChronicleTimeouts = DEFAULT_CHRONICLE_TIMEOUTS
) -> AsyncIterator[ChronicleConnection | None]:
    """Yield the connection to the chronicle, not opened; `None` if the settings name none. Close it at the end.

    Raises:
        SettingsError: its address cannot be used, or a package is missing.
    """
    if settings.chronicle is None:
        yield None
        return
    connection = build_connection(settings.chronicle.get_secret_value(), settings.chronicle_group, timeouts)
    try:
        yield connection
    finally:
        await connection.close()


def build_connection(dsn: str, group: str, timeouts: ChronicleTimeouts) -> ChronicleConnection:
    """Return the connection to a chronicle, not opened.

    Raises:
        SettingsError: its address cannot be used, or a package is missing.
    """
    try:
        from plex_companion.chronicle.connection import ChronicleConnection  # noqa: PLC0415 - an optional package
        from plex_companion.chronicle.log import ChronicleLog  # noqa: PLC0415 - the same
        from plex_companion.chronicle.postgres_session import parse_address  # noqa: PLC0415 - the same
    except ImportError as error:
        message = f"PLEX_COMPANION_CHRONICLE needs the package psycopg: {INSTALL}"
        raise SettingsError(message) from error
    parse_address(dsn)
    return ChronicleConnection(dsn, ChronicleLog(group), timeouts)
