"""One database, one Plex server: a companion of another one ends instead of showing what is not its own."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest
from processes_home import HASTY, member, rows, settings_for

from plex_companion.app import open_companion
from plex_companion.cli import _only
from plex_companion.demo import open_demo
from plex_companion.errors import DatabaseOfAnotherServer, PlexUnreachable
from plex_companion.ownership import address_mark

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo
