"""Faults in the middle of a walk through a long list: a page that fails, is short, or repeats the one before."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("fail", "short", "shrink", "repeat")


@dataclass(slots=True)
class PageFault:
    """A fault of a page of a listing.

    `fail` answers 500. `short` leaves out the second half of the page. `shrink` does too, and `totalSize` says that nothing
    follows. `repeat` sends the page before once more, as when as many rows were put in front meanwhile.
    """

    kind: str
    skip: int = 0
    """How many pages pass before it."""
    times: int = 1
    """How many pages have it."""

    def take(self) -> bool:
        """Return whether the page that is asked for now has the fault."""
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0
