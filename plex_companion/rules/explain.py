"""A rule as one sentence: when, only if, for how long, what then, and how often at most. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.errors import ToolError
from plex_companion.models import AlertAction, NotifyAction, StopStreamAction, WebhookAction
from plex_companion.rules.condition_words import ConditionWords, describe_condition, format_choice, quote
from plex_companion.rules.conditions import compile_condition
from plex_companion.rules.durations import format_minute
from plex_companion.text import clean, format_count
from plex_companion.times import UNITS_MS

if TYPE_CHECKING:
    from plex_companion.models import Rule, RuleAction

_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
_PLAY_VERBS = {
    "play.started": "starts",
    "play.paused": "pauses",
    "play.resumed": "resumes",
    "play.stopped": "stops",
    "play.watched": "has watched",
}
_LASTING = {
    "play.paused": "{who} has paused {what} for {span}",
    "play.buffering": "what {who} plays keeps buffering for {span}",
    "alert.opened": "{alert} has been open for {span}",
    "connection.lost": "Plex has been out of reach for {span}",
}
_CLAUSES = {
    "play.quality_changed": "{who} gets another quality of {what}",
    "play.buffering": "{what} that {who} plays keeps buffering",
    "media.added": "{media} is added",
    "media.upgraded": "{media} gets another file",
    "media.removed": "{media} is removed",
    "alert.opened": "{alert} opens",
    "alert.resolved": "{alert} is resolved",
    "connection.lost": "the connection to Plex is lost",
    "connection.restored": "Plex is connected again",
    "client.new": "a new player appears",
    "scan.finished": "a scan adds something",
    "library.checked": "the daily comparison finds {library}",
    "server.updated": "Plex runs another version",
    "rule.fired": "{rule} fires",
}
_PLACES = ("of", "resolution", "size", "length", "count", "scan", "growth", "library", "player", "platform", "server")
_REST = (
    "first",
    "local",
    "day",
    "hours",
    "percent",
    "watched",
    "down",
    "own_streams",
    "own_bandwidth",
    "streams",
    "bandwidth",
    "caught_up",
)
"""Places of the words that follow, in their order."""
TRANSCODE = "a transcode"


def explain(rule: Rule) -> str:
    """Return a rule as one sentence without a full stop.

    Without the package for conditions, or where that knows the condition no longer, the condition is quoted.
    """
    words = _describe(rule)
    when = f"When {_describe_when(rule, words)}"
    if words.quoted:
        when += f", if {format_choice([f'`{text}`' for text in words.quoted], 'and')}"
    then = format_choice([_describe_action(action) for action in rule.then], "and")
    return ", ".join(part for part in (when, then, _describe_cooldown(rule), _describe_quiet(rule)) if part)


def _describe(rule: Rule) -> ConditionWords:
    try:
        words = describe_condition(compile_condition(rule.only_if, rule.when))
    except ToolError:
        words = ConditionWords(quoted=[clean(" ".join(rule.only_if.split()))])
    hours = _describe_hours(words)
    if hours:
        words.places["hours"] = hours
    return words


def _describe_hours(words: ConditionWords) -> str:
    earliest, latest = (None if hour is None else format_minute(hour * 60) for hour in (words.earliest, words.latest))
    if earliest and latest:
        return f"between {earliest} and {latest}"
    return f"after {earliest}" if earliest else f"before {latest}" if latest else ""


def _describe_when(rule: Rule, words: ConditionWords) -> str:
    places = words.places
    clauses = [*_describe_actions_of_plays(rule, places), *(_describe_clause(rule, name, places) for name in rule.when)]
    shown = [clause for clause in dict.fromkeys(clauses) if clause]
    qualifiers = "" if any(name.startswith(("play.", "media.")) for name in rule.when) else _qualify(places, rule)
    rest = [places[place] for place in _REST if place in places]
    return " ".join(part for part in (format_choice(shown), qualifiers, *rest) if part)


def _describe_actions_of_plays(rule: Rule, places: dict[str, str]) -> list[str]:
    """Describe what somebody does in one clause: `Pip starts or resumes a movie`."""
    verbs = [_PLAY_VERBS[name] for name in rule.when if name in _PLAY_VERBS and rule.for_ms is None]
    if not verbs:
        return []
    what = _describe_thing(places)
    if verbs == ["starts"] and what.startswith("something"):
        verbs = ["starts playing"]
    return [f"{places.get('who', 'somebody')} {format_choice(verbs)} {what}"]


def _describe_clause(rule: Rule, name: str, places: dict[str, str]) -> str:
    span = None if rule.for_ms is None else format_span(rule.for_ms)
    if name in _PLAY_VERBS and span is None:
        return ""
    form = _CLAUSES.get(name, f"{name} happens") if span is None else _LASTING[name]
    return form.format(
        who=places.get("who", "somebody"),
        what=_describe_thing(places),
        media=_describe_thing(places),
        alert=_describe_alert(places),
        rule=places.get("rule", "another rule"),
        library=places.get("library", "a library").removeprefix("in "),
        span=span,
    )


def _describe_thing(places: dict[str, str]) -> str:
    """Describe what is played or what a library got: `a movie in the library "Kids"`."""
    manner = places.get("as", "")
    noun = places.get("noun") or ("an episode" if "of" in places else "")
    thing = places.get("title") or noun or (manner if manner == TRANSCODE else "something")
    if manner and thing != manner:
        thing += f" {manner}" if manner.startswith("without") else f" {'as' if TRANSCODE in manner else 'by'} {manner}"
    return f"{thing} {_qualify(places)}".rstrip()


def _qualify(places: dict[str, str], rule: Rule | None = None) -> str:
    named = rule is not None and "library.checked" in rule.when  # whose clause has the library
    return " ".join(places[place] for place in _PLACES if place in places and not (named and place == "library"))


def _describe_alert(places: dict[str, str]) -> str:
    severity, kind = places.get("severity"), places.get("kind")
    if kind is None:
        return {"info": "an alert of the severity info", "warning": "a warning", "error": "an error alert"}.get(
            severity or "", f"an alert of the severity {severity}" if severity else "an alert"
        )
    return f"the alert {kind}{f' ({severity})' if severity else ''}"


def _describe_action(action: RuleAction) -> str:
    match action:
        case NotifyAction(targets=targets):
            return f"tell {format_choice([clean(target) for target in targets], 'and')}"
        case AlertAction(title=title):
            return f"open the alert {quote(title)}"
        case StopStreamAction(message=message):
            return f"stop the stream with the message {quote(message)}" if message else "stop the stream"
        case WebhookAction():
            return "call the webhooks"


def _describe_cooldown(rule: Rule) -> str:
    if rule.cooldown_ms is None:
        return ""
    length = format_span(rule.cooldown_ms)
    number, unit = length.split(" ")
    return f"at most once {'an' if unit == 'hour' else 'a'} {unit}" if number == "1" else f"at most once in {length}"


def _describe_quiet(rule: Rule) -> str:
    if rule.quiet is None:
        return ""
    times = (format_minute(minute) for minute in (rule.quiet.start_minute, rule.quiet.end_minute))
    return f"and keep messages back from {' to '.join(times)}"


def format_span(ms: int) -> str:
    """Format a duration in words, in the longest unit that leaves no rest: `90 minutes`, `1 hour`."""
    unit = next(unit for unit in _UNITS if ms % UNITS_MS[unit] == 0 or unit == "s")
    return format_count(ms // UNITS_MS[unit], _UNITS[unit])
