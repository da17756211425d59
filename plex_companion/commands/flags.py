"""Parsing of the command line: every wrong argument gets one plain sentence."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from plex_companion.setting_values import LAST_PORT, parse_listen_host
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LONGEST = 40
"""The most characters of an argument that an error repeats."""
NEAR = 0.65
UNWRAPPED = 10_000
_COMMAND = re.compile(r"[a-z][a-z-]{0,20}", re.IGNORECASE)
_OPTION = re.compile(r"--[a-z][a-z-]*")
_NEGATIVE = re.compile(r"-\d")
_IDENTIFIER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PLAIN = (
    (re.compile(r"argument ([^:]+): expected .*"), r"\1 needs a value"),
    (re.compile(r"argument ([^:]+): ignored explicit argument .*"), r"\1 takes no value"),
    (re.compile(r"the following arguments are required: (.*)"), r"\1 is missing"),
    (re.compile(r"argument ([^:]+): (.*)", re.DOTALL), r"\1 \2"),
)
"""The messages of argparse, and how to say them in plain words."""


class Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line and suggests the word that was probably meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **options})
        self.commands: dict[str, Parser] = {}
        """The parsers of the commands, by name."""
        self.attached: frozenset[str] = frozenset()
        """Options whose value is read only after `=`, because without one an argument may follow: `why --demo 5`."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # one form is enough
        """Return the parsed flags. A wrong argument ends the program with exit code 2."""
        words = _attach_negatives(sys.argv[1:] if args is None else args)
        if self.commands and words and not words[0].startswith("-") and words[0] not in self.commands:
            self.error(f"unknown command {_quote(words[0])}{suggestion(words[0], self.commands)}")
        command = self.commands.get(words[0], self) if words else self
        words = [f"{word}=1" if word in command.attached else word for word in words]
        flags, unknown = self.parse_known_args(words, namespace)
        if unknown:
            self._refuse(unknown[0], self.commands.get(getattr(flags, "command", ""), self))
        return flags

    def error(self, message: str) -> NoReturn:
        """Print the message in plain words and end the program with exit code 2."""
        for pattern, plain in _PLAIN:
            if found := pattern.fullmatch(message):
                message = found.expand(plain)
                break
        self.exit(
            2, f"{self.prog}: {message.rstrip('.?')}{'?' if message.endswith('?') else '.'} Try: {self.prog} --help\n"
        )

    def _refuse(self, word: str, command: argparse.ArgumentParser) -> NoReturn:
        if not word.startswith("-"):
            named = f": {word!r}" if _COMMAND.fullmatch(word) else ""  # it may be a part of a token
            command.error(f"unexpected argument{named}")
        option = word.partition("=")[0]
        command.error(f"unknown option {_quote(option)}{suggestion(option, _OPTION.findall(command.format_help()))}")


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal. In a pipe, lines are not wrapped."""

    def __init__(self, prog: str, **options: Any) -> None:
        if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
            options["width"] = UNWRAPPED
        super().__init__(prog, **options)


def _attach_negatives(words: Sequence[str]) -> list[str]:
    """Return the words with `--since -3d` as one, `--since=-3d`: argparse takes a value like that for an option."""
    attached: list[str] = []
    for word in words:
        if _NEGATIVE.match(word) and attached and _OPTION.fullmatch(attached[-1]):
            attached[-1] += f"={word}"
        else:
            attached.append(word)
    return attached


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the nearest known word, or an empty string if none is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=NEAR)
    return f"; did you mean {near[0]}?" if near else ""


def one_of(choices: Sequence[str]) -> dict[str, Any]:
    """Return the `add_argument` options of an argument that must be one of these words."""

    def read(word: str) -> str:
        if word in choices:
            return word
        message = f"must be one of {', '.join(choices)}, not {_quote(word)}{suggestion(word, choices)}"
        raise argparse.ArgumentTypeError(message)

    return {"type": read, "metavar": f"{{{','.join(choices)}}}"}


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in this range."""

    def read(word: str) -> int:
        try:
            number = int(word)
        except ValueError:  # also for more digits than `sys.get_int_max_str_digits()`
            number = least - 1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {_quote(word)}")

    return read


def positive_number(word: str) -> float:
    """Parse a number above 0."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if 0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"must be a number above 0, not {_quote(word)}")


def file_path(word: str) -> Path:
    """Parse the path of a file."""
    if not word.strip():
        raise argparse.ArgumentTypeError("must name a file")
    return Path(word)


def short_text(word: str) -> str:
    """Parse a name for people to read."""
    name = clean(word).strip()
    if not 0 < len(name) <= LONGEST:
        raise argparse.ArgumentTypeError(f"must be a name of 1 to {LONGEST} characters")
    return name


def machine_identifier(word: str) -> str:
    """Parse the identifier of a Plex server: forty hexadecimal digits on real ones."""
    if _IDENTIFIER.fullmatch(word):
        return word
    raise argparse.ArgumentTypeError(f"must be 1 to 64 letters, digits or hyphens, not {_quote(word)}")


def listen_host(word: str) -> str:
    """Parse the address to listen on."""
    try:
        return parse_listen_host(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


port = whole_number(0, LAST_PORT)


def _quote(word: str) -> str:
    return repr(word if len(word) <= LONGEST else f"{word[:LONGEST]}…")
