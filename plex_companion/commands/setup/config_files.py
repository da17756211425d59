"""Writes configuration files: atomically, and readable by their owner only where they hold secrets."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import dotenv
import platformdirs

from plex_companion.errors import StartError
from plex_companion.private_files import make_folder
from plex_companion.settings import APP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

OWN = 0o600


def find_user_dotenv() -> Path:
    """Return the path of the user's `.env`, which plex-companion reads wherever it is started."""
    return Path(platformdirs.user_config_dir(APP)) / ".env"


def save_settings(path: Path, values: Mapping[str, str]) -> None:
    """Set variables in a `.env`, keep its other lines, and make it readable by its owner only.

    Raises:
        StartError: the file cannot be written.
    """
    try:
        make_folder(path.parent)
        real = path.resolve()
        os.close(os.open(real, os.O_WRONLY | os.O_CREAT, OWN))
        real.chmod(OWN)  # before the secret is written; `set_key` keeps the mode
        for name, value in values.items():
            dotenv.set_key(real, name, value)
    except (OSError, UnicodeError) as error:
        raise StartError(f"{path} can't be written: {_explain(error)}.") from None


def replace_file(path: Path, text: str, now: datetime) -> Path | None:
    """Replace another program's file atomically and return the path of a copy of the old one, or `None` if it was new.

    Raises:
        StartError: the file cannot be written; it is unchanged.
    """
    real = path.resolve()
    try:
        make_folder(real.parent)
        copy = _back_up(real, now) if real.exists() else None
        mode = stat.S_IMODE(real.stat().st_mode) if copy else OWN
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=real.parent, delete=False) as new:
            new.write(text)
        Path(new.name).chmod(mode)
        Path(new.name).replace(real)
    except (OSError, UnicodeError) as error:
        raise StartError(f"{path} can't be written: {_explain(error)}. It is unchanged.") from None
    return copy


def _back_up(path: Path, now: datetime) -> Path:
    copy = path.with_name(f"{path.name}.before-plex-companion-{now:%Y%m%dT%H%M%SZ}")
    shutil.copy2(path, copy)
    return copy


def _explain(error: OSError | UnicodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8 text"
