"""Rules as JSON: parsed with every mistake explained, and formatted back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from msgspec.structs import replace

from plex_companion.errors import Invalid
from plex_companion.models import (
    AlertAction,
    NotifyAction,
    OccurrenceName,
    Rule,
    Severity,
    StopStreamAction,
    WebhookAction,
)
from plex_companion.rules.conditions import compile_condition
from plex_companion.rules.durations import format_quiet, format_span, parse_duration, parse_quiet
from plex_companion.rules.occurrence_fields import build_row_schema
from plex_companion.rules.placeholders import check_placeholders
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from plex_companion.models import QuietHours, RuleAction
    from plex_companion.rules.occurrence_fields import Schema
    from plex_companion.serialize import Json

KEYS = ("id", "name", "when", "only_if", "for", "then", "cooldown", "quiet", "enabled")
LASTING: tuple[OccurrenceName, ...] = ("play.paused", "play.buffering", "alert.opened", "connection.lost")
"""What goes on until its opposite happens, so that a rule may wait with `for`."""
ACTION_KEYS: dict[str, tuple[str, ...]] = {
    "notify": ("targets", "title", "text"),
    "alert": ("title", "severity"),
    "stop_stream": ("message",),
    "webhook": (),
}
OF_PLAYS: tuple[OccurrenceName, ...] = (
    "play.started",
    "play.paused",
    "play.resumed",
    "play.watched",
    "play.quality_changed",
    "play.buffering",
)
"""What happens to a play that goes on, so that it can be stopped."""
LONGEST_NAME, LONGEST_TITLE, LONGEST_TEXT = 100, 200, 2_000
MOST_ACTIONS = 10
LONGEST_SHOWN = 40


def parse_rule(given: Any, targets: Collection[str]) -> Rule:
    """Parse a rule as a tool or a file gives it. `targets` are the names that `notify` knows.

    Raises:
        Invalid: something is missing, unknown or of another kind; the message says what, and what there is.
        NotSupported: it has a condition, and CEL is not installed.
    """
    if not isinstance(given, dict):
        message = (
            'A rule is an object such as {"name": …, "when": ["play.started"], "then": [{"action": "notify", …}]}.'
        )
        raise Invalid(message, argument="rule")
    _check_keys(given, KEYS, "rule")
    when = _parse_when(given.get("when"))
    row = build_row_schema(when)
    rule = Rule(
        id=_parse_id(given.get("id")),
        name=_read_text(given, "name", "rule", LONGEST_NAME),
        when=when,
        then=_parse_actions(given.get("then"), when, row, targets),
        only_if=_parse_condition(given, when),
        enabled=_parse_flag(given.get("enabled")),
    )
    return _parse_times(given, rule)


def _parse_condition(given: Json, when: tuple[OccurrenceName, ...]) -> str:
    return compile_condition(_read_text(given, "only_if", "rule", None, default=""), when).source


def _parse_times(given: Json, rule: Rule) -> Rule:
    for_ms = _parse_span(given, "for")
    brief = [name for name in rule.when if name not in LASTING]
    if for_ms is not None and brief:
        message = f"for needs something that lasts, and {brief[0]} does not. It is possible with {', '.join(LASTING)}."
        raise Invalid(message, argument="for", allowed=[*LASTING])
    quiet = _parse_quiet_hours(given)
    return replace(rule, for_ms=for_ms, cooldown_ms=_parse_span(given, "cooldown"), quiet=quiet)


def _parse_quiet_hours(given: Json) -> QuietHours | None:
    text = _read_text(given, "quiet", "rule", None, default="")
    return parse_quiet(text, "quiet") if text else None


def _parse_span(given: Json, key: str) -> int | None:
    text = _read_text(given, key, "rule", None, default="")
    return parse_duration(text, key) if text else None


def _parse_id(given: Any) -> int | None:
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if given is None or (text.isascii() and text.isdecimal() and len(text) <= 18):  # noqa: PLR2004 - SQLite's integers
        return None if given is None else int(text)
    message = f"id {_show(given)} is not the number of a rule. Leave it out: a new rule gets one when it is saved."
    raise Invalid(message, argument="id")


def _parse_flag(given: Any) -> bool:
    if given is None or isinstance(given, bool):
        return bool(given)
    message = f"enabled must be true or false, not {_show(given)}."
    raise Invalid(message, argument="enabled")


def _parse_when(given: Any) -> tuple[OccurrenceName, ...]:
    names = [given] if isinstance(given, str) else given
    known = get_args(OccurrenceName)
    if not isinstance(names, list) or not names:
        message = f'when lists the types of occurrences, as ["play.started"]. Types: {", ".join(known)}.'
        raise Invalid(message, argument="when", allowed=[*known])
    for name in names:
        if name not in known:
            message = f"when: there is no type of occurrence {_show(name)}. Types: {', '.join(known)}."
            raise Invalid(message, argument="when", allowed=[*known])
    return tuple(dict.fromkeys(names))


def _parse_actions(
    given: Any, when: tuple[OccurrenceName, ...], row: Schema, targets: Collection[str]
) -> tuple[RuleAction, ...]:
    actions = [given] if isinstance(given, dict) else given
    if not isinstance(actions, list) or not 0 < len(actions) <= MOST_ACTIONS:
        message = f'then lists 1 to {MOST_ACTIONS} actions, as [{{"action": "alert", "title": …}}]. Actions: {_list_actions()}.'
        raise Invalid(message, argument="then", allowed=[*ACTION_KEYS])
    return tuple(_parse_action(one, f"then[{position}]", when, row, targets) for position, one in enumerate(actions))


def _parse_action(
    given: Any, where: str, when: tuple[OccurrenceName, ...], row: Schema, targets: Collection[str]
) -> RuleAction:
    name = given.get("action") if isinstance(given, dict) else given
    if not isinstance(given, dict) or not isinstance(name, str) or name not in ACTION_KEYS:
        message = f"{where}: {_show(name)} is not an action. Actions: {_list_actions()}."
        raise Invalid(message, argument=where, allowed=[*ACTION_KEYS])
    _check_keys(given, ("action", *ACTION_KEYS[name]), where)
    action = _build_action(name, given, where, targets)
    if name == "stop_stream":
        _check_plays(when, where)
    for key in ("title", "text", "message"):
        check_placeholders(getattr(action, key, ""), row, f"{where}.{key}")
    return action


def _build_action(name: str, given: Json, where: str, targets: Collection[str]) -> RuleAction:
    match name:
        case "notify":
            title = _read_text(given, "title", where, LONGEST_TITLE)
            text = _read_text(given, "text", where, LONGEST_TEXT, default="")
            return NotifyAction(_parse_targets(given.get("targets"), f"{where}.targets", targets), title, text)
        case "alert":
            return AlertAction(_read_text(given, "title", where, LONGEST_TITLE), _parse_severity(given, where))
        case "stop_stream":
            return StopStreamAction(_read_text(given, "message", where, LONGEST_TITLE, default=""))
        case _:
            return WebhookAction()


def _parse_targets(given: Any, where: str, targets: Collection[str]) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else given
    if not targets:
        message = f"{where}: no target is set. Set PLEX_COMPANION_NOTIFY, or use the action alert."
        raise Invalid(message, argument=where, allowed=[])
    known = ", ".join(targets)
    if not isinstance(names, list) or not names:
        message = f"{where} lists the names of those to tell. Targets: {known}."
        raise Invalid(message, argument=where, allowed=[*targets])
    for name in names:
        if not isinstance(name, str) or name not in targets:
            raise Invalid(
                f"{where}: there is no target {_show(name)}. Targets: {known}.", argument=where, allowed=[*targets]
            )
    return tuple(dict.fromkeys(names))


def _parse_severity(given: Json, where: str) -> Severity:
    severities: tuple[Severity, ...] = get_args(Severity)
    found = next((one for one in severities if one == (given.get("severity") or "info")), None)
    if found is None:
        message = f"{where}.severity {_show(given['severity'])} is unknown. Severities: {', '.join(severities)}."
        raise Invalid(message, argument=f"{where}.severity", allowed=[*severities])
    return found


def _check_plays(when: tuple[OccurrenceName, ...], where: str) -> None:
    foreign = next((name for name in when if name not in OF_PLAYS), None)
    if foreign is not None:
        message = (
            f"{where}: stop_stream needs a play that goes on; {foreign} has none. Use it with {', '.join(OF_PLAYS)}."
        )
        raise Invalid(message, argument=where, allowed=[*OF_PLAYS])


def _check_keys(given: Json, known: Collection[str], where: str) -> None:
    for key in given:
        if key not in known:
            message = f"{where} has no key {_show(key)}. Keys: {', '.join(known)}."
            raise Invalid(message, argument=where, allowed=[*known])


def _read_text(given: Mapping[str, Any], key: str, where: str, most: int | None, default: str | None = None) -> str:
    """Return a text of an object. Without a default it is required; `null` is as if it were left out.

    What people read, which has a greatest length, is without control and invisible characters.
    """
    found = given.get(key)
    name = key if where == "rule" else f"{where}.{key}"
    if found is None and default is not None:
        return default
    if found is not None and not isinstance(found, str):
        raise Invalid(f"{name} must be a text, not {_show(found)}.", argument=name)
    text = (found or "").strip() if most is None else _clean_lines(found or "", "\n" if key == "text" else " ")
    if not text and default is None:
        raise Invalid(f"{name} is missing.", argument=name)
    if most is not None and len(text) > most:
        given_length = len((found or "").strip())  # the text itself is cut already
        raise Invalid(f"{name} has {given_length:,} characters, and {most:,} are allowed.", argument=name)
    return text


def _clean_lines(text: str, between: str) -> str:
    return between.join(clean(line).strip() for line in text.splitlines()).strip()


def _list_actions() -> str:
    return ", ".join(ACTION_KEYS)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def format_rule(rule: Rule) -> Json:
    """Return the JSON of a rule. What is not set is left out; `parse_rule` gives back the same rule."""
    formatted: dict[str, Any] = {
        "id": None if rule.id is None else str(rule.id),
        "name": rule.name,
        "when": [*rule.when],
        "only_if": rule.only_if or None,
        "for": None if rule.for_ms is None else format_span(rule.for_ms),
        "then": [_format_action(action) for action in rule.then],
        "cooldown": None if rule.cooldown_ms is None else format_span(rule.cooldown_ms),
        "quiet": None if rule.quiet is None else format_quiet(rule.quiet),
        "enabled": rule.enabled,
    }
    return {key: value for key, value in formatted.items() if value is not None}


def _format_action(action: RuleAction) -> Json:
    match action:
        case NotifyAction(targets=targets, title=title, text=text):
            return {"action": "notify", "targets": [*targets], "title": title, **({"text": text} if text else {})}
        case AlertAction(title=title, severity=severity):
            return {"action": "alert", "title": title, "severity": severity}
        case StopStreamAction(message=message):
            return {"action": "stop_stream", **({"message": message} if message else {})}
        case WebhookAction():
            return {"action": "webhook"}
