"""The command `install`: adds an entry to an AI host's list of MCP servers after asking, or prints it."""

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
CHOICES = (
    "Save both in {dotenv}, which only you can read and which plex-companion always reads",
    "Write both into the host's file, where the host and anybody who can read that file sees the token",
    "Neither: I'll take care of it",
)


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """The arguments of the command."""

    host: str
    name: str = "plex"
    file: Path | None = None
    printed: bool = False
    demo: bool = False
    allow_writes: bool = False
    toolsets: tuple[str, ...] = ()
    """The toolsets to serve; all of them if empty."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The result of the command."""

    text: str | None = None
    """The entry to print, if it was not written."""
    complete: bool = True
    """Whether everything that was requested is done."""


def detect_paths() -> HostPaths:
    """Return the base folders of this user on this system."""
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
    """Return the command that starts this installation, with an absolute path: hosts do not use the shell's `PATH`."""
    script = Path(sys.executable).parent / ("plex-companion.exe" if sys.platform == "win32" else "plex-companion")
    if script.is_file():
        return [str(script.absolute())]
    return [str(Path(sys.executable).absolute()), "-m", "plex_companion"]


def is_temporary(command: str) -> bool:
    """Return whether a program is in a cache, where `uvx` and `pipx run` put it and may delete it later."""
    parts = Path(command).parts
    caches = {".cache", "cache", "Caches", Path(platformdirs.user_cache_dir()).name}
    return bool(caches & set(parts))


def install(
    request: InstallRequest, settings: Settings, prompter: Prompter, paths: HostPaths, now: datetime
) -> Installation:
    """Write the entry, or return it as text to print.

    Raises:
        StartError: the file cannot be read or written, or a question got no answer.
    """
    host = HOSTS[request.host]
    command = [*find_own_command(), *_arguments(request)]
    chosen = {WRITES: "false"} if request.allow_writes else {}
    file = request.file or host.find_file(paths)
    if is_temporary(command[0]):
        prompter.say(
            f"Note: {command[0]} is in a cache and may be deleted. "
            "Install plex-companion permanently with `pipx install` or `uv tool install`."
        )
    if request.printed:
        prompter.say(f"For {host.title}, add this to {file}:")
        return Installation(render_snippet(host, request.name, host.build_entry(command, chosen)))
    before = _read(file)
    try:
        existing = find_entry(before, host, request.name)
    except UnsafeEdit as error:
        prompter.say(f"{file} was not changed: {error}. Add this by hand:")
        return Installation(render_snippet(host, request.name, host.build_entry(command, chosen)), complete=False)
    variables = {} if request.demo else _list_variables(settings, prompter)
    entry = host.build_entry(command, {**variables, **chosen})
    written = _write(_EntryChange(host, request.name, entry, file, before, existing), prompter, now)
    if written and request.allow_writes:
        prompter.say("Its tools can now change Plex. Tools that delete something ask first.")
    return Installation(complete=written)


def _arguments(request: InstallRequest) -> list[str]:
    toolsets = ["--toolsets", ",".join(request.toolsets)] if request.toolsets else []
    return ["serve", *(["--demo"] if request.demo else []), *toolsets]


@dataclass(frozen=True, slots=True)
class _EntryChange:
    host: AiHost
    name: str
    entry: Mapping[str, Any]
    file: Path
    before: str
    existing: Any


def _write(change: _EntryChange, prompter: Prompter, now: datetime) -> bool:
    """Write the entry after asking, and return whether the host has it now."""
    after = merge_entry(change.before, change.host, change.name, change.entry)
    if find_entry(after, change.host, change.name) == change.existing:
        prompter.say(f"{change.host.title} already has this entry in {change.file}. Nothing was changed.")
        return True
    question = f"Add '{change.name}' to {change.file}?"
    if change.existing is not None:
        other = "" if is_ours(change.existing) else ", which starts another program,"
        question = f"Replace the entry '{change.name}'{other} in {change.file}?"
    if not prompter.confirm(question):
        prompter.say("Nothing was changed.")
        return False
    copy = replace_file(change.file, after, now)
    kept = f" The old file is kept as {copy}." if copy else ""
    prompter.say(f"Added '{change.name}' to {change.file}.{kept} {change.host.afterwards}")
    return True


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartError(f"{file} can't be read: {why}. --print shows the entry instead.") from None


def _list_variables(settings: Settings, prompter: Prompter) -> dict[str, str]:
    """Return the environment variables that the entry needs, because plex-companion could not find them otherwise."""
    path = find_user_dotenv()
    token = settings.plex_token.get_secret_value() if settings.plex_token else None
    if not settings.plex_url or not token:
        prompter.say("No Plex server is set up yet: run `plex-companion login`, or set PLEX_URL and PLEX_TOKEN.")
        return {}
    kept = dotenv.dotenv_values(path, encoding="utf-8-sig") if path.is_file() else {}
    if kept.get(URL) and kept.get(TOKEN):
        prompter.say(f"Address and token stay in {path}, where plex-companion finds them.")
        return {}
    if prompter.assume_yes:
        prompter.say(f"Address and token are set only in this shell, where a host can't see them: add them to {path}.")
        return {}
    prompter.say(
        "A host starts plex-companion in its own environment, which doesn't have your PLEX_URL and PLEX_TOKEN."
    )
    choice = prompter.choose("Where should they go?", [one.format(dotenv=path) for one in CHOICES])
    values = {URL: settings.plex_url, TOKEN: token}
    if choice == 0:
        save_settings(path, values)
        prompter.say(f"Saved both in {path}.")
    return values if choice == 1 else {}
