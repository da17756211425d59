"""`rules list`, `test`, `enable`, `disable`, `export` and `import`: what they print."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plex_companion.cache.database import StorageError, open_cache
from plex_companion.commands.reports.archive import suggest_fix
from plex_companion.commands.rules.rule_files import format_file, is_toml, parse_file
from plex_companion.commands.rules.saving import read_rules, save_rules, switch_stored_rule
from plex_companion.companion import read_clock
from plex_companion.errors import NotFound, SettingsError, StartError, ToolError
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import StopStreamAction
from plex_companion.rules.back_test import run_back_test
from plex_companion.rules.engine.requests import find_stored_rule
from plex_companion.rules.engine.shown_rules import describe_rule, serialize_status
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.settings import find_database_path
from plex_companion.text import SecretFilter, format_count
from plex_companion.times import parse_window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.models import Rule, StoredRule
    from plex_companion.settings import Settings

NO_RULES = "There are no rules yet. Make one in a conversation, or import a file: plex-companion rules import FILE."
ADDED, CHANGED, UNCHANGED = "added", "changed", "unchanged"
SHOWN = 10
"""The most firings, and the most near misses, that are printed."""


@asynccontextmanager
async def _open(settings: Settings, demo: int) -> AsyncIterator[Cache]:
    path = find_database_path(settings, demo=demo)
    if not path.exists():
        message = f"There is no database {path} yet: {suggest_fix(settings, demo=demo)}"
        raise StartError(message)
    async with open_cache(path, backups=settings.backups) as cache:
        try:
            yield cache
        except StorageError as error:
            raise StartError(f"The database {path} cannot be used: {error}.") from error


async def list_rules(settings: Settings, *, demo: int = 0, as_json: bool = False) -> str:
    """Return every rule with its id, whether it is enabled, how often it has fired, and its sentence.

    Raises:
        StartError: there is no database, or it cannot be used.
    """
    async with _open(settings, demo) as cache:
        stored = [*(await read_rules(cache)).stored.values()]
    rules = await compute_off_loop(lambda: [*map(serialize_status, stored)])
    if as_json:
        return json.dumps({"rules": rules}, ensure_ascii=False, indent=2)
    return "\n".join(map(_format_status, rules)) or NO_RULES


def _format_status(rule: dict[str, Any]) -> str:
    fired = f"fired {format_count(rule['fired'], 'time')}" if rule["fired"] else "never fired"
    why = f"\n     Disabled: {rule['disabled_because']}" if rule["disabled_because"] else ""
    return _format_line(rule, fired) + why


def _format_line(rule: dict[str, Any], what: str) -> str:
    state = "on" if rule["enabled"] else "off"
    return f"{rule['id']:>3}  {state:3}  {rule['name']} ({what})\n     {rule['sentence']}"


async def try_rule(settings: Settings, text: str, since: str, *, demo: int = 0, as_json: bool = False) -> str:
    """Return when a rule, by id or name or in a file, would have fired.

    Raises:
        NotFound: there is no such rule and no such file.
        SettingsError: the file or the time cannot be used.
        StartError: there is no database, or it cannot be used.
    """
    async with _open(settings, demo) as cache:
        rules = await _find_rules(cache, settings, text)
        try:
            window = parse_window(since, None, read_clock().at, settings.zone)
            found = [await run_back_test(cache, rule, window, settings.zone) for rule in rules]
        except ToolError as error:
            raise SettingsError(error.message) from error
    if as_json:
        return json.dumps(found if len(found) > 1 else found[0], ensure_ascii=False, indent=2)
    named = zip(rules, found, strict=True)
    return "\n\n".join(f"{rule.name}\n{_format_back_test(one, settings.zone)}" for rule, one in named)


async def _find_rules(cache: Cache, settings: Settings, text: str) -> list[Rule]:
    try:
        return [decode_rule(find_stored_rule(await read_rules(cache), text))]
    except NotFound:
        if not (file := Path(text)).is_file():
            raise
    return await _read_file(settings, file)


def _format_back_test(found: dict[str, Any], zone: tzinfo) -> str:
    def show(at: str) -> str:
        return f"{datetime.fromisoformat(at).astimezone(zone):%d %b %Y %H:%M}"

    times, about = format_count(found["fired"], "time"), format_count(found["judged"], "occurrence")
    lines = [f"{found['sentence']}.", f"It would have fired {times} since {show(found['since'])}, of {about}."]
    lines += [f"  {show(one['at'])}  {one['occurrence']['title'] or ''}".rstrip() for one in found["firings"][-SHOWN:]]
    if found["near_missed"]:
        misses = format_count(found["near_missed"], "near miss", "near misses")
        lines.append(f"{misses}, where one part alone was not true:")
        lines += [f"  {show(one['at'])}  {one['failed']}" for one in found["near_misses"][-SHOWN:]]
    if found["known_since"] is None:
        lines.append("Nothing has been recorded so far.")
    elif found["known_since"] > found["since"]:
        lines.append(f"What happened is known from {show(found['known_since'])} on.")
    return "\n".join([*lines, *([found["error"]] if found["error"] else [])])


async def switch(settings: Settings, text: str, *, enabled: bool, demo: int = 0) -> str:
    """Enable or disable a rule by its id or name. Return what to tell the person.

    Raises:
        NotFound: there is none.
        StartError: the database cannot be used, or the process that listens does not answer.
    """
    async with _open(settings, demo) as cache:
        stored = await switch_stored_rule(cache, settings, text, enabled=enabled)
        sentence = await compute_off_loop(partial(describe_rule, stored))
        rule = await compute_off_loop(partial(decode_rule, stored))
    stops = enabled and settings.read_only and any(isinstance(action, StopStreamAction) for action in rule.then)
    note = " Where the companion is read-only (READ_ONLY_MODE), it will stop nothing." if stops else ""
    return f"The rule {stored.id} '{stored.name}' is {'enabled' if enabled else 'disabled'}. {sentence}.{note}"


async def export_rules(settings: Settings, to: Path | None, form: str | None = None, *, demo: int = 0) -> str:
    """Write the rules to a file, or return them. They name targets, and hold no address and no secret.

    Args:
        settings: of this program.
        to: the file, which is none yet; `None` to return its text.
        form: `json` or `toml`. Without it, the name of the file decides, as it does when the file is imported.
        demo: the number of demo servers whose database it is.

    Raises:
        NotSupported: the package for TOML is not installed.
        SettingsError: the file exists, cannot be written, or has a name by which it would be read as another format.
        StartError: there is no database, or it cannot be used.
    """
    toml = is_toml(to.name) if to else form == "toml"
    if to and form and toml != (form == "toml"):
        message = (
            f"{to} would be imported as {'TOML' if toml else 'JSON'}: a file of TOML, and no other, ends with .toml."
        )
        raise SettingsError(message)
    async with _open(settings, demo) as cache:
        stored = [*(await read_rules(cache)).stored.values()]
    text = SecretFilter(settings.list_secrets()).hide(format_file(stored, toml=toml))
    if to is None:
        return text.rstrip()
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(f"{to} cannot be written: {error.strerror}. Name a new file.") from error
    return f"{format_count(len(stored), 'rule')} written to {to}."


async def import_rules(settings: Settings, file: Path, *, enable: bool, demo: int = 0) -> str:
    """Save the rules of a file, all or none, and return a line for each that says what became of it.

    A rule replaces the one of its name. New and changed ones are disabled unless `enable` is set.

    Raises:
        Conflict: somebody else has changed one of them meanwhile.
        SettingsError: the file cannot be read, or a rule in it is wrong or has the name of another.
        StartError: the database cannot be used, or the process that listens does not answer.
    """
    rules = await _read_file(settings, file)
    async with _open(settings, demo) as cache:
        saved = await save_rules(cache, settings, rules, enable=enable)
    return await compute_off_loop(partial(_format_import, saved))


def _format_import(saved: Sequence[tuple[StoredRule | None, StoredRule]]) -> str:
    outcomes = [_describe_import(*one) for one in saved]
    lines = [_format_line(serialize_status(new), word) for (_, new), word in zip(saved, outcomes, strict=True)]
    counts = Counter(word.partition(",")[0] for word in outcomes)
    return "\n".join([*lines, ", ".join(f"{counts[word]} {word}" for word in (ADDED, CHANGED, UNCHANGED)) + "."])


def _describe_import(old: StoredRule | None, new: StoredRule) -> str:
    if old is None:
        return ADDED
    word = UNCHANGED if old.definition == new.definition else CHANGED
    switched = (
        "" if old.enabled == new.enabled else ", enabled" if new.enabled else ", disabled until you enable it again"
    )
    return word + switched


async def _read_file(settings: Settings, file: Path) -> list[Rule]:
    return await compute_off_loop(partial(_read_and_check, settings, file))


def _read_and_check(settings: Settings, file: Path) -> list[Rule]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(f"{file} cannot be read: {reason}.") from error
    return parse_file(text, file.name, settings.list_notify_targets())
