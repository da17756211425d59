"""Conditions are checked before they are saved, judged as they are written, and cannot take long."""

from __future__ import annotations

import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.errors import Invalid
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.rules.condition_source import LONGEST
from plex_companion.rules.conditions import Condition, Facts, Verdict, compile_condition
from plex_companion.rules.occurrence_fields import build_row_schema, list_fields

VIENNA = ZoneInfo("Europe/Vienna")
AT = "2026-11-22T21:30:00.000Z"
"""A Sunday, 22:30 in Vienna."""
PLAY: dict[str, Any] = {
    "id": "0123abcd-1-5",
    "type": "play.started",
    "at": AT,
    "inferred": False,
    "data": {
        "server": "one",
        "at": AT,
        "play_id": "4",
        "item": {"title": "Harbour Street", "year": None, "duration_ms": 5_400_000, "type": "movie"},
        "user": {"id": "1", "name": "Pip"},
        "player": None,
        "decision": "transcode",
        "view_offset_ms": 61_000,
    },
}
MEDIA: dict[str, Any] = {
    "id": "0123abcd-2-6",
    "type": "media.added",
    "at": AT,
    "inferred": True,
    "data": {
        "title": "Harbour Street - Season 2",
        "count": 2,
        "items": [
            {"rating_key": "1", "resolution": "1080", "season": 2},
            {"rating_key": "2", "resolution": "4k", "season": 2},
        ],
        "caught_up": [{"id": "1", "name": "Pip"}],
    },
}
FACTS = Facts(streams=3, streams_of=lambda user: 2 if user == "Pip" else 0, bandwidth_kbps=9_000)
LONG_SECONDS = 5.0
"""Of processor time. The worst condition takes a hundredth; one that grows with lists in lists takes minutes."""


def judge(source: str, row: dict[str, Any] = PLAY) -> Verdict:
    return compile_condition(source, [row["type"]], VIENNA).judge(row, FACTS)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "true",
        'data.user.name == "Pip" && data.decision == "transcode" && hour(at) >= 22',
        "hour(at) == 22 && hour(data.at) == 22 && weekday(at) == 6",
        "streams() == 3 && streams_of(data.user.name) == 2 && streams_of(data.user.id) == 0 && bandwidth() > 8000",
        "minutes(data.view_offset_ms) == 1 && minutes(data.item.duration_ms) >= 90",
        'type == "play.started" && !inferred && id.startsWith("0123")',
        'data["user"]["name"] in ["Anna", "Pip"]',
        "data.item.year > 2000 || data.item.duration_ms > 1000.5",
        "!has(data.item.year) && !has(data.player.local) && has(data.user.name)",
        'data.item.title.contains("Harbour") && data.item.title.matches("^H.*t$") && data.item.title.size() > 3',
        'at > timestamp("2026-01-01T00:00:00Z")',
        """type == 'play.started' && type(type) == string && data.item.type != 'type' // type && "type" == 1""",
        """!(data.decision == "a && b" || data.decision == '\\' && (') && ["]", "transcode"].exists(type, type == data.decision)""",
        '(data.decision == "transcode" ? 2 : 3) == 2',
        '// a comment with && in it\ndata.user.name == "Pip"',
    ],
)
def test_a_condition_is_met(source: str) -> None:
    assert judge(source) == Verdict(matched=True)


@pytest.mark.parametrize(
    "source",
    [
        'data.items.exists(one, one.resolution == "4k") && !data.items.all(one, one.resolution == "4k")',
        "data.items.filter(one, one.season == 2).size() == data.count",
        'data.items.exists_one(one, one.rating_key == "2")',
        'data.caught_up.exists(user, user.name == "Pip")',
        'inferred && data.items[1].resolution == "4k"',
    ],
)
def test_a_condition_about_a_list_is_met(source: str) -> None:
    assert judge(source, MEDIA) == Verdict(matched=True)


@pytest.mark.parametrize(
    ("source", "failed"),
    [
        ('data.user.name == "Anna"', None),
        ('data.user.name == "Pip"  &&\n hour(at)  < 22', "hour(at) < 22"),
        ('data.user.name == "Pip" && data.player.local == false', "data.player.local == false"),
        ('data.user.name == "&&" && true', 'data.user.name == "&&"'),
        ("true && (false && true)", "(false && true)"),
        ("true && (false || false) && !false", "(false || false)"),
        ("false && false", None),
        ("true && data.item.year > 3 && false", None),
        ("false || false", None),
        ("false || true && false", None),
        ("true && data.view_offset_ms / 0 == 1 && false", None),
    ],
)
def test_a_near_miss_names_the_only_one_of_several_parts_that_was_not_true(source: str, failed: str | None) -> None:
    assert judge(source) == Verdict(matched=False, failed=failed)


@pytest.mark.parametrize(
    "source",
    [
        "data.item.year > 2000",
        "data.player.title == 'TV' && data.view_offset_ms / 0 == 1",
        "streams_of(data.player.title) > 1",
    ],
)
def test_a_field_without_a_value_is_no_match_and_no_failure(source: str) -> None:
    verdict = judge(source)
    assert (verdict.matched, verdict.error) == (False, None)


def test_what_is_null_and_what_is_left_out_are_alike() -> None:
    left_out = {**PLAY, "data": {name: value for name, value in PLAY["data"].items() if value is not None}}
    for source in ("has(data.player.local)", "!has(data.player.local)", "data.player.local == false"):
        assert judge(source, left_out) == judge(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("data.view_offset_ms / 0 == 1", "divide by zero"),
        ("int(data.user.name) == 1", "cannot convert string to int"),
        ("data.view_offset_ms * 9223372036854775807 > 0", "overflow"),
        ("hour(data.user.name) == 1", "Invalid isoformat string"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_says_why(source: str, words: str) -> None:
    verdict = judge(source)
    assert not verdict.matched
    assert verdict.error is not None
    assert verdict.error.startswith("The condition cannot be evaluated: ")
    assert words in verdict.error


def test_an_alert_s_detail_may_have_any_fields() -> None:
    row = {**PLAY, "type": "alert.opened", "data": {"alert": {"kind": "buffering", "detail": {"count": 3}}}}
    assert judge("data.alert.detail.count > 2 && !has(data.alert.detail.reason)", row).matched
    assert judge("data.alert.detail.count > 'x'", row).error is not None


@pytest.mark.parametrize("value", ["text", 1, ["a"], {"b": 1}, 2**70, "\ud800"])
def test_what_turns_out_to_be_no_condition_is_an_error(value: Any) -> None:
    row = {**PLAY, "type": "alert.opened", "data": {"alert": {"kind": "buffering", "detail": {"flag": value}}}}
    verdict = judge("data.alert.detail.flag", row)
    assert not verdict.matched
    assert verdict.error is not None
    assert judge("data.alert.detail.flag && false", row).error is None


def test_what_is_nested_very_deeply_is_not_looked_at() -> None:
    detail: dict[str, Any] = {}
    for _ in range(5_000):
        detail = {"deep": detail, "flag": True}
    row = {**PLAY, "type": "alert.opened", "data": {"alert": {"kind": "buffering", "detail": detail}}}
    assert judge("data.alert.detail.deep.deep.flag", row).matched
    assert not judge("data.alert.detail" + ".deep" * 15 + ".flag", row).matched


@pytest.mark.parametrize(
    ("source", "words"),
    [
        # It does not parse.
        ("data.user.name ==", "only_if, character 18: the condition ends too early."),
        ('data.user.name = "Pip"', "only_if, character 16: '=' is not expected here: write == for =."),
        ("inferred & true", "character 10: '&' is not expected here: write && for &."),
        ("inferred and true", "character 10: 'and' is not expected here: write && for and."),
        ("not inferred", "character 5: 'inferred' is not expected here: write ! for not."),
        ("true &&\n\n  )", "only_if, line 3, character 3: ')' is not expected here."),
        ('data.user.name == "Pip', "character 19: "),
        ("(" * 500 + "true" + ")" * 500, "nested too deeply"),
        ("true" + "+ 1" * 100, "nested too deeply"),
        ("\ud800", "half a character"),
        ("x" * (LONGEST + 1), "only_if has 2,001 characters, and 2,000 are allowed."),
        # There is no such thing.
        ("data.user.nam == 'Pip'", "data.user has no field 'nam'. Did you mean data.user.name? Fields: id, name."),
        ("user.name == 'Pip'", "there is no 'user.name'. Did you mean data.user.name? Fields: id, type, at, "),
        ("data['usr'] == 'Pip'", "data has no field 'usr'. Did you mean data.user?"),
        ("data.item.title == '\N{PARTY POPPER}é' && data.user.nam == 1", "character 37: data.user has no field 'nam'"),
        ("has(data.play)", "data has no field 'play'."),
        ("has(data.user)", "has(data.user) says nothing: ask for one of its fields, data.user.id, data.user.name."),
        ("data.user.name.first == 'P'", "data.user.name is text, and has no fields"),
        ("hours(at) > 3", "there is no function 'hours'. Did you mean hour()? Functions: hour(), weekday(), "),
        ("hour() > 3", "character 5: hour() is called in another way: write it as hour(at)."),
        ("hour > 3", "there is no 'hour'. Did you mean hour(at)?"),
        ("data.user.name == Pip", "there is no 'Pip'. Text is written in quotes, as \"Pip\"."),
        ("user == 'Pip'", "there is no 'user'. Did you mean data.user.name?"),
        ("name == 'Pip'", "there is no 'name'. Did you mean data.user.name?"),
        ("data.user.name.upper() == 'PIP'", "there is no function 'upper'."),
        ("data[data.decision] == 'x'", "data[…] needs the name of a field"),
        ("type == 'play.begun'", 'type is never "play.begun". Values: play.started.'),
        # Kinds are mixed.
        ("data.user.name == 3", "== compares like with like, but data.user.name is text and 3 is a number"),
        ("data.item.year > '2000'", 'data.item.year is a number and "2000" is text'),
        ("data.player.local == 'no'", 'data.player.local is true or false and "no" is text'),
        ("data.player.local > false", "> does not compare true and false"),
        ("data.user == 'Pip'", "data.user is an object, and == compares texts, numbers and times"),
        ("data.decision == null", "nothing is null: a field without a value is left out"),
        ("data.user.name in [1, 2]", "in compares like with like"),
        ("data.user.name in ['Pip', 2]", "a list holds things of one kind, not a number and text"),
        ("data.user.name in data.item", "in needs a list, and data.item is an object"),
        ("data.decision", "the condition must be true or false, and data.decision is text"),
        ("hour(at)", "the condition must be true or false, and hour() is a number"),
        ("data.decision && true", "&& needs conditions, and data.decision is text"),
        ("hour(3) > 1", "hour() does not take a number"),
        ("minutes(data.decision) > 1", "minutes() needs a number of milliseconds, and data.decision is text"),
        ("data.item.title + 1 == 2", "+ needs numbers, but data.item.title is text and 1 is a number"),
        ("data.item.year.startsWith('2')", "startsWith() needs text, and data.item.year is a number"),
        ("(true ? 1 : 'x') == 1", "? does not take true or false and a number and text"),
        # It could take long.
        ("[1].map(x, [x, x]) == []", "map is not available. For lists there are exists, all, exists_one and filter"),
        ("[1].all(x, [1].all(y, true))", "cannot be used within one another"),
        ("['x'].all(x, x.matches('x'))", "matches() can take long, so it is allowed 4 times, and not within"),
        (" && ".join(["'x'.matches('x')"] * 5), "matches() can take long, so it is allowed 4 times"),
        (f"'x'.matches('{'x' * 201}')", "the pattern of matches() can take long. Allowed: 200 characters"),
        ("'x'.matches('(x?){1,50}')", "the pattern of matches() can take long"),
        ("data.user.name.matches(data.decision)", "the pattern of matches() must be written out"),
        ("data.user.name.matches('(')", "the pattern of matches() is wrong: missing ): (."),
        ("{'a': 1}.a == 1", "objects cannot be made in a condition"),
        ("[[1]] == [[1]]", "this is a list, and a list here holds texts and numbers"),
    ],
)
def test_a_wrong_condition_is_refused_with_the_place_and_what_there_is(source: str, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        compile_condition(source, ["play.started"], VIENNA)
    assert raised.value.message.startswith("only_if")
    assert words in raised.value.message


def test_a_field_of_a_list_s_elements_is_checked() -> None:
    with pytest.raises(Invalid, match=r"one has no field 'res'.*Fields: rating_key, guid"):
        compile_condition("data.items.exists(one, one.res == '4k')", ["media.added"])
    with pytest.raises(Invalid, match=r"one.season is a number"):
        compile_condition("data.items.exists(one, one.season == '2')", ["media.added"])
    with pytest.raises(Invalid, match=r"write data.items.exists"):
        compile_condition("data.items.title == 'x'", ["media.added"])


@pytest.mark.parametrize("name", OCCURRENCE_TYPES)
def test_every_field_that_a_type_declares_may_be_asked_for(name: str) -> None:
    for field in list_fields(build_row_schema([name])):
        forms = (f"{field} == {field}", f"has({field})", f"size({field}) > 0")
        assert any(try_to_compile(form, name)[0] for form in forms), field


def test_the_fields_are_those_of_the_types_of_the_rule() -> None:
    assert compile_condition("data.user.name == data.title", ["play.started", "media.added"]).used == {"user", "title"}
    with pytest.raises(Invalid, match="data has no field 'user'"):
        compile_condition("data.user.name == 'Pip'", ["media.added"])


LONG_TEXT = "x" * 10_000
HUGE: dict[str, Any] = {
    **MEDIA,
    "data": {
        "title": LONG_TEXT,
        "items": [{"title": LONG_TEXT, "resolution": LONG_TEXT} for _ in range(5_000)],
        "caught_up": [{"name": LONG_TEXT}] * 5_000,
    },
}
WHATEVER_IS_ALLOWED = [
    "data.items.all(one, " + " && ".join(["one.title == data.title"] * 70) + ")",
    "data.items.all(one, " + " && ".join(['one.title.contains("xxxxxxxxxxxxxxxxxy") == false'] * 35) + ")",
    " && ".join(["data.items.all(one, one.title != '')"] * 50),
    "(" + " + ".join(["data.title"] * 20) + ").size() > 0",
    "data.items.all(one, one.title in [" + ", ".join([f"'{number}'" for number in range(200)]) + "] == false)",
    "data.items" + ".filter(one, one.title != '')" * 25 + ".size() > 0",
    " && ".join([f"data.title.matches('{'(x?){1,20}' * 2}{'x?' * 80}y') == false"] * 4),
    " || ".join(["data.title == 'y'"] * 90),
]


@pytest.mark.parametrize("source", WHATEVER_IS_ALLOWED)
def test_what_is_allowed_costs_little_even_with_huge_occurrences(source: str) -> None:
    condition = compile_condition(source, ["media.added"])
    began = time.process_time()
    condition.judge(HUGE)
    assert time.process_time() - began < LONG_SECONDS


PIECES = [
    *("data", ".user", ".name", ".items", ".title", "type", "at", "hour(", "streams()", ".exists(x, ", ".filter(x, "),
    *(
        "has(",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "+",
        "/",
        " in ",
        "?",
        ":",
        ",",
        "x",
        "1",
        "2.5",
    ),
    *("'a'", '"', "'", "null", "true", "\\", "\n", "//", "é", "\x00", ".matches('", "')", "size("),
]


@given(st.lists(st.sampled_from(PIECES), max_size=400).map("".join))
def test_any_text_is_a_condition_or_is_refused_with_a_sentence(source: str) -> None:
    condition, message = try_to_compile(source)
    assert (condition is None) == message.startswith("only_if")
    assert "_typ" not in message
    assert len(message) < LONGEST
    assert condition is None or condition.judge(MEDIA, FACTS).matched in {True, False}


def try_to_compile(source: str, *types: str) -> tuple[Condition | None, str]:
    try:
        return compile_condition(source, types or ("play.started", "media.added")), ""
    except Invalid as error:
        return None, error.message


# Conditions that are nearly right: whatever of them is accepted must be cheap.

TEXTS = st.sampled_from(
    ["data.title", "data.library", "one.title", "one.resolution", "'x'", "type", "data.items[0].title", "id"]
)
NUMBERS = st.sampled_from(
    ["data.count", "data.size_bytes", "one.season", "1", "2.5", "hour(at)", "streams()", "data.items.size()"]
)


def combine(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    both = st.tuples(parts, st.sampled_from(["&&", "||"]), parts).map(" ".join)
    lists = st.sampled_from(["data.items", "data.caught_up", "data.items.filter(two, two.title != 'x')", "['a', 'b']"])
    macros = st.sampled_from(["exists", "all", "exists_one", "filter", "map"])
    each = st.tuples(lists, macros, parts).map(lambda made: f"{made[0]}.{made[1]}(one, {made[2]})")
    return st.one_of(both, each, each.map(lambda made: f"{made}.size() > 1"), parts.map(lambda made: f"!({made})"))


def compare() -> st.SearchStrategy[str]:
    signs = st.sampled_from(["==", "!=", "<", ">="])
    sums = st.tuples(TEXTS, st.integers(1, 30)).map(lambda made: " + ".join([made[0]] * made[1]))
    return st.one_of(
        st.tuples(TEXTS | sums, signs, TEXTS | sums).map(" ".join),
        st.tuples(NUMBERS, signs, NUMBERS).map(" ".join),
        st.tuples(TEXTS, st.sampled_from(["contains", "startsWith"]), TEXTS).map(lambda made: f"{made[0]}.{made[1]}({made[2]})"),
        st.tuples(TEXTS, st.sampled_from(["(x?){1,20}y", "x{300}", "(x+x+)+y"])).map(lambda made: f"{made[0]}.matches('{made[1]}')"),
        st.sampled_from(["true", "data.items == data.items", "data.title in ['x', 'y']", "data.title", "one"]),
    )  # fmt: skip


CONDITIONS = st.tuples(st.recursive(compare(), combine, max_leaves=20), st.integers(1, 8))


@given(CONDITIONS)
def test_whatever_is_accepted_costs_little(made: tuple[str, int]) -> None:
    source, times = made
    began = time.process_time()
    condition, message = try_to_compile(" && ".join([f"({source})"] * times))
    verdict = condition.judge(HUGE, FACTS) if condition else None
    assert time.process_time() - began < LONG_SECONDS
    assert message.startswith("only_if") if verdict is None else not (verdict.matched and verdict.error)
