"""Figures as they are reported: the median with the smallest and the largest, as a ratio to a floor, beside its target."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REPEATS = 9


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeats of one measurement gave."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """Of the figures of all repeats."""
        found = sorted(figures)
        return cls(statistics.median(found), found[0], found[-1])

    def text(self, unit: str = "") -> str:
        """As `1.2 (1.1-1.4) ms`."""
        shown = f"{_short(self.median)} ({_short(self.least)}-{_short(self.most)})"
        return f"{shown} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `met` is None where there is nothing to meet."""

    id: str
    what: str
    ours: str
    floor: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def against(
    id_: str, what: str, ours: Sequence[float], floor: Sequence[float], *, unit: str, most: float | None = None,
    least: float | None = None,
) -> Figure:  # fmt: skip
    """A figure whose target is a ratio to its floor: of each repeat with its own floor, then the median of those."""
    ratio = Spread.of(mine / bare for mine, bare in zip(ours, floor, strict=True))
    sign, bound = ("≤", most) if most is not None else ("≥", least)
    met = None if bound is None else (ratio.median <= bound if most is not None else ratio.median >= bound)
    target = "" if bound is None else f"{sign} {bound:g}"
    return Figure(id_, what, Spread.of(ours).text(unit), Spread.of(floor).text(unit), ratio.text(), target, met)


def percentile(figures: Sequence[float], percent: float) -> float:
    """The nearest rank: a figure that was measured."""
    found = sorted(figures)
    return found[min(len(found) - 1, int(len(found) * percent / 100))]


def machine() -> str:
    """What the figures were measured on; `load` tells how busy it was with other things."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, load {load}"


def show(figures: Iterable[Figure], title: str) -> None:
    """Print the table."""
    table = Table("id", "what", "median (min-max)", "floor", "ratio", "target", "met", title=title)
    for one in figures:
        met = {True: "yes", False: "NO", None: ""}[one.met]
        table.add_row(one.id, one.what, one.ours, one.floor, one.ratio, one.target, met)
    Console(width=None if os.isatty(1) else 160).print(table)


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
