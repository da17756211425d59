"""The dialogue with the person at the terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def ask_at_terminal(question: str) -> str:
    """Ask on standard error, so that standard output holds only the result, and return the answer without spaces around it.

    Raises:
        StartError: standard input has ended.
    """
    print(question, end=" ", file=sys.stderr, flush=True)  # noqa: T201 - a question
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)  # noqa: T201 - ends the question's line
        raise StartError("The question got no answer, so nothing was changed. --yes answers yes in advance.")
    return line.strip()


@dataclass(frozen=True, slots=True)
class Prompter:
    """Functions to ask and to print. `assume_yes` confirms everything but the handling of secrets."""

    ask: Callable[[str], str]
    say: Callable[[str], None]
    assume_yes: bool = False

    def confirm(self, question: str) -> bool:
        """Ask for a yes. Anything but `y` or `yes` counts as no."""
        return self.assume_yes or self.ask(f"{question} [y/N]").lower() in {"y", "yes"}

    def choose_many(self, question: str, options: Sequence[str]) -> list[int]:
        """Ask for one or more of the options, or all, until the answer is valid, and return their indexes in that order."""
        self.say("\n".join(f"  {number}) {option}" for number, option in enumerate(options, 1)))
        while True:
            answer = self.ask(f"{question} [1-{len(options)}, as 1,2; or all]")
            if answer.lower() == "all":
                return list(range(len(options)))
            numbers = [part.strip() for part in answer.split(",")]
            if all(part.isascii() and part.isdecimal() and 1 <= int(part) <= len(options) for part in numbers):
                return list(dict.fromkeys(int(part) - 1 for part in numbers))

    def choose(self, question: str, options: Sequence[str]) -> int:
        """Ask for one of the options until the answer is valid, and return its index."""
        self.say("\n".join(f"  {number}) {option}" for number, option in enumerate(options, 1)))
        while True:
            answer = self.ask(f"{question} [1-{len(options)}]")
            if answer.isascii() and answer.isdecimal() and 1 <= int(answer) <= len(options):
                return int(answer) - 1
