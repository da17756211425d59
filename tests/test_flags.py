"""How the command line is read, without starting anything."""

from __future__ import annotations

import shlex

import pytest

from plex_companion.cli import MOST_DEMOS, build_parser
from plex_companion.demo.household.neighbours import MOST


@pytest.mark.parametrize(
    ("words", "demo"),
    [
        ("serve", 0),
        ("serve --demo", 1),
        ("serve --demo 3 --transport http", 3),
        ("watch --demo --log-level debug", 1),
        ("history --demo=2", 2),
        ("search --demo harbour", 1),
        ("why --demo 5", 1),
        ("why --demo=2 5", 2),
        ("restore --demo file", 1),
    ],
)
def test_a_number_after_demo_says_how_many_servers(words: str, demo: int) -> None:
    assert build_parser().parse_args(shlex.split(words)).demo == demo


@pytest.mark.parametrize(("words", "name"), [("search --demo harbour", "text"), ("why --demo 5", "play")])
def test_an_argument_after_demo_is_not_taken_for_a_number_of_servers(words: str, name: str) -> None:
    flags = build_parser().parse_args(shlex.split(words))
    assert getattr(flags, name) == words.rsplit(maxsplit=1)[-1]


def test_there_are_as_many_demo_servers_as_names_for_them() -> None:
    assert MOST_DEMOS == MOST


@pytest.mark.parametrize("words", ["demo --identifier a_b", "demo --name ''", "serve --demo 10", "serve --demo 0"])
def test_what_no_demo_server_can_be_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(shlex.split(words))
    assert len(capsys.readouterr().err.splitlines()) == 1
