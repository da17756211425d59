"""Conditions in words: what is often written becomes English, the rest is quoted as it is written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.changes.alerts.rules import RULES
from plex_companion.rules.condition_check import format_path
from plex_companion.streams.names import format_bandwidth
from plex_companion.text import clean, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.rules.conditions import Condition
    from plex_companion.rules.syntax_tree import SyntaxNode

Value = str | float | bool
SIGNS = {"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "@in": "in"}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_AMOUNTS = {">": "more than", ">=": "at least", "<": "fewer than", "<=": "at most", "==": "exactly"}
_SIZES = {**_AMOUNTS, "<": "less than"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SATURDAY, _LAST_HOUR = 5, 23
_TYPES = {
    "movie": "a movie",
    "show": "a show",
    "season": "a season",
    "episode": "an episode",
    "artist": "an artist",
    "album": "an album",
    "track": "a track",
    "clip": "a clip",
    "photo": "a photo",
    "photoalbum": "a photo album",
}
_DECISIONS = {"transcode": "a transcode", "direct play": "direct play", "direct stream": "direct stream"}
LONGEST_NAME, LONGEST_QUOTE = 60, 300


class Comparison(NamedTuple):
    """A part of a condition that compares something with what is written out."""

    subject: str
    sign: str
    values: tuple[Value, ...]


@dataclass(slots=True)
class ConditionWords:
    """What a condition says, by its place in a sentence."""

    places: dict[str, str] = field(default_factory=dict)
    earliest: int | None = None
    """The first hour of the day, if the time matters."""
    latest: int | None = None
    """The hour that it must be before."""
    quoted: list[str] = field(default_factory=list)
    """What is not put in words."""

    def add(self, place: str, words: str) -> bool:
        """Put words in a place. Return false if something else has it."""
        if place in self.places:
            return False
        self.places[place] = words
        return True


def describe_condition(condition: Condition) -> ConditionWords:
    """Put a condition in words."""
    words = ConditionWords()
    for operand in condition.operands:
        if not _describe_part(operand.tree, words):
            text = clean(operand.text)
            words.quoted.append(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…")
    return words


def _describe_part(node: SyntaxNode, words: ConditionWords) -> bool:
    comparison = _read_comparison(node)
    if comparison is not None:
        describe = DESCRIBED_SUBJECTS.get(comparison.subject)
        return describe is not None and describe(comparison, words)
    if node.name == "_||_":
        return _describe_night(node, words)
    return node.kind == "each" and _describe_caught_up(node, words)


def _read_comparison(node: SyntaxNode) -> Comparison | None:
    """Read `subject == value`, turned around as well, `subject in [values]`, or a flag alone or after `!`."""
    sign = SIGNS.get(node.name) if node.kind == "call" else None
    if sign is None:
        return _read_flag(node)
    left, right = node.parts
    if sign == "in":
        values = tuple(_read_constant(part) for part in right.parts)
        if right.kind != "list" or not values or None in values:
            return None
        return Comparison(_name(left), sign, tuple(value for value in values if value is not None))
    if _read_constant(left) is not None:
        left, right, sign = right, left, _TURNED[sign]
    value = _read_constant(right)
    return None if value is None else Comparison(_name(left), sign, (value,))


def _read_flag(node: SyntaxNode) -> Comparison | None:
    if node.kind == "select":
        return Comparison(_name(node), "==", (True,))
    if node.name == "!_" and node.parts[0].kind == "select":
        return Comparison(_name(node.parts[0]), "==", (False,))
    return None


def _read_constant(node: SyntaxNode) -> Value | None:
    return node.value if node.kind == "constant" and not isinstance(node.value, bytes) else None


def _name(node: SyntaxNode) -> str:
    """Name what is compared: a path, or a function with its arguments."""
    if node.kind == "call" and node.name.isidentifier():
        return f"{node.name}({', '.join(_name(part) for part in node.parts)})"
    return format_path(node)


def format_choice(names: Sequence[str], word: str = "or") -> str:
    """Return names as `one, two or three`."""
    return f" {word} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def quote(value: Value) -> str:
    """Quote a name from a rule."""
    text = clean(str(value))
    return f'"{text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"}"'


def _choose(comparison: Comparison, known: dict[str, str] | None = None) -> str | None:
    """Return the values as a choice, in words where there are words; `None` unless one of them is asked for."""
    if comparison.sign not in {"==", "in"}:
        return None
    values = comparison.values
    return format_choice([(known or {}).get(str(value), quote(value)) for value in values])


def _format_number(value: Value) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else quote(value)


def _describe_user(comparison: Comparison, words: ConditionWords) -> bool:
    names = format_choice([clean(str(value)) for value in comparison.values])
    if comparison.sign in {"==", "in"}:
        return words.add("who", names)
    return comparison.sign == "!=" and words.add("who", f"anybody but {names}")


def _describe_by(
    place: str, form: str, known: dict[str, str] | None = None
) -> Callable[[Comparison, ConditionWords], bool]:
    def describe(comparison: Comparison, words: ConditionWords) -> bool:
        chosen = _choose(comparison, known)
        return chosen is not None and words.add(place, form.format(chosen))

    return describe


def _describe_decision(comparison: Comparison, words: ConditionWords) -> bool:
    if comparison.sign == "!=" and comparison.values == ("transcode",):
        return words.add("as", "without a transcode")
    chosen = _choose(comparison, _DECISIONS)
    return chosen is not None and words.add("as", chosen)


def _describe_local(comparison: Comparison, words: ConditionWords) -> bool:
    is_local = (comparison.sign == "==") == (comparison.values[0] is True)
    return comparison.sign in {"==", "!="} and words.add("local", "at home" if is_local else "away from home")


def _describe_first(comparison: Comparison, words: ConditionWords) -> bool:
    is_first = (comparison.sign == "==") == (comparison.values[0] is True)
    used = "that they have not used before" if is_first else "that they have used before"
    return comparison.sign in {"==", "!="} and words.add("first", f"on a player {used}")


def _describe_hour(comparison: Comparison, words: ConditionWords) -> bool:
    bounds = _read_hours(comparison)
    if bounds is None:
        return False
    first, before = bounds
    if (first is not None and words.earliest is not None) or (before is not None and words.latest is not None):
        return False
    earliest = words.earliest if first is None else first
    latest = words.latest if before is None else before
    if earliest is not None and latest is not None and earliest >= latest:
        return False  # never true, which words would hide: after 22:00 and before 06:00 of the same day
    words.earliest, words.latest = earliest, latest
    return True


def _read_hours(comparison: Comparison) -> tuple[int | None, int | None] | None:
    """Read which hour is the first, and which one it must be before."""
    value = comparison.values[0]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LAST_HOUR + 1:
        return None
    match comparison.sign:
        case ">" | ">=":
            return value + (comparison.sign == ">"), None
        case "<" | "<=":
            return None, value + (comparison.sign == "<=")
        case "==":
            return value, value + 1
        case _:
            return None


def _describe_night(node: SyntaxNode, words: ConditionWords) -> bool:
    """Describe `hour(at) >= 22 || hour(at) < 6`."""
    parts = [_read_comparison(part) for part in node.parts]
    bounds = [_read_hours(part) for part in parts if part is not None and part.subject == HOUR]
    evenings = [one[0] for one in bounds if one is not None and one[1] is None]
    mornings = [one[1] for one in bounds if one is not None and one[0] is None]
    is_free = words.earliest is None and words.latest is None
    match evenings, mornings:
        case [int() as evening], [int() as morning] if is_free and evening > morning:
            words.earliest, words.latest = evening, morning
            return True
        case _:
            return False


def _describe_weekday(comparison: Comparison, words: ConditionWords) -> bool:
    days = {day for day in range(len(_DAYS)) if _is_met(comparison, day)}
    if days == {_SATURDAY, _SATURDAY + 1}:
        return words.add("day", "at the weekend")
    if days == set(range(_SATURDAY)):
        return words.add("day", "on a weekday")
    named = format_choice([f"a {_DAYS[day]}" for day in sorted(days)])
    return 0 < len(days) < len(_DAYS) and words.add("day", f"on {named}")


def _is_met(comparison: Comparison, number: int) -> bool:
    value = comparison.values[0]
    if comparison.sign == "in":
        return number in comparison.values
    if not isinstance(value, int | float):
        return False
    tests = {
        "==": number == value,
        "!=": number != value,
        "<": number < value,
        "<=": number <= value,
        ">": number > value,
        ">=": number >= value,
    }
    return tests[comparison.sign]


def _describe_amount(
    place: str, form: str, amounts: dict[str, str] = _AMOUNTS
) -> Callable[[Comparison, ConditionWords], bool]:
    def describe(comparison: Comparison, words: ConditionWords) -> bool:
        amount, value = amounts.get(comparison.sign), comparison.values[0]
        if amount is None:
            return False
        words_of_many = form.format(f"{amount} {_format_number(value)}")
        return words.add(place, _turn_singular(words_of_many) if value == 1 else words_of_many)

    return describe


def _turn_singular(words: str) -> str:
    words = words.replace("streams are", "stream is").replace("streams", "stream")
    return words.replace("minutes", "minute").replace("items", "item").replace("days", "day")


def _describe_bandwidth(place: str, form: str) -> Callable[[Comparison, ConditionWords], bool]:
    def describe(comparison: Comparison, words: ConditionWords) -> bool:
        amount, value = _SIZES.get(comparison.sign), comparison.values[0]
        if amount is None or not isinstance(value, int | float):
            return False
        return words.add(place, form.format(f"{amount} {_round(format_bandwidth(int(value)))}"))

    return describe


def _describe_size(comparison: Comparison, words: ConditionWords) -> bool:
    amount, value = _SIZES.get(comparison.sign), comparison.values[0]
    if amount is None or not isinstance(value, int | float):
        return False
    return words.add("size", f"of {amount} {_round(format_size(int(value)))}")


def _round(amount: str) -> str:
    return amount.replace(".0 ", " ")


def _describe_caught_up(node: SyntaxNode, words: ConditionWords) -> bool:
    """Describe `data.caught_up.exists(user, user.name == "Pip")`."""
    step = node.parts[2]
    asked = _read_comparison(step.parts[1]) if step.name == "_||_" else None
    if asked is None or format_path(node.parts[0]) != "data.caught_up" or asked.sign != "==":
        return False
    if asked.subject not in {f"{node.name}.name", f"{node.name}.id"}:
        return False
    return words.add("caught_up", f"and {clean(str(asked.values[0]))} has watched everything before")


def _name_alerts() -> dict[str, str]:
    """Name each kind of alert by the first sentence of what opens it, where that says it without a setting."""
    found: dict[str, str] = {}
    for kind, rule in RULES.items():
        sentence = rule.opens.partition(". ")[0].rstrip(".")
        is_plain = "this many" not in sentence and len(sentence) <= LONGEST_NAME
        found[kind] = quote(sentence if is_plain else kind.replace("_", " "))
    return found


HOUR = "hour(at)"
DESCRIBED_SUBJECTS: dict[str, Callable[[Comparison, ConditionWords], bool]] = {
    "data.user.name": _describe_user,
    "data.user.id": _describe_by("who", "the user {}"),
    "data.item.type": _describe_by("noun", "{}", _TYPES),
    "data.type": _describe_by("noun", "{}", _TYPES),
    "data.item.title": _describe_by("title", "{}"),
    "data.item.full_title": _describe_by("title", "{}"),
    "data.title": _describe_by("title", "{}"),
    "data.item.grandparent_title": _describe_by("of", "of {}"),
    "data.item.library": _describe_by("library", "in the library {}"),
    "data.library": _describe_by("library", "in the library {}"),
    "data.decision": _describe_decision,
    "data.resolution": _describe_by(
        "resolution", "in {}", {"4k": "4K", "8k": "8K", "1080": "1080p", "720": "720p", "sd": "SD"}
    ),
    "data.player.local": _describe_local,
    "data.first_on_player": _describe_first,
    "data.player.title": _describe_by("player", "on {}"),
    "data.player.product": _describe_by("player", "with {}"),
    "data.player.platform": _describe_by("platform", "on {}"),
    "data.server_name": _describe_by("server", "on the server {}"),
    "data.alert.kind": _describe_by("kind", "{}", _name_alerts()),
    "data.alert.severity": _describe_by("severity", "{}", {"info": "info", "warning": "warning", "error": "error"}),
    "data.rule.name": _describe_by("rule", "the rule {}"),
    HOUR: _describe_hour,
    "hour(data.at)": _describe_hour,
    "weekday(at)": _describe_weekday,
    "weekday(data.at)": _describe_weekday,
    "streams()": _describe_amount("streams", "while {} streams are running"),
    "streams_of(data.user.name)": _describe_amount("own_streams", "with {} streams of their own"),
    "streams_of(data.user.id)": _describe_amount("own_streams", "with {} streams of their own"),
    "bandwidth()": _describe_bandwidth("bandwidth", "while all streams together take {}"),
    "data.bandwidth_kbps": _describe_bandwidth("own_bandwidth", "with a stream of {}"),
    "data.size_bytes": _describe_size,
    "data.count": _describe_amount("count", "({} items)"),
    "data.days_since_scan": _describe_amount("scan", "that was not scanned for {} days", _SIZES),
    "data.days_since_added": _describe_amount("growth", "that got nothing new for {} days", _SIZES),
    "data.percent": _describe_amount("percent", "at {} %", _SIZES),
    "minutes(data.watched_ms)": _describe_amount("watched", "after {} minutes", _SIZES),
    "minutes(data.down_ms)": _describe_amount("down", "after {} minutes", _SIZES),
    "minutes(data.item.duration_ms)": _describe_amount("length", "of {} minutes", _SIZES),
}
