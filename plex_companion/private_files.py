"""Folders that only their owner can enter, whatever the umask is, and a file that only its owner can read."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

OWNER_ONLY = 0o700
OWNER_READS = 0o600


def make_folder(folder: Path, mode: int = OWNER_ONLY) -> None:
    """Create a folder and each missing parent with `mode`. `Path.mkdir` applies its mode only to the last folder.

    A folder that exists keeps its mode.

    Raises:
        OSError: it cannot be created, or a file has its name.
    """
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    for one in reversed(missing):
        one.mkdir(mode=mode, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir(mode=mode)


@dataclass(frozen=True, slots=True)
class RenewedTokenFile:
    """The file of a token of Plex that a person granted while the companion ran. Without a path, nothing is kept.

    Every process of a database, and the next start, finds the token there. The one in the settings comes first.
    """

    path: Path | None = None

    def read(self) -> str | None:
        """Return the token, or `None` if there is none that can be read."""
        try:
            return (self.path.read_text(encoding="utf-8").strip() or None) if self.path else None
        except (OSError, UnicodeError):
            return None

    def write(self, token: str) -> None:
        """Replace the token. A file that cannot be written costs only this process's successors the token."""
        if self.path is None:
            return
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            fresh.unlink(missing_ok=True)  # one that was left behind may be readable for others
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_READS), "w") as file:
                file.write(f"{token}\n")
            fresh.replace(self.path)
        except OSError as error:
            logger.warning("The renewed token of Plex cannot be kept: %s", error.strerror)
