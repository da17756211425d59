"""The token that is made when one is needed and none was set."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.errors import StartError
from plex_companion.private_files import make_folder

if TYPE_CHECKING:
    from pathlib import Path

FILE = "http-token"
SHORTEST = 8


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token in a file that its user alone may read."""

    token: str
    path: Path
    is_new: bool


def load_or_create_token(folder: Path) -> StoredToken:
    """The token kept in this folder, made now if there is none.

    Raises:
        StartError: it cannot be read or written.
    """
    path = folder / FILE
    try:
        make_folder(folder)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600), "r+") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o600)  # whoever opened it to others
            found = file.read().strip()
            if len(found) >= SHORTEST:
                return StoredToken(found, path, is_new=False)
            return StoredToken(_write_token(file.fileno()), path, is_new=True)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"The token for HTTP clients cannot be kept in {path}: {reason}. Set PLEX_COMPANION_TOKEN instead."
        raise StartError(message) from error


def _write_token(descriptor: int) -> str:
    token = secrets.token_urlsafe(32)
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, f"{token}\n".encode())
    os.fsync(descriptor)
    return token
