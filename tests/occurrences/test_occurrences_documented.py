"""The page about events shows what is really sent, and filters choose what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.occurrences.matching import matches
from plex_companion.text import encode_json

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
COMMON = {"server": "den", "at": "2026-11-22T17:00:00.000Z"}
PLAY: dict[str, Any] = {
    **COMMON,
    "play_id": "7",
    "item": {
        "type": "episode", "title": "Low Tide", "grandparent_title": "Harbour Street", "library": "Shows",
        "library_id": "2", "full_title": "Harbour Street - S01E02 - Low Tide",
    },
    "user": {"id": "7", "name": "Pip Harbour"},
    "player": {"client_identifier": "lamp", "title": "Living Room"},
}  # fmt: skip
SEASON: dict[str, Any] = {
    **COMMON, "type": "season", "title": "Harbour Street - Season 2", "library": "Shows", "library_id": "2",
    "items": [{"type": "episode", "title": "The Quay", "show": "Harbour Street"}],
}  # fmt: skip
USERS = {"7": {"Pip Harbour", "pip_h"}, "8": {"Ada Stone"}, "9": {"Ada Brook"}}


def list_examples() -> list[dict[str, Any]]:
    """Every occurrence that the page shows. Messages of protocols have other shapes."""
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    decoder, found = json.JSONDecoder(), []
    for block in blocks:
        rest = block.strip()
        while rest:
            example, end = decoder.raw_decode(rest)
            found += [example] if {"type", "data"} <= example.keys() else []
            rest = rest[end:].strip()
    return found


@pytest.mark.parametrize("example", list_examples(), ids=lambda one: str(one["type"]))
def test_an_example_fits_the_schema_of_its_type(example: dict[str, Any]) -> None:
    validator = Draft202012Validator(OCCURRENCE_TYPES[example["type"]].data_schema)
    validator.validate({**COMMON, **example["data"]})


def test_the_page_has_an_example_of_each_kind_of_data() -> None:
    shown = {example["type"].partition(".")[0] for example in list_examples()}
    assert shown == {name.partition(".")[0] for name in OCCURRENCE_TYPES}


@pytest.mark.parametrize("declared", OCCURRENCE_TYPES.values(), ids=lambda one: str(one.name))
def test_schemas_and_filters_are_valid_and_small(declared: Any) -> None:
    for schema in (declared.data_schema, declared.filters):
        Draft202012Validator.check_schema(schema)
    assert declared.filters["additionalProperties"] is False
    assert len(encode_json(declared.data_schema)) < 6_000
    assert declared.description.endswith(".")


def row(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, "data": data}


@pytest.mark.parametrize(
    ("name", "data", "arguments", "fits"),
    [
        ("rule.fired", {"rule": {"id": "3", "name": "Late 4K"}}, {"rule": "late 4k"}, True),
        ("rule.fired", {"rule": {"id": "3", "name": "Late 4K"}}, {"rule": "3"}, True),
        ("rule.fired", {"rule": {"id": "3", "name": "Late 4K"}}, {"rule": "late"}, False),
        ("play.started", PLAY, {}, True),
        ("play.started", PLAY, {"user": "pip harbour"}, True),
        ("play.started", PLAY, {"user": "PIP_H"}, True),
        ("play.started", PLAY, {"user": "pip"}, True),
        ("play.started", PLAY, {"user": "7"}, True),
        ("play.started", PLAY, {"user": "harbour"}, False),
        ("play.started", PLAY, {"user": "Ada"}, False),
        ("play.started", {**PLAY, "user": {"id": "8", "name": "Ada Stone"}}, {"user": "ada"}, False),
        ("play.started", {**PLAY, "user": {"id": "8", "name": "Ada Stone"}}, {"user": "ada stone"}, True),
        ("play.started", {**PLAY, "user": {"id": None, "name": None}}, {"user": "pip"}, False),
        ("play.started", {key: PLAY[key] for key in ("play_id", "item")}, {"user": "pip"}, False),
        ("play.started", PLAY, {"library": "shows", "type": "EPISODE"}, True),
        ("play.started", PLAY, {"library": "2"}, True),
        ("play.started", PLAY, {"library": "shows", "type": "movie"}, False),
        ("play.started", PLAY, {"title": "harbour street"}, True),
        ("play.started", PLAY, {"title": "Low Tide"}, True),
        ("play.started", PLAY, {"title": "Low"}, False),
        ("play.started", PLAY, {"client": "living room"}, True),
        ("play.started", PLAY, {"client": "LAMP"}, True),
        ("play.started", PLAY, {"client": "stove"}, False),
        ("media.added", SEASON, {"type": "season"}, True),
        ("media.added", SEASON, {"type": "episode", "title": "Harbour Street"}, True),
        ("media.added", SEASON, {"title": "the quay"}, True),
        ("alert.opened", {"alert": {"kind": "buffering", "severity": "warning"}}, {"kind": "Buffering"}, True),
        ("alert.opened", {"alert": {"kind": "buffering", "severity": "warning"}}, {"severity": "error"}, False),
        ("client.new", {"player": {"client_identifier": "lamp", "title": None}}, {"client": "lamp"}, True),
        ("scan.finished", {"library": None, "library_id": "2"}, {"library": "2"}, True),
    ],
)
def test_a_filter_fits_whole_values_in_any_case(
    name: str, data: dict[str, Any], arguments: dict[str, str], fits: bool
) -> None:
    declared = OCCURRENCE_TYPES[name]
    Draft202012Validator(declared.filters).validate(arguments)
    assert matches(declared, arguments, row(name, data), USERS) is fits


def test_an_occurrence_of_another_type_never_fits() -> None:
    assert not matches(OCCURRENCE_TYPES["play.started"], {}, row("play.stopped", PLAY))
