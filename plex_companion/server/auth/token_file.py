"""The file with the token that is made when one is needed and none is set."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from plex_companion.errors import StartError
from plex_companion.private_files import make_folder
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.settings import Settings

FILE = "http-token"
SHORTEST = 8


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token in a file that only its owner can read."""

    token: str
    path: Path
    is_new: bool


def ensure_token(settings: Settings) -> tuple[Settings, StoredToken | None]:
    """Return the settings with a token, where one is needed: the one in the file beside the database, made if missing.

    Raises:
        StartError: it cannot be read or written.
    """
    if settings.token is not None or not settings.needs_token:
        return settings, None
    stored = load_or_create_token(find_database_path(settings).parent)
    return settings.model_copy(update={"token": SecretStr(stored.token)}), stored


def load_or_create_token(folder: Path) -> StoredToken:
    """Return the token in the file of this folder; make one if there is none.

    Raises:
        StartError: it cannot be read or written.
    """
    path = folder / FILE
    try:
        make_folder(folder)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600), "r+") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600)  # somebody may have made it readable for others
            found = file.read().strip()
            if len(found) >= SHORTEST:
                return StoredToken(found, path, is_new=False)
            return StoredToken(_write_token(file.fileno()), path, is_new=True)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        message = f"The token for HTTP clients cannot be stored in {path}: {reason}. Set PLEX_COMPANION_TOKEN instead."
        raise StartError(message) from error


def _write_token(descriptor: int) -> str:
    token = secrets.token_urlsafe(32)
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{token}\n".encode())
    os.fsync(descriptor)
    return token
