"""People who answer what they were told to answer, and remember what they heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.commands.setup.prompter import Prompter

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Scripted:
    """Answers questions in this order; one too many fails the test."""

    answers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    hears: Callable[[str], None] = lambda _: None

    def answer(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def listen(self, text: str) -> None:
        self.shown.append(text)
        self.hears(text)

    def person(self, *, agrees_already: bool = False) -> Prompter:
        return Prompter(self.answer, self.listen, agrees_already)

    @property
    def transcript(self) -> str:
        return "\n".join([*self.asked, *self.shown])
