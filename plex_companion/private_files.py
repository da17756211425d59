"""Folders that only their owner can enter, whatever the umask is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OWNER_ONLY = 0o700


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
