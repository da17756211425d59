"""The command `install`: an entry in an AI host's list of MCP servers, written with consent or printed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dotenv
import platformdirs

from plex_companion.errors import StartError
from plex_companion.settings import variable
from plex_companion.setup.hosts import HOSTS, NotKept, Place, entry_in, is_ours, merged, snippet
from plex_companion.setup.keep import keep_settings, replace_file, user_dotenv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from plex_companion.settings import Settings
    from plex_companion.setup.hosts import Host
    from plex_companion.setup.person import Person

URL, TOKEN, WRITES = variable("plex_url"), variable("plex_token"), variable("read_only")
WAYS = (
    "Keep both in {dotenv}, which only you can read, and which every companion of yours reads",
    "Write both into the host's file, where the host and whoever reads that file sees the token",
    "Neither: I see to it myself",
)


@dataclass(frozen=True, slots=True)
class Wish:
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


def here() -> Place:
    """This machine and this user."""
    home = Path.home()
    match sys.platform:
        case "darwin":
            config = home / "Library" / "Application Support"
        case "win32":
            config = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
        case _:
            config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Place(sys.platform, home, config)


def own_command() -> list[str]:
    """What starts this very installation, by its absolute path: hosts do not search where a shell does."""
    script = Path(sys.executable).parent / ("plex-companion.exe" if sys.platform == "win32" else "plex-companion")
    if script.is_file():
        return [str(script.absolute())]
    return [str(Path(sys.executable).absolute()), "-m", "plex_companion"]


def is_passing(command: str) -> bool:
    """Whether a program lies in a cache, where `uvx` and `pipx run` put it and may take it away again."""
    parts = Path(command).parts
    caches = {".cache", "cache", "Caches", Path(platformdirs.user_cache_dir()).name}
    return bool(caches & set(parts))


def install(wish: Wish, settings: Settings, person: Person, place: Place, now: datetime) -> Installation:
    """Write the entry, or return it as text to be printed.

    Raises:
        StartError: the file cannot be read or written, or nobody answered.
    """
    host = HOSTS[wish.host]
    command = [*own_command(), *_arguments(wish)]
    chosen = {WRITES: "false"} if wish.allow_writes else {}
    file = wish.file or host.file(place)
    if is_passing(command[0]):
        person.say(
            f"Note: {command[0]} lies in a cache and may go away. "
            "`pipx install` or `uv tool install` keep it in one place."
        )
    if wish.printed:
        person.say(f"For {host.title}, into {file}:")
        return Installation(snippet(host, wish.name, host.entry(command, chosen)))
    before = _read(file)
    try:
        there = entry_in(before, host, wish.name)
    except NotKept as error:
        person.say(f"{file} is left as it is: {error}. Put this into it by hand:")
        return Installation(snippet(host, wish.name, host.entry(command, chosen)), complete=False)
    variables = {} if wish.demo else _variables(settings, person)
    entry = host.entry(command, {**variables, **chosen})
    written = _write(_Change(host, wish.name, entry, file, before, there), person, now)
    if written and wish.allow_writes:
        person.say("Its tools may change Plex; what destroys something asks first.")
    return Installation(complete=written)


def _arguments(wish: Wish) -> list[str]:
    toolsets = ["--toolsets", ",".join(wish.toolsets)] if wish.toolsets else []
    return ["serve", *(["--demo"] if wish.demo else []), *toolsets]


@dataclass(frozen=True, slots=True)
class _Change:
    host: Host
    name: str
    entry: Mapping[str, Any]
    file: Path
    before: str
    there: Any


def _write(change: _Change, person: Person, now: datetime) -> bool:
    """Return whether the host has the entry now."""
    after = merged(change.before, change.host, change.name, change.entry)
    if entry_in(after, change.host, change.name) == change.there:
        person.say(f"{change.host.title} has this entry already in {change.file}. Nothing was changed.")
        return True
    question = f"Add '{change.name}' to {change.file}?"
    if change.there is not None:
        other = "" if is_ours(change.there) else ", which starts another program,"
        question = f"Replace the entry '{change.name}'{other} in {change.file}?"
    if not person.agrees(question):
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


def _variables(settings: Settings, person: Person) -> dict[str, str]:
    """What the host must hand over, because the companion would not find it by itself when the host starts it."""
    path = user_dotenv()
    token = settings.plex_token.get_secret_value() if settings.plex_token else None
    if not settings.plex_url or not token:
        person.say("No server is known yet: run `plex-companion login`, or set PLEX_URL and PLEX_TOKEN.")
        return {}
    kept = dotenv.dotenv_values(path, encoding="utf-8-sig") if path.is_file() else {}
    if kept.get(URL) and kept.get(TOKEN):
        person.say(f"Address and token stay in {path}, where the companion finds them.")
        return {}
    if person.agrees_already:
        person.say(f"Address and token are in this shell only, where no host finds them: put them into {path}.")
        return {}
    person.say(
        "A host starts the companion in a place of its own, where it does not find your PLEX_URL and PLEX_TOKEN."
    )
    way = person.chooses("What shall be done with them?", [way.format(dotenv=path) for way in WAYS])
    values = {URL: settings.plex_url, TOKEN: token}
    if way == 0:
        keep_settings(path, values)
        person.say(f"Both are in {path}.")
    return values if way == 1 else {}
