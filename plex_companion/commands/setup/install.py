"""The command `install`: an entry in an AI host's list of MCP servers, written with consent or printed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dotenv
import platformdirs

from plex_companion.commands.setup.config_files import find_user_dotenv, replace_file, save_settings
from plex_companion.commands.setup.hosts import (
    HOSTS,
    HostPaths,
    UnsafeEdit,
    find_entry,
    is_ours,
    merge_entry,
    render_snippet,
)
from plex_companion.errors import StartError
from plex_companion.settings import name_variable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plex_companion.commands.setup.hosts import AiHost
    from plex_companion.commands.setup.prompter import Prompter
    from plex_companion.settings import Settings

URL, TOKEN, WRITES = name_variable("plex_url"), name_variable("plex_token"), name_variable("read_only")
WAYS = (
    "Keep both in {dotenv}, which only you can read, and which every companion of yours reads",
    "Write both into the host's file, where the host and whoever reads that file sees the token",
    "Neither: I see to it myself",
)


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """What was asked for on the command line."""

    host: str
    name: str = "plex"
    file: Path | None = None
    printed: bool = False
    demo: bool = False
    allow_writes: bool = False
    toolsets: tuple[str, ...] = ()
    """The only ones to serve; all where none is named."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What came of it."""

    text: str | None = None
    """The entry, where it is to be printed."""
    complete: bool = True
    """Whether everything that was asked for is in place."""


def detect_paths() -> HostPaths:
    """This machine and this user."""
    home = Path.home()
    match sys.platform:
        case "darwin":
            config = home / "Library" / "Application Support"
        case "win32":
            config = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
        case _:
            config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return HostPaths(sys.platform, home, config)


def find_own_command() -> list[str]:
    """What starts this very installation, by its absolute path: hosts do not search where a shell does."""
    script = Path(sys.executable).parent / ("plex-companion.exe" if sys.platform == "win32" else "plex-companion")
    if script.is_file():
        return [str(script.absolute())]
    return [str(Path(sys.executable).absolute()), "-m", "plex_companion"]


def is_temporary(command: str) -> bool:
    """Whether a program lies in a cache, where `uvx` and `pipx run` put it and may take it away again."""
    parts = Path(command).parts
    caches = {".cache", "cache", "Caches", Path(platformdirs.user_cache_dir()).name}
    return bool(caches & set(parts))


def install(
    wish: InstallRequest, settings: Settings, person: Prompter, place: HostPaths, now: datetime
) -> Installation:
    """Write the entry, or return it as text to be printed.

    Raises:
        StartError: the file cannot be read or written, or nobody answered.
    """
    host = HOSTS[wish.host]
    command = [*find_own_command(), *_arguments(wish)]
    chosen = {WRITES: "false"} if wish.allow_writes else {}
    file = wish.file or host.find_file(place)
    if is_temporary(command[0]):
        person.say(
            f"Note: {command[0]} lies in a cache and may go away. "
            "`pipx install` or `uv tool install` keep it in one place."
        )
    if wish.printed:
        person.say(f"For {host.title}, into {file}:")
        return Installation(render_snippet(host, wish.name, host.build_entry(command, chosen)))
    before = _read(file)
    try:
        there = find_entry(before, host, wish.name)
    except UnsafeEdit as error:
        person.say(f"{file} is left as it is: {error}. Put this into it by hand:")
        return Installation(render_snippet(host, wish.name, host.build_entry(command, chosen)), complete=False)
    variables = {} if wish.demo else _list_variables(settings, person)
    entry = host.build_entry(command, {**variables, **chosen})
    written = _write(_EntryChange(host, wish.name, entry, file, before, there), person, now)
    if written and wish.allow_writes:
        person.say("Its tools may change Plex; what destroys something asks first.")
    return Installation(complete=written)


def _arguments(wish: InstallRequest) -> list[str]:
    toolsets = ["--toolsets", ",".join(wish.toolsets)] if wish.toolsets else []
    return ["serve", *(["--demo"] if wish.demo else []), *toolsets]


@dataclass(frozen=True, slots=True)
class _EntryChange:
    host: AiHost
    name: str
    entry: Mapping[str, Any]
    file: Path
    before: str
    existing: Any


def _write(change: _EntryChange, person: Prompter, now: datetime) -> bool:
    """Return whether the host has the entry now."""
    after = merge_entry(change.before, change.host, change.name, change.entry)
    if find_entry(after, change.host, change.name) == change.existing:
        person.say(f"{change.host.title} has this entry already in {change.file}. Nothing was changed.")
        return True
    question = f"Add '{change.name}' to {change.file}?"
    if change.existing is not None:
        other = "" if is_ours(change.existing) else ", which starts another program,"
        question = f"Replace the entry '{change.name}'{other} in {change.file}?"
    if not person.confirm(question):
        person.say("Nothing was changed.")
        return False
    copy = replace_file(change.file, after, now)
    kept = f" What was there is kept in {copy}." if copy else ""
    person.say(f"'{change.name}' is in {change.file}.{kept} {change.host.afterwards}")
    return True


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartError(f"{file} cannot be read: {why}. --print shows the entry instead.") from None


def _list_variables(settings: Settings, person: Prompter) -> dict[str, str]:
    """What the host must hand over, because the companion would not find it by itself when the host starts it."""
    path = find_user_dotenv()
    token = settings.plex_token.get_secret_value() if settings.plex_token else None
    if not settings.plex_url or not token:
        person.say("No server is known yet: run `plex-companion login`, or set PLEX_URL and PLEX_TOKEN.")
        return {}
    kept = dotenv.dotenv_values(path, encoding="utf-8-sig") if path.is_file() else {}
    if kept.get(URL) and kept.get(TOKEN):
        person.say(f"Address and token stay in {path}, where the companion finds them.")
        return {}
    if person.assume_yes:
        person.say(f"Address and token are in this shell only, where no host finds them: put them into {path}.")
        return {}
    person.say(
        "A host starts the companion in a place of its own, where it does not find your PLEX_URL and PLEX_TOKEN."
    )
    way = person.choose("What shall be done with them?", [way.format(dotenv=path) for way in WAYS])
    values = {URL: settings.plex_url, TOKEN: token}
    if way == 0:
        save_settings(path, values)
        person.say(f"Both are in {path}.")
    return values if way == 1 else {}
