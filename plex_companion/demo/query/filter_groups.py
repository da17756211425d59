"""The filters of a query as a tree: `push=1` and `pop=1` enclose a group, `or=1` between members means any of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

TYPES = "movie|show|season|episode|artist|album|track|photo|photoalbum|collection|clip"
_FIELD = re.compile(rf"(?:(?P<type>{TYPES})\.)?(?P<field>[A-Za-z]+)(?P<op>[!=<>&]*)$")


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """One filter: a field of the item, or of its relative of type `kind`, compared with any of the values."""

    kind: str
    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(slots=True)
class FilterGroup:
    """Filters of which all must hold, or with `any_of` at least one."""

    members: list[FilterCondition | FilterGroup] = field(default_factory=list)
    any_of: bool = False

    def holds(self, test: Callable[[FilterCondition], bool]) -> bool:
        """Return whether the group holds; `test` decides a single filter. An empty group holds."""
        results = (member.holds(test) if isinstance(member, FilterGroup) else test(member) for member in self.members)
        return any(results) if self.any_of and self.members else all(results)


def parse_groups(params: Iterable[tuple[str, str]], fields: Container[str]) -> FilterGroup:
    """Return the filters of a query. Parameters that are not filters on one of the `fields` are left out."""
    return _parse_group(iter(params), fields, nested=False)


def _parse_group(rest: Iterator[tuple[str, str]], fields: Container[str], *, nested: bool) -> FilterGroup:
    """Collect members up to the `pop` that ends the group. A `pop` without a group is ignored."""
    group = FilterGroup()
    for name, value in rest:
        if name == "pop" and nested:
            break
        if name == "push":
            group.members.append(_parse_group(rest, fields, nested=True))
        elif name == "or":
            group.any_of = True
        else:
            group.members += _parse_condition(name, value, fields)
    return group


def _parse_condition(name: str, value: str, fields: Container[str]) -> list[FilterCondition]:
    match = _FIELD.match(name)
    if match is None or match["field"] not in fields:
        return []
    return [FilterCondition(match["type"] or "", match["field"], match["op"], tuple(value.split(",")))]
