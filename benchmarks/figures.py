"""Figures of a report: the median with minimum and maximum, as a ratio to a floor, beside its target."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

REPEATS = 9


def subtract_fields(after: T, before: T) -> T:
    """Return what was added to each number of a dataclass."""
    ours, theirs = asdict(after), asdict(before)
    return type(after)(**{name: ours[name] - theirs[name] for name in ours})


@dataclass(frozen=True, slots=True)
class Spread:
    """The results of the repeats of one measurement."""

    median: float
    least: float
    most: float

    @classmethod
    def from_repeats(cls, figures: Iterable[float]) -> Spread:
        """Return the spread of the figures of all repeats."""
        found = sorted(figures)
        return cls(statistics.median(found), found[0], found[-1])

    def format(self, unit: str = "") -> str:
        """Format as `1.2 (1.1-1.4) ms`."""
        shown = f"{_format(self.median)} ({_format(self.least)}-{_format(self.most)})"
        return f"{shown} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `met` is None without a target."""

    id: str
    what: str
    ours: str
    floor: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def compare(
    id_: str, what: str, ours: Sequence[float], floor: Sequence[float], *, unit: str, most: float | None = None,
    least: float | None = None,
) -> Figure:  # fmt: skip
    """Build a figure whose target is a ratio to its floor: of each repeat with its own floor, then the median of those."""
    ratio = Spread.from_repeats(mine / bare for mine, bare in zip(ours, floor, strict=True))
    sign, bound = ("≤", most) if most is not None else ("≥", least)
    met = None if bound is None else (ratio.median <= bound if most is not None else ratio.median >= bound)
    target = "" if bound is None else f"{sign} {bound:.3g}"
    return Figure(
        id_,
        what,
        Spread.from_repeats(ours).format(unit),
        Spread.from_repeats(floor).format(unit),
        ratio.format(),
        target,
        met,
    )


def percentile(figures: Sequence[float], percent: float) -> float:
    """Return the percentile by nearest rank, which is always a measured value."""
    found = sorted(figures)
    return found[min(len(found) - 1, int(len(found) * percent / 100))]


def describe_machine() -> str:
    """Describe the machine of the measurement; `load` says how busy it is with other things."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, load {load}"


def print_table(figures: Iterable[Figure], title: str, against: str = "floor") -> None:
    """Print the table. `against` is what ours is compared with."""
    table = Table("id", "what", "median (min-max)", against, "ratio", "target", "met", title=title)
    for one in figures:
        met = {True: "yes", False: "NO", None: ""}[one.met]
        table.add_row(one.id, one.what, one.ours, one.floor, one.ratio, one.target, met)
    Console(width=None if os.isatty(1) else 160).print(table)


def _format(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
