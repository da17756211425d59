"""The person at the terminal: is told things, and answers questions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def ask_at_terminal(question: str) -> str:
    """Ask on standard error, so that standard output holds the result alone; waits for a line."""
    print(question, end=" ", file=sys.stderr, flush=True)  # noqa: T201 - a question
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)  # noqa: T201 - ends the question's line
        raise StartError("Nobody answered the question, so nothing was changed. --yes agrees beforehand.")
    return line.strip()


@dataclass(frozen=True, slots=True)
class Prompter:
    """Whom to ask and how to tell. `assume_yes`: said yes beforehand, to all that is no secret."""

    ask: Callable[[str], str]
    say: Callable[[str], None]
    assume_yes: bool = False

    def confirm(self, question: str) -> bool:
        """Whether they say yes. Anything but a clear yes is a no."""
        return self.assume_yes or self.ask(f"{question} [y/N]").lower() in {"y", "yes"}

    def choose(self, question: str, options: Sequence[str]) -> int:
        """Which of these they want, asked until it is one of them."""
        self.say("\n".join(f"  {number}) {option}" for number, option in enumerate(options, 1)))
        while True:
            answer = self.ask(f"{question} [1-{len(options)}]")
            if answer.isascii() and answer.isdecimal() and 1 <= int(answer) <= len(options):
                return int(answer) - 1
