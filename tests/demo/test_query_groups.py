"""How filters of a query are read as groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plex_companion.demo.query.filter_groups import FilterCondition, parse_groups

if TYPE_CHECKING:
    from plex_companion.demo.query.filtering import Params

FIELDS = frozenset({"a", "b", "c"})

YES = ("push", "1")
END = ("pop", "1")
OR = ("or", "1")
AND = ("and", "1")


@pytest.mark.parametrize(
    ("params", "true", "holds"),
    [
        ([], "", True),
        ([("sort", "a"), ("type", "1")], "", True),
        ([("a", "1"), ("b", "1")], "a", False),
        ([("a", "1"), ("b", "1")], "ab", True),
        ([("a", "1"), OR, ("b", "1")], "b", True),
        ([("a", "1"), OR, ("b", "1")], "c", False),
        ([YES, ("a", "1"), OR, ("b", "1"), END, AND, ("c", "1")], "bc", True),
        ([YES, ("a", "1"), OR, ("b", "1"), END, AND, ("c", "1")], "ab", False),
        ([YES, YES, ("a", "1"), AND, ("b", "1"), END, OR, ("c", "1"), END], "a", False),
        ([YES, YES, ("a", "1"), AND, ("b", "1"), END, OR, ("c", "1"), END], "c", True),
        ([END, ("a", "1")], "", False),
        ([YES, ("a", "1"), OR, ("b", "1")], "b", True),
        ([YES, END, ("a", "1")], "a", True),
    ],
)
def test_a_group_holds_as_its_joints_say(params: Params, true: str, holds: bool) -> None:
    def test(condition: FilterCondition) -> bool:
        return condition.field in true

    assert parse_groups(params, FIELDS).holds(test) is holds
